"""The write-ahead record of a run: every byte on disk before anybody interprets it."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Event, Notice
from imgcli.core.json_fields import choice, json_object, name, text
from imgcli.core.request import ImageRequest
from imgcli.core.text import slug
from imgcli.store.paths import private_folder
from imgcli.store.publish.atomic import (
    PRIVATE,
    SHARED,
    OnExists,
    create,
    flush,
    flush_folder,
    make_folder,
    reason,
    remove_folders,
    try_lock,
    write_all,
)
from imgcli.store.publish.naming import is_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


TITLE = "title"  # under this name a record tells what its file is named after, if not the prompt

_END = re.compile(rb"\n\r?\n")
_MARK = re.compile(rb"\n\r?\n: \+([0-9]{1,6}\.[0-9]{3})\n")
_LONGEST_MARK = 20
_TAIL = 2  # bytes before a chunk in which the end of an event may begin


class Recording:
    """One run's file. Once begun it never raises: a failing disk turns it off and leaves `trouble`."""

    def __init__(self, path: Path, descriptor: int, clock: Callable[[], float]) -> None:
        self.path = path
        self._header: RunLogHeader | None = None
        self.remark: str | None = None
        self.trouble: str | None = None
        self._descriptor = descriptor
        self._clock = clock
        self._began = clock()
        self._tail = b""
        self._is_stream: bool | None = None
        self._is_empty = True
        self._made: list[Path] = []

    @classmethod
    def begin(cls, path: Path, header: RunLogHeader, clock: Callable[[], float]) -> Self:
        """Make the file, under a name that is free, and its folder; raises `ImgcliError`.

        Call it before anything is sent.
        """
        free, descriptor, made = _created(path)
        recording = cls(free, descriptor, clock)
        recording._header, recording._made = header, made
        if free != path:
            recording.remark = f"{path} is there already; this run is recorded as {free}"
        recording._write(header.line())
        if recording.trouble:
            recording.close()
            raise _unwritable(path, recording.trouble)
        return recording

    def tee(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass chunks on, each after it was recorded."""
        for chunk in chunks:
            self._append(chunk)
            yield chunk

    def reporting(self, job: str, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and say once when the recording has failed.

        A request that is sent instead of the first takes its place in the recording.
        """
        is_told = False
        for event in events:
            if isinstance(event, Notice) and event.instead:
                self._restate(event.instead)
            if self.trouble and not is_told:
                is_told = True
                text = f"the recording {self.path} ends early ({self.trouble}); the image is saved as usual"
                yield Notice(job, text)
            yield event

    def close(self) -> None:
        """Leave the file; one that recorded nothing is removed."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if self._is_empty:
            self.path.unlink(missing_ok=True)
            remove_folders(self._made)

    def _restate(self, request: ImageRequest) -> None:
        """Begin anew: nothing came for the first request."""
        if self._header is None or self.trouble:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as error:
            self.trouble = reason(error)
        self._write(replace(self._header, request=request.anonymized()).line())

    def _append(self, chunk: bytes) -> None:
        """Write a chunk with the time at every end of an event; an answer that is no stream has none."""
        if self._is_stream is None and chunk.strip():
            self._is_stream = not chunk.lstrip().startswith(b"{")
        self._is_empty &= not chunk
        self._write(self._marked(chunk) if self._is_stream else chunk)

    def _marked(self, chunk: bytes) -> bytes:
        mark = b": +%.3f\n" % (self._clock() - self._began)
        held = len(self._tail)
        joined = self._tail + chunk
        self._tail = joined[-_TAIL:]
        ends = [found.end() for found in _END.finditer(joined) if found.end() > held]
        starts = [held, *ends]
        pieces = [joined[start:end] for start, end in zip(starts, [*ends, len(joined)], strict=True)]
        return mark.join(pieces)

    def _write(self, data: bytes) -> None:
        if self.trouble:
            return
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            self.trouble = reason(error)


def replayed(chunks: Iterable[bytes], wait: Callable[[float], None]) -> Iterator[bytes]:
    """Return a recording's bytes when their time has come; `wait` gets seconds from the beginning."""
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


def _created(path: Path) -> tuple[Path, int, list[Path]]:
    """Open a new file, numbered when the name is taken, in a folder that is made where there is none.

    Returns the folders that were made, too. Raises `ImgcliError`.
    """
    if not path.name or is_folder(path):
        raise usage_error(f"--record takes a file, and {path} is a folder.", "Name a file in it.")
    if str(path) == "-" or _is_special(path):
        raise usage_error(
            f"--record takes a file, and {path} is none.",
            "Name a file; a stream for other programs is --jsonl.",
        )
    made: list[Path] = []
    try:
        made = make_folder(path.parent)
        free, descriptor = _opened(path)
    except (OSError, ValueError) as error:
        remove_folders(made)
        told = reason(error) if isinstance(error, OSError) else "the name holds a NUL"
        raise _unwritable(path, told) from None
    return free, descriptor, made


def _opened(path: Path) -> tuple[Path, int]:
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with suppress(FileExistsError):
            return free, create(free, SHARED)
    raise AssertionError


def _is_special(path: Path) -> bool:
    """Return whether a name means a device or a pipe, in which a recording cannot be put right."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _unwritable(path: Path, why: str) -> ImgcliError:
    what = f"The run cannot be recorded as {path} ({why})."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice="Choose another place with --record."))


VERSION = 1
SUFFIX = ".sse"
"""A record is a valid event stream: any reader of those can replay it."""
MAGIC = b": imgcli "
"""Begins the first line, a comment in that format, and the header's JSON follows in the same line."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class RunLogHeader:
    """What was asked for, so that a run can be finished without its command line. Never holds a key.

    `time` is when the run began, in ISO 8601 with its offset. `output` is `-o` as it was given, `folder` the
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
        """Write the header as the record's first line and the blank one after it."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        told = {"version": VERSION} | known | {"request": self.request.to_json(), "extra": dict(self.extra)}
        return MAGIC + json.dumps(told).encode("ascii") + b"\n\n"

    @classmethod
    def parse(cls, line: bytes) -> Self | None:
        """Read a first line, field by field: a file can hold anything, and an odd field costs no other.

        None for what is no header of a version that we know, or has no request.
        """
        told = json_object(line.removeprefix(MAGIC)) or {}
        request = ImageRequest.from_json(told.get("request"))
        if told.get("version") != VERSION or request is None:
            return None
        extra = told.get("extra")
        return cls(
            text(told.get("job")) or "",
            text(told.get("time")) or "",
            request,
            name(told.get("folder")) or "",
            name(told.get("output")),
            choice(OnExists, told.get("clash")) or OnExists.NUMBER,
            extra if isinstance(extra, dict) else {},
        )


class RunLog:
    """The record of one run. Never raises: a failing disk turns it off and leaves `trouble`, a sentence."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self._path: Path | None = None
        self._descriptor = -1
        self._head = 0
        self._header: RunLogHeader | None = None
        self._promised = False

    @classmethod
    def begin(cls, folder: Path, header: RunLogHeader) -> Self:
        """Start a record in a folder that is made private; it is locked as long as this process lives."""
        spool = cls()
        try:
            spool._open(private_folder(folder), header)
        except OSError as error:
            spool._give_up(error)
        except BaseException:  # nothing was sent: a record would speak of money
            spool.discard()
            raise
        return spool

    def tee(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass chunks on, each only after it is in the record."""
        for chunk in chunks:
            if self._descriptor >= 0 and not self.trouble:
                self._append(chunk)
            yield chunk

    def reporting(self, job: str, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, and say once that there is trouble, if there is.

        A request that is sent instead of the first is in the record before it goes out.
        """
        told = False
        for event in events:
            if isinstance(event, Notice) and event.instead:
                self._restate(request=event.instead)
            if self.trouble and not told:
                told = True
                yield Notice(job, self.trouble)
            yield event

    @property
    def path(self) -> Path | None:
        """Where the record is, whole or not; None where there is none."""
        return self._path

    def keep(self) -> Path | None:
        """Promise that the record stays, and tell where; None if it does not hold every byte."""
        if self.trouble:
            return None
        self._promised = True
        return self._path

    def note(self, **extra: object) -> None:
        """Add to what the header has for whoever finishes the run; nothing has come yet."""
        if self._header:
            self._restate(extra={**self._header.extra, **extra})

    def sync(self) -> None:
        """Bring the record to the disk, as far as it can be brought."""
        if self._descriptor >= 0:
            with suppress(OSError):  # the bytes are still there unless the power fails
                flush(self._descriptor)

    def close(self) -> None:
        """Leave the record to `imgcli recover`: for a run that did not end well."""
        self.sync()
        self._release()

    def discard(self) -> None:
        """Remove the record, unless its keeping was promised: for a run that needs no recovery."""
        if self._path and not self._promised:
            with suppress(OSError):
                self._path.unlink()
        self._release()

    def _open(self, folder: Path, header: RunLogHeader) -> None:
        stem = f"{slug(header.time)}-{slug(header.job)}"
        while self._descriptor < 0:
            self._path = folder / f"{stem}-{os.urandom(3).hex()}{SUFFIX}"
            self._descriptor = create(self._path, PRIVATE)
            # Between the two calls another process may have taken the file for a dead run's and removed it.
            if not (try_lock(self._descriptor) and os.fstat(self._descriptor).st_nlink):
                self._release()
                self._path.unlink(missing_ok=True)
        self._state(header)
        flush_folder(folder)

    def _state(self, header: RunLogHeader) -> None:
        line = header.line()
        write_all(self._descriptor, line)
        self._head, self._header = len(line), header
        flush(self._descriptor)

    def _restate(self, **changes: Any) -> None:  # noqa: ANN401 - fields of a header
        """Begin the record anew with another header: nothing has come yet."""
        if self._header is None or self.trouble:
            return
        self._head = 0
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._state(replace(self._header, **changes))
        except OSError as error:
            self._give_up(error)

    def _append(self, chunk: bytes) -> None:
        try:
            write_all(self._descriptor, chunk)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Leave the disk's last room to the image: a torn record is worth less."""
        self.trouble = (
            f"This run leaves no whole record for `imgcli recover` ({reason(error)}); "
            "the image is saved as usual."
        )
        if self._descriptor >= 0 and error.errno in _NO_ROOM and not self._promised:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._head)
        if self._path and not self._head:
            with suppress(OSError):
                self._path.unlink()

    def _release(self) -> None:
        """Close the file, and with it the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
