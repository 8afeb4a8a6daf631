"""The write-ahead log of a run: every byte is on disk before it is parsed.

With timestamps, and under a name of the user's, it is what the record option keeps for a replay.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Event, Notice
from imgcli.core.json_fields import choice, json_object, name, text
from imgcli.core.option import option
from imgcli.core.request import ImageRequest
from imgcli.core.text import slug
from imgcli.dataclass import dataclass
from imgcli.regex import regex
from imgcli.store.paths import private_folder
from imgcli.store.publish import atomic
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import is_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


VERSION = 1
SUFFIX = ".sse"
"""A run log is a valid event stream: any reader of those can replay it."""
MAGIC = b": imgcli "
"""Begins the first line, a comment in that format, and the header's JSON follows in the same line."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# Keys in `extra`, which whoever finishes the run reads; they have these names for ever.
TITLE = "title"  # what the image's file is named after, if not the prompt
TIER = "tier"  # the service tier, where the answer does not tell it
BILLED = "billed"  # false where nobody is charged for the run
ENDPOINT = "endpoint"  # the server's name in the history
HISTORY = "history"  # false where the history is not to know of it
PARENTS = "parents"  # the images that went into it

_END = regex(rb"\n\r?\n")
_MARK = regex(rb"\n\r?\n: \+([0-9]{1,6}\.[0-9]{3})\n")
_LONGEST_MARK = 20
_TAIL = 2  # bytes before a chunk in which the end of an event may begin


@dataclass(frozen=True)
class RunLogHeader:
    """What was asked for, so that a run can be finished without its command line. Never holds a key.

    `time` is when the run began, in ISO 8601 with its offset. `output` is that option as given, `folder` the
    one it starts from. `extra` is for whoever sends the request.
    """

    job: str
    time: str
    request: ImageRequest
    folder: str
    output: str | None = None
    clash: OnExists = OnExists.NUMBER
    extra: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> bytes:
        """Format the header as the log's first line and the blank one after it."""
        return MAGIC + json.dumps(self.to_json()).encode("ascii") + b"\n\n"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"version": VERSION} | own | {"request": self.request.to_json(), "extra": dict(self.extra)}

    @classmethod
    def parse(cls, line: bytes) -> Self | None:
        """Parse a first line; None unless it is a header of a known version with a request."""
        return cls.from_json(json_object(line.removeprefix(MAGIC)) or {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self | None:
        """Read the JSON form, field by field: a file can hold anything, and an odd field costs no other."""
        request = ImageRequest.from_json(values.get("request"))
        if values.get("version") != VERSION or request is None:
            return None
        extra = values.get("extra")
        return cls(
            text(values.get("job")) or "",
            text(values.get("time")) or "",
            request,
            name(values.get("folder")) or "",
            name(values.get("output")),
            choice(OnExists, values.get("clash")) or OnExists.NUMBER,
            extra if isinstance(extra, dict) else {},
        )


class RunLog:
    """The log of one run. Never raises once begun: a failing disk turns it off and sets `trouble`, a message.

    `path` is where it is, whole or not, None where there is none. `remark` says that it got another name.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.path: Path | None = None
        self.trouble: str | None = None
        self.remark: str | None = None
        self._timestamps = _Timestamps(clock) if clock else None
        self._descriptor = -1
        self._header: RunLogHeader | None = None
        self._header_length = 0
        self._is_kept = False
        self._made: list[Path] = []

    @classmethod
    def begin(cls, folder: Path, header: RunLogHeader) -> Self:
        """Start a log in a folder that is made private; it is locked as long as this process lives."""
        log = cls()
        try:
            log._create(private_folder(folder), header)
            log._write_header(header)
            atomic.flush_folder(folder)
        except OSError as error:
            log._fail(error)
        except BaseException:  # nothing was sent: a log would speak of money
            log.discard()
            raise
        return log

    @classmethod
    def record(cls, path: Path, header: RunLogHeader, clock: Callable[[], float]) -> Self:
        """Start a log with timestamps in the user's file, or under the next free name; make its folder.

        Raises `ImgcliError`: call it before anything is sent. Once the first byte has come, the file stays.
        """
        log = cls(clock)
        _check_record_path(path)
        try:
            log._made = atomic.make_folder(path.parent)
            log.path, log._descriptor = _create_numbered(path)
            if log.path != path:
                log.remark = f"{path} already exists; this run is recorded as {log.path}"
            log._write_header(header)
        except (OSError, ValueError) as error:
            log.discard()
            why = atomic.reason(error) if isinstance(error, OSError) else "invalid file name"
            what = f"The run cannot be recorded as {path} ({why})."
            advice = f"Choose another place with {option('record')}."
            problem = Problem(ExitCode.UNWRITABLE, what, advice=advice, parameters=("record",))
            raise ImgcliError(problem) from None
        return log

    def tee(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass chunks on, each only after it is in the log."""
        for chunk in chunks:
            if self._descriptor >= 0 and not self.trouble:
                self._append(chunk)
            yield chunk

    def reporting(self, job: str, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, with one notice if there is trouble.

        A request that is sent instead of the first is in the log before it goes out.
        """
        is_reported = False
        for event in events:
            if isinstance(event, Notice) and event.instead:
                has_name = self._timestamps is None
                self._restart(request=event.instead if has_name else event.instead.anonymized())
            if self.trouble and not is_reported:
                is_reported = True
                yield Notice(job, self.trouble)
            yield event

    def keep(self) -> Path | None:
        """Promise that the log stays, and return its path; None if it does not hold every byte."""
        if self.trouble:
            return None
        self._is_kept = True
        return self.path

    def note(self, **extra: object) -> None:
        """Add to the header's `extra`; nothing has arrived yet."""
        if self._header:
            self._restart(extra={**self._header.extra, **extra})

    def sync(self) -> None:
        """Flush the log to the disk, as far as it can be flushed."""
        if self._descriptor >= 0:
            with suppress(OSError):  # the bytes are still there unless the power fails
                atomic.flush(self._descriptor)

    def close(self) -> None:
        """Leave the log to `imgcli recover`: for a run that did not end well."""
        self.sync()
        self._release()

    def discard(self) -> None:
        """Remove the log, unless it is kept: for a run that needs no recovery."""
        if self.path and not self._is_kept:
            with suppress(OSError):
                self.path.unlink()
        if not self._is_kept:
            atomic.remove_folders(self._made)
        self._release()

    def _create(self, folder: Path, header: RunLogHeader) -> None:
        """Create and lock a file with a name of our own."""
        stem = f"{slug(header.time)}-{slug(header.job)}"
        while self._descriptor < 0:
            self.path = folder / f"{stem}-{os.urandom(3).hex()}{SUFFIX}"
            self._descriptor = atomic.create(self.path, atomic.PRIVATE)
            # Between the two calls another process may have taken the file for a dead run's and removed it.
            if not (atomic.try_lock(self._descriptor) and os.fstat(self._descriptor).st_nlink):
                self._release()
                self.path.unlink(missing_ok=True)

    def _write_header(self, header: RunLogHeader) -> None:
        line = header.line()
        atomic.write_all(self._descriptor, line)
        self._header, self._header_length = header, len(line)
        atomic.flush(self._descriptor)

    def _restart(self, **changes: Any) -> None:  # noqa: ANN401 - fields of a header
        """Begin the log anew with another header: nothing has come yet."""
        if self._header is None or self.trouble:
            return
        self._header_length = 0
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._write_header(replace(self._header, **changes))
        except OSError as error:
            self._fail(error)

    def _append(self, chunk: bytes) -> None:
        self._is_kept |= bool(chunk and self._timestamps)
        try:
            atomic.write_all(self._descriptor, self._timestamps.add(chunk) if self._timestamps else chunk)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Leave the disk's last room to the image: a torn log is worth less."""
        kept = f"the recording {self.path} ends early"
        what = kept if self._timestamps else "no complete run log for `imgcli recover`"
        self.trouble = f"{what} ({atomic.reason(error)}); the image is saved as usual"
        if self._descriptor >= 0 and error.errno in _NO_ROOM and not self._is_kept:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._header_length)
        if self.path and not self._header_length:
            with suppress(OSError):
                self.path.unlink()

    def _release(self) -> None:
        """Close the file, and with it the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        atomic.close_file(descriptor)


class _Timestamps:
    """Comments in an event stream that hold the seconds since its beginning, one after each event."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._tail = b""
        self._is_stream: bool | None = None

    def add(self, chunk: bytes) -> bytes:
        """Return a chunk with the time at every end of an event; an answer that is not a stream gets none."""
        if self._is_stream is None and chunk.strip():
            self._is_stream = not chunk.lstrip().startswith(b"{")
        if not self._is_stream:
            return chunk
        mark = b": +%.3f\n" % (self._clock() - self._began)
        held = len(self._tail)
        joined = self._tail + chunk
        self._tail = joined[-_TAIL:]
        marked = _END.sub(lambda end: end[0] + (mark if end.end() > held else b""), joined)
        return marked[held:]


def replayed(chunks: Iterable[bytes], wait: Callable[[float], None]) -> Iterator[bytes]:
    """Yield a recording's bytes when their time has come; `wait` gets seconds from the beginning."""
    held = b""
    for chunk in chunks:
        held += chunk
        start = 0
        for found in _MARK.finditer(held):
            yield held[start : found.start()]
            wait(float(found[1]))
            yield held[found.start() : found.end()]
            start = found.end()
        # A mark, and the blank line before it that makes the event whole, may go on in the next chunk.
        rest = max(start, len(held) - _LONGEST_MARK)
        yield held[start:rest]
        held = held[rest:]
    yield held


def _check_record_path(path: Path) -> None:
    """Raise a usage error for what is not a file: a log in a device or a pipe cannot be restarted."""
    if not path.name or is_folder(path):
        what = f"{option('record')} must be a file, but {path} is a folder."
        raise usage_error(what, "Name a file in it.", about=("record",))
    is_special = False
    with suppress(OSError, ValueError):
        is_special = not stat.S_ISREG(path.stat().st_mode)
    if is_special or str(path) == "-":
        raise usage_error(
            f"{option('record')} must be a file, but {path} is not one.",
            f"Name a file; a stream for other programs is {option('jsonl')}.",
            about=("record",),
        )


def _create_numbered(path: Path) -> tuple[Path, int]:
    """Create a file, with a number in its name when the name is taken. Raises `OSError`."""
    for free in atomic.numbered_names(path.name):
        with suppress(FileExistsError):
            return path.with_name(free), atomic.create(path.with_name(free), atomic.SHARED)
    raise AssertionError
