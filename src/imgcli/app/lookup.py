"""Resolving FILE or ID: a file by its content, a run by its id or `last`."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.history import FileStatus, MatchKind
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex
from imgcli.store.image_facts import inspect, saved_image_status
from imgcli.store.paths import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.app.context import Context
    from imgcli.core.errors import Problem
    from imgcli.core.history import FileFacts, HistoryEntry, SavedImageStatus
    from imgcli.store.history.repository import History


_PATIENCE = 10.0  # seconds


@contextmanager
def connect_history(context: Context, patience: float) -> Iterator[History]:
    """Open the history, waiting so many seconds for a lock. Raises `OSError`."""
    from imgcli.store.history.repository import History  # SQLite, which a run's first row does without

    with History(data_folder(context.env), patience) as history:
        try:
            yield history
        finally:
            context.warn(history.notices)


@contextmanager
def open_history(context: Context, patience: float = _PATIENCE) -> Iterator[History]:
    """Open the history for a command. Raises `ImgcliError` (usage) where it cannot be read or written."""
    from imgcli.store.history.repository import HistoryError

    try:
        data_folder(context.env)
    except OSError as error:
        raise usage_error(f"There is no folder for the history: {error.strerror}.") from None
    try:
        add_pending(context)
        with connect_history(context, patience) as history:
            yield history
    except HistoryError as error:
        raise unusable(context, error) from None


def add_pending(context: Context) -> None:
    """Add the rows that the history could not take when their runs ended, as far as it takes them now."""
    from imgcli.store.history.recorder import PendingRows

    pending = PendingRows(context.env)
    if pending.paths:
        with suppress(OSError), connect_history(context, context.history_wait) as history:
            pending.deliver(history)


def unusable(context: Context, error: OSError) -> ImgcliError:
    """Return the error for a history that cannot be read or written."""
    return usage_error(f"The history in {data_folder(context.env)} cannot be used: {error}.")


_SHOWN = 200
_LONGEST_ID = 100
_LAST = regex(r"last(?:~([0-9]{1,9})?)?", re.ASCII)
"""`last`, and `last~N` for N runs before it; `last~` is one before, as git reads it."""
_FATES = {
    FileStatus.UNSAVED: "was not saved",
    FileStatus.GONE: "is gone from {path}",
    FileStatus.CHANGED: "is no longer in {path}, which was changed or replaced",
    FileStatus.UNREADABLE: "cannot be read from {path}",
}


@dataclass(frozen=True)
class Match:
    """What was meant: a file, a run, or both: a file with a run's image. `notes` are sentences about it.

    `sha256` names the image that was meant, None for whatever the run brought.
    """

    by: MatchKind
    file: FileFacts | None
    entry: HistoryEntry | None
    notes: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def origin(self) -> HistoryEntry | FileFacts:
        """The run where one is known, else the file: there is one of them."""
        known = self.entry or self.file
        if known is None:
            raise ValueError(self)
        return known


@dataclass(frozen=True)
class Located:
    """The files that were meant: the one that was named, or those of a run. `notes` are about that."""

    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Lookup:
    """Finds files and runs. Where the history cannot be read it finds files alone, and a note says so."""

    def __init__(self, context: Context, history: History | None, trouble: Problem | None = None) -> None:
        self._context = context
        self._history = history
        self._trouble = trouble

    @classmethod
    def opened(cls, context: Context, stack: ExitStack) -> Lookup:
        """Open the history as long as the stack is, where that can be."""
        try:
            return cls(context, stack.enter_context(open_history(context)))
        except ImgcliError as error:
            return cls(context, None, error.problem)

    @property
    def history(self) -> History | None:
        """The history, None where it cannot be read."""
        return self._history

    def find(self, name: str) -> Match:
        """Find what is meant; an existing file goes before an id, and may hold whatever it holds.

        `last` is a run in any case. Raises `ImgcliError` (usage).
        """
        if not name:
            raise usage_error("The name of a file is empty.")
        if last := self._last(name):
            return last
        if _is_there(name) and not os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where this is False
            return self._by_content(name)
        if entry := self._by_id(name):
            return Match(MatchKind.ID, None, entry)
        if entry := self.saved_as(name):
            note = f"{_shown(name)} is gone; run {entry.number} saved an image under this name"
            paths = _spellings(name)
            meant = next((image.sha256 for image in entry.images if image.path in paths), None)
            return Match(MatchKind.NAME, None, entry, (note,), meant)
        if _is_there(name):
            inspect(name)  # which says what is wrong with it
        raise self._not_found(name)

    def find_described(self, name: str) -> Match:
        """Find what something can be told of: no file that is no image, and that no run brought."""
        found = self.find(name)
        if found.file and found.file.format is None and found.entry is None:
            raise usage_error(
                f"{_shown(name)} is not a PNG, JPEG, WebP, GIF or SVG image, and "
                "the history does not know it."
            )
        return found

    def run_named(self, name: str) -> HistoryEntry | None:
        """Find the run that a name means; None for an existing file. Raises `ImgcliError` (usage)."""
        last = self._last(name)
        if last:
            return last.entry
        return None if _is_there(name) else self._by_id(name)

    def locate(self, name: str) -> Located:
        """Find the files of a run, or take the name for a file's. Raises `ImgcliError` (usage)."""
        last = self._last(name)
        entry = last.entry if last else self._by_id(name)
        if entry is None:
            if name.isdecimal() and not _is_there(name):  # which was meant as an id
                raise self._not_found(name)
            return Located((name,))
        fates = [saved_image_status(image) for image in entry.images]
        paths = tuple(str(one.image.path) for one in fates if one.state is FileStatus.THERE)
        missing = [_fate(entry, one) for one in fates if one.state is not FileStatus.THERE]
        if not paths:
            told = "; ".join(missing) or f"run {entry.number} produced no image ({entry.outcome})"
            raise usage_error(f"{told[0].upper()}{told[1:]}.", "List your runs with: imgcli history")
        return Located(paths, (*(last.notes if last else ()), *missing))

    def producer(self, sha256: str) -> HistoryEntry | None:
        """Find the run that brought these bytes."""
        return self._ask(lambda history: history.find_sha256(sha256))

    def received(self, sha256: str) -> HistoryEntry | None:
        """Find the run that brought these bytes, and saved them with parameters embedded."""
        return self._ask(lambda history: history.find_received(sha256))

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps the history from being asked."""
        if self._trouble is None:
            return ()
        return (f"{self._trouble.what.rstrip('.')}; only the file itself is used",)

    def _ask(self, question: Callable[[History], HistoryEntry | None]) -> HistoryEntry | None:
        """Ask the history; from the first time that it fails on it is in nobody's way."""
        if self._history is None:
            return None
        try:
            return question(self._history)
        except OSError as error:
            self._history, self._trouble = None, unusable(self._context, error).problem
            return None

    def _by_content(self, name: str) -> Match:
        file = inspect(name)
        entry = self.saved_as(name, file.sha256) or self.producer(file.sha256)
        alternatives = tuple(self._alternatives(name, entry))
        return Match(MatchKind.CONTENT, file, entry, (*self.notes, *alternatives), file.sha256)

    def _alternatives(self, name: str, entry: HistoryEntry | None) -> Iterator[str]:
        """Yield notes on what else could have been meant, and on what this file is not."""
        namesake = self._by_id(name)
        if namesake and namesake != entry:
            yield (
                f"{_shown(name)} is the file {_shown(f'./{name}')} here; for the run with that id, "
                f"use {namesake.job}"
            )
        earlier = None if entry else self.saved_as(name)
        if earlier:
            yield (
                f"run {earlier.number} saved an image as {_shown(name)}, but the file has since been "
                "changed or replaced"
            )

    def _last(self, name: str) -> Match | None:
        """Find one of the newest runs that brought an image, None for any other name."""
        asked = _LAST.fullmatch(name)
        if asked is None:
            return None
        back = int(asked[1] or 1) if "~" in name else 0
        entry = self._ask(lambda history: history.latest(back=back))
        if entry is None:
            raise self._no_last(name)
        file = next((image.path.name for image in entry.images if image.path), "not saved")
        notes = [f"{name} is run {entry.number} ({_shown(file)})"]
        if _is_there(name):
            notes.append(f"the file of that name is ./{name}")
        return Match(MatchKind.ID, None, entry, tuple(notes))

    def _no_last(self, name: str) -> ImgcliError:
        if self._trouble:
            return ImgcliError(self._trouble)
        file = f"The file of that name is ./{name}" if _is_there(name) else ""
        return usage_error(f"There is no {name}: the history has no image that far back.", file)

    def _by_id(self, name: str) -> HistoryEntry | None:
        return self._ask(lambda history: history.find_id(name)) if _is_possible_id(name) else None

    def saved_as(self, name: str, sha256: str | None = None) -> HistoryEntry | None:
        """Find a run by the name under which it saved its image, with these bytes where they are given."""
        spellings = _spellings(name)
        return self._ask(
            lambda history: next(filter(None, (history.find_path(path, sha256) for path in spellings)), None)
        )

    def _not_found(self, name: str) -> ImgcliError:
        if self._trouble and _is_possible_id(name):
            return ImgcliError(self._trouble)
        return usage_error(
            f"{_shown(name)} is neither a file, nor the id of a run, nor the name of an image in the "
            "history.",
            "List your runs with: imgcli history",
        )


def is_last(name: str) -> bool:
    """Return whether a name means the newest run, or one so many before it: another one after each run."""
    return bool(_LAST.fullmatch(name))


def locate(context: Context, name: str) -> Located:
    """Find the files that FILE or ID names: every image of a run that is still there.

    Whatever else it names is left to whoever opens it. Raises `ImgcliError` (usage).
    """
    if not _LAST.fullmatch(name) and (not _is_possible_id(name) or not name or _is_there(name)):
        return Located((name,))
    with ExitStack() as stack:
        return Lookup.opened(context, stack).locate(name)


def locate_one(context: Context, name: str) -> Located:
    """Find the one file that FILE or ID names: of a run with several images the first, and a note says so."""
    located = locate(context, name)
    first, *others = located.paths
    if not others:
        return located
    note = f"{name} has {len(located.paths)} images; using {_shown(os.path.basename(first))}"  # noqa: PTH119
    return Located((first,), (*located.notes, note))


def _fate(entry: HistoryEntry, one: SavedImageStatus) -> str:
    """Describe what has become of an image that is not where it was saved."""
    which = "the image" if len(entry.images) == 1 else f"image {one.image.image_index + 1}"
    return f"{which} of run {entry.number} {_FATES[one.state].format(path=_shown(str(one.image.path)))}"


def _spellings(name: str) -> tuple[Path, ...]:
    """List the ways in which a path may have been written down."""
    try:
        path = Path(name).absolute()
        return Path(os.path.abspath(name)), path, path.parent.resolve() / path.name  # noqa: PTH100 - links stay
    except (OSError, ValueError):
        return ()


def _is_there(name: str) -> bool:
    try:
        return os.path.lexists(name)
    except ValueError:
        return False


def _is_possible_id(name: str) -> bool:
    return "/" not in name and os.sep not in name and len(name) <= _LONGEST_ID


def _shown(name: str) -> str:
    return shorten(name, _SHOWN)
