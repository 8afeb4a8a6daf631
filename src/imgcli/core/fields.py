"""Fields of records and cells of tables, believed one by one: an odd one is unknown, and costs no other."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

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
    """Return the JSON object that a text holds, None for anything else; a number that JSON lacks is null."""
    with suppress(TypeError, ValueError, RecursionError):
        found = json.loads(value, parse_constant=lambda _: None, parse_float=_finite)  # type: ignore[arg-type]
        return found if isinstance(found, dict) else None
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
