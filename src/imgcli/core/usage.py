"""The API's own token counts, read out of JSON that may be missing, partial or absurd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.core.events import Json

T = TypeVar("T")

# No response comes near it; a larger number is a fault, and its bill would be one too.
_MOST_TOKENS = 1_000_000_000


class UnknownError(Exception):
    """An amount that nobody told us, on its way to becoming None."""


def or_none(amount: Callable[[], T]) -> T | None:
    """Give an amount, None where working it out met something unknown."""
    try:
        return amount()
    except UnknownError:
        return None


def as_object(value: object) -> Json:
    """Take anything that is no JSON object for an empty one."""
    return value if isinstance(value, Mapping) else {}


def section(parent: Json, key: str) -> Json:
    """Read an object inside an object, empty where it is missing; raises `UnknownError` for anything else."""
    value = parent.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UnknownError
    return value or {}


def count(counts: Json, key: str) -> int | None:
    """Read a token count, None where it is missing; raises `UnknownError` for what can be no count."""
    value = counts.get(key)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= _MOST_TOKENS:
        raise UnknownError
    return value


def told(counts: Json, key: str) -> int:
    """Read a count that must be there and not zero: there was a prompt, and there is a picture."""
    return at_least(1, count(counts, key) or 0)


def at_least(least: int, tokens: int) -> int:
    """Let a number through that is no smaller than possible; raises `UnknownError` for others."""
    if tokens < least:
        raise UnknownError
    return tokens


def split(total: int, text: int | None, image: int | None) -> tuple[int, int]:
    """Fill in the missing side of a total; raises `UnknownError` where both are, or they do not add up."""
    if text is None and image is None:
        raise UnknownError
    text = total - (image or 0) if text is None else text
    image = total - text if image is None else image
    if text + image != total or min(text, image) < 0:
        raise UnknownError
    return text, image
