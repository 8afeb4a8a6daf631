"""The tables of the history, and a file's schema version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgcli.regex import regex

if TYPE_CHECKING:
    import sqlite3


VERSION = 2
"""In `PRAGMA user_version`. A version that an older imgcli could not read gets the next number; a column or
table that it may ignore does not."""

_COST_INDEX = "CREATE INDEX runs_money ON runs (started, endpoint, cost, prices_date, billed)"
_RESERVATIONS = """
    CREATE TABLE reservations (
        job TEXT PRIMARY KEY,
        started TEXT NOT NULL,
        amount TEXT NOT NULL
    ) WITHOUT ROWID
    """
_MIGRATIONS = {
    1: (
        "ALTER TABLE runs ADD COLUMN billed INTEGER NOT NULL DEFAULT 1",
        "UPDATE runs SET billed = 0 WHERE endpoint = 'demo'",
        "DROP INDEX IF EXISTS runs_money",
        _COST_INDEX,
        _RESERVATIONS,
    )
}
"""What brings a file of an earlier version to the next one."""

# Dollars are decimal text, exact; times are UTC in ISO 8601, all of one length, so that they sort as text.
# A path that is not valid UTF-8 is a BLOB of its bytes. Wide columns come last: what is listed is read first.
_TABLES = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL UNIQUE,
        started TEXT NOT NULL,
        ended TEXT NOT NULL,
        endpoint TEXT,
        outcome TEXT NOT NULL,
        charged TEXT NOT NULL,
        cost TEXT,
        prices_date TEXT,
        billed INTEGER NOT NULL DEFAULT 1,
        model TEXT,
        image_model TEXT,
        response_id TEXT,
        prompt TEXT NOT NULL,
        message TEXT,
        prices_from TEXT,
        request TEXT,
        usage TEXT,
        tool_usage TEXT
    )
    """,
    _COST_INDEX,
    """
    CREATE TABLE pictures (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        image INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        path,
        format TEXT,
        width INTEGER,
        height INTEGER,
        revised_prompt TEXT,
        received TEXT,
        PRIMARY KEY (run, image)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX pictures_sha256 ON pictures (sha256)",
    "CREATE INDEX pictures_path ON pictures (path)",
    """
    CREATE TABLE parents (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        role TEXT NOT NULL,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX parents_sha256 ON parents (sha256)",
    """
    CREATE TABLE charges (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        part TEXT NOT NULL,
        model TEXT,
        tokens_in INTEGER,
        cached INTEGER,
        tokens_out INTEGER,
        partials INTEGER,
        cost_in TEXT,
        cost_out TEXT,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID
    """,
    _RESERVATIONS,
)

_TABLE = regex(r"CREATE TABLE ([a-z_]+) \(")
_COLUMN = regex(r"^ {8}([a-z][a-z0-9_]*)((?: (?!REFERENCES)[A-Z]+)*)", re.MULTILINE)
_KEYS = frozenset({"id", "job", "run", "image", "position"})
"""Columns without which rows do not belong together."""


class NewerError(Exception):
    """A newer imgcli has written this file."""


class ForeignError(Exception):
    """The file is a database, but not a history."""


def is_outdated(connection: sqlite3.Connection) -> bool:
    """Return whether a database is a history of an earlier version."""
    return _version(connection) in _MIGRATIONS


def is_ready(connection: sqlite3.Connection) -> bool:
    """Return whether a database holds our tables; False for an empty one.

    Raises `NewerError` or `ForeignError` for one that is to be left alone, `sqlite3.Error` for a broken one.
    """
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = _version(connection)  # after the tables, which another process may be creating just now
    if version > VERSION:
        raise NewerError
    if version == VERSION:
        _add_missing_columns(connection)
        return True
    if version or tables:
        raise ForeignError
    return False


def create(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty database, all or none of them; raises `sqlite3.Error`."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        if _version(connection):
            return  # another process was first
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION:d}")


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that an older imgcli does not have, or that somebody removed, empty.

    A file that cannot be written goes without those that may be empty. Raises `sqlite3.Error` as `create`
    does, also where a table or its key is missing.
    """
    statements = list(_missing_columns(connection))
    if not statements:
        return
    import sqlite3

    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for statement in _missing_columns(connection):  # again: another process may have been first
                connection.execute(statement)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY or any(map(_is_required, statements)):
            raise


def _is_required(statement: str) -> bool:
    return "NOT NULL" in statement


def knows_received(connection: sqlite3.Connection) -> bool:
    """Return whether images have the column `received`, which a file that cannot be written may lack."""
    return any(row[1] == "received" for row in connection.execute("PRAGMA table_info(pictures)"))


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    """List the statements that add what is missing."""
    statements = list[str]()
    for declared in _TABLES:
        if not (table := _TABLE.search(declared)):
            continue
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table[1]})")}
        for name, kind in _COLUMN.findall(declared):
            if name not in present and name in _KEYS:
                connection.execute(f"SELECT {name} FROM {table[1]}")  # noqa: S608 - SQLite's own error
            if name not in present:
                default = " DEFAULT ''" if "NOT NULL" in kind else ""
                statements.append(f"ALTER TABLE {table[1]} ADD COLUMN {name}{kind}{default}")
    return statements


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a history of an earlier version up to date, wholly or not at all; raises `sqlite3.Error`."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for version in range(_version(connection), VERSION):  # another process may have been first
            for statement in _MIGRATIONS[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION:d}")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
