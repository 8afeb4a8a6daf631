"""A run kept for replay: the raw stream as it came, and in comments between its events when that was.

The file is a valid event stream: a header line as the spool has it, then the server's bytes, and after each
event a comment such as `: +1.234`, the seconds from the beginning to that event's last byte.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Self

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.events import Event, Notice
from imgcli.store.naming import is_folder
from imgcli.store.publish import SHARED, create, reason, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from imgcli.core.request import ImageRequest
    from imgcli.store.spool import Header

_END = re.compile(rb"\n\r?\n")
_MARK = re.compile(rb"\n\r?\n: \+([0-9]{1,6}\.[0-9]{3})\n")
_LONGEST_MARK = 20
_TAIL = 2
"""Bytes before a chunk in which the end of an event may begin."""


class Recording:
    """One run's file. Once begun it never raises: a failing disk turns it off and leaves `trouble`."""

    def __init__(self, path: Path, descriptor: int, clock: Callable[[], float]) -> None:
        self.path = path
        self._header: Header | None = None
        self.remark: str | None = None
        self.trouble: str | None = None
        self._descriptor = descriptor
        self._clock = clock
        self._began = clock()
        self._tail = b""
        self._is_stream: bool | None = None
        self._is_empty = True

    @classmethod
    def begin(cls, path: Path, header: Header, clock: Callable[[], float]) -> Self:
        """Make the file, under a name that is free, before anything is sent; raises `ImgcliError`."""
        free, descriptor = _created(path)
        recording = cls(free, descriptor, clock)
        recording._header = header
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
                text = f"the recording {self.path} ends early ({self.trouble}); the picture is saved as usual"
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

    def _restate(self, request: ImageRequest) -> None:
        """Begin anew: nothing came for the first request."""
        if self._header is None or self.trouble:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as error:
            self.trouble = reason(error)
        self._write(replace(self._header, request=request.nameless()).line())

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
    """Give a recording's bytes when their time has come; `wait` is called with seconds from the beginning."""
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


def _created(path: Path) -> tuple[Path, int]:
    """Open a new file, numbered when the name is taken; raises `ImgcliError`."""
    if not path.name or is_folder(path):
        raise usage_error(f"--record takes a file, and {path} is a folder.", "Name a file in it.")
    if str(path) == "-" or _is_special(path):
        raise usage_error(
            f"--record takes a file, and {path} is none.",
            "Name a file; a stream for other programs is --jsonl.",
        )
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            return free, create(free, SHARED)
        except FileExistsError:
            continue
        except (OSError, ValueError) as error:
            told = reason(error) if isinstance(error, OSError) else "the name holds a NUL"
            raise _unwritable(path, told) from None
    raise AssertionError


def _is_special(path: Path) -> bool:
    """Tell whether a name means a device or a pipe, in which a recording cannot be put right."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _unwritable(path: Path, why: str) -> ImgcliError:
    what = f"The run cannot be recorded as {path} ({why})."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice="Choose another place with --record."))
