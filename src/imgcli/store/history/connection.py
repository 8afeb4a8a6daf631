"""One connection to a SQLite file: opened, brought up to date, waited for, and its errors in words."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, TypeVar

from imgcli.store.history import schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


T = TypeVar("T")

LOCKED = "another program keeps it locked"

_PAUSE = 0.02  # seconds
_STEP = 0.1
"""Seconds for which SQLite itself waits for a lock: inside C, where no signal reaches us."""
_PRIMARY = 0xFF
"""The part of SQLite's extended error codes that names the kind."""
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_WORDS = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk is full or fails",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be opened",
}


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Connect to a file; raises `sqlite3.Error`."""
    uri = f"{path.as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_STEP, isolation_level=None)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def ready(path: Path, mode: str) -> tuple[sqlite3.Connection, bool]:
    """Connect to a history, bring it up to date, and tell whether its tables are there.

    Raises `sqlite3.Error` and the schema's errors.
    """
    connection = connect(path, mode)
    try:
        if schema.is_outdated(connection):
            connection = _migrated(connection)
        return connection, schema.is_ready(connection)
    except BaseException:
        connection.close()
        raise


def _migrated(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Migrate the file; return a copy in memory, to be read only, of one that cannot be written."""
    try:
        schema.migrate(connection)
    except sqlite3.OperationalError as error:
        if _kind(error) != sqlite3.SQLITE_READONLY:
            raise
    else:
        return connection
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = _text
    connection.backup(copy)
    connection.close()
    schema.migrate(copy)
    copy.execute("PRAGMA query_only = ON")
    return copy


def empty() -> sqlite3.Connection:
    """Stand in for a file that is not there."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(connection)
    return connection


def patiently(action: Callable[[], T], patience: float) -> T:
    """Do what a lock may hinder, again and again for so many seconds; raises the last `sqlite3.Error`."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if _kind(error) not in _BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)


def is_damage(error: sqlite3.Error) -> bool:
    """Tell a file that is of no use from one that cannot be used just now."""
    code = _kind(error)
    return code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))


def words(error: sqlite3.Error) -> str:
    """Say what hinders us."""
    return _WORDS.get(_kind(error), str(error))


def _kind(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def _text(data: bytes) -> str:
    """Read text as far as it is some: a damaged cell must not hide the others."""
    return data.decode("utf-8", "replace")
