"""Line numbers of a TOML file's keys, which the standard library does not report."""

from __future__ import annotations

import re
import tomllib
from dataclasses import field
from typing import TypeAlias

from imgcli.dataclass import dataclass
from imgcli.regex import regex

KeyPath: TypeAlias = tuple[str, ...]
"""A key with the names of its tables: `("profile", "azure", "base-url")`."""

_PIECE = regex(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=\n]|'
    r'[^"\'#\[\]{}=\n]+|.',
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line number of every key and every table; `text` is valid TOML.

    Keys in an inline table have no entry of their own.
    """
    scan = _LineScanner()
    for piece in _PIECE.findall(text):
        scan.take(piece)
    return scan.lines


@dataclass
class _LineScanner:
    """Scans TOML and records the lines on which statements start."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    table: KeyPath = ()
    line: int = 1
    start: int = 1
    left: str = ""
    """What was read of the statement's left side."""
    depth: int = 0
    is_value: bool = False

    def take(self, piece: str) -> None:
        """Process one piece."""
        if piece == "\n" and not self.depth:
            self._end()
        elif self.is_value:
            self.depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        elif piece == "=":
            self._record((*self.table, *_parse_key(self.left)))
            self.is_value = True
        elif not piece.startswith("#"):
            self.start = self.start if self.left.strip() else self.line
            self.left += piece
        self.line += piece.count("\n")

    def _end(self) -> None:
        """Finish a statement at the end of its line; one without a value is the heading of a table."""
        if not self.is_value and self.left.strip():
            self.table = _parse_key(self.left.strip().strip("[]"))
            self._record(self.table)
        self.left, self.is_value = "", False

    def _record(self, path: KeyPath) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self.start)


def _parse_key(key: str) -> KeyPath:
    """Split a dotted key."""
    value: object = tomllib.loads(f"{key.strip()} = 0")
    path: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        path.append(name)
    return tuple(path)
