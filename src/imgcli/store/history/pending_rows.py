"""Rows that the history could not take: each waits in a file of its own until it can."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.core.text import slug
from imgcli.store.history.rows import entry_of, stored_cells
from imgcli.store.paths import private_folder, state_folder, state_folders
from imgcli.store.publish.atomic import PRIVATE, create, flush, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.core.history import HistoryEntry
    from imgcli.store.history.repository import History


_FOLDER, _SUFFIX = "rows", ".json"
"""Inside the state folder."""


@dataclass(frozen=True)
class PendingRows:
    """The rows that wait in this user's state folders."""

    environ: Mapping[str, str]

    @property
    def paths(self) -> list[Path]:
        """List the files, the oldest first; makes no folder, and passes over one that cannot be read."""
        folders = [state / _FOLDER for state in state_folders(self.environ)]
        return [path for folder in folders for path in _listed(folder)]

    def keep(self, entry: HistoryEntry) -> None:
        """Keep a row, in place of an earlier one of the same run; raises `OSError`."""
        path = private_folder(state_folder(self.environ) / _FOLDER) / _name(entry.job)
        draft = path.with_suffix(f".{os.urandom(3).hex()}")
        descriptor = create(draft, PRIVATE)
        try:
            write_all(descriptor, json.dumps(stored_cells(entry)).encode("ascii"))
            flush(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)

    def drop(self, job: str) -> None:
        """Remove what is kept of a run that the history knows by now."""
        for path in self.paths:
            if path.name == _name(job):
                _remove(path)

    def deliver(self, history: History) -> None:
        """Write every row to the history; one that cannot be read stays. Raises `HistoryError`."""
        for path in self.paths:
            if entry := _read(path):
                history.record(entry)
                _remove(path)


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    return []


def _name(job: str) -> str:
    return f"{slug(job)}{_SUFFIX}"


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _read(path: Path) -> HistoryEntry | None:
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        told = json.loads(path.read_bytes())
        return entry_of(told["run"], told["pictures"], told["parents"], told["charges"])
    return None
