"""Rows that the history could not take: each waits in a file of its own until it can."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from imgcli.core.text import slug
from imgcli.store.publish import PRIVATE, create, flush, write_all
from imgcli.store.rows import entry_of, stored_cells
from imgcli.store.state import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from imgcli.core.entry import Entry
    from imgcli.store.history import History

_FOLDER, _SUFFIX = "rows", ".json"
"""Inside the state folder."""


def keep(state: Path, entry: Entry) -> None:
    """Keep a row, in place of an earlier one of the same run; raises `OSError`."""
    path = _path(private_folder(state / _FOLDER), entry.job)
    draft = path.with_suffix(f".{os.urandom(3).hex()}")
    descriptor = create(draft, PRIVATE)
    try:
        write_all(descriptor, json.dumps(stored_cells(entry)).encode("ascii"))
        flush(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)


def drop(state: Path, job: str) -> None:
    """Remove what is kept of a run that the history knows by now."""
    with suppress(OSError):
        _path(state / _FOLDER, job).unlink(missing_ok=True)


def paths(states: Iterable[Path]) -> list[Path]:
    """List what is kept, the oldest first."""
    return [path for state in states for path in sorted((state / _FOLDER).glob(f"*{_SUFFIX}"))]


def deliver(states: Iterable[Path], history: History) -> None:
    """Write every row that is kept to the history; one that cannot be read stays. Raises `HistoryError`."""
    for path in paths(states):
        entry = _read(path)
        if entry:
            history.record(entry)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _path(folder: Path, job: str) -> Path:
    return folder / f"{slug(job)}{_SUFFIX}"


def _read(path: Path) -> Entry | None:
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        told = json.loads(path.read_bytes())
        return entry_of(told["run"], told["pictures"], told["parents"], told["charges"])
    return None
