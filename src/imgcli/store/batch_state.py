"""The state of a batch: a file beside its input that records what was sent and how each task ended.

Append-only, an object of JSON a line, each flushed before anybody relies on it: right after kill -9 at any
point. A batch continues from it, and pays for nothing twice.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.store.batch_records import (
    MAGIC,
    VERSION,
    Records,
    foreign,
    parse_state,
    read_content,
    read_line,
    shown,
)
from imgcli.store.publish import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal
    from pathlib import Path

    from imgcli.core.batch_result import TaskOutcome


SUFFIX = ".imgcli.jsonl"
"""What is added to the input's name."""

_TRIES = 3
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link is followed, no pipe waited for


class BatchState:
    """What is known of the tasks of a batch, kept in a file that no other process may use meanwhile.

    `open` it, and `close` it or use it with `with`; or `unsaved`, where there is none. Threads may share it.
    `trouble` is a sentence, set when a line about what had been sent could not be written.
    """

    def __init__(self, path: Path | None, descriptor: int, records: Records) -> None:
        self.path = path
        self.trouble: str | None = None
        self._descriptor = descriptor
        self._length = os.fstat(descriptor).st_size if path else 0
        self._records = records
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, source: str) -> Self:
        """Open the state of the batch with an input of this name, or begin one.

        Raises `ImgcliError`: usage for a file that is in use, or that is not this batch's state, unwritable
        for one that cannot be written. Whatever it holds stays, but for a last line that is cut.
        """
        descriptor = -1
        try:
            descriptor = _open_locked(path)
            records = _repaired(path, source, descriptor)
        except OSError as error:
            atomic.close_file(descriptor)
            raise ImgcliError(_unwritable(path, error)) from None
        except BaseException:
            atomic.close_file(descriptor)
            raise
        return cls(path, descriptor, records)

    @classmethod
    def unsaved(cls) -> Self:
        """Return a state that ends with this process."""
        return cls(None, -1, Records())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and with it the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        atomic.close_file(descriptor)

    @property
    def outcomes(self) -> Mapping[str, TaskOutcome]:
        """What is known of every task that was sent, by its key; it grows while other threads write."""
        return self._records.outcomes

    @property
    def spent(self) -> Decimal:
        """What all runs of this batch have cost so far; a run of unknown cost counts at its bound."""
        with self._lock:
            return self._records.spent

    @property
    def unpriced(self) -> int:
        """The number of runs whose cost is unknown, and its bound too: `spent` lacks them."""
        return len(self._records.unpriced)

    def sent(self, task: str, job: str, bound: Decimal | None) -> None:
        """Write that a request goes out now. Raises `ImgcliError` (unwritable): then it must not."""
        fields = {"job": job, "bound_usd": None if bound is None else format(bound, "f")}
        self._write(task, "sent", fields)

    def submitted(self, task: str, batch: str, bound: Decimal | None = None) -> None:
        """Write that a task is in one of OpenAI's batches; never raises for a disk that fails."""
        fields = {"batch": batch, "bound_usd": None if bound is None else format(bound, "f")}
        self._note(task, "submitted", fields)

    def held(self, task: str, job: str) -> None:
        """Write that the server did not begin, so that nothing is sent so far; likewise."""
        self._note(task, "held", {"job": job})

    def saved(
        self,
        task: str,
        job: str,
        paths: Iterable[Path],
        cost: Decimal | None = None,
        seconds: float | None = None,
    ) -> None:
        """Write that a task's images are on disk, and what they cost; likewise."""
        names = [str(path) for path in paths]
        self._note(task, "saved", {"job": job, "paths": names, **_figures(cost, seconds)})

    def failed(
        self,
        task: str,
        job: str,
        problem: Problem,
        cost: Decimal | None = None,
        seconds: float | None = None,
        paths: Iterable[Path] = (),
    ) -> None:
        """Write why a task's images are not all there, and whether that may have cost something; likewise."""
        names = {"paths": found} if (found := [str(path) for path in paths]) else {}
        fields = {
            "job": job,
            "kind": problem.kind,
            "exit_code": problem.status,
            "charged": problem.charged,
            "message": problem.what,
        }
        self._note(task, "failed", {**fields, **names, **_figures(cost, seconds)})

    def _note(self, task: str, status: str, fields: Mapping[str, Any]) -> None:
        """Write a line about what had been sent: the image is worth more than the line."""
        try:
            self._write(task, status, fields)
        except ImgcliError as error:
            self.trouble = self.trouble or error.problem.what

    def _write(self, task: str, status: str, fields: Mapping[str, Any]) -> None:
        """Append a line. Raises `ImgcliError` (unwritable), and then leaves none."""
        values = {"task": task, "status": status, **fields}
        known = read_line(json.dumps(values))
        if known is None:
            raise ValueError(values)
        with self._lock:
            try:
                if self.path:
                    self._append(values)
            except OSError as error:
                if status != "sent":  # this process knows it all the same
                    self._records.add(known)
                raise ImgcliError(_unwritable(self.path, error)) from None
            self._records.add(known)

    def _append(self, values: Mapping[str, Any]) -> None:
        """Append a line to the file, as long as that is the one that we know. Raises `OSError`."""
        info = os.fstat(self._descriptor)
        if not info.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "it was removed while the batch was running")
        if info.st_size != self._length:
            raise FileExistsError(errno.EEXIST, "another program has changed it")
        self._length += _append(self._descriptor, values)


def state_path(source: Path) -> Path:
    """Return where the state of a batch is kept: beside its input."""
    return source.with_name(source.name + SUFFIX)


def read_state(path: Path, source: str) -> Records:
    """Read the state of a batch that another process may be running, and change nothing.

    Raises `ImgcliError` (usage) as `BatchState.open` does; no file is a batch that has not begun.
    """
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFE)
        return parse_state(path, source, read_content(path, descriptor)).records
    except FileNotFoundError:
        return Records()
    except OSError as error:
        raise usage_error(f"{shown(path)} cannot be read ({atomic.reason(error)}).") from None
    finally:
        atomic.close_file(descriptor)


def _open_locked(path: Path) -> int:
    """Open and lock the file, or create it. Raises `OSError`, and `ImgcliError` where another has it."""
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | _SAFE)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.close(atomic.create(path, atomic.PRIVATE))
            continue
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise foreign(path)
        if not atomic.try_lock(descriptor):
            os.close(descriptor)
            what = f"Another imgcli is running this batch: it has locked {shown(path)}."
            raise usage_error(what, "Wait until it has finished, or stop it.")
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # somebody has removed it meanwhile
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _repaired(path: Path, source: str, descriptor: int) -> Records:
    """Read the file, and give it a header or a good end where it has none. Raises `OSError` too."""
    parsed = parse_state(path, source, read_content(path, descriptor))
    if parsed.end < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, parsed.end)
        atomic.flush(descriptor)
    if not parsed.end:
        _append(descriptor, {MAGIC: VERSION, "input": source})
        atomic.flush_folder(path.parent)
    elif not parsed.is_ended:
        os.write(descriptor, b"\n")
        atomic.flush(descriptor)
    return parsed.records


def _figures(cost: Decimal | None, seconds: float | None) -> dict[str, float | None]:
    return {
        "cost_usd": None if cost is None else float(cost),
        "seconds": None if seconds is None else round(seconds, 3),
    }


def _append(descriptor: int, values: Mapping[str, Any]) -> int:
    """Write a line, and return its length. Raises `OSError`, and then leaves none."""
    line = json.dumps(values).encode("ascii") + b"\n"
    atomic.append(descriptor, line)
    return len(line)


def _unwritable(path: Path | None, error: OSError) -> Problem:
    what = f"The state of the batch, {shown(path or '')}, cannot be written ({atomic.reason(error)})."
    return Problem(ExitCode.UNWRITABLE, what, advice="Make room or change the rights, then run it again.")
