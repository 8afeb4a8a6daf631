"""The bill: the API's token counts times the catalog's prices, or "unknown"."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.core.billing.token_counts import (
    UnknownError,
    as_text_usage,
    at_least,
    count,
    or_none,
    positive,
    section,
    split_tokens,
)
from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import as_object
from imgcli.core.params import Api
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.billing.prices import LongContext, Prices
    from imgcli.core.catalog import Catalog
    from imgcli.core.events import Completed, Json
    from imgcli.core.request import ImageRequest


_MILLION = 1_000_000
_ZERO = Decimal(0)
_HALF_A_CENT = Decimal("0.005")
_SMALL = Decimal("0.0001")


class Part(StrEnum):
    """What a row of the bill is for; the values are displayed."""

    TEXT = "text model"
    IMAGE = "image model"
    SVG = "SVG author"
    ALL = "all models"


@dataclass(frozen=True)
class Row:
    """One model's part of a bill. Counts are tokens, costs US dollars; None is unknown.

    `partials` are included in `tokens_out`: OpenAI bills each as 100 image output tokens (guide, September
    2026; the API's counts are understood to include them).
    """

    part: Part
    model: str | None
    tokens_in: int | None = None
    cached: int | None = None
    tokens_out: int | None = None
    partials: int | None = None
    cost_in: Decimal | None = None
    cost_out: Decimal | None = None

    @property
    def cost(self) -> Decimal | None:
        """The row's cost, None if any of it is unknown."""
        return sum_or_none([self.cost_in, self.cost_out])

    @property
    def known(self) -> Decimal:
        """The known part of the row's cost."""
        return (self.cost_in or _ZERO) + (self.cost_out or _ZERO)


@dataclass(frozen=True)
class Bill:
    """What a run cost.

    `prices_date` is the date of the oldest price in it, None without any; `tables` names the price tables
    that were used. `notes` are sentences on assumptions and uncertain prices. A bill that `is_demo` is not
    charged.
    """

    rows: tuple[Row, ...]
    prices_date: date | None
    notes: tuple[str, ...] = ()
    is_demo: bool = False
    tables: tuple[str, ...] = ()

    @property
    def prices_from(self) -> str | None:
        """The names of the price tables, None where all prices are built in."""
        from imgcli.core.billing.prices import joined  # see `prices_of`

        return joined(self.tables)

    @property
    def dated(self) -> str:
        """The date of the oldest price, and the table: `2026-11-29, from litellm.json`; empty without any."""
        from imgcli.core.billing.prices import dated

        return dated(self.prices_date, self.prices_from) if self.prices_date else ""

    @property
    def total(self) -> Decimal | None:
        """The total, None if any of it is unknown."""
        return sum_or_none(row.cost for row in self.rows)

    @property
    def known(self) -> Decimal:
        """The known part of the cost, which is a minimum where `total` is None."""
        return sum((row.known for row in self.rows), _ZERO)


def bill(
    request: ImageRequest, completed: Completed, partials: int, catalog: Catalog, images: int = 1
) -> Bill:
    """Compute what a run cost at OpenAI's Standard rates; `partials` and `images` arrived.

    `Completed` says which count is which. Never raises: a missing or absurd count makes its row unknown.
    """
    from imgcli.core.billing.prices import tables_of  # see `prices_of`

    rows = tuple(_rows(request, completed, partials, catalog))
    if request.api is Api.RESPONSES and not partials and not images and _is_unused(completed):
        rows = tuple(row for row in rows if row.part is Part.TEXT)
    used = [prices_of(row.model, catalog) for row in rows if row.known]
    notes = [note for row in rows for note in _notes(row, completed, request, catalog)]
    oldest = min((prices.date for prices in used), default=None)
    return Bill(rows, oldest, tuple(notes), tables=tables_of(used))


def cost_usd(made: Bill) -> float | None:
    """Return the total in dollars for JSON, None when it is unknown."""
    return None if made.total is None else float(made.total)


def dollars(amount: Decimal | None) -> str:
    """Format an amount: `$12.34`, `$0.0123`, `$0.0000042`, "unknown"; never $0.00 for a larger amount."""
    if amount is None or not amount.is_finite():
        return "unknown"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if not size or size >= 1:
        return f"{sign}${size:,.2f}"
    places = 4 if size >= _SMALL else 1 - size.adjusted()
    return f"{sign}${size:.{places}f}"


def sum_or_none(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, None if any part is unknown."""
    known = list(amounts)
    return None if None in known else sum(filter(None, known), _ZERO)


def _sum_counts(counts: Iterable[int | None]) -> int | None:
    """Return the sum, None if any part is unknown."""
    known = list(counts)
    return None if None in known else sum(filter(None, known))


def _rows(request: ImageRequest, completed: Completed, partials: int, catalog: Catalog) -> Iterator[Row]:
    """Yield a row for every model that took part."""
    usage = as_object(completed.usage)
    if request.api is Api.RESPONSES:
        model = completed.model or request.model
        yield _text_row(model, usage, prices_of(model, catalog))
        usage = as_object(as_object(completed.tool_usage).get("image_gen"))
    model = _image_model(request, completed) or catalog.default_image_model
    row = _image_row(request, usage, prices_of(model, catalog))
    yield replace(row, model=model, partials=partials)
    if request.format is ImageFormat.SVG or completed.svg_usage:
        author = completed.svg_model or request.svg_model
        row = _text_row(author or "", as_text_usage(completed.svg_usage), prices_of(author, catalog))
        yield replace(row, part=Part.SVG, model=author)


def _image_model(request: ImageRequest, completed: Completed) -> str | None:
    """Return the model that made the image, as the server reports it, else as requested."""
    if request.api is Api.RESPONSES:
        return completed.image_model or request.image_model
    return completed.image_model or completed.model or request.model


def prices_of(model: str | None, catalog: Catalog) -> Prices:
    """Return a model's prices; without any price for an unknown model."""
    from imgcli.core.billing.prices import Prices  # only here: the history needs rows of bills, but no prices

    found = catalog.find(model) if model else None
    other_prices = catalog.other_prices.get(model) if model and not found else None
    return (found.prices if found else other_prices) or Prices(date=date.min, source="")


def _notes(row: Row, completed: Completed, request: ImageRequest, catalog: Catalog) -> Iterator[str]:
    """Yield the assumptions of a row, or why its price is unknown where it was known once."""
    prices = prices_of(row.model, catalog)
    if not row.known:
        if prices.caveat and not prices.is_known:
            yield f"The price of {row.model} is {prices.caveat} ({prices.source})."
        return
    if row.part is Part.IMAGE and not _image_model(request, completed):
        yield f"The server did not name its image model; these are the prices of the default, {row.model}."
    if prices.caveat:
        yield f"The price of {row.model} is {prices.caveat} ({prices.source})."
    if row.cached is None and (row.cost_in or 0) >= _HALF_A_CENT:
        yield f"No cached input is assumed for the {row.part}."


def _text_row(model: str, usage: Json, prices: Prices) -> Row:
    return Row(
        Part.TEXT,
        model,
        tokens_in=or_none(lambda: count(usage, "input_tokens")),
        cached=or_none(lambda: count(section(usage, "input_tokens_details"), "cached_tokens")),
        tokens_out=or_none(lambda: count(usage, "output_tokens")),
        cost_in=or_none(lambda: _text_in(usage, prices)),
        cost_out=or_none(lambda: _text_out(usage, prices)),
    )


def _text_in(usage: Json, prices: Prices) -> Decimal:
    """Return the cost of fresh, cached and cache-written input, each at its rate."""
    details = section(usage, "input_tokens_details")
    cached = count(details, "cached_tokens") or 0
    written = count(details, "cache_write_tokens") or 0
    if prices.cache_write and count(section(details, "cache_write_tokens_details"), "ttl_12h_tokens"):
        raise UnknownError
    fresh = at_least(0, positive(usage, "input_tokens") - cached - written)
    cost = _price(fresh, prices.text_in) + _price(cached, prices.text_cached)
    cost += _price(written, prices.text_in) * (prices.cache_write or 1)
    long_context = _long_context(usage, prices)
    return cost * long_context.input if long_context else cost


def _text_out(usage: Json, prices: Prices) -> Decimal:
    """Return the cost of the output; a text model may write nothing, so zero is valid."""
    tokens = count(usage, "output_tokens")
    if tokens is None:
        raise UnknownError
    cost = _price(tokens, prices.text_out)
    long_context = _long_context(usage, prices)
    return cost * long_context.output if long_context else cost


def _long_context(usage: Json, prices: Prices) -> LongContext | None:
    """Return the surcharge of a very long request, None without one."""
    terms = prices.long_context
    return terms if terms and positive(usage, "input_tokens") > terms.after else None


def _image_row(request: ImageRequest, usage: Json, prices: Prices) -> Row:
    return Row(
        Part.IMAGE,
        None,
        tokens_in=or_none(lambda: count(usage, "input_tokens")),
        cached=or_none(lambda: _cached_in(usage, request)),
        tokens_out=or_none(lambda: count(usage, "output_tokens")),
        cost_in=or_none(lambda: _image_in(usage, prices, request)),
        cost_out=or_none(lambda: _image_out(usage, prices, request)),
    )


def _is_unused(completed: Completed) -> bool:
    """Return whether the API omits the image tool from its counts, or has zeros for it."""
    tools = as_object(completed.tool_usage)
    usage = as_object(tools.get("image_gen"))
    return bool(tools) and all(usage.get(key, 0) == 0 for key in ("input_tokens", "output_tokens"))


def _image_in(usage: Json, prices: Prices, request: ImageRequest) -> Decimal:
    """Return the cost of text and image input, fresh and cached; without a cache count, at the full price."""
    text, image = _input(usage, request)
    cached_text, cached_image = _cached(usage, text, image) or (0, 0)
    return (
        _price(at_least(0, text - cached_text), prices.text_in)
        + _price(cached_text, prices.text_cached)
        + _price(at_least(0, image - cached_image), prices.image_in)
        + _price(cached_image, prices.image_cached)
    )


def _input(usage: Json, request: ImageRequest) -> tuple[int, int]:
    """Return text and image tokens of the input; without a split, a plain prompt is all text."""
    total, details = positive(usage, "input_tokens"), section(usage, "input_tokens_details")
    text, image = count(details, "text_tokens"), count(details, "image_tokens")
    if text is None and image is None and request.is_plain:
        text = total
    return split_tokens(total, text, image)


def _cached(usage: Json, text: int, image: int) -> tuple[int, int] | None:
    """Return cached text and image tokens of the input; None where the API gives no count."""
    total, details = count(usage, "cached_tokens"), section(usage, "cached_tokens_details")
    if total is None and not details:
        return None
    cached_text, cached_image = count(details, "cached_text_tokens"), count(details, "cached_image_tokens")
    if total is None and cached_text is not None and cached_image is not None:
        total = cached_text + cached_image
    if total is None:
        raise UnknownError
    if cached_text is None and cached_image is None:
        # Tokens of a kind that was not sent cannot have been cached.
        cached_text, cached_image = (
            (None, 0) if image == 0 or total == 0 else (0 if text == 0 else None, None)
        )
    return split_tokens(total, cached_text, cached_image)


def _cached_in(usage: Json, request: ImageRequest) -> int | None:
    cached = _cached(usage, *_input(usage, request))
    return sum(cached) if cached else None


def _image_out(usage: Json, prices: Prices, request: ImageRequest) -> Decimal:
    """Return the cost of the output, which is all image where the API does not split it.

    On a model that also charges for text output, only the Images API's stream, which documents its count as
    the image's, is valid without a split (SDK 3.54.0).
    """
    total, details = positive(usage, "output_tokens"), section(usage, "output_tokens_details")
    text, image = count(details, "text_tokens"), count(details, "image_tokens")
    is_all_image = prices.text_out is None or (request.api is Api.IMAGES and request.stream)
    if text is None and image is None and is_all_image:
        image = total
    text, image = split_tokens(total, text, image)
    return _price(text, prices.text_out) + _price(image, prices.image_out)


def _price(tokens: int, rate: Decimal | None) -> Decimal:
    """Return the cost of tokens at dollars per million; no tokens cost nothing at any rate."""
    if tokens and rate is None:
        raise UnknownError
    return tokens * (rate or _ZERO) / _MILLION


def sum_bills(bills: Iterable[Bill]) -> Bill | None:
    """Return the bill of several runs, None for none: rows of the same model added up.

    Rows whose cost is unknown are not added to those whose cost is known, which would hide the least that it
    is. It is the demo's where none of it is charged.
    """
    bills = tuple(bills)
    if not bills:
        return None
    rows: dict[tuple[Part, str | None, bool], list[Row]] = {}
    for one in bills:
        for row in one.rows:
            rows.setdefault((row.part, row.model, row.cost is None), []).append(row)
    dates = [one.prices_date for one in bills if one.prices_date]
    notes = dict.fromkeys(note for one in bills for note in one.notes)
    summed = tuple(_sum_rows(alike) for alike in rows.values())
    tables = tuple(dict.fromkeys(table for one in bills for table in one.tables))
    is_demo = all(one.is_demo for one in bills)
    return Bill(summed, min(dates, default=None), tuple(notes), is_demo, tables)


def _sum_rows(rows: list[Row]) -> Row:
    """Return rows of one model as one."""
    return Row(
        rows[0].part,
        rows[0].model,
        _sum_counts(row.tokens_in for row in rows),
        _sum_counts(row.cached for row in rows),
        _sum_counts(row.tokens_out for row in rows),
        _sum_counts(row.partials for row in rows),
        sum_or_none(row.cost_in for row in rows),
        sum_or_none(row.cost_out for row in rows),
    )
