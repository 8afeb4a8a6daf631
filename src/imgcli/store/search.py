"""Which runs of the history have a text in their prompts or paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


def numbers(connection: sqlite3.Connection, limit: int | None, search: str) -> list[int]:
    """List the numbers of the newest runs, of those alone that have a text somewhere."""
    query, values = "SELECT id FROM runs", list[Any]()
    if search:
        connection.create_function("holds", 1, _holds(search), deterministic=True)
        query += (
            " WHERE holds(prompt) OR EXISTS"
            " (SELECT 1 FROM pictures WHERE run = id AND (holds(revised_prompt) OR holds(path)))"
        )
    query += " ORDER BY started DESC, id DESC LIMIT ?"
    values.append(-1 if limit is None else limit)
    return [number for (number,) in connection.execute(query, values)]


def _holds(search: str) -> Callable[[object], bool]:
    """Make the comparison: SQLite's own knows no letters but ASCII's, and takes % and _ for more."""
    wanted = search.casefold()

    def holds(value: object) -> bool:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return isinstance(text, str) and wanted in text.casefold()

    return holds
