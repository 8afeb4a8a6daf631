"""History ids for shell completion: read fast, and read-only."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


NAME = "history.sqlite3"
"""The history's file, in the data folder."""

_MOST_DIGITS = 15
_PATIENCE = 0.2  # seconds: nobody waits for a Tab
_PROMPT_LENGTH = 200


def read_ids(file: Path, prefix: str, limit: int) -> list[tuple[int, str]]:
    """List numbers that begin with these digits, newest first, each with its prompt's beginning.

    Raises `sqlite3.Error` where there is no history that can be read.
    """
    import sqlite3

    uri = f"{file.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as connection:
        return _found(connection, prefix, limit)


def _found(connection: sqlite3.Connection, prefix: str, limit: int) -> list[tuple[int, str]]:
    if prefix and not _is_number(prefix):
        return []
    found: list[tuple[int, str]] = []
    query = "SELECT id, substr(prompt, 1, ?) FROM runs WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
    for low, high in _ranges(prefix):
        found += connection.execute(query, [_PROMPT_LENGTH, low, high, limit - len(found)])
    return found


def _is_number(prefix: str) -> bool:
    return prefix.isascii() and prefix.isdecimal() and prefix[0] != "0" and len(prefix) <= _MOST_DIGITS


def _ranges(prefix: str) -> list[tuple[int, int]]:
    """List the ranges of the numbers that begin with these digits, the longest numbers first."""
    if not prefix:
        return [(0, 10**_MOST_DIGITS)]
    scales = [10**more for more in range(_MOST_DIGITS - len(prefix), -1, -1)]
    return [(int(prefix) * scale, (int(prefix) + 1) * scale - 1) for scale in scales]
