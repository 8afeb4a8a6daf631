"""The SQLite file of the history: shared by processes, migrated, and set aside if unusable.

SQLite minds its own locks, but not that a file is renamed while somebody has it open: that process would take
the new file's write-ahead log for its own. So whoever has the history open holds a shared lock on a second,
empty file, and whoever renames the history holds that lock alone.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from imgcli.store.history import schema
from imgcli.store.history.ids import NAME
from imgcli.store.paths import private_folder
from imgcli.store.publish.atomic import PRIVATE, create, reason, try_lock, try_share

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


T = TypeVar("T")

Identity: TypeAlias = tuple[int, int]
"""What distinguishes files that have had the same name: device and inode."""

_PATIENCE = 10.0
"""Seconds for which a lock is waited for by default."""
_LOCK = "history.lock"
_COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database that is in use."""
_TRIES = 5
"""How often an unusable file is replaced: other processes may be doing the same."""
_PAUSE = 0.02  # seconds
_STEP = 0.1
"""Seconds for which SQLite itself waits for a lock: inside C, where no signal reaches us."""
_PRIMARY = 0xFF
"""The part of SQLite's extended error codes that names the kind."""
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_LOCKED = "another program keeps it locked"
_MESSAGES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk is full or failing",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission denied",
}
_UNUSABLE = {
    "damaged": "the history is damaged",
    "newer": "the history is from a newer imgcli",
    "foreign": "the history's file is another program's database",
}
"""Why a file is set aside; its new name contains the word."""


class HistoryError(OSError):
    """The history cannot be read or written; the message is half a sentence that says why."""


class _UnusableError(Exception):
    """A file that is to be set aside; `word` is a key of `_UNUSABLE`."""

    def __init__(self, word: str, identity: Identity) -> None:
        super().__init__(_UNUSABLE[word])
        self.word = word
        self.identity = identity


class Database:
    """One connection to the history in a folder; `patience` is how many seconds a lock is waited for.

    Where there is no file, reading finds nothing, and the first write creates it. A file that is damaged or
    newer than we are is renamed, and a new one takes its place; `notices` says so.
    """

    def __init__(self, folder: Path, patience: float = _PATIENCE) -> None:
        self.path = folder / NAME
        self.notices: list[str] = []
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._lock: int | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def exists(self) -> bool:
        """Whether anything is recorded at all."""
        return self._identity is not None

    def close(self) -> None:
        """Close the file, and release the lock only then."""
        self._disconnect()
        _release(self._lock)
        self._identity, self._lock = None, None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with suppress(sqlite3.Error):
                connection.close()

    def _connected(self) -> sqlite3.Connection:
        """Return the connection, one to nothing where there is no file."""
        self._connection = self._connection or _empty()
        return self._connection

    def read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Read one state of the database. Raises `HistoryError`."""
        return self._run(lambda connection: _transaction(connection, "BEGIN", action))

    def write(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Change the database, all or nothing. Raises `HistoryError`."""
        return self._run(
            lambda connection: _transaction(connection, "BEGIN IMMEDIATE", action), is_writing=True
        )

    def wipe(self) -> None:
        """Remove deleted text from free pages and from the write-ahead log.

        Raises `HistoryError`, also when somebody who reads keeps the log from being emptied.
        """
        if self.exists:
            self._run(_vacuum)

    def _run(self, action: Callable[[sqlite3.Connection], T], *, is_writing: bool = False) -> T:
        """Run an action; when the database turns out to be of no use, run it with a new one."""
        for _ in range(_TRIES):
            if is_writing and not self.exists:
                self.close()
                self._open(create=True)
            try:
                return _retry_while_locked(lambda: action(self._connected()), self._patience)
            except sqlite3.Error as error:
                if self._identity is None or not _is_damage(error):
                    raise HistoryError(_message(error)) from error
                unusable = _UnusableError("damaged", self._identity)
            self.close()
            self._set_aside(unusable)
            self._open()
        raise HistoryError("it is damaged again and again")

    def _open(self, *, create: bool = False) -> None:
        """Open the file where there is one, or create it; raises `HistoryError`."""
        for _ in range(_TRIES):
            try:
                self._try_open(create=create)
            except _UnusableError as unusable:
                self._set_aside(unusable)
            else:
                if self.exists or not create:
                    return
        raise HistoryError("it is damaged again and again")

    def _try_open(self, *, create: bool) -> None:
        if create:
            _make_file(self.path)
        if _identity_of(self.path) is None:
            return
        lock = _lock_file(self.path, try_share, self._patience)
        try:
            identity = _identity_of(self.path)
            if identity is not None:  # else another process has set it aside meanwhile
                self._disconnect()
                self._connection = _connect(self.path, identity, self._patience)
                self._identity, self._lock, lock = identity, lock, None
        finally:
            _release(lock)

    def _set_aside(self, unusable: _UnusableError) -> None:
        """Rename the file, log and all, unless another process was first. Raises `HistoryError`."""

        def has_gone() -> bool:
            return _identity_of(self.path) != unusable.identity

        path = self.path
        lock = _lock_file(path, try_lock, self._patience, has_gone)
        try:
            if has_gone():
                return
            names = (path.with_name(f"{path.stem}.{unusable.word}-{n}{path.suffix}") for n in count(1))
            aside = next(name for name in names if not name.exists())
            for companion in _COMPANIONS:  # first: a new file must never find them
                with suppress(FileNotFoundError):
                    path.with_name(path.name + companion).rename(f"{aside}{companion}")
            path.rename(aside)
        except HistoryError:
            raise
        except OSError as error:
            raise HistoryError(f"{unusable} and cannot be set aside: {reason(error)}") from error
        finally:
            _release(lock)
        self.notices.append(f"{unusable}; it is kept as {aside}, and a new one is started")


def _empty() -> sqlite3.Connection:
    """Return what there is to read where there is no file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(connection)
    return connection


def _identity_of(path: Path) -> Identity | None:
    """Return which file has this name, None where none has. Raises `HistoryError`."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HistoryError(reason(error)) from error
    if not stat.S_ISREG(info.st_mode):
        raise HistoryError("it is not a regular file")
    return info.st_dev, info.st_ino


def _make_file(path: Path) -> None:
    """Create an empty file that only its owner can read, unless it exists. Raises `HistoryError`."""
    try:
        private_folder(path.parent)
        with suppress(FileExistsError):
            os.close(create(path, PRIVATE))
    except OSError as error:
        raise HistoryError(reason(error)) from error


def _lock_file(
    path: Path,
    take: Callable[[int], bool],
    patience: float,
    is_needless: Callable[[], bool] = lambda: False,
) -> int | None:
    """Lock the second file; None where it cannot be made, or once the lock is needless.

    A crowd that waits to be alone one by one, while others work, may wait for ever: hence `is_needless`.
    Raises `HistoryError`.
    """
    lock, flags = path.with_name(_LOCK), getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | flags, PRIVATE)
    except OSError:
        try:
            descriptor = os.open(lock, os.O_RDONLY | flags)
        except OSError:
            return None
    deadline = time.monotonic() + patience
    while not take(descriptor):
        if is_needless():
            os.close(descriptor)
            return None
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise HistoryError(_LOCKED)
        time.sleep(_PAUSE)
    return descriptor


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _connect(path: Path, identity: Identity, patience: float) -> sqlite3.Connection:
    """Connect to the history in a file. Raises `HistoryError` and `_UnusableError`."""
    try:
        try:
            return _retry_while_locked(lambda: _prepare(path, "mode=rw"), patience)
        except sqlite3.OperationalError:
            if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
                raise
        # SQLite's log has no place in a folder that cannot be written; nor can anybody change the file.
        return _prepare(path, "mode=ro&immutable=1")
    except schema.NewerError:
        raise _UnusableError("newer", identity) from None
    except schema.ForeignError:
        raise _UnusableError("foreign", identity) from None
    except sqlite3.Error as error:
        if _is_damage(error):
            raise _UnusableError("damaged", identity) from error
        raise HistoryError(_message(error)) from error


def _prepare(path: Path, mode: str) -> sqlite3.Connection:
    """Connect, migrate an older file, and make the tables in an empty one.

    Raises `sqlite3.Error` and the schema's errors.
    """
    connection = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, timeout=_STEP, isolation_level=None)
    connection.text_factory = _decode
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        if schema.is_outdated(connection):
            connection = _migrate(connection)
        if not schema.is_ready(connection):
            connection.execute("PRAGMA journal_mode = WAL")
            schema.create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Migrate the file; return a copy in memory, to be read only, of one that cannot be written."""
    try:
        schema.migrate(connection)
    except sqlite3.OperationalError as error:
        if _kind(error) != sqlite3.SQLITE_READONLY:
            raise
    else:
        return connection
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = _decode
    connection.backup(copy)
    connection.close()
    schema.migrate(copy)
    schema.is_ready(copy)  # which adds new columns
    copy.execute("PRAGMA query_only = ON")
    return copy


def _retry_while_locked(action: Callable[[], T], patience: float) -> T:
    """Repeat an action that a lock may hinder, for so many seconds; raises the last `sqlite3.Error`."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if _kind(error) not in _BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)


def _is_damage(error: sqlite3.Error) -> bool:
    """Return whether a file is of no use, rather than unavailable just now."""
    code = _kind(error)
    return code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))


def _message(error: sqlite3.Error) -> str:
    return _MESSAGES.get(_kind(error), str(error))


def _kind(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def _decode(data: bytes) -> str:
    """Decode text as far as possible: a damaged cell must not hide the others."""
    return data.decode("utf-8", "replace")


def _transaction(connection: sqlite3.Connection, begin: str, action: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute(begin)
    with connection:
        return action(connection)


def _vacuum(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise HistoryError("another program is reading it, and the log still holds what was forgotten")
