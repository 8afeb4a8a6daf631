"""Reading and writing the history's database, whatever becomes of its file meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from imgcli.store.history import connection, file
from imgcli.store.history.file import HistoryError, HistoryFile, Unfit, UnfitError
from imgcli.store.history.ids import NAME
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


T = TypeVar("T")

_TRIES = 5
"""How often an unfit file is put right: other processes may be about it too."""


class Database:
    """One connection to the history in a folder; `patience` is how many seconds a lock is waited for.

    Where there is no file, reading finds nothing, and the first writing makes it. A file that is damaged or
    newer than we are is renamed, and a new one takes its place; `notices` says so.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self.path = folder / NAME
        self.notices: list[str] = []
        self._patience = patience
        self._file: HistoryFile | None = None
        self._stand_in: sqlite3.Connection | None = None
        self._connect()

    @property
    def is_there(self) -> bool:
        """Whether anything is recorded at all."""
        return self._file is not None

    def close(self) -> None:
        """Return the file back."""
        if self._file:
            self._file.close()
        if self._stand_in:
            self._stand_in.close()
        self._file = self._stand_in = None

    def read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Look at one state of the database. Raises `HistoryError`."""
        return self._attempted(lambda opened: _within(opened, "BEGIN", action))

    def write(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Change the database, all or nothing. Raises `HistoryError`."""
        return self._attempted(lambda opened: _within(opened, "BEGIN IMMEDIATE", action), self._begin)

    def wipe(self) -> None:
        """Let no deleted text survive in pages that are free, or in the write-ahead log.

        Raises `HistoryError`, also when somebody who reads keeps the log from being emptied.
        """
        if self._file:
            self._attempted(_wiped)

    @property
    def aside(self) -> list[Path]:
        """The files that were set aside earlier, with what lies beside them."""
        return sorted(self.path.parent.glob(f"{self.path.stem}.*-*{self.path.suffix}*"))

    def aside_since(self, moment: float) -> list[Path]:
        """List those that were set aside since a moment (seconds), or written until after it."""
        return [path for path in self.aside if _last_change(path) >= moment]

    def discard_aside(self) -> None:
        """Remove the files that were set aside. Raises `HistoryError`."""
        for path in self.aside:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise HistoryError(f"{path} cannot be removed: {reason(error)}") from error

    def _attempted(
        self, action: Callable[[sqlite3.Connection], T], prepare: Callable[[], None] = lambda: None
    ) -> T:
        """Do something; when the database turns out to be of no use, do it with a new one."""
        for _ in range(_TRIES):
            prepare()
            try:
                return connection.patiently(lambda: action(self._connection), self._patience)
            except sqlite3.Error as error:
                if not self._file or not connection.is_damage(error):
                    raise HistoryError(connection.words(error)) from error
                unfit = UnfitError(Unfit.DAMAGED, self._file.identity)
            self.close()
            self._put_right(unfit)
            self._connect()
        raise HistoryError("it is damaged again and again")

    @property
    def _connection(self) -> sqlite3.Connection:
        """What there is to ask: the file, or an empty stand-in."""
        if self._file:
            return self._file.connection
        self._stand_in = self._stand_in or connection.empty()
        return self._stand_in

    def _begin(self) -> None:
        """Make the file, unless it is there. Raises `HistoryError`."""
        for _ in range(_TRIES):
            if self._file:
                return
            file.begin(self.path, self._patience)
            self._connect()
        raise HistoryError("somebody removes it again and again")

    def _connect(self) -> None:
        """Open the file where there is one, once it is fit for use. Raises `HistoryError`."""
        for _ in range(_TRIES):
            try:
                self._file = HistoryFile.open(self.path, self._patience)
            except UnfitError as unfit:
                self._put_right(unfit)
            else:
                return
        raise HistoryError("it is damaged again and again")

    def _put_right(self, unfit: UnfitError) -> None:
        """Finish an empty file, and set any other aside."""
        if unfit.why is Unfit.EMPTY:
            file.begin(self.path, self._patience)
            return
        aside = file.set_aside(self.path, unfit, self._patience)
        if aside:
            self.notices.append(f"{unfit.why.sentence}; it is kept as {aside}, and a new one is begun")


def _last_change(path: Path) -> float:
    """Return the time of a file's last writing or renaming, in seconds; none for one that has gone."""
    with suppress(OSError):
        info = path.stat()
        return max(info.st_mtime, info.st_ctime)
    return 0.0


def _within(connection: sqlite3.Connection, begin: str, action: Callable[[sqlite3.Connection], T]) -> T:
    """Run one transaction."""
    connection.execute(begin)
    with connection:
        return action(connection)


def _wiped(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise HistoryError("another program is reading it, and the log still holds what was forgotten")
