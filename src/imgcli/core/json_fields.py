"""Untrusted JSON: any field may be missing or of another type."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


_MOST_VALUES = 500_000
"""A hundred times as many as in any real answer; each takes up to 200 bytes of memory."""
_SEPARATORS = ",[{"
_FEW = 100  # separators in an event that is an image
_STRING = regex(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


_MOST_DIGITS = 300
"""A longer integer exceeds a double, and Python refuses to parse thousands of digits."""


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON as servers write it in practice; None for what cannot be parsed.

    Control characters in strings are allowed. NaN, Infinity and numbers beyond a double become None, so that
    one of them does not cost the image next to it. Return None also for what would exhaust the stack or
    memory.
    """
    import json  # only here: help and completion do without it

    if _has_too_many_values(text):
        return None
    try:
        return json.loads(text, strict=False, parse_constant=_null, parse_float=_float, parse_int=_integer)
    except (ValueError, RecursionError):
        return None


def parse_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    value = parse_json(text)
    return value if isinstance(value, dict) else None


def _has_too_many_values(text: str) -> bool:
    """Return whether a text has so many values that parsing it would take many times its size in memory.

    Strings, which may contain separators, are skipped only in a text with too many separators in all.
    """
    if sum(_count(text, letter) for letter in _SEPARATORS) <= _MOST_VALUES:
        return False
    count = position = 0
    for found in _STRING.finditer(text):
        count += 1 + sum(text.count(letter, position, found.start()) for letter in _SEPARATORS)
        position = found.end()
        if count > _MOST_VALUES:
            return True
    return count + sum(text.count(letter, position) for letter in _SEPARATORS) > _MOST_VALUES


def _count(text: str, letter: str) -> int:
    """Count a letter. Most of a long text is one image, in which `find` is ten times as fast as `count`."""
    end = -1
    for found in range(_FEW):
        end = text.find(letter, end + 1)
        if end < 0:
            return found
    return _FEW + text.count(letter, end + 1)


def _null(_: str) -> None:
    """Return None for a constant that is not JSON."""


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a JSON list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return a string that is not empty, None for anything else."""
    return value if isinstance(value, str) and value else None


def as_code(value: object) -> str | None:
    """Return a code, which some servers send as a number, as text; None for anything else."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value else None


def as_index(value: object, limit: int) -> int | None:
    """Return a whole number from 0 up to, not including, `limit`, None for anything else."""
    return count(value, limit - 1)


def first_text(fields: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these fields that holds a string, None if none does."""
    return next((text for name in names if (text := as_text(fields.get(name)))), None)


C = TypeVar("C", bound=StrEnum)

_LARGEST_COUNT = (1 << 63) - 1
_MOST_DOLLARS, _FINEST = 1_000_000_000, -18
"""Dollars, and the power of ten below which an amount is none: an exponent can have any number of digits."""
_FIRST_YEAR, _YEAR_TOO_MANY = 1970, 9999
"""Times beyond these cannot be converted to every time zone."""


def text(value: object) -> str | None:
    """Return a text, None for anything else."""
    return value if isinstance(value, str) else None


def texts_of(value: object) -> tuple[str, ...]:
    """Return the texts of a list, none for anything else."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def name(value: object) -> str | None:
    """Return a text that can be a file name, None for anything else."""
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
    """Return the member of an enum with this value, None for anything else."""
    with suppress(ValueError):
        return kind(value) if isinstance(value, str) else None
    return None


def timestamp(value: object) -> datetime | None:
    """Return a time (ISO 8601; UTC where it names no zone), None for anything else."""
    with suppress(TypeError, ValueError):
        time = datetime.fromisoformat(value)  # type: ignore[arg-type]  # raises TypeError
        if _FIRST_YEAR <= time.year < _YEAR_TOO_MANY:
            return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def json_object(value: object) -> dict[str, Any] | None:
    """Parse a JSON object from text or UTF-8 bytes; None for anything else."""
    with suppress(UnicodeDecodeError):
        decoded = value.decode() if isinstance(value, bytes) else value
        return parse_object(decoded) if isinstance(decoded, str) else None
    return None


def dollars(value: object) -> Decimal | None:
    """Return an amount of US dollars, from a number or text; None for anything else."""
    from decimal import Decimal  # here, so that help and completions do without it

    if isinstance(value, bool):
        return None
    try:
        amount = Decimal(value)  # type: ignore[arg-type]  # raises TypeError
        is_amount = 0 <= amount <= _MOST_DOLLARS and (not amount or amount.adjusted() >= _FINEST)
    except (TypeError, ValueError, ArithmeticError):  # also of NaN, which has no order
        return None
    return amount if is_amount else None
