"""Batches submitted to OpenAI, recorded so that they can be collected another day.

A file a batch in the state folder, JSON an object a line: what the batch is, its requests, then what became
of it. The first two are there before the server is asked to create it; the rest is appended and flushed.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.json_fields import as_text, count, json_object, timestamp
from imgcli.dataclass import dataclass
from imgcli.store.files import open_regular
from imgcli.store.paths import private_folder, state_folders
from imgcli.store.publish.atomic import append, replace_file, try_lock
from imgcli.store.runlog.writer import RunLogHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path


FOLDER, SUFFIX = "batches", ".jsonl"
"""Where the files are, inside the state folder."""

_MAGIC, _VERSION = "imgcli_submitted", 1
_TASK, _EVENT = "task", "event"
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class BatchFacts(NamedTuple):
    """What a batch is. `server` is the host that has it, `state` the state file of the batch it is part of.

    `bound` is the most that it may cost, in US dollars as text; `source` is what the user's file is called.
    """

    key: str
    created: str
    server: str | None
    endpoint: str
    model: str
    total: int
    source: str
    state: str | None = None
    bound: str | None = None


class SubmittedRow(NamedTuple):
    """One request of a batch: its row, and the run that its answer becomes."""

    task: str
    line: int
    id: str | None
    run: RunLogHeader

    def to_json(self) -> bytes:
        """Format the row as a line of the file."""
        told = {_TASK: self.task, "line": self.line, "id": self.id, "run": self.run.to_json()}
        return _line(told)


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode("ascii") + b"\n"


@dataclass
class SubmittedBatch:
    """One such file. `batch` is the server's id, None where the server was not asked or never answered."""

    path: Path
    facts: BatchFacts
    batch: str | None = None
    is_asked: bool = False
    is_dropped: bool = False
    is_closed: bool = False
    is_free: bool = False
    collected: dict[str, str] = field(default_factory=dict)
    """What became of the tasks whose answers were dealt with: `saved` or `failed`."""
    _lines: list[bytes] = field(default_factory=list)

    @classmethod
    def write(cls, state: Path, facts: BatchFacts, rows: Iterable[SubmittedRow]) -> SubmittedBatch:
        """Write the file, whole and flushed, before anybody is asked for anything. Raises `OSError`."""
        folder = private_folder(state / FOLDER)
        batch = cls(folder / f"{facts.key}{SUFFIX}", facts, _lines=[row.to_json() for row in rows])
        batch._write(batch._lines)
        return batch

    @classmethod
    def read(cls, path: Path) -> SubmittedBatch | None:
        """Read a file; None for anything else. Raises `OSError`."""
        with open_regular(path, follow=False) as file:
            head, *lines = file.read().split(b"\n")
        told = json_object(head) or {}
        if told.get(_MAGIC) != _VERSION or not all(isinstance(told.get(one), str) for one in _NEEDED):
            return None
        texts: dict[str, Any] = {name: as_text(told.get(name)) for name in BatchFacts._fields}
        batch = cls(path, BatchFacts(**{**texts, "total": count(told.get("total")) or 0}))
        for line in lines:
            if line.startswith(b'{"task"'):
                batch._lines.append(line)
            else:
                batch._apply(json_object(line) or {})
        return batch

    @property
    def name(self) -> str:
        """What a person calls it: the server's id, else our own key."""
        return self.batch or self.facts.key

    @property
    def time(self) -> datetime | None:
        """When it was submitted."""
        return timestamp(self.facts.created)

    @property
    def is_open(self) -> bool:
        """Whether there may still be something to collect."""
        return not (self.is_closed or self.is_dropped)

    def has_beginning(self, text: str) -> bool:
        """Return whether its id or its key begins with this text."""
        return any(name and name.startswith(text) for name in (self.batch, self.facts.key))

    def rows(self) -> Iterator[SubmittedRow]:
        """Yield the requests; one that cannot be read is left out."""
        for line in self._lines:
            told = json_object(line) or {}
            task, run = as_text(told.get(_TASK)), told.get("run")
            header = RunLogHeader.from_json(run) if isinstance(run, dict) else None
            number = told.get("line")
            if task and header:
                yield SubmittedRow(
                    task, number if isinstance(number, int) else 0, as_text(told.get("id")), header
                )

    def note(self, event: str, **facts: object) -> None:
        """Append what became of the batch, and flush it. Raises `OSError`."""
        told = {_EVENT: event, **facts}
        line = _line(told)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | _NO_LINK)
        try:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":  # a line that a killed process left
                line = b"\n" + line
            append(descriptor, line)
        finally:
            os.close(descriptor)
        self._apply(told)

    def end(self, event: str) -> None:
        """Note that it is `closed` or `dropped`, and forget the requests. Raises `OSError`."""
        events: tuple[dict[str, object], ...] = ({_EVENT: "created", "batch": self.batch}, {_EVENT: event})
        self._write(list(map(_line, events)))
        self._apply(events[-1])

    def _write(self, lines: list[bytes]) -> None:
        """Write the file anew, whole and flushed. Raises `OSError`."""
        head = _line({_MAGIC: _VERSION, **self.facts._asdict()})
        replace_file(self.path, b"".join([head, *lines]))

    def _apply(self, told: Mapping[str, Any]) -> None:
        match told.get(_EVENT):
            case "asked":
                self.is_asked = True
            case "created":
                self.batch = as_text(told.get("batch"))
                self.is_free = told.get("billed") is False
            case "dropped":
                self.is_dropped = True
            case "closed":
                self.is_closed = True
            case "collected":
                self.collected[str(told.get(_TASK))] = str(told.get("status"))
            case _:
                pass

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Lock the file; False where another process has it. Raises `OSError`."""
        with open_regular(self.path, follow=False) as file:
            yield try_lock(file.fileno())

    @contextmanager
    def claim(self) -> Iterator[SubmittedBatch | None]:
        """Lock the file, and return what it holds now; None where another process has it."""
        with self.lock() as is_ours:
            yield SubmittedBatch.read(self.path) if is_ours else None


_NEEDED = ("key", "created", "endpoint", "model", "source")


def submitted_batches(environ: Mapping[str, str]) -> list[SubmittedBatch]:
    """List every submitted batch that can be read, the oldest first."""
    found: list[SubmittedBatch] = []
    for state in state_folders(environ):
        with suppress(OSError):
            for path in sorted((state / FOLDER).glob(f"*{SUFFIX}")):
                with suppress(OSError):
                    found.extend(filter(None, [SubmittedBatch.read(path)]))
    return found
