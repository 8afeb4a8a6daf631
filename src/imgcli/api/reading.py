"""Bytes of an answer to events, whichever wire they came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from imgcli.api import images
from imgcli.api.album import Album
from imgcli.api.fields import as_text, parse_object
from imgcli.api.problems import from_code, page_title, quoted
from imgcli.api.responses import ResponsesReader
from imgcli.api.sse import BOM, RECORD_LIMIT, Record, UntilFault, check_size, records
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, Event, Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_HEAD = 4096
_DONE = "[DONE]"
_PREAMBLE = re.compile(rb"(?:[ \t\r\n]++|\xef\xbb\xbf|:[^\r\n]*+[\r\n])*+")


def _ignore() -> None:
    """Nobody wants to know."""


def read_events(chunks: Iterable[bytes], job: str, note: Callable[[], None] = _ignore) -> Iterator[Event]:
    """Read an answer of either API, streamed or plain, live or recorded, in chunks of any size.

    Comments before the answer are left out: a recorded run begins with one. Gives everything but `Started`
    and ends with `Completed`; raises `ImgcliError` for a bad end, and what the chunks raise, after using what
    came before it. A stream that just ends after a preview raises nothing: `core.session` has words for it.
    `note` is called for each event of the server's, whatever it means.
    """
    reader = _Reader(job, note)
    noticed: set[str] = set()
    try:
        for event in reader.read(_body(chunks)):
            if isinstance(event, Notice):
                if event.text in noticed:
                    continue
                noticed.add(event.text)
            yield event
            if isinstance(event, Completed):
                return
    except ImgcliError as error:
        error.ended = error.ended or reader.album.receipt.ended()
        raise


@dataclass
class _Reader:
    """Reads one answer."""

    job: str
    note: Callable[[], None] = _ignore
    album: Album = field(init=False)
    responses: ResponsesReader = field(init=False)
    has_records: bool = False

    def __post_init__(self) -> None:
        self.album = Album(self.job)
        self.responses = ResponsesReader(self.album)

    def read(self, body: Iterator[bytes]) -> Iterator[Event]:
        """Tell JSON from a stream by the first byte, and read it."""
        first = next(body, b"")
        whole = chain([first], body)
        if first.startswith(b"{"):
            yield from self._read_json(whole)
        else:
            head = _Head(whole)
            for record in records(head):
                yield from self._read_record(record)
            yield from self._check_end(head.start)

    def _read_json(self, body: Iterator[bytes]) -> Iterator[Event]:
        """Read an answer that was not streamed."""
        source = UntilFault(body)
        text = _joined(source).decode(errors="replace")
        answer = parse_object(text)
        if answer is None:
            source.check()
            raise ImgcliError(_unreadable(text))
        yield from self._read_event(answer, "")
        what = f"The server's answer holds no picture: {quoted(text)}"
        raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))

    def _read_record(self, record: Record) -> Iterator[Event]:
        """Read one record of a stream; what is no JSON object is noticed, unless it was cut at the end."""
        if not record.data.strip() or record.data.strip() == _DONE:
            return
        event = parse_object(record.data)
        self.has_records = True
        self.note()
        if event is not None:
            yield from self._read_event(event, record.event)
        elif record.whole:
            yield Notice(self.job, "an event of the stream was no JSON object and is left out")

    def _read_event(self, event: dict[str, Any], name: str) -> Iterator[Event]:
        """Dispatch on the event's own type; its SSE name stands in for a missing one."""
        kind = as_text(event.get("type")) or name
        if kind.startswith("response."):
            yield from self.responses.read(kind, event)
        elif kind.startswith(("image_generation.", "image_edit.")):
            yield from images.read(kind, event, self.album)
        elif "error" in (kind, name):
            raise ImgcliError(from_code(event, self.album.progress))
        elif event.get("object") == "response" or isinstance(event.get("output"), list):
            yield from self.responses.finish(event)
        elif event.get("error") and not kind:
            raise ImgcliError(from_code(event, self.album.progress))
        elif isinstance(event.get("data"), list):
            yield from images.read_plain(event, self.album)

    def _check_end(self, head: bytes) -> Iterator[Event]:
        """Explain an answer that ended without `Completed`."""
        if not self.has_records:
            raise ImgcliError(_unreadable(head.decode(errors="replace")))
        yield from self.album.settle()
        self.responses.check()
        if self.album.finals:
            what = "The stream ended before the server said that it was done."
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.YES))


@dataclass
class _Head:
    """Chunks, of which the first few kilobytes are kept for a message."""

    chunks: Iterable[bytes]
    start: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if len(self.start) < _HEAD:
                self.start += chunk[: _HEAD - len(self.start)]
            yield chunk


def _body(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out what may stand before an answer: a byte order mark, blank lines, comments."""
    iterator = iter(chunks)
    held = b""
    for chunk in iterator:
        rest = _PREAMBLE.sub(b"", held + chunk, count=1)
        if rest.startswith(b":"):
            held = b":"  # the comment goes on in the next chunk, and holds nothing that matters
        elif BOM.startswith(rest):
            held = rest
        else:
            yield rest
            break
    yield from iterator


def _joined(chunks: Iterable[bytes]) -> bytes:
    """Read a body to its end."""
    parts, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        check_size(size, RECORD_LIMIT)
        parts.append(chunk)
    return b"".join(parts)


def _unreadable(head: str) -> Problem:
    """Describe an answer that is neither a stream of events nor the JSON that was asked for."""
    title = page_title(head)
    if title is not None:
        name = f": {title}" if title else "."
        what = f"The server answered with a web page (HTML), not with an event stream{name}"
        advice = "Check --base-url (OPENAI_BASE_URL), the proxy, and whether this network wants a login."
        return Problem(ExitCode.REFUSED, what, Charged.MAYBE, advice)
    if head.startswith("{"):
        return Problem(
            ExitCode.UNKNOWN, "The server's answer is no complete JSON.", Charged.MAYBE, CHECK_USAGE
        )
    if not head.strip():
        return Problem(ExitCode.UNKNOWN, "The server's answer was empty.", Charged.MAYBE, CHECK_USAGE)
    what = f"The server's answer is no event stream: {quoted(head)}"
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE)
