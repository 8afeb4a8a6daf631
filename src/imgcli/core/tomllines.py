"""In which line of a TOML text each key stands: `tomllib` tells it only of what it cannot read."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TypeAlias

Place: TypeAlias = tuple[str, ...]
"""A key and the tables that it is in: `("profile", "azure", "base-url")`."""

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=\n]|'
    r'[^"\'#\[\]{}=\n]+|.',
    re.DOTALL,
)


def key_lines(text: str) -> dict[Place, int]:
    """Find the line, counted from 1, of every key and every table; `text` is valid TOML.

    What stands inside an inline table has the line of the key that it belongs to, and no entry of its own.
    """
    scan = _Scan()
    for piece in _PIECE.findall(text):
        scan.take(piece)
    return scan.lines


@dataclass
class _Scan:
    """Walks over the text and notes where statements begin."""

    lines: dict[Place, int] = field(default_factory=dict)
    table: Place = ()
    line: int = 1
    start: int = 1
    left: str = ""
    """What was read of this statement's left side."""
    depth: int = 0
    is_value: bool = False

    def take(self, piece: str) -> None:
        """Go on by one piece."""
        if piece == "\n" and not self.depth:
            self._end()
        elif self.is_value:
            self.depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        elif piece == "=":
            self._note((*self.table, *_place(self.left)))
            self.is_value = True
        elif not piece.startswith("#"):
            self.start = self.start if self.left.strip() else self.line
            self.left += piece
        self.line += piece.count("\n")

    def _end(self) -> None:
        """End a statement at its line's end; one without a value is a table's head."""
        if not self.is_value and self.left.strip():
            self.table = _place(self.left.strip().strip("[]"))
            self._note(self.table)
        self.left, self.is_value = "", False

    def _note(self, place: Place) -> None:
        for length in range(1, len(place) + 1):
            self.lines.setdefault(place[:length], self.start)


def _place(key: str) -> Place:
    """Take a dotted key apart, as TOML itself does."""
    value: object = tomllib.loads(f"{key.strip()} = 0")
    place: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        place.append(name)
    return tuple(place)
