"""The plan of a batch as a table, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.text import shorten
from imgcli.output.text import GAP, cut_end, left, right, widths

if TYPE_CHECKING:
    from collections.abc import Sequence


_LONGEST = 500  # characters of a prompt that can be wanted in the widest terminal
_WIDEST = {"id": 16, "model": 24, "size": 9, "quality": 7}
_NUMBERS = {"line", "at most"}
_PROMPT = "prompt"
_NARROWEST = 20  # columns of the prompt
_DROPPED = ("quality", "size", "model", "id")
"""Columns that a narrow terminal does without, the first one first."""


class PlannedImage(NamedTuple):
    """One row: texts, of which the id and the prompt may be anything."""

    line: str
    id: str
    prompt: str
    model: str
    size: str
    quality: str
    bound: str
    status: str


_HEADINGS = PlannedImage("line", "id", _PROMPT, "model", "size", "quality", "at most", "status")


def plan_lines(
    images: Sequence[PlannedImage], columns: int, hidden: frozenset[str] = frozenset()
) -> list[str]:
    """Return the table for a terminal of so many columns, without the columns that are `hidden`.

    The prompt gets the room that the others leave.
    """
    shown = [index for index, name in enumerate(_HEADINGS) if name not in hidden]
    cells = [_HEADINGS, *(_clean(image) for image in images)]
    table = {index: [row[index] for row in cells] for index in shown}
    for name in _DROPPED:
        if _room(table, columns) < _NARROWEST:
            table.pop(_HEADINGS.index(name), None)
    room = max(_room(table, columns), _NARROWEST)
    prompt = _HEADINGS.index(_PROMPT)
    table[prompt] = [cut_end(text, room) for text in table[prompt]]
    wide = {index: widths([(text,) for text in column])[0] for index, column in table.items()}
    lines = zip(
        *([_aligned(index, text, wide[index]) for text in column] for index, column in table.items()),
        strict=True,
    )
    return [GAP.join(line).rstrip() for line in lines]


def _room(table: dict[int, list[str]], columns: int) -> int:
    """Return what the other columns leave for the prompt."""
    others = [column for index, column in table.items() if _HEADINGS[index] != _PROMPT]
    taken = sum(widths([(text,) for text in column])[0] for column in others)
    return columns - taken - len(GAP) * len(others)


def _aligned(index: int, text: str, width: int) -> str:
    return right(text, width) if _HEADINGS[index] in _NUMBERS else left(text, width)


def _clean(image: PlannedImage) -> PlannedImage:
    """Return a row that is safe to print, its cells at most as wide as they may be."""
    limits = [_WIDEST.get(name, _LONGEST) for name in _HEADINGS]
    return PlannedImage(
        *(cut_end(shorten(text, limit + 1), limit) for text, limit in zip(image, limits, strict=True))
    )
