"""What somebody means by FILE or ID: a file by its content, a run by its id, else what stands in the file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli import lookup, notes
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.provenance import By
from imgcli.core.text import shorten
from imgcli.store.inspection import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from imgcli.cli.world import World
    from imgcli.core.entry import Entry
    from imgcli.core.errors import Problem
    from imgcli.core.provenance import FileFacts
    from imgcli.store.history import History

_SHOWN = 200
_LONGEST_ID = 100
_A_DAY = 8
"""Digits with which the names of jobs begin; fewer are a run's number, and nothing else."""


@dataclass(frozen=True)
class Found:
    """What was meant: a file, a run, or both: a file with a run's picture. `notes` are sentences about it."""

    by: By
    file: FileFacts | None
    entry: Entry | None
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> Entry | FileFacts:
        """The run where one is known, else the file: there is one of them."""
        known = self.entry or self.file
        if known is None:
            raise ValueError(self)
        return known


class Seeker:
    """Finds files and runs; without a history, files alone: `trouble` says what keeps it shut."""

    def __init__(self, history: History | None, trouble: Problem | None = None) -> None:
        self._history = history
        self._trouble = trouble

    @classmethod
    def opened(cls, world: World, stack: ExitStack) -> Seeker:
        """Open the history as long as the stack is; a note says where that cannot be."""
        try:
            return cls(stack.enter_context(lookup.opened(world)))
        except ImgcliError as error:
            notes.tell(world, [f"{error.problem.what} Only the file itself can be asked."])
            return cls(None, error.problem)

    @property
    def history(self) -> History | None:
        """The history, None where it cannot be read."""
        return self._history

    def find(self, name: str) -> Found:
        """Find what is meant; an existing file goes before an id. Raises `ImgcliError` (usage)."""
        if not name:
            raise usage_error("The name of a file is empty.")
        if _is_there(name) and not Path(name).is_dir():
            return self._by_content(name)
        if entry := self._by_id(name):
            return Found(By.ID, None, entry)
        if entry := self._by_path(name):
            note = f"{_shown(name)} is gone; run {entry.number} saved a picture under this name"
            return Found(By.NAME, None, entry, (note,))
        if _is_there(name):
            inspect(name)  # which says what is wrong with it
        raise self._nothing(name)

    def _by_content(self, name: str) -> Found:
        file = inspect(name)
        entry = self._history.find_sha256(file.sha256) if self._history else None
        if entry is None and file.format is None:
            raise usage_error(
                f"{_shown(name)} is no picture of a kind that imgcli makes (png, jpeg, webp, gif, svg), and "
                "the history does not know it."
            )
        return Found(By.CONTENT, file, entry, tuple(self._doubts(name, entry)))

    def _doubts(self, name: str, entry: Entry | None) -> Iterator[str]:
        """Say what else could have been meant, and what this file is not."""
        namesake = self._by_id(name)
        if namesake and namesake != entry:
            yield (
                f"{_shown(name)} is the file {_shown(f'./{name}')} here; for the run of that id "
                f"say {namesake.job}"
            )
        earlier = None if entry else self._by_path(name)
        if earlier:
            yield (
                f"run {earlier.number} saved a picture as {_shown(name)}, and this file has other bytes: it "
                "was changed or replaced since"
            )

    def _by_id(self, name: str) -> Entry | None:
        if not _may_be_id(name):
            return None
        if self._history is None:
            return None
        entry = self._history.find_id(name)
        is_number = name.isascii() and name.isdecimal() and len(name) < _A_DAY
        return None if entry and is_number and entry.number != int(name) else entry

    def _by_path(self, name: str) -> Entry | None:
        """Find a run by the name under which it saved its picture."""
        if self._history is None:
            return None
        try:
            path = Path(name).absolute()
            spellings = Path(os.path.abspath(name)), path, path.parent.resolve() / path.name  # noqa: PTH100 - links stay
        except (OSError, ValueError):
            return None
        return next(filter(None, map(self._history.find_path, spellings)), None)

    def _nothing(self, name: str) -> ImgcliError:
        if self._trouble and _may_be_id(name):
            return ImgcliError(self._trouble)
        return usage_error(
            f"{_shown(name)} is neither a file, nor the id of a run, nor the name of a picture in the "
            "history.",
            "See what there is with: imgcli history",
        )


def _is_there(name: str) -> bool:
    try:
        return os.path.lexists(name)
    except ValueError:
        return False


def _may_be_id(name: str) -> bool:
    return "/" not in name and os.sep not in name and len(name) <= _LONGEST_ID


def _shown(name: str) -> str:
    return shorten(name, _SHOWN)
