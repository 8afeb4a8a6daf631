"""Parses price tables of any form, trusting nothing: imgcli's TOML, LiteLLM's JSON, the stored one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imgcli.core.billing.price_table import FORMAT, VERSION, PriceTable
from imgcli.core.billing.prices import PRICE_COLUMNS, LongContext, Prices
from imgcli.core.catalog import COLUMNS_OF, ModelKind
from imgcli.core.json_fields import as_object, as_text, parse_object
from imgcli.core.text import shorten
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.core.catalog import Catalog, Model


LARGEST_TABLE = 16 << 20
"""Bytes; LiteLLM's has 2 MB."""
_LONGEST_TOML, _LONGEST_LINE = 1 << 18, 500
"""Characters; ours has 14,000. A key of many parts takes time that grows with the square of their number."""

_LEAST, _MOST = Decimal("0.0001"), Decimal(10_000)
"""Dollars per million tokens, between which a price is believed; OpenAI's are 0.005 to 600."""
_MOST_DOLLARS = Decimal(100)
"""Of one image."""
_MOST_TIMES = 100
_FINEST, _CENT = Decimal("1e-9"), Decimal("0.01")
_MOST_ASIDE = 1_000
_LONGEST_NAME, _LONGEST_TEXT = 100, 200
_LABEL = 40
_EARLIEST = date(2020, 1, 1)
_NUMBER = regex(r"[0-9]{1,12}(\.[0-9]{1,20})?")
_UNKNOWN = "unknown"


class PriceTableError(Exception):
    """What is wrong with a table; the message completes "prices.toml ..."."""


def label_of(origin: str) -> str:
    """Return a short name for a file or URL: the last part of its path."""
    return shorten(re.split(r"[/\\]", origin.rstrip("/\\"))[-1] or origin, _LABEL)


def read_table(data: bytes, origin: str, today: date, models: Catalog) -> PriceTable:
    """Read a table in any of its forms: imgcli's TOML, LiteLLM's JSON, or what `write_table` wrote.

    Prices of models that are not in the catalog are kept too, if they make sense. Raises `PriceTableError`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PriceTableError("is not UTF-8 text") from None
    if not text.lstrip().startswith("{"):
        return _checked(_toml_table(text), origin, today, models)
    document = parse_object(text)
    if document is None:
        raise PriceTableError("is not valid JSON")
    if FORMAT not in document:
        return _checked({"date": today, "models": _litellm_entries(text, models)}, origin, today, models)
    if document[FORMAT] != VERSION:
        raise PriceTableError("was stored by a newer version of imgcli")
    return _checked(document, as_text(document.get("origin")) or origin, today, models)


def _litellm_entries(text: str, models: Catalog) -> dict[str, dict[str, Any]]:
    """Read LiteLLM's form with exact numbers; an earlier look has shown that it is JSON of sane size."""
    try:
        document = json.loads(
            text, strict=False, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse_constant
        )
        return litellm_entries(document, models)
    except (ValueError, ArithmeticError):
        raise PriceTableError("holds an invalid number") from None


def _refuse_constant(constant: str) -> None:
    raise PriceTableError(f"holds {constant}, which is not a price")


def _toml_table(text: str) -> dict[str, Any]:
    """Read the form of catalog.toml, of which only prices, sources and terms matter."""
    import tomllib

    if len(text) > _LONGEST_TOML or max(map(len, text.splitlines()), default=0) > _LONGEST_LINE:
        raise PriceTableError("is neither JSON nor a TOML table of prices: it is too large, or its lines are")
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        why = "too deeply nested" if isinstance(error, RecursionError) else shorten(str(error), 100)
        raise PriceTableError(f"is neither JSON nor valid TOML: {why}") from None
    checked = document.get("checked")
    if type(checked) is not date:
        raise PriceTableError("does not say when its prices were checked (checked = 2026-11-29)")
    entries = {
        str(name): _toml_entry(kind, str(name), as_object(entry), document)
        for kind in ModelKind
        for name, entry in as_object(document.get(kind)).items()
        if "prices" in as_object(entry)
    }
    return {"date": checked, "models": entries}


def _toml_entry(
    kind: ModelKind, name: str, entry: dict[str, Any], document: dict[str, Any]
) -> dict[str, Any]:
    """Return an entry in the form that `_prices` reads."""
    source = _referred(document, "sources", entry.get("source"), name)
    terms = _referred(document, "terms", entry.get("terms"), name)
    about = {
        "source": source.get("name"),
        "date": source.get("date"),
        "caveat": source.get("caveat"),
        **terms,
    }
    found = {"kind": kind, **about, **_figures(kind, name, entry["prices"])}
    if "until" in entry:
        found["until"] = entry["until"]
    if "then" in entry:
        found["then"] = {**about, **_figures(kind, name, entry["then"])}
    return found


def _referred(document: dict[str, Any], section: str, key: object, name: str) -> dict[str, Any]:
    found = as_object(document.get(section)).get(str(key)) if key is not None else {}
    if not isinstance(found, dict):
        raise PriceTableError(f"has no [{section}.{shorten(str(key), 40)}], which {_shown(name)} names")
    return found


def _figures(kind: ModelKind, name: str, figures: object) -> dict[str, Any]:
    columns = COLUMNS_OF[kind]
    if not isinstance(figures, list) or len(figures) > len(columns):
        raise PriceTableError(f"must list at most {len(columns)} prices for {_shown(name)}")
    return dict(zip(columns, figures, strict=False))


def _checked(document: Mapping[str, Any], origin: str, today: date, models: Catalog) -> PriceTable:
    day = _day(document.get("date"), "the table")
    if day is None or day > today + timedelta(days=1):  # the day may have begun elsewhere
        raise PriceTableError(f"is dated {day}, which is in the future")
    label, prices, image_dollars = label_of(origin), dict[str, Prices](), dict[str, dict[str, Decimal]]()
    usual = {"date": day, "source": label}
    aside = 0
    for name, fields in as_object(document.get("models")).items():
        known = models.find(name)
        is_ours = known is not None and name in (known.name, *known.aliases)
        if (known and not is_ours) or len(name) > _LONGEST_NAME or not name.isprintable():
            continue  # a snapshot costs what its model costs
        entry = {key: value for key, value in as_object(fields).items() if value is not None}
        try:
            _check_kind(name, entry.get("kind"), known)
            found = _prices(name, usual | entry, label)
            dollars = _image_dollars(name, as_object(entry.get("image_dollars")))
        except PriceTableError:
            if is_ours:
                raise
            continue
        aside += not is_ours
        if found.is_known and (is_ours or aside <= _MOST_ASIDE):
            prices[name] = replace(found, date=min(found.date, day))  # never fresher than its table
        if dollars and is_ours:
            image_dollars[name] = dollars
    if not any(models.find(name) for name in (*prices, *image_dollars)):
        raise PriceTableError("has no price of any model that imgcli knows")
    return PriceTable(shorten(origin, 4 * _LONGEST_TEXT), label, day, prices, image_dollars)


def _check_kind(name: str, kind: object, known: Model | None) -> None:
    if known and kind is not None and kind != known.kind:
        raise PriceTableError(f"lists {name} under {shorten(str(kind), 20)}; it is a model for {known.kind}")


def _prices(name: str, entry: Mapping[str, Any], label: str) -> Prices:
    """Read one model's untrusted prices."""
    then = entry.get("then")
    inherited = {"date": entry["date"], "source": entry["source"], **as_object(then), "then": None}
    return Prices(
        date=_day(entry["date"], name) or _EARLIEST,
        source=shorten(as_text(entry["source"]) or label, _LONGEST_TEXT),
        caveat=shorten(entry["caveat"], _LONGEST_TEXT) if as_text(entry.get("caveat")) else None,
        table=label,
        until=_day(entry.get("until"), name),
        then=_prices(name, inherited, label) if then else None,
        cache_write=_times(name, entry.get("cache_write")),
        long_context=_long_context(name, entry.get("long_context")),
        **{column: _dollars(name, column, entry.get(column)) for column in PRICE_COLUMNS},
    )


def _dollars(name: str, column: str, value: object) -> Decimal | None:
    """Read a price per million tokens, None for an unknown one."""
    if value is None or value == _UNKNOWN:
        return None
    what = f"{column} of {_shown(name)}"
    price = _number(value, what)
    if price < 0:
        raise PriceTableError(f"has a negative price: {what}")
    if not _LEAST <= price <= _MOST:
        raise PriceTableError(
            f"has an impossible price: {what} must be {_LEAST} to {_MOST:,} dollars per million tokens"
        )
    return _tidy(price)


def _number(value: object, what: str) -> Decimal:
    is_text = isinstance(value, str) and _NUMBER.fullmatch(value)
    number = Decimal(str(value)) if is_text or type(value) in (int, float, Decimal) else None
    if number is None or not number.is_finite():
        raise PriceTableError(f"has something other than a number: {what}")
    return number


def _tidy(amount: Decimal) -> Decimal:
    """Round to what can matter, and show whole cents at least."""
    short = amount.quantize(_FINEST).normalize()
    return short.quantize(_CENT) if short == short.quantize(_CENT) else short


def _times(name: str, value: object) -> Decimal | None:
    if value is None:
        return None
    times = _number(value, f"a factor of {_shown(name)}")
    if not 0 < times <= _MOST_TIMES:
        raise PriceTableError(
            f"has an impossible factor: a factor of {_shown(name)} must be up to {_MOST_TIMES}"
        )
    return times.quantize(_FINEST).normalize()


def _long_context(name: str, value: object) -> LongContext | None:
    if value is None:
        return None
    terms = as_object(value)
    after, first, out = (
        terms.get("after"),
        _times(name, terms.get("input")),
        _times(name, terms.get("output")),
    )
    if type(after) is not int or after <= 0 or first is None or out is None:
        raise PriceTableError(f"has an incomplete long_context: {_shown(name)} needs after, input and output")
    return LongContext(after, first, out)


def _image_dollars(name: str, dollars: dict[str, Any]) -> dict[str, Decimal]:
    found = {}
    for quality, value in dollars.items():
        amount = _number(value, f"the price of an image of {_shown(name)}")
        if not _LEAST <= amount <= _MOST_DOLLARS:
            raise PriceTableError(f"has an impossible price of an image of {_shown(name)}")
        found[shorten(str(quality), 20)] = _tidy(amount)
    return found


def _day(value: object, what: str) -> date | None:
    """Read a date, also from text; None where there is none."""
    if value is None:
        return None
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    if type(day) is not date or day < _EARLIEST:
        raise PriceTableError(f"has an invalid date: {_shown(what)}")
    return day


def _shown(name: str) -> str:
    return shorten(name, _LONGEST_NAME)


_MILLION = 1_000_000
_THOUSAND = 1_000
_PROVIDER = "openai"
"""The provider whose prices are those of OpenAI's servers; others resell."""
_KINDS = {"chat": ModelKind.TEXT, "responses": ModelKind.TEXT, "image_generation": ModelKind.IMAGE}
_TEXT = {
    "text_in": "input_cost_per_token",
    "text_cached": "cache_read_input_token_cost",
    "text_out": "output_cost_per_token",
}
_IMAGE = {
    "text_in": "input_cost_per_token",
    "text_cached": "cache_read_input_token_cost",
    "image_in": "input_cost_per_image_token",
    "image_cached": "cache_read_input_image_token_cost",
    "image_out": "output_cost_per_image_token",
}
_ONE_IMAGE = ("output_cost_per_image", "input_cost_per_image")
"""Dollars of one image that is made; older entries count it as input."""
_SQUARE = regex(r"(low|medium|high)/1024-x-1024/([^/]+)")
_LONG = regex(r"input_cost_per_token_above_([0-9]{1,6})k_tokens")


def litellm_entries(document: Mapping[str, Any], models: Catalog) -> dict[str, dict[str, Any]]:
    """Return OpenAI's models in the form that `price_table_reader` checks; zero stands for unknown there.

    What a model generates is what the catalog says, and LiteLLM's word for models that it does not have.
    """
    entries = dict[str, dict[str, Any]]()
    for key, value in document.items():
        fields = as_object(value)
        square = _SQUARE.fullmatch(key)
        name = square[2] if square else key
        known = models.find(name)
        kind = known.kind if known else _KINDS.get(str(fields.get("mode")))
        if fields.get("litellm_provider") != _PROVIDER or kind is None or ("/" in key and not square):
            continue
        entry = entries.setdefault(name, {"kind": kind})
        dollars = next((fields[field] for field in _ONE_IMAGE if fields.get(field)), None)
        if kind is ModelKind.IMAGE and dollars is not None:
            qualities = [square[1]] if square else ["low", "medium", "high"]
            entry["image_dollars"] = entry.get("image_dollars", {}) | dict.fromkeys(qualities, dollars)
        if not square:
            entry.update(_image(fields) if kind is ModelKind.IMAGE else _text(fields))
    return entries


def _image(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read an image model; text output is an own price only beside an image's that differs."""
    entry = _priced(fields, _IMAGE)
    text_out = _per_million(fields.get(_TEXT["text_out"]))
    if "image_out" in entry and text_out not in (None, entry["image_out"]):
        entry["text_out"] = text_out
    return entry


def _text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read a text model, and how many times as much a long input and a cache write cost."""
    entry = _priced(fields, _TEXT)
    text_in, text_out = fields.get(_TEXT["text_in"]), fields.get(_TEXT["text_out"])
    written = _ratio(fields.get("cache_creation_input_token_cost"), text_in)
    if written is not None:
        entry["cache_write"] = written
    long = next((found for key in sorted(fields) if (found := _LONG.fullmatch(key))), None)
    if long:
        above = _ratio(fields[long[0]], text_in)
        above_out = _ratio(fields.get(f"output_cost_per_token_above_{long[1]}k_tokens"), text_out)
        if above is not None and above_out is not None:
            after = int(long[1]) * _THOUSAND
            entry["long_context"] = {"after": after, "input": above, "output": above_out}
    return entry


def _priced(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {column: _per_million(fields.get(name)) for column, name in names.items()}
    return {column: value for column, value in found.items() if value is not None}


def _per_million(value: object) -> object:
    """Convert a number; None stays None, zero becomes it, and anything else stays, to be refused."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value * _MILLION if value else None
    return value


def _ratio(value: object, base: object) -> Decimal | None:
    if isinstance(value, int | Decimal) and isinstance(base, int | Decimal) and value and base:
        return Decimal(value) / Decimal(base)
    return None
