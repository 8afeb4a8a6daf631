"""JSON from strangers: no field is believed to be there, or to be of its type."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


_MOST_VALUES = 500_000
"""A hundred times what any answer has; in memory, each takes up to 200 bytes."""
_SEPARATORS = ",[{"
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


_MOST_DIGITS = 300
"""An integer of more digits is beyond a double, and Python refuses to read thousands of them."""


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON as servers really write it; None for what cannot be read.

    Control characters in strings are let be. What JSON does not have, or nobody can count with (NaN,
    Infinity, numbers beyond a double), is None in its place: it costs itself, not the image beside it. None
    also for what would harm us: nesting beyond the stack, values without number.
    """
    if _is_crowded(text):
        return None
    try:
        return json.loads(text, strict=False, parse_constant=_nothing, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def parse_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    value = parse_json(text)
    return value if isinstance(value, dict) else None


def _is_crowded(text: str) -> bool:
    """Return whether a text holds so many values that reading it would take many times its size in memory.

    What stands inside a string is no value; it is looked at only in a text that has enough of such letters.
    """
    if sum(map(text.count, _SEPARATORS)) <= _MOST_VALUES:
        return False
    count = position = 0
    for found in _STRING.finditer(text):
        count += 1 + sum(text.count(letter, position, found.start()) for letter in _SEPARATORS)
        position = found.end()
        if count > _MOST_VALUES:
            return True
    return count + sum(text.count(letter, position) for letter in _SEPARATORS) > _MOST_VALUES


def _nothing(_: str) -> None:
    """Return None for a constant that JSON does not have."""


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def as_object(value: object) -> dict[str, Any]:
    """Take a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Take a JSON list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Take a string that is not empty."""
    return value if isinstance(value, str) and value else None


def as_code(value: object) -> str | None:
    """Take a word of the server's, which some servers send as a number."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value else None


def as_index(value: object, limit: int) -> int | None:
    """Take a whole number from 0 up to, not including, `limit`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < limit else None  # type: ignore[operator,return-value]


def first_text(fields: Mapping[str, Any], *names: str) -> str | None:
    """Take the first of these fields that holds a string."""
    return next((text for name in names if (text := as_text(fields.get(name)))), None)


C = TypeVar("C", bound=StrEnum)

_LARGEST_COUNT = (1 << 63) - 1
_FIRST_YEAR, _YEAR_TOO_MANY = 1970, 9999
"""Times beyond these cannot be told in every time zone."""


def text(value: object) -> str | None:
    """Return a text, None for anything else."""
    return value if isinstance(value, str) else None


def name(value: object) -> str | None:
    """Return a text that can name a file, None for anything else."""
    return value if isinstance(value, str) and "\0" not in value else None


def count(value: object, most: int = _LARGEST_COUNT) -> int | None:
    """Return a whole number from 0 to `most`, None for anything else."""
    return value if type(value) is int and 0 <= value <= most else None


def size(value: object) -> tuple[int, int] | None:
    """Return a width and a height, None for anything else."""
    edges = [count(edge) for edge in value] if isinstance(value, list | tuple) else []
    match edges:
        case [int(width), int(height)] if width and height:
            return width, height
        case _:
            return None


def choice(kind: type[C], value: object) -> C | None:
    """Return the member of an enum that a word names, None for anything else."""
    with suppress(ValueError):
        return kind(value) if isinstance(value, str) else None
    return None


def moment(value: object) -> datetime | None:
    """Return a time (ISO 8601; UTC where it names no zone), None for anything else."""
    with suppress(TypeError, ValueError):
        told = datetime.fromisoformat(value)  # type: ignore[arg-type]  # a TypeError says so
        if _FIRST_YEAR <= told.year < _YEAR_TOO_MANY:
            return told if told.tzinfo else told.replace(tzinfo=UTC)
    return None


def json_object(value: object) -> dict[str, Any] | None:
    """Return the JSON object that a text or its UTF-8 bytes hold, None for anything else."""
    with suppress(UnicodeDecodeError):
        told = value.decode() if isinstance(value, bytes) else value
        return parse_object(told) if isinstance(told, str) else None
    return None
