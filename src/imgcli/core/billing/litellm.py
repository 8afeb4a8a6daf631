"""Prices in the form of LiteLLM's `model_prices_and_context_window.json`: dollars per token, by model."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imgcli.core.catalog import ModelKind
from imgcli.core.json_fields import as_object
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.core.catalog import Catalog


_MILLION = 1_000_000
_THOUSAND = 1_000
_PROVIDER = "openai"
"""The only one whose prices are those of OpenAI's servers; others resell."""
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
    """Convert a number; None for none and for zero, anything else as it is, to be refused."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value * _MILLION if value else None
    return value


def _ratio(value: object, base: object) -> Decimal | None:
    if isinstance(value, int | Decimal) and isinstance(base, int | Decimal) and value and base:
        return Decimal(value) / Decimal(base)
    return None
