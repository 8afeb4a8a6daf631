"""Server-sent events: bytes in any chunks to records, by the WHATWG's rules, as soon as they are whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


RECORD_LIMIT = 80_000_000
"""Bytes that one record may hold: a 4K image in base64 is half of it, and reading one takes four times its
size in memory."""

BOM = b"\xef\xbb\xbf"
RESUMED = b": imgcli resumed"
"""A comment of ours: the connection broke here. The event that it cut comes again, whole, after this."""
RESUMPTION = b"\n%b\n\n" % RESUMED
_MANY_PARTS = 65_536
_LARGE = 1_000_000  # bytes of a line from which copying it once more matters


@dataclass(frozen=True, slots=True)
class SseRecord:
    """One event as it was framed: its name, "" for none, and its data with bad UTF-8 replaced.

    `whole` is False for a last record whose blank line never came: it may be cut. `is_resumption` marks
    where a broken connection was taken up again, with nothing else in it.
    """

    event: str
    data: str
    whole: bool = True
    is_resumption: bool = False


T = TypeVar("T")


@dataclass
class UntilError(Generic[T]):
    """Items up to the first error, which is kept: what came before it is used first."""

    items: Iterable[T]
    fault: ImgcliError | None = None

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self.items
        except ImgcliError as error:
            self.fault = error

    def check(self) -> None:
        """Raise the fault that was kept."""
        if self.fault:
            raise self.fault


def records(chunks: Iterable[bytes], limit: int = RECORD_LIMIT) -> Iterator[SseRecord]:
    """Read records, each as soon as its blank line came; at the end also one that lacks it.

    Lines end with LF, CR or CRLF (https://html.spec.whatwg.org/multipage/server-sent-events.html). What holds
    no data (comments, `retry:`, `id:`, a lone `event:`) yields nothing. A fault of the chunks is raised after
    the last record. Raises `ImgcliError` for a record or a line of more than `limit` bytes.
    """
    source = UntilError(chunks)
    buffer = _RecordBuffer(limit)
    for line in lines(source, limit):
        if line == RESUMED:
            buffer = _RecordBuffer(limit)
            yield SseRecord("", "", is_resumption=True)
        elif line:
            buffer.add(line)
        else:
            yield from buffer.take(whole=True)
    yield from buffer.take(whole=False)
    source.check()


@dataclass
class _RecordBuffer:
    """The record that is being read."""

    limit: int
    event: bytes = b""
    data: list[bytes | memoryview] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes) -> None:
        """Add one line that is not blank."""
        if line.startswith(b"data:"):
            start = 6 if line[5:6] == b" " else 5
            self._add_data(memoryview(line)[start:] if len(line) > _LARGE else line[start:])
        elif line.startswith(b"event:"):
            self.event = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._add_data(b"")
        elif self.data and b'"' in line and not line.startswith((b":", b"id:", b"retry:")):
            self._add_data(line)  # no field has such a name: a string of the data had a line break in it

    def _add_data(self, value: bytes | memoryview) -> None:
        self.size += len(value) + 1
        check_size(self.size, self.limit)
        self.data.append(value)
        if len(self.data) > _MANY_PARTS:
            self.data = [b"\n".join(self.data)]

    def take(self, *, whole: bool) -> Iterator[SseRecord]:
        """Return the record, if there is one, and begin the next."""
        event, data, self.event, self.data, self.size = self.event, self.data, b"", [], 0
        if data:
            text = str(data.pop() if len(data) == 1 else b"\n".join(data), "utf-8", "replace")
            data.clear()
            yield SseRecord(event.decode(errors="replace"), text, whole)


def check_size(size: int, limit: int) -> None:
    """Raise `ImgcliError` for more than `limit` bytes, which are not held in memory."""
    if size > limit:
        what = f"The server sent more than {limit // 1_000_000} MB in one piece, which no image needs."
        raise ImgcliError(
            Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE, cause=Cause.UNREADABLE_IMAGE)
        )


def lines(chunks: Iterable[bytes], limit: int = RECORD_LIMIT) -> Iterator[bytes]:
    """Cut chunks into lines without their ends, leaving out the byte order mark at the start."""
    raw = _raw_lines(chunks, limit)
    yield from (line.removeprefix(BOM) for line in islice(raw, 1))
    yield from raw


def _raw_lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Cut chunks into lines; every byte is looked at once."""
    held = _LineBuffer(limit)
    after_cr = False
    for chunk in chunks:
        start = 1 if after_cr and chunk.startswith(b"\n") else 0
        after_cr = chunk.endswith(b"\r") if chunk else after_cr
        for end, following in _breaks(chunk, start):
            yield held.completed_by(chunk[start:end])
            start = following
        held.add(chunk[start:])
    if held.parts:
        yield held.completed_by(b"")


@dataclass
class _LineBuffer:
    """The beginning of a line whose end has not come."""

    limit: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, part: bytes) -> None:
        """Keep one more part; very many small ones are joined, for each costs many times its size."""
        if not part:
            return
        self.size += len(part)
        check_size(self.size, self.limit)
        self.parts.append(part)
        if len(self.parts) > _MANY_PARTS:
            self.parts = [b"".join(self.parts)]

    def completed_by(self, end: bytes) -> bytes:
        """Return the whole line, and start anew."""
        if not self.parts:
            check_size(len(end), self.limit)
            return end
        self.add(end)
        line = b"".join(self.parts)
        self.parts, self.size = [], 0
        return line


def _breaks(chunk: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield where each line ends and where the next one begins."""
    lf, cr = chunk.find(b"\n", start), chunk.find(b"\r", start)
    while lf >= 0 or cr >= 0:
        if cr < 0 or 0 <= lf < cr:
            yield lf, lf + 1
            lf = chunk.find(b"\n", lf + 1)
        elif lf == cr + 1:
            yield cr, cr + 2
            lf, cr = chunk.find(b"\n", lf + 1), chunk.find(b"\r", cr + 1)
        else:
            yield cr, cr + 1
            cr = chunk.find(b"\r", cr + 1)
