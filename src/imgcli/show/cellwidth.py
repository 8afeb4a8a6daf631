"""How many cells of a terminal a text takes."""

from __future__ import annotations

from unicodedata import category, east_asian_width


def cell_width(text: str) -> int:
    """Count the cells of a text that `core.text.clean` has made safe."""
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
