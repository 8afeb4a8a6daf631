"""Examines the history's file and folders, and changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from imgcli.store.history.ids import NAME
from imgcli.store.history.schema import VERSION
from imgcli.store.paths import check_owner
from imgcli.store.publish.atomic import PRIVATE, create, reason

if TYPE_CHECKING:
    from pathlib import Path


_OURS = {"runs", "pictures"}
_PATIENCE = 1.0  # seconds
_WHOLE = "ok"


class HistoryHealth(NamedTuple):
    """What was found: `fault` is half a sentence, empty for a file that can be used or is not there yet.

    `runs` and `version` are None where there is no file, or none that can be read; `aside` lists the files
    that were set aside earlier.
    """

    path: Path
    fault: str = ""
    runs: int | None = None
    version: int | None = None
    aside: tuple[Path, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Whether an older imgcli has written it, so that the next command migrates it."""
        return self.version is not None and self.version < VERSION


def examine_history(folder: Path) -> HistoryHealth:
    """Read the history in a folder, whole: every page is checked. Never raises for what the file holds."""
    path = folder / NAME
    aside: tuple[Path, ...] = ()
    with suppress(OSError):
        aside = tuple(sorted(folder.glob(f"{path.stem}.*-*{path.suffix}")))
    found = HistoryHealth(path, aside=aside)
    try:
        if not path.is_file():
            return found._replace(fault="it is not a regular file") if path.exists() else found
        with path.open("rb"):
            pass
        return _read(found)
    except sqlite3.DatabaseError as error:
        return found._replace(fault=_words(error))
    except OSError as error:
        return found._replace(fault=reason(error))


def _read(found: HistoryHealth) -> HistoryHealth:
    """Check the pages, the tables and the version. Raises `sqlite3.DatabaseError`."""
    wal = found.path.with_name(f"{found.path.name}-wal")
    # Without a log nothing is being written, and SQLite need not create one to read.
    if wal.exists():
        with suppress(sqlite3.OperationalError):
            return _look(found, "mode=ro")
    return _look(found, "mode=ro&immutable=1")


def _look(found: HistoryHealth, mode: str) -> HistoryHealth:
    address = f"{found.path.absolute().as_uri()}?{mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
        found = found._replace(version=version)
        if version > VERSION:
            return found._replace(fault=f"it is from a newer imgcli (version {version} of its tables)")
        if not tables and not version:
            return found._replace(runs=0, version=VERSION)
        if not tables >= _OURS or not version:
            return found._replace(fault="it is another program's database")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != _WHOLE:
            return found._replace(fault="it is damaged")
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        return found._replace(runs=runs)


def _words(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another program keeps it locked"
    return "it is damaged" if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else str(error)


_NAME = ".imgcli-doctor-"


class FolderHealth(NamedTuple):
    """A folder: whether it is there, why it cannot be written (empty where it can), and its free bytes."""

    folder: Path
    exists: bool
    fault: str = ""
    free: int | None = None


def examine_folder(folder: Path, *, is_private: bool = False) -> FolderHealth:
    """Try to write into a folder, or, where it is missing, into the one in which it would be made.

    A private folder has to be this user's own.
    """
    exists = os.path.lexists(folder)
    try:
        nearest = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)
        if is_private and exists:
            check_owner(folder)
        _probe(nearest)
    except OSError as error:
        return FolderHealth(folder, exists, reason(error))
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(nearest).free
    return FolderHealth(folder, exists, free=free)


def _probe(folder: Path) -> None:
    """Create a file and remove it; raises `OSError`."""
    path = folder / f"{_NAME}{os.urandom(8).hex()}"
    descriptor = create(path, PRIVATE)
    try:
        os.write(descriptor, b"\n")  # which a full disk does not take
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
