"""JSON from strangers: no field is believed to be there, or to be of its type."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_VALUES = 500_000
"""A hundred times what any answer has; in memory, each takes up to 200 bytes."""
_SEPARATORS = ",[{"
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def parse_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else.

    Also None for what Python takes but JSON does not have (NaN, Infinity, numbers beyond a double) and for
    what would harm us: nesting beyond the stack, integers of thousands of digits, values without number.
    """
    if _is_crowded(text):
        return None
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_crowded(text: str) -> bool:
    """Tell whether a text holds so many values that reading it would take many times its size in memory.

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


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


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
