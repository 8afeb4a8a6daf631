"""The write-ahead record of a run: every byte on disk before anybody interprets it."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.events import Event, Notice
from imgcli.core.fields import choice, json_object, name, text
from imgcli.core.request import ImageRequest
from imgcli.core.text import slug
from imgcli.store.locks import try_lock
from imgcli.store.publish import PRIVATE, Clash, create, flush, flush_folder, reason, write_all
from imgcli.store.state import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

VERSION = 1
SUFFIX = ".sse"
"""A record is a valid event stream: any reader of those can replay it."""
MAGIC = b": imgcli "
"""Begins the first line, a comment in that format, and the header's JSON follows in the same line."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Header:
    """What was asked for, so that a run can be finished without its command line. Never holds a key.

    `time` is when the run began, in ISO 8601 with its offset. `output` is `-o` as it was given, `folder` the
    one it starts from. `extra` is for whoever sends the request.
    """

    job: str
    time: str
    request: ImageRequest
    folder: str
    output: str | None = None
    clash: Clash = Clash.NUMBER
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
            choice(Clash, told.get("clash")) or Clash.NUMBER,
            extra if isinstance(extra, dict) else {},
        )


class Spool:
    """The record of one run. Never raises: a failing disk turns it off and leaves `trouble`, a sentence."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self._path: Path | None = None
        self._descriptor = -1
        self._head = 0
        self._header: Header | None = None
        self._promised = False

    @classmethod
    def begin(cls, folder: Path, header: Header) -> Self:
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

    def _open(self, folder: Path, header: Header) -> None:
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

    def _state(self, header: Header) -> None:
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
        """Leave the disk's last room to the picture: a torn record is worth less."""
        self.trouble = (
            f"This run leaves no whole record for `imgcli recover` ({reason(error)}); "
            "the picture is saved as usual."
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
