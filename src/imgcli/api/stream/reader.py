"""Reads the bytes of an answer as events, for every API."""

from __future__ import annotations

import json
from binascii import b2a_base64
from dataclasses import field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imgcli.api.errors.server import from_code, page_title, quoted
from imgcli.api.errors.table import TEXT_MODEL
from imgcli.api.stream.assembler import ImageAssembler, decode_base64
from imgcli.api.stream.link import LinkError
from imgcli.api.stream.salvage import decode, find_images, image_texts, may_hold_image
from imgcli.api.stream.sse import BOM, RECORD_LIMIT, UntilError, check_size, lines, records
from imgcli.api.wires import WIRES
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Event, Notice
from imgcli.core.image import sniff
from imgcli.core.json_fields import as_index, as_list, as_object, as_text, parse_json
from imgcli.core.option import option
from imgcli.core.pipeline import each_notice_once
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imgcli.api.stream.link import LinkSource


_HEAD = 4096
_COMPLETED = ("image_generation.completed", "image_edit.completed")
_DONE = "[DONE]"
_LINKED = "imgcli.linked_image"
"""The type of an event of our own: an image that the answer only links to, with its link."""
_MANY_LINKS = 16
_CLOSING, _MANY_CLOSINGS = (b"}", b"]"), 32
"""How the last line of JSON in several lines begins, and how many such lines are taken for the last."""
_PREAMBLE = regex(rb"(?:[ \t\r\n]++|\xef\xbb\xbf|:[^\r\n]*+[\r\n])*+")


_RESUMED = "the connection broke; the server goes on, and its answer is taken up where it broke off"
_LARGEST_NUMBER = 1 << 53
_UNREADABLE = "an event of the stream was not a JSON object and was skipped"
_CUT_OFF = Problem(
    ExitCode.UNKNOWN, "The answer ended in the middle of an image.", Charged.MAYBE, CHECK_USAGE
)
_KIND = regex(r'"type"\s*:\s*"([^"]+)"')
_CALL = regex(r'"(?:item_)?id"\s*:\s*"(?:(ig_[^"]+)"|([^"]+)"\s*,\s*"type"\s*:\s*"image_generation_call")')
"""Names an image call, by OpenAI's prefix or by its type."""


@dataclass
class StreamPosition:
    """How far an answer was read: its name, and the number of its last whole event, None where unknown.

    It is up to date whenever the next chunk is asked for. `is_over` is set once the server's end was read.
    """

    response_id: str | None = None
    sequence: int | None = None
    is_over: bool = False

    @property
    def is_pending(self) -> bool:
        """Whether the answer has a name by which its rest can be asked for."""
        return self.response_id is not None and not self.is_over


def _ignore() -> None:
    """Ignore an event."""


def _read_on(_: bool) -> None:  # noqa: FBT001 - a callback
    """Wait for the end of what comes, as for a file's."""


def read_events(  # noqa: PLR0913 - each has a default that serves
    chunks: Iterable[bytes],
    job: str,
    note: Callable[[], None] = _ignore,
    note_end: Callable[[bool], None] | None = _read_on,
    inputs: frozenset[str] = frozenset(),
    links: LinkSource | None = None,
    *,
    position: StreamPosition | None = None,
) -> Iterator[Event]:
    """Read an answer of either API, streamed or plain, live or recorded, in chunks of any size.

    Comments before the answer are left out: a recorded run begins with one. Yields everything but `Started`
    and ends with `Completed`; raises `ImgcliError` for a bad end, and what the chunks raise, after using what
    came before it. A stream that just ends after a preview raises nothing: `core.pipeline` reports it.
    `note` is called for each event of the server's, whatever it means. Images may follow the server's own
    end: `note_end` is called with True when that came, so that no wait is long, and with False when more
    has begun; with None in its place nothing is read after the end. `inputs` are the SHA-256 of
    the images that were sent, should the server repeat them. Without `links` no linked image is fetched.
    `position` follows what is read.
    """
    reader = _AnswerReader(job, note, note_end, inputs, links, position or StreamPosition())
    try:
        yield from each_notice_once(reader.read(_body(chunks)))
    except ImgcliError as error:
        error.ended = error.ended or reader.assembler.metadata.ended()
        raise


@dataclass
class _AnswerReader:
    """Reader of one answer."""

    job: str
    note: Callable[[], None]
    note_end: Callable[[bool], None] | None
    inputs: frozenset[str]
    links: LinkSource | None
    position: StreamPosition
    assembler: ImageAssembler = field(init=False)
    resumed_after: int | None = None
    has_records: bool = False
    has_noted_end: bool = False
    is_cut_off: bool = False

    def __post_init__(self) -> None:
        self.assembler = ImageAssembler(self.job, self.inputs)

    def read(self, body: Iterator[bytes]) -> Iterator[Event]:
        """Read JSON or a stream, told apart by the first byte, to its end."""
        first = next(body, b"")
        head = _Head(chain([first], body))
        is_json = first.startswith((b"{", b"["))
        source = UntilError(self._documents(head) if is_json else self._records(head))
        yield from source
        if self.links:
            yield from self._fetch_linked(self.links, "\n{}\n" if is_json else "\n\ndata: {}\n\n")
        yield from self._finish(source.fault, head.start)

    def _is_over(self) -> bool:
        """Return whether to stop reading; pass on that the end came, or that it was none."""
        self.position.is_over = self.assembler.has_ended
        if self.note_end and self.assembler.has_ended is not self.has_noted_end:
            self.has_noted_end = self.assembler.has_ended
            self.note_end(self.has_noted_end)
        return self.assembler.has_ended and self.note_end is None

    def _fetch_linked(self, links: LinkSource, frame: str) -> Iterator[Event]:
        """Fetch the images that the answer only links to, and read each as if it had been a part of it."""
        for link in self.assembler.missing_links[:_MANY_LINKS]:
            yield Notice(self.job, f"the server sent a link; fetching the image from {_host(link)}")
            try:
                text = b2a_base64(links.fetch(link), newline=False).decode()
            except LinkError as error:
                self.assembler.note_broken_link(link, error.reason)
                continue
            event = {"type": _LINKED, "url": link, "b64_json": text}
            links.record(frame.format(json.dumps(event)).encode())
            yield from self._read_value(event, "")

    def _records(self, body: Iterable[bytes]) -> Iterator[Event]:
        """Read a stream of events."""
        for record in records(body):
            if record.is_resumption:
                self.resumed_after = self.position.sequence
                yield Notice(self.job, _RESUMED)
            elif record.data.strip() and record.data.strip() != _DONE:
                self.has_records = True
                self.note()
                yield from self._read_text(record.data, record.event, is_whole=record.whole)
                if self._is_over():
                    return

    def _documents(self, body: Iterable[bytes]) -> Iterator[Event]:
        """Read JSON that is not framed as events: one answer, an array, or an event per line."""
        source = UntilError(body)
        held: list[str] = []
        size = closings = 0
        for line in lines(source):
            if not held and not line.strip():
                continue
            held.append(str(line, "utf-8", "replace"))
            size += len(line)
            check_size(size, RECORD_LIMIT)
            closings += line.startswith(_CLOSING)
            may_end = len(held) == 1 or (line.startswith(_CLOSING) and closings <= _MANY_CLOSINGS)
            value = parse_json("\n".join(held)) if may_end else None
            if value is not None:
                held, size, closings = [], 0, 0
                self.note()
                yield from self._read_value(value, "")
                if self._is_over():
                    return
        if held:
            yield from self._read_text("\n".join(held), "", is_whole=source.fault is None)
        source.check()

    def _read_text(self, text: str, name: str, *, is_whole: bool) -> Iterator[Event]:
        """Read one value, or one per line; what is not JSON brings a notice, unless it was cut at the end."""
        values = [(text, parse_json(text))]
        if values[0][1] is None and "\n" in text:
            by_line = [(line, parse_json(line)) for line in text.split("\n") if line.strip()]
            values = by_line if any(value for _, value in by_line) else values
        for told, value in values:
            if not (isinstance(value, dict) or any(isinstance(one, dict) for one in as_list(value))):
                self._note_unreadable_text(told, is_whole=is_whole)
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
            number = as_index(event.get("sequence_number"), _LARGEST_NUMBER)
            if number is not None and self.resumed_after is not None and number <= self.resumed_after:
                continue  # it came before the connection broke
            self.has_records = True
            self.assembler.consumed.clear()
            kind = as_text(event.get("type")) or name
            yield from self._read_event(event, kind, name)
            if "partial" not in kind and "preview" not in kind:
                self._note_unread_images(event)
            self.position.response_id = self.assembler.metadata.response_id
            self.position.sequence = self.position.sequence if number is None else number

    def _note_unread_images(self, event: dict[str, Any]) -> None:
        """Remember the images of an event that could not be understood."""
        for text in image_texts(event):
            if any(text is consumed for consumed in self.assembler.consumed):
                continue  # decoding it once more would take as long as everything else here
            data = decode_base64(text)
            if data is None or sniff(data):
                self.assembler.keep_unreadable(data or text.encode())

    def _note_unreadable_text(self, text: str, *, is_whole: bool) -> None:
        """Remember the images in text that is not JSON, and the one that it was about."""
        data = text.encode()
        for image in find_images(data):
            if image.is_final:
                self.assembler.keep_unreadable(decode(data, image))
                self.is_cut_off |= not is_whole
        for found in _CALL.finditer(text):
            self.assembler.begin(found[1] or found[2], None)
        kind = _KIND.search(text)
        if kind and kind[1] in _COMPLETED:
            self.assembler.begin(None, self.assembler.completions)

    def _read_event(self, event: dict[str, Any], kind: str, name: str) -> Iterator[Event]:
        """Read an event with the API that has such events; its SSE name is `kind` where it has no type."""
        if kind == _LINKED:
            yield from self.assembler.linked(as_text(event.get("url")), event.get("b64_json"))
            return
        wire = next((wire for wire in WIRES.values() if wire.is_event(kind, event)), None)
        if wire:
            yield from wire.read(kind, event, self.assembler)
        elif "error" in (kind, name) or (event.get("error") and not kind):
            self.assembler.end(from_code(event, self.assembler.progress))

    def _finish(self, fault: ImgcliError | None, head: bytes) -> Iterator[Event]:
        """Yield `Completed`, or raise why not."""
        assembler = self.assembler
        fault = fault or (ImgcliError(_CUT_OFF) if self.is_cut_off else None)
        if fault and fault.problem.cause is Cause.UNREADABLE_IMAGE:
            assembler.note_unreadable(fault.problem)
        if not assembler.finals:
            self._raise_reason(fault, head)
            return
        yield from assembler.failed_tries()
        if (missing_problem := assembler.missing_problem()) is not None:
            what = (
                f"{missing_problem.what} {fault.problem.what}"
                if fault and missing_problem.code is None
                else missing_problem.what
            )
            raise ImgcliError(replace(missing_problem, what=what))
        if assembler.server_problem:
            yield Notice(self.job, f"after the image arrived: {assembler.server_problem.what}")
        if assembler.has_ended:
            yield assembler.metadata.completed()
            return
        what = "The stream ended before the server completed it."
        raise fault or ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.YES))

    def _find_reason(self) -> Problem | None:
        """Find why no image arrived; None where neither the images nor the server's text say why."""
        assembler = self.assembler
        if problem := _more_telling(assembler.missing_problem(), assembler.server_problem):
            return problem
        if assembler.words:
            lead = "The model declined" if assembler.is_refusal else "The model sent text instead of an image"
            what = f"{lead}: {quoted(' '.join(assembler.words))}"
            charged = Charged.YES if assembler.metadata.has_usage else Charged.MAYBE
            again = f"imgcli gen ... {option('model', TEXT_MODEL)}"
            advice = f"Rephrase the prompt, or choose another model: {again}"
            return Problem(ExitCode.REFUSED, what, charged, advice)
        if assembler.has_ended:
            what = "The response was completed without an image."
            charged = Charged.YES if assembler.metadata.has_image_tokens else Charged.MAYBE
            return Problem(
                ExitCode.UNKNOWN, what, charged, f"{CHECK_USAGE} Or try another {option('model')}."
            )
        return None

    def _raise_reason(self, fault: ImgcliError | None, head: bytes) -> None:
        """Raise why there is no image; a stream of previews that just ends is explained elsewhere."""
        problem = self._find_reason()
        if fault and problem and problem.cause is Cause.UNREADABLE_IMAGE:
            problem = replace(fault.problem, cause=Cause.UNREADABLE_IMAGE)
        if problem:
            raise ImgcliError(problem)
        if fault:
            raise fault
        if not self.has_records:
            raise ImgcliError(_unreadable(head))
        if head.startswith((b"{", b"[")) and not self.assembler.partials:
            what = f"The server's answer contains no image: {quoted(head.decode(errors='replace'))}"
            raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))


def _more_telling(image: Problem | None, response: Problem | None) -> Problem | None:
    """Choose the problem that says more: an image's own, unless it gives no reason, or the response's."""
    is_vague = (
        image is not None
        and image.exit_code is ExitCode.UNKNOWN
        and image.code is None
        and image.cause is None
    )
    return response or image if is_vague else image or response


def _host(link: str) -> str:
    """Return a link's host for a message."""
    return quoted(urlsplit(link).netloc.rpartition("@")[2])


def _is_entry(value: object) -> bool:
    """Return whether this is an image of a plain answer of the Images API."""
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
        address = f"{option('base-url')} (OPENAI_BASE_URL)"
        advice = f"Check {address}, the proxy, and whether this network requires a login."
        return Problem(ExitCode.REFUSED, what, Charged.MAYBE, advice)
    if head.startswith(("{", "[")):
        return Problem(
            ExitCode.UNKNOWN, "The server's answer is incomplete JSON.", Charged.MAYBE, CHECK_USAGE
        )
    if not head.strip():
        return Problem(ExitCode.UNKNOWN, "The server's answer was empty.", Charged.MAYBE, CHECK_USAGE)
    if may_hold_image(answer, is_whole=True):
        what = "The server's answer is not an event stream, but contains an image."
        return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE, cause=Cause.UNREADABLE_IMAGE)
    what = f"The server's answer is not an event stream: {quoted(head)}"
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE)
