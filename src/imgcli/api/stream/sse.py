"""Server-sent events: splits bytes into records by the WHATWG's rules, as soon as they are complete."""

from __future__ import annotations

from dataclasses import field
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


RECORD_LIMIT = 80_000_000
"""Bytes that one record may hold: a 4K image in base64 is half of it, and reading one takes four times its
size in memory."""

BOM = b"\xef\xbb\xbf"
RESUMED = b": imgcli resumed"
"""A comment of ours: the connection broke here. The event that it cut comes again, whole, after this."""
RESUMPTION = b"\n%b\n\n" % RESUMED
_MANY_PIECES = 65_536
_LARGE = 1_000_000  # bytes of a line from which copying it once more matters


class SseRecord(NamedTuple):
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
class _Pieces:
    """The pieces of a line or a record that is not whole yet."""

    limit: int
    separator: bytes = b""
    pieces: list[bytes | memoryview] = field(default_factory=list)
    size: int = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Keep one more; very many small ones are joined, for each costs many times its size."""
        self.size += len(piece) + len(self.separator)
        check_size(self.size, self.limit)
        self.pieces.append(piece)
        if len(self.pieces) > _MANY_PIECES:
            self.pieces = [self.separator.join(self.pieces)]

    def take(self) -> bytes | memoryview:
        """Return them joined, and start anew."""
        pieces, self.pieces, self.size = self.pieces, [], 0
        return pieces[0] if len(pieces) == 1 else self.separator.join(pieces)


class _RecordBuffer:
    """The record that is being read."""

    def __init__(self, limit: int) -> None:
        self._event = b""
        self._data = _Pieces(limit, b"\n")

    def add(self, line: bytes) -> None:
        """Add one line that is not blank."""
        if line.startswith(b"data:"):
            start = 6 if line[5:6] == b" " else 5
            self._data.add(memoryview(line)[start:] if len(line) > _LARGE else line[start:])
        elif line.startswith(b"event:"):
            self._event = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._data.add(b"")
        elif self._data.pieces and b'"' in line and not line.startswith((b":", b"id:", b"retry:")):
            self._data.add(line)  # no field has such a name: a string of the data had a line break in it

    def take(self, *, whole: bool) -> Iterator[SseRecord]:
        """Yield the record, if there is one, and begin the next."""
        event, self._event = self._event.decode(errors="replace"), b""
        if self._data.pieces:
            yield SseRecord(event, str(self._data.take(), "utf-8", "replace"), whole)


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
    """Cut chunks into lines; a line end may be cut as well, between CR and LF."""
    held, after_cr = _Pieces(limit), False
    for chunk in chunks:
        text = chunk[1:] if after_cr and chunk.startswith(b"\n") else chunk
        after_cr = chunk.endswith(b"\r") if chunk else after_cr
        if text and b"\n" not in text and b"\r" not in text:  # the middle of an image, as most chunks are
            held.add(text)
            continue
        pieces = text.splitlines()  # of bytes: at LF, CR and CRLF alone
        rest = pieces.pop() if pieces and not text.endswith((b"\n", b"\r")) else b""
        for piece in pieces:
            held.add(piece)
            yield bytes(held.take())
        if rest:
            held.add(rest)
    if held.pieces:
        yield bytes(held.take())
