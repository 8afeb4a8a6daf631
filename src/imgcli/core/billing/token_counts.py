"""Token counts from the API, checked for plausibility; those of SVGs, which stand apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from imgcli.core import json_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from imgcli.core.events import Json


T = TypeVar("T")
_MAX_TOKENS = 1_000_000_000  # far more than any response has; a larger number is an error


class UnknownError(Exception):
    """An unknown amount; `or_none` turns it into None."""


def or_none(amount: Callable[[], T]) -> T | None:
    """Return an amount, None where part of it is unknown."""
    try:
        return amount()
    except UnknownError:
        return None


def section(parent: Json, key: str) -> Json:
    """Return a nested object, an empty one where it is missing; raises `UnknownError` for anything else."""
    value = parent.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UnknownError
    return value or {}


def count(counts: Json, key: str) -> int | None:
    """Return a token count, None where it is missing; raises `UnknownError` for an invalid one."""
    value = counts.get(key)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= _MAX_TOKENS:
        raise UnknownError
    return value


def positive(counts: Json, key: str) -> int:
    """Return a count that cannot be missing or zero: there was a prompt, and there is an image."""
    return at_least(1, count(counts, key) or 0)


def at_least(least: int, tokens: int) -> int:
    """Return a number; raises `UnknownError` where it is too small."""
    if tokens < least:
        raise UnknownError
    return tokens


def split_tokens(total: int, text: int | None, image: int | None) -> tuple[int, int]:
    """Complete text and image tokens from their total; raises `UnknownError` where that is impossible."""
    if text is None and image is None:
        raise UnknownError
    text = total - (image or 0) if text is None else text
    image = total - text if image is None else image
    if text + image != total or min(text, image) < 0:
        raise UnknownError
    return text, image


_COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens", "total_tokens")


def sum_svg_usage(usages: Iterable[Mapping[str, Any]]) -> tuple[str | None, dict[str, Any] | None]:
    """Return the model and the counts of all SVGs of a response, None for none.

    Where several models wrote them, none is named: their prices differ. A count that one lacks is left out.
    """
    found = list(usages)
    if not found:
        return None, None
    models = {json_fields.as_text(usage.get("model")) for usage in found}
    counts = {name: [json_fields.count(usage.get(name)) for usage in found] for name in _COUNTS}
    known = {name: values for name, values in counts.items() if None not in values}
    return models.pop() if len(models) == 1 else None, {
        name: sum(value or 0 for value in values) for name, values in known.items()
    }


def as_text_usage(usage: Json | None) -> Json:
    """Return the counts as those of a text model, whose output includes its reasoning.

    The specification (SDK 3.57.0) does not say whether it does here; the total does.
    """
    tokens_in, tokens_out, reasoning, total = (json_fields.count((usage or {}).get(name)) for name in _COUNTS)
    if (
        tokens_in is not None
        and tokens_out is not None
        and total == tokens_in + tokens_out + (reasoning or 0)
    ):
        tokens_out += reasoning or 0
    return {"input_tokens": tokens_in, "output_tokens": tokens_out}
