"""Plain text in columns that line up in every script."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


def cell_width(text: str) -> int:
    """Return how many cells a text takes that `core.text.clean` has made safe."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """Cut a text to at most so many cells."""
    if len(text) <= columns and text.isascii():
        return text
    room = columns
    for index, character in enumerate(text):
        room -= _width(character)
        if room < 0:
            return text[:index]
    return text


GAP = "  "
_END_COLUMNS = 9
"""Cells of an end that is kept: `…s-12.png`."""


def widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return the width of each column's widest cell."""
    return [max(map(cell_width, column)) for column in zip(*rows, strict=True)]


def left(text: str, width: int) -> str:
    """Pad a text on the right."""
    return text + " " * (width - cell_width(text))


def right(text: str, width: int) -> str:
    """Pad a text on the left, as numbers need it."""
    return " " * (width - cell_width(text)) + text


def align_columns(rows: Sequence[Sequence[str]], words: Collection[int] = (0,)) -> list[str]:
    """Format rows as lines of equal width: the columns of `words` aligned left, others, numbers, right."""
    aligned = [left if index in words else right for index in range(len(rows[0]) if rows else 0)]
    column_widths = widths(rows)
    return [
        GAP.join(align(cell, width) for align, cell, width in zip(aligned, row, column_widths, strict=True))
        for row in rows
    ]


def cut_end(text: str, columns: int) -> str:
    """Cut to at most so many cells, an ellipsis where something is missing at the end."""
    if cell_width(text) <= columns:
        return text
    return clip(text, max(columns - 1, 0)).rstrip() + "…" if columns > 0 else ""


def cut_start(text: str, columns: int) -> str:
    """Cut to at most so many cells, keeping the end, which says most about a path."""
    if cell_width(text) <= columns:
        return text
    kept = text
    while kept and cell_width(kept) > columns - 1:
        kept = kept[1:]
    return f"…{kept}" if columns > 0 else ""


def cut_middle(text: str, columns: int) -> str:
    """Cut to at most so many cells in the middle: a file name ends in its number and its format."""
    if cell_width(text) <= columns:
        return text
    end = cut_start(text, min(_END_COLUMNS, columns // 2))
    return clip(text, columns - cell_width(end)) + end


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text into lines of at most so many cells, at spaces where there are any."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= columns:
            line = longer
            continue
        lines += [line] if line else []
        *pieces, line = _pieces(word, columns)
        lines += pieces
    return [*lines, line]


def _pieces(word: str, columns: int) -> list[str]:
    """Cut a word that is longer than a line."""
    pieces = list[str]()
    while cell_width(word) > columns and (piece := clip(word, columns)):
        pieces.append(piece)
        word = word[len(piece) :]
    return [*pieces, word]
