"""The history's file: begun, opened, and renamed when it is of no use, by many processes at once.

SQLite minds its own locks, but not that a file is renamed under somebody who has it open: that one would
take the new file's log for its own. So everybody who has the file open holds a second, empty one locked, and
nobody renames or begins it who does not hold that alone.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from imgcli.store.history import schema
from imgcli.store.history.connection import LOCKED, connect, is_damage, patiently, ready, words
from imgcli.store.paths import private_folder
from imgcli.store.publish.atomic import PRIVATE, create, reason, try_lock, try_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


Identity: TypeAlias = tuple[int, int]
"""What tells files apart that have had the same name: device and inode."""

_LOCK = "history.lock"
_COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database that is in use."""
_PAUSE = 0.02  # seconds


class Unfit(StrEnum):
    """Why a file cannot be used as it is; one that is set aside gets the word into its name."""

    EMPTY = "empty"
    DAMAGED = "damaged"
    NEWER = "newer"
    FOREIGN = "foreign"

    @property
    def sentence(self) -> str:
        """Say it."""
        match self:
            case Unfit.NEWER:
                return "the history is from a newer imgcli"
            case Unfit.FOREIGN:
                return "the history's file is another program's database"
            case Unfit.DAMAGED | Unfit.EMPTY:
                return f"the history is {self}"


class UnfitError(Exception):
    """A file that cannot be used as it is, and which one that was."""

    def __init__(self, why: Unfit, identity: Identity) -> None:
        super().__init__(why.sentence)
        self.why = why
        self.identity = identity


class HistoryError(OSError):
    """The history cannot be read or written; the message is half a sentence that says why."""


@dataclass(frozen=True)
class HistoryFile:
    """A connection to the file, which nobody renames until it is closed."""

    connection: sqlite3.Connection
    identity: Identity
    lease: int | None
    """The lock's descriptor, None in a folder that nobody can write to."""

    @classmethod
    def open(cls, path: Path, patience: float) -> HistoryFile | None:
        """Open the file, None where there is none. Raises `HistoryError` and `UnfitError`."""
        if identity_of(path) is None:
            return None
        lease = _leased(path, try_share, patience)
        try:
            identity = identity_of(path)
            if identity is not None:
                return cls(_connected(path, identity, patience), identity, lease)
        except BaseException:
            _release(lease)
            raise
        _release(lease)
        return None

    def close(self) -> None:
        """Return the file back."""
        with suppress(sqlite3.Error):
            self.connection.close()
        _release(self.lease)


def begin(path: Path, patience: float) -> None:
    """Make the file with its tables, where there is none or an empty one. Raises `HistoryError`."""
    try:
        private_folder(path.parent)
    except OSError as error:
        raise HistoryError(reason(error)) from error
    with _alone(path, patience):
        try:
            with suppress(FileExistsError):
                os.close(create(path, PRIVATE))
            patiently(lambda: _furnish(path), patience)
        except (schema.NewerError, schema.ForeignError):
            return  # somebody else's, since a moment ago: whoever opens it will see
        except sqlite3.Error as error:
            if not is_damage(error):
                raise HistoryError(words(error)) from error
        except OSError as error:
            raise HistoryError(reason(error)) from error


def _furnish(path: Path) -> None:
    """Make the tables in an empty file."""
    with closing(connect(path, "mode=rw")) as connection:
        if not schema.is_ready(connection):
            connection.execute("PRAGMA journal_mode = WAL")
            schema.create(connection)


def set_aside(path: Path, unfit: UnfitError, patience: float) -> Path | None:
    """Rename the file, log and all; None where another process was first. Raises `HistoryError`."""

    def is_gone() -> bool:
        return identity_of(path) != unfit.identity

    with _alone(path, patience, is_gone):
        if is_gone():
            return None
        names = (path.with_name(f"{path.stem}.{unfit.why}-{number}{path.suffix}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        try:
            for companion in _COMPANIONS:  # first: a new file must never find them
                with suppress(FileNotFoundError):
                    path.with_name(path.name + companion).rename(f"{aside}{companion}")
            return path.rename(aside)
        except OSError as error:
            raise HistoryError(f"{unfit.why.sentence} and cannot be set aside: {reason(error)}") from error


def identity_of(path: Path) -> Identity | None:
    """Find out which file has this name, None where none has. Raises `HistoryError`."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HistoryError(reason(error)) from error
    if not stat.S_ISREG(info.st_mode):
        raise HistoryError("it is no regular file")
    return info.st_dev, info.st_ino


def _connected(path: Path, identity: Identity, patience: float) -> sqlite3.Connection:
    """Connect to a file that is a history."""
    try:
        connection, is_ready = _looked_into(path, patience)
    except schema.NewerError:
        raise UnfitError(Unfit.NEWER, identity) from None
    except schema.ForeignError:
        raise UnfitError(Unfit.FOREIGN, identity) from None
    except sqlite3.Error as error:
        if is_damage(error):
            raise UnfitError(Unfit.DAMAGED, identity) from error
        raise HistoryError(words(error)) from error
    if not is_ready:
        connection.close()
        raise UnfitError(Unfit.EMPTY, identity)
    return connection


def _looked_into(path: Path, patience: float) -> tuple[sqlite3.Connection, bool]:
    """Connect, and find out whether the tables are there; raises `sqlite3.Error` and the schema's errors."""
    try:
        return patiently(lambda: ready(path, "mode=rw"), patience)
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
            raise
    # SQLite's log has no place in a folder that cannot be written; nor can anybody change the file.
    return ready(path, "mode=ro&immutable=1")


@contextmanager
def _alone(path: Path, patience: float, is_needless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Be the only one who has the file, unless that becomes needless meanwhile. Raises `HistoryError`.

    A crowd that waits to be alone one by one, while others work, may wait for ever.
    """
    lease = _leased(path, try_lock, patience, is_needless)
    try:
        yield
    finally:
        _release(lease)


def _leased(
    path: Path,
    take: Callable[[int], bool],
    patience: float,
    is_needless: Callable[[], bool] = lambda: False,
) -> int | None:
    """Lock the second file, waiting for it; None where it cannot be made. Raises `HistoryError`."""
    descriptor = _lock_file(path.with_name(_LOCK))
    if descriptor is None:
        return None
    deadline = time.monotonic() + patience
    while not take(descriptor):
        if is_needless():
            os.close(descriptor)
            return None
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise HistoryError(LOCKED)
        time.sleep(_PAUSE)
    return descriptor


def _lock_file(path: Path) -> int | None:
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        return os.open(path, os.O_CREAT | os.O_RDWR | flags, PRIVATE)
    with suppress(OSError):
        return os.open(path, os.O_RDONLY | flags)
    return None


def _release(lease: int | None) -> None:
    if lease is not None:
        os.close(lease)
