"""The upper bound on what a run costs, with which limits are compared."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.prices import dated, joined, tables_of
from imgcli.core.billing.rates import HALF, highest_surcharge
from imgcli.core.billing.token_counts import count, or_none
from imgcli.core.catalog import ModelKind
from imgcli.core.errors import usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import as_object
from imgcli.core.option import option
from imgcli.core.params import EXTRA, Api, Quality
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from imgcli.core.catalog import Catalog, Model
    from imgcli.core.history import HistoryEntry
    from imgcli.core.request import ImageRequest


def image_model_name(request: ImageRequest, catalog: Catalog) -> str:
    """Return the image model of a request, the default one where none is named."""
    return request.model if request.api is Api.IMAGES else request.image_model or catalog.default_image_model


_MILLION = 1_000_000
_ZERO = Decimal(0)
_CENT, _SMALL = Decimal("0.01"), Decimal("0.0001")
_AUTO = "auto"
_QUALITIES = (Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.XHIGH, Quality.MAX)
_NAME_LENGTH = 60
_BOUNDED_TIERS = frozenset({"auto", "default", "flex"})
"""Flex is a discount. For the others no price of an image is published."""
_BOUNDED_EFFORTS = frozenset({"none", "minimal", "low", "medium"})
"""The tokens that were seen, on which the limits rest, are of a model that reasoned as much as by default."""


@dataclass(frozen=True)
class Bound:
    """An upper bound in US dollars, its basis, and the date of its oldest price or table.

    `tables` names the tables that the prices are from.
    """

    dollars: Decimal
    basis: str
    as_of: date
    tables: tuple[str, ...] = ()

    @property
    def dated(self) -> str:
        """The date, and the price tables."""
        return dated(self.as_of, joined(self.tables))


def batch_bound(bounds: Iterable[Bound]) -> Bound:
    """Return the upper bound of one or more requests that go through the Batch API, at half price."""
    total, dates, bases, tables = _ZERO, set[date](), set[str](), dict[str, None]()
    for bound in bounds:
        total += bound.dollars
        dates.add(bound.as_of)
        bases.add(bound.basis)
        tables |= dict.fromkeys(bound.tables)
    basis = bases.pop() if len(bases) == 1 else "the sum over all rows"
    return Bound(_rounded_up(total * HALF), f"half of {basis}", min(dates), tuple(tables))


@dataclass(frozen=True)
class Conversation:
    """What is known of the conversation that a request continues.

    `tokens` is the largest billed count of the text model, `prompt_bytes` is the sum over all `turns`;
    `images` counts those that were sent or generated.
    """

    tokens: int = 0
    prompt_bytes: int = 0
    turns: int = 0
    images: int = 0


def upper_bound(
    request: ImageRequest,
    models: Catalog,
    conversation: Conversation | None = None,
    host: str | None = None,
) -> Bound:
    """Return the upper bound on the cost of a request at a server.

    It is monotonic: a lower quality, fewer pixels, fewer partials, frames or references, or a shorter prompt
    never raise it. A model without prices counts as the most expensive one. Raises `ImgcliError` (usage)
    where nothing is known: for a conversation that is not in the history, and see `_check_known`.
    """
    _check_known(request)
    if request.previous_response_id and conversation is None:
        raise usage_error(
            "The maximum cost is unknown: the conversation that this continues is not in the history.",
            f"Send the image itself with {option('image')}, or remove the limit.",
        )
    load = _HighestCost(request, models.limits, conversation or Conversation())
    image = image_model_name(request, models)
    shares = [_most_expensive(_candidates(image, ModelKind.IMAGE, models), load.image_dollars)]
    if request.api is Api.RESPONSES:
        shares.append(_most_expensive(_candidates(request.model, ModelKind.TEXT, models), load.text_dollars))
    total = sum((share for _, share in shares), _ZERO) * highest_surcharge(host) * (request.count or 1)
    basis = _basis(request, models, shares[0][0])
    tables = tables_of(model.prices for model, _ in shares if model.prices)
    return Bound(_rounded_up(total), basis, min(_dates(model for model, _ in shares)), tables)


def _check_known(request: ImageRequest) -> None:
    """Raise `ImgcliError` (usage) for parameters whose price or number of tokens is not published."""
    if request.format is ImageFormat.SVG:
        unknown = "how many tokens it takes to write one" if request.svg_model else "which model writes it"
        raise usage_error(
            f"The maximum cost of an SVG is unknown: OpenAI does not publish {unknown}.",
            f"Choose another {option('format')}, or remove the limit.",
            about=("format",),
        )
    for name, value, are_bounded in (
        ("service-tier", request.service_tier, _BOUNDED_TIERS),
        ("reasoning-effort", request.reasoning_effort, _BOUNDED_EFFORTS),
        (EXTRA, next(iter(request.extra), None), ()),
    ):
        if value is not None and value not in are_bounded:
            raise usage_error(
                f"The maximum cost is unknown with {option(name, shorten(value, _NAME_LENGTH))}.",
                f"Leave {option(name)} out, or remove the limit.",
                about=(name,),
            )


def conversation_before(
    request: ImageRequest, find: Callable[[str], HistoryEntry | None]
) -> Conversation | None:
    """Return what the history knows of a request's conversation, None for nothing.

    `find` returns the run with a response id.
    """
    turns: list[HistoryEntry] = []
    seen: set[str] = set()
    response_id = request.previous_response_id
    while response_id and response_id not in seen and (entry := find(response_id)):
        seen.add(response_id)
        turns.append(entry)
        response_id = entry.request.previous_response_id if entry.request else None
    if not turns:
        return None
    return Conversation(
        tokens=max(_billed_tokens(entry) for entry in turns),
        prompt_bytes=sum(len(entry.prompt.encode()) for entry in turns),
        turns=len(turns),
        images=sum(len(entry.images) + _sent_images(entry.request) for entry in turns),
    )


@dataclass(frozen=True)
class _HighestCost:
    """The tokens that a request costs at most, and their price."""

    request: ImageRequest
    limits: Mapping[str, Any]
    before: Conversation

    def image_dollars(self, model: Model) -> Decimal:
        """Return the cost of the image model's input and output."""
        prices = model.prices
        if prices is None:  # pragma: no cover - every candidate is priced
            return _ZERO
        text, images = self.prompt_bytes + self.limits["image_text"], self.images
        if self.request.api is Api.RESPONSES:
            text += self.limits["text_out"]  # the text model rewords the prompt
        frames = 1
        if self.request.format is ImageFormat.GIF:
            frames = self.request.frames or self.limits["frames"]
        rate = (prices.image_out or _ZERO) / _MILLION
        cost = text * ((prices.text_in or _ZERO) + (prices.text_out or _ZERO)) / _MILLION
        cost += images * self.limits["image_image"] * (prices.image_in or _ZERO) / _MILLION
        cost += frames * _image(model.most, rate, self.request, self.limits[_AUTO])
        cost += self.request.partials * self.limits["partial"] * rate
        return Decimal(cost)

    def text_dollars(self, model: Model) -> Decimal:
        """Return the cost of the text model's input and output."""
        prices = model.prices
        if prices is None or prices.text_in is None or prices.text_out is None:  # pragma: no cover - likewise
            return _ZERO
        turn_in, turn_out = self.limits["text_in"], self.limits["text_out"]
        before = self.before.turns * (turn_in + turn_out) + self.before.prompt_bytes
        seen = self.images * (model.image or self.limits["text_image"])
        tokens_in = turn_in + self.prompt_bytes + max(before, self.before.tokens) + seen
        cost_in = tokens_in * prices.text_in * max(1, prices.cache_write or 1) / _MILLION
        cost_out = (turn_out + self.prompt_bytes) * prices.text_out / _MILLION
        terms = prices.long_context
        if terms and tokens_in > terms.after:
            cost_in, cost_out = cost_in * terms.input, cost_out * terms.output
        return Decimal(cost_in + cost_out)

    @property
    def prompt_bytes(self) -> int:
        """The bytes of all prompts and instructions, which is the maximum number of their tokens."""
        own = self.request.prompt + (self.request.instructions or "")
        return len(own.encode()) + self.before.prompt_bytes

    @property
    def images(self) -> int:
        """The number of input images."""
        return _sent_images(self.request) + self.before.images


def _image(most: Mapping[str, Any], rate: Decimal, request: ImageRequest, auto: str) -> Decimal:
    """Return the cost of one image: the highest among the qualities up to the requested one."""
    pixels = _pixels(auto if request.size in (None, _AUTO) else request.size or auto)
    figures = most.get("dollars") or most["tokens"]
    unit = Decimal(1) if "dollars" in most else rate * most.get("times", 1)
    listed = [quality for quality in _QUALITIES if quality in figures]
    if request.quality in _QUALITIES:
        above = [q for q in listed if _QUALITIES.index(q) >= _QUALITIES.index(request.quality)]
        listed = [q for q in listed if q not in above[1:]]
    rounding = most.get("rounding", 0)
    return max(_scaled(figures[quality], pixels, rounding) for quality in listed) * unit


def _scaled(figures: Mapping[str, Decimal | int], pixels: int, rounding: Decimal | int) -> Decimal:
    """Return the maximum over the smaller sizes, each scaled by pixels; the smallest size always counts."""
    sizes = sorted((_pixels(size), figure) for size, figure in figures.items())
    smaller = [(known, figure) for known, figure in sizes if known <= pixels] or sizes[:1]
    return max(Decimal(figure + rounding) * max(pixels, known) / known for known, figure in smaller)


def _candidates(name: str, kind: ModelKind, models: Catalog) -> list[Model]:
    """Return the models to consider: the named one, or all of its kind where that has no figures."""
    found = models.find(name)
    priced = [model for model in models.models if model.kind is kind and _is_priced(model)]
    return [found] if found in priced else priced


def _most_expensive(
    candidates: Iterable[Model], dollars: Callable[[Model], Decimal]
) -> tuple[Model, Decimal]:
    return max(((model, dollars(model)) for model in candidates), key=lambda share: share[1])


def _basis(request: ImageRequest, models: Catalog, expensive: Model) -> str:
    names = [image_model_name(request, models), *([request.model] if request.api is Api.RESPONSES else [])]
    unknown = [shorten(name, _NAME_LENGTH) for name in names if not _has_figures(name, models)]
    basis = f"{expensive.most['what']} and one token per byte of text"
    if not unknown:
        return basis
    return (
        f"the most expensive models in the catalog, as it has no figures for {' and '.join(unknown)}: {basis}"
    )


def _rounded_up(amount: Decimal) -> Decimal:
    """Round up to the displayed precision, so that a limit of the displayed amount is sufficient."""
    return amount.quantize(_CENT if amount > 1 else _SMALL, ROUND_UP)


def _has_figures(name: str, models: Catalog) -> bool:
    found = models.find(name)
    return found is not None and _is_priced(found)


def _is_priced(model: Model) -> bool:
    """Return whether all is known that a bound needs; a price that has ended is unknown."""
    prices = model.prices
    if prices is None or prices.text_in is None:
        return False
    if model.kind is ModelKind.TEXT:
        return prices.text_out is not None
    return bool(model.most) and prices.image_in is not None and prices.image_out is not None


def _dates(counted: Iterable[Model]) -> Iterator[date]:
    for model in counted:
        if model.prices:  # pragma: no branch - every candidate is priced
            yield model.prices.date
        if model.most:
            yield model.most["date"]


def _pixels(size: str) -> int:
    width, height = size.split("x")
    return int(width) * int(height)


def _sent_images(request: ImageRequest | None) -> int:
    if request is None:
        return 0
    return len(request.references) + sum(one is not None for one in (request.mask, request.markup))


def _billed_tokens(entry: HistoryEntry) -> int:
    """Return the text model's input and output tokens of a run, as far as the API reported them."""
    usage = as_object(entry.usage)
    tokens_in = or_none(lambda: count(usage, "input_tokens"))
    tokens_out = or_none(lambda: count(usage, "output_tokens"))
    return (tokens_in or 0) + (tokens_out or 0)
