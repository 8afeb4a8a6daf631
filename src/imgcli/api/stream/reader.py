"""Bytes of an answer to events, whichever wire they came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from imgcli.api.errors.server import from_code, page_title, quoted
from imgcli.api.stream import assembler
from imgcli.api.stream.assembler import ImageAssembler
from imgcli.api.stream.salvage import decode, find_images, image_texts, may_hold_image
from imgcli.api.stream.sse import BOM, RECORD_LIMIT, UntilFault, check_size, lines, records
from imgcli.api.wires import images
from imgcli.api.wires.responses import ResponsesReader
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Event, Notice
from imgcli.core.image import sniff
from imgcli.core.json_fields import as_list, as_object, as_text, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_HEAD = 4096
_COMPLETED = ("image_generation.completed", "image_edit.completed")
_DONE = "[DONE]"
_PREAMBLE = re.compile(rb"(?:[ \t\r\n]++|\xef\xbb\xbf|:[^\r\n]*+[\r\n])*+")


_UNREADABLE = "an event of the stream was no JSON object and is left out"
_TORN = Problem(ExitCode.UNKNOWN, "The answer ended in the middle of an image.", Charged.MAYBE, CHECK_USAGE)
_KIND = re.compile(r'"type"\s*:\s*"([^"]+)"')
_CALL = re.compile(
    r'"(?:item_)?id"\s*:\s*"(?:(ig_[^"]+)"|([^"]+)"\s*,\s*"type"\s*:\s*"image_generation_call")'
)
"""Names an image call, by OpenAI's prefix or by its type."""


def _ignore() -> None:
    """Nobody wants to know."""


def _read_on(_: bool) -> None:  # noqa: FBT001 - a callback
    """Wait for the end of what comes, as for a file's."""


def read_events(
    chunks: Iterable[bytes],
    job: str,
    note: Callable[[], None] = _ignore,
    linger: Callable[[bool], None] | None = _read_on,
    inputs: frozenset[str] = frozenset(),
) -> Iterator[Event]:
    """Read an answer of either API, streamed or plain, live or recorded, in chunks of any size.

    Comments before the answer are left out: a recorded run begins with one. Gives everything but `Started`
    and ends with `Completed`; raises `ImgcliError` for a bad end, and what the chunks raise, after using what
    came before it. A stream that just ends after a preview raises nothing: `core.session` has words for it.
    `note` is called for each event of the server's, whatever it means. Images may follow the server's own
    end: `linger` is called with True when that came, so that nobody waits for long, and with False when more
    has begun; with None in its place nothing is read after the end. `inputs` are the SHA-256 of
    the images that were sent, should the server repeat them.
    """
    reader = _AnswerReader(job, note, linger, inputs)
    noticed: set[str] = set()
    try:
        for event in reader.read(_body(chunks)):
            if isinstance(event, Notice):
                if event.text in noticed:
                    continue
                noticed.add(event.text)
            yield event
    except ImgcliError as error:
        error.ended = error.ended or reader.album.receipt.ended()
        raise


@dataclass
class _AnswerReader:
    """Reads one answer."""

    job: str
    note: Callable[[], None]
    linger: Callable[[bool], None] | None
    inputs: frozenset[str]
    album: ImageAssembler = field(init=False)
    responses: ResponsesReader = field(init=False)
    has_records: bool = False
    is_lingering: bool = False
    is_torn: bool = False

    def __post_init__(self) -> None:
        self.album = ImageAssembler(self.job, self.inputs)
        self.responses = ResponsesReader(self.album)

    def read(self, body: Iterator[bytes]) -> Iterator[Event]:
        """Tell JSON from a stream by the first byte, and read it to its end, whatever that is."""
        first = next(body, b"")
        head = _Head(chain([first], body))
        source = UntilFault(self._documents(head) if first.startswith((b"{", b"[")) else self._records(head))
        yield from source
        yield from self._conclude(source.fault, head.start)

    def _is_over(self) -> bool:
        """Say when the end came, and when it was none; whether nothing more is to be read."""
        if self.linger and self.album.has_ended is not self.is_lingering:
            self.is_lingering = self.album.has_ended
            self.linger(self.is_lingering)
        return self.album.has_ended and self.linger is None

    def _records(self, body: Iterable[bytes]) -> Iterator[Event]:
        """Read a stream of events."""
        for record in records(body):
            if record.data.strip() and record.data.strip() != _DONE:
                self.has_records = True
                self.note()
                yield from self._read_text(record.data, record.event, is_whole=record.whole)
                if self._is_over():
                    return

    def _documents(self, body: Iterable[bytes]) -> Iterator[Event]:
        """Read JSON that nobody framed: one answer, an array, or an event a line."""
        source = UntilFault(body)
        held: list[str] = []
        size = 0
        for line in lines(source):
            text = str(line, "utf-8", "replace")
            value = None if held else parse_json(text)
            if value is None:
                held.append(text)
                size += len(line)
                check_size(size, RECORD_LIMIT)
            else:
                self.note()
                yield from self._read_value(value, "")
                if self._is_over():
                    return
        if held:
            yield from self._read_text("\n".join(held), "", is_whole=source.fault is None)
        source.check()

    def _read_text(self, text: str, name: str, *, is_whole: bool) -> Iterator[Event]:
        """Read one value, or one a line; what is no JSON is noticed, unless it was cut at the end."""
        values = [(text, parse_json(text))]
        if values[0][1] is None and "\n" in text:
            by_line = [(line, parse_json(line)) for line in text.split("\n") if line.strip()]
            values = by_line if any(value for _, value in by_line) else values
        for told, value in values:
            if not (isinstance(value, dict) or any(isinstance(one, dict) for one in as_list(value))):
                self._leave_unread(told, is_whole=is_whole)
                if is_whole:
                    yield Notice(self.job, _UNREADABLE)
            else:
                yield from self._read_value(value, name)

    def _read_value(self, value: object, name: str) -> Iterator[Event]:
        """Read an event, or several in an array."""
        several = as_list(value) or [value]
        if not any(as_object(one).get("type") for one in several) and any(_is_entry(one) for one in several):
            several = [{"data": several}] if isinstance(value, list) else several
        for event in filter(None, map(as_object, several)):
            self.has_records = True
            self.album.taken.clear()
            kind = as_text(event.get("type")) or name
            yield from self._read_event(event, kind, name)
            if "partial" not in kind and "preview" not in kind:
                self._leave_images(event)

    def _leave_images(self, event: dict[str, Any]) -> None:
        """Remember the images of an event that nobody understood."""
        for text in image_texts(event):
            data = assembler.decode(text)
            if not any(text is taken for taken in self.album.taken) and (data is None or sniff(data)):
                self.album.leave_unread(data or text.encode())

    def _leave_unread(self, text: str, *, is_whole: bool) -> None:
        """Remember the images in what is no JSON, and the one that it was about."""
        data = text.encode()
        for image in find_images(data):
            if image.is_final:
                self.album.leave_unread(decode(data, image))
                self.is_torn |= not is_whole
        for found in _CALL.finditer(text):
            self.album.begin(found[1] or found[2], None)
        kind = _KIND.search(text)
        if kind and kind[1] in _COMPLETED:
            self.album.begin(None, self.album.completions)

    def _read_event(self, event: dict[str, Any], kind: str, name: str) -> Iterator[Event]:
        """Dispatch on the event's own type; its SSE name stands in for a missing one."""
        if kind.startswith("response."):
            yield from self.responses.read(kind, event)
        elif kind.startswith(("image_generation.", "image_edit.")):
            yield from images.read_event(kind, event, self.album)
        elif "error" in (kind, name):
            self.album.end(from_code(event, self.album.progress))
        elif event.get("object") == "response" or isinstance(event.get("output"), list):
            yield from self.responses.finish(event)
        elif event.get("error") and not kind:
            self.album.end(from_code(event, self.album.progress))
        elif isinstance(event.get("data"), list):
            yield from images.read_plain(event, self.album)

    def _conclude(self, fault: ImgcliError | None, head: bytes) -> Iterator[Event]:
        """End with `Completed`, or say why not."""
        album = self.album
        fault = fault or (ImgcliError(_TORN) if self.is_torn else None)
        if fault and fault.problem.cause is Cause.UNREADABLE_IMAGE:
            album.lose_unread(fault.problem)
        if not album.finals:
            self._explain(fault, head)
            return
        yield from album.retold()
        if (verdict := album.verdict()) is not None:
            what = f"{verdict.what} {fault.problem.what}" if fault and verdict.code is None else verdict.what
            raise ImgcliError(replace(verdict, what=what))
        if album.trouble:
            yield Notice(self.job, f"after the image arrived: {album.trouble.what}")
        if album.has_ended:
            yield album.receipt.completed()
            return
        what = "The stream ended before the server said that it was done."
        raise fault or ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.YES))

    def _explain(self, fault: ImgcliError | None, head: bytes) -> None:
        """Raise why there is no image; a stream of previews that just ends is explained elsewhere."""
        problem = self.responses.reason()
        if fault and problem and problem.cause is Cause.UNREADABLE_IMAGE:
            problem = replace(fault.problem, cause=Cause.UNREADABLE_IMAGE)
        if problem:
            raise ImgcliError(problem)
        if fault:
            raise fault
        if not self.has_records:
            raise ImgcliError(_unreadable(head))
        if head.startswith((b"{", b"[")) and not self.album.partials:
            what = f"The server's answer holds no image: {quoted(head.decode(errors='replace'))}"
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))


def _is_entry(value: object) -> bool:
    """Whether this is an image of a plain answer of the Images API."""
    return not as_object(value).keys().isdisjoint(("b64_json", "url"))


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


def _unreadable(answer: bytes) -> Problem:
    """Describe an answer that is neither a stream of events nor the JSON that was asked for."""
    head = answer.decode(errors="replace")
    title = page_title(head)
    if title is not None:
        name = f": {title}" if title else "."
        what = f"The server answered with a web page (HTML), not with an event stream{name}"
        advice = "Check --base-url (OPENAI_BASE_URL), the proxy, and whether this network wants a login."
        return Problem(ExitCode.REFUSED, what, Charged.MAYBE, advice)
    if head.startswith(("{", "[")):
        return Problem(
            ExitCode.UNKNOWN, "The server's answer is no complete JSON.", Charged.MAYBE, CHECK_USAGE
        )
    if not head.strip():
        return Problem(ExitCode.UNKNOWN, "The server's answer was empty.", Charged.MAYBE, CHECK_USAGE)
    if may_hold_image(answer, is_whole=True):
        what = "The server's answer is no event stream, and holds an image all the same."
        return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE, cause=Cause.UNREADABLE_IMAGE)
    what = f"The server's answer is no event stream: {quoted(head)}"
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE)


_WORDS = (
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.partial_image",
    "response.image_generation_call.completed",
    "response.output_item.added",
    "response.output_item.done",
    "response.in_progress",
    "response.incomplete",
    "response.cancelled",
    "response.completed",
    "image_generation.partial_image",
    "image_generation.completed",
    "image_edit.partial_image",
    "image_edit.completed",
    "partial_image_index",
    "partial_image_b64",
    "incomplete_details",
    "max_output_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "cached_tokens_details",
    "cached_image_tokens",
    "cached_text_tokens",
    "cache_write_tokens_details",
)
"""Only what is long enough to be masked; a masked code of an error costs a hint, and no image."""


def maskable(*secrets: str) -> tuple[str, ...]:
    """Leave out the secrets without whose text the answer, and the image in it, could not be read."""
    return tuple(secret for secret in secrets if not any(secret in word for word in _WORDS))
