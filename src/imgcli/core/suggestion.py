"""Which known name was probably meant by one that is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALIKE = 0.7  # a quarter of the letters wrong at most: "seed" is not "embed"
_SHORTEST_START = 3
_MOST = 2


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return at most two known names that begin with this one or are spelt nearly like it, best first."""
    from difflib import get_close_matches

    asked, names = name.lower().replace("_", "-"), sorted(known)
    begun = [one for one in names if len(asked) >= _SHORTEST_START and one.startswith(asked)]
    return (begun or get_close_matches(asked, names, _MOST, _ALIKE))[:_MOST]


def did_you_mean(names: Iterable[str]) -> str:
    """Ask whether one of these names was meant; empty without any."""
    joined = " or ".join(names)
    return f"Did you mean {joined}?" if joined else ""
