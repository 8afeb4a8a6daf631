"""Assembles the images of one answer: tells them apart, spots repeats, notices what is missing."""

from __future__ import annotations

import binascii
from dataclasses import field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from imgcli.api.errors.table import Progress
from imgcli.api.stream.link import is_link, linked_problem
from imgcli.core.billing.token_counts import sum_svg_usage
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, Problem
from imgcli.core.events import Completed, Event, FinalImage, Notice, PartialImage
from imgcli.core.image import EncodedImage
from imgcli.core.json_fields import as_index, as_list, as_object, as_text
from imgcli.core.messages import RUN_LOG_KEPT
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_DATA_URI = regex(r"\s*data:[^,]{0,100},")
_URL_SAFE = str.maketrans("-_", "+/")


def decode_base64(text: str) -> bytes | None:
    """Decode base64 to bytes; None when that cannot be done without guessing.

    Strictly first (RFC 4648 section 4). Then once leniently: a data URI's head, white space, the URL-safe
    letters and missing padding are forgiven. Python's own lenient decoder drops what it does not know: it is
    never used.
    """
    data = _strict(text)
    return data if data is not None else _strict(_repaired(text))


def decode_beginning(text: bytes) -> bytes:
    """Decode base64 without padding that may be cut anywhere, as far as its last whole byte."""
    body = text[:-1] if len(text) % 4 == 1 else text
    padded = body + b"=" * (-len(body) % 4) if len(body) % 4 else body
    data = _strict(padded)
    return data if data is not None else decode_base64(padded.decode("ascii", "replace")) or b""


def _strict(text: str | bytes) -> bytes | None:
    from pybase64 import b64decode  # thirty times as fast as `binascii`, and threads wait for each other here

    try:
        return b64decode(text, validate=True) or None
    except ValueError:
        pass
    try:
        return binascii.a2b_base64(text, strict_mode=True) or None  # takes bits that stand for no byte
    except ValueError:
        return None


def _repaired(text: str) -> str:
    """Undo what is known to be done to base64 on its way."""
    body = "".join(_DATA_URI.sub("", text, count=1).split()).translate(_URL_SAFE).rstrip("=")
    return body + "=" * (-len(body) % 4)


_FIELDS = ("id", "model", "tools", "service_tier", "usage", "tool_usage")


@dataclass
class ResponseMetadata:
    """The facts of a response, gathered from several events, for whichever end the run takes."""

    job: str
    _fields: dict[str, Any] = field(default_factory=dict)
    _svgs: dict[object, dict[str, Any]] = field(default_factory=dict)

    def note(self, response: Mapping[str, Any]) -> None:
        """Keep what this says of the response; a later event may say less, and takes nothing away."""
        self._fields |= {name: response[name] for name in _FIELDS if response.get(name)}

    def note_svg(self, item: Mapping[str, Any]) -> None:
        """Keep what writing an SVG took; an image call comes several times, and counts once."""
        if usage := as_object(item.get("svg_usage")):
            self._svgs[as_text(item.get("id"))] = usage

    @property
    def response_id(self) -> str | None:
        """The response's id, as far as the server has sent it."""
        return as_text(self._fields.get("id"))

    @property
    def has_usage(self) -> bool:
        """Whether the server counted any tokens, so that something is charged."""
        return _counts(self._fields.get("usage")) or self.has_image_tokens

    @property
    def has_image_tokens(self) -> bool:
        """Whether the server counted tokens for an image on the Responses API."""
        return _counts(as_object(self._fields.get("tool_usage")).get("image_gen"))

    def completed(self) -> Completed:
        """Return it as the end of a run."""
        svg_model, svg_usage = sum_svg_usage(self._svgs.values())
        return Completed(
            self.job,
            model=as_text(self._fields.get("model")),
            usage=as_object(self._fields.get("usage")) or None,
            tool_usage=as_object(self._fields.get("tool_usage")) or None,
            response_id=self.response_id,
            image_model=self._image_model(),
            service_tier=as_text(self._fields.get("service_tier")),
            svg_model=svg_model,
            svg_usage=svg_usage,
        )

    def ended(self) -> Completed | None:
        """Return it for a run that did not end well; None when the server reported nothing."""
        completed = self.completed()
        return None if completed == Completed(self.job, model=None) else completed

    def _image_model(self) -> str | None:
        """Find the tool's model in the server's echo of the request: the calls themselves do not name it."""
        tools = map(as_object, as_list(self._fields.get("tools")))
        mine = (tool for tool in tools if tool.get("type") == "image_generation")
        return next((model for tool in mine if (model := as_text(tool.get("model")))), None)


def _counts(usage: object) -> bool:
    """Return whether any count is there that is not zero."""
    return any(count and not isinstance(count, dict) for count in as_object(usage).values())


_INDEX_LIMIT = 1000
_MANY_WORDS = 2000
_DAMAGED = "The image arrived damaged: its base64 cannot be decoded."
_UNREAD = Problem(
    ExitCode.UNKNOWN,
    "An image arrived incomplete, or in a form that imgcli cannot read.",
    Charged.YES,
    CHECK_USAGE,
    cause=Cause.UNREADABLE_IMAGE,
)
_NOT_ARRIVED = Problem(
    ExitCode.UNKNOWN,
    "Another image was started but did not arrive.",
    Charged.MAYBE,
    CHECK_USAGE,
    cause=Cause.TRUNCATED_IMAGE,
)


@dataclass
class _FinalBytes:
    """A final image that was yielded, with its base64: comparing is cheaper than decoding again."""

    text: str
    image: EncodedImage

    def is_same(self, text: str, image: EncodedImage) -> bool:
        return text == self.text or image.data == self.image.data


@dataclass
class ImageAssembler:
    """The images of one answer, numbered in the order of their appearance, each final one yielded once.

    `metadata` is what the server tells besides; `has_begun` is set when it says that it works on an image,
    `has_ended` when it says that all is done, `server_problem` is its own error. `consumed` lists the
    base64 that was understood, `completions` counts what the Images API called completed,
    `has_finals_before_end` says that it has other events for finished images (Seedream), `words` are the
    model's. `inputs` are the SHA-256 of the images that were sent.
    """

    job: str
    inputs: frozenset[str] = frozenset()
    metadata: ResponseMetadata = field(init=False)
    has_begun: bool = False
    has_ended: bool = False
    server_problem: Problem | None = None
    consumed: list[object] = field(default_factory=list)
    completions: int = 0
    has_finals_before_end: bool = False
    words: list[str] = field(default_factory=list)
    is_refusal: bool = False
    partials: int = 0
    _count: int = 0
    _by_id: dict[str, int] = field(default_factory=dict)
    _named: set[int] = field(default_factory=set)
    _by_position: dict[int | None, int] = field(default_factory=dict)
    _previews: dict[int, int] = field(default_factory=dict)
    _finals: dict[int, list[_FinalBytes]] = field(default_factory=dict)
    _failed: dict[int, Problem] = field(default_factory=dict)
    _failed_numbers: list[int] = field(default_factory=list)
    _retried: list[tuple[int, Problem]] = field(default_factory=list)
    _positions: dict[int, int | None] = field(default_factory=dict)
    _announced: set[tuple[str | None, int | None]] = field(default_factory=set)
    _unreadable: list[tuple[int, str]] = field(default_factory=list)
    _links: dict[str, tuple[int, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metadata = ResponseMetadata(self.job)

    @property
    def finals(self) -> int:
        """How many final images came."""
        return sum(map(len, self._finals.values()))

    @property
    def progress(self) -> Progress:
        """How far the server visibly got."""
        works = self.has_begun or self.partials or self._finals or self.metadata.has_usage
        return Progress.GENERATING if works else Progress.ANSWERING

    def number(self, item: object, position: object = None) -> int:
        """Find the number of the image that the server calls `item`, or puts at `position`."""
        name, position = as_text(item), as_index(position, _INDEX_LIMIT)
        found = self._by_position.get(position) if name is None else self._find(name, position)
        number = self._next() if found is None else found
        if name is not None:
            self._by_id[name] = number
            self._named.add(number)
        self._by_position.setdefault(position, number)
        self._positions.setdefault(number, position)
        self.begin(name, position)
        return number

    def begin(self, item: object, position: object) -> None:
        """Note an image that was announced; one with neither name nor position may be any."""
        name, position = as_text(item), as_index(position, _INDEX_LIMIT)
        if name is not None or position is not None:
            self._announced.add((name, position))

    def has_position(self, position: int) -> bool:
        """Return whether anything came of the image at this position."""
        return position in self._by_position

    def has(self, content: object) -> bool:
        """Return whether this base64 is an image that was yielded."""
        return any(given.text == content for several in self._finals.values() for given in several)

    def end(self, problem: Problem | None = None) -> None:
        """Note that the server is done, and its error; the first one counts."""
        self.has_ended = True
        self.server_problem = self.server_problem or problem

    def add_words(self, words: str | None, *, is_refusal: bool) -> None:
        """Keep what the model wrote, in case it is all there is."""
        self.is_refusal |= is_refusal
        if words and words not in self.words and len(self.words) < _MANY_WORDS:
            self.words.append(words[:_MANY_WORDS])

    def _find(self, name: str, position: int | None) -> int | None:
        """Find an image by its name, or by its place when it had no name until now."""
        at_position = self._by_position.get(position)
        return self._by_id.get(name, None if at_position in self._named else at_position)

    def _next(self) -> int:
        """Number a call that was not known: the server's second try for an image takes over its number."""
        while self._failed_numbers:
            number = self._failed_numbers.pop(0)
            if number not in self._finals:
                self._retried.append((number, self._failed.pop(number)))
                return number
        return self._new()

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def partial(self, image_index: int, index: object, text: object) -> Iterator[Event]:
        """Yield a preview; one that comes after its final image is late and left out."""
        self.consumed.append(text)
        if image_index in self._finals:
            return
        self.partials += 1
        expected = self._previews.get(image_index, 0)
        self._previews[image_index] = expected + 1
        data = decode_base64(text) if isinstance(text, str) else None
        if data is None:
            yield Notice(self.job, "a partial image could not be decoded and was skipped")
            return
        sent = as_index(index, _INDEX_LIMIT)
        index = expected if sent is None else sent
        yield PartialImage(self.job, image_index, index, EncodedImage.of(data))

    def final(self, image_index: int, content: object, revised_prompt: object) -> Iterator[Event]:
        """Yield a finished image, unless it was yielded before; what is not an image counts as a failure."""
        self.consumed.append(content)
        if any(given.text == content for given in self._finals.get(image_index, ())):
            return
        if is_link(content):
            self._links[content] = image_index, revised_prompt
            self.note_missing(image_index, linked_problem(content))
            return
        text = content if isinstance(content, str) else ""
        data = decode_base64(text)
        if data is None:
            self.note_missing(image_index, _damaged())
            return
        yield from self._final_of(
            image_index, _FinalBytes(text, EncodedImage.of(data)), as_text(revised_prompt)
        )

    def _final_of(self, image_index: int, new: _FinalBytes, revised_prompt: str | None) -> Iterator[Event]:
        """Yield a decoded image. Other bytes under a name that was used already are another image."""
        earlier = self._finals.setdefault(image_index, [])
        if any(given.is_same(new.text, new.image) for given in earlier):
            return
        number = self._new() if earlier else image_index
        if earlier:
            yield Notice(self.job, "the server sent one image twice, with different bytes: both are kept")
        earlier.append(new)
        yield FinalImage(self.job, number, new.image, revised_prompt, self.metadata.response_id)

    def note_missing(self, image_index: int, problem: Problem) -> None:
        """Remember why an image did not arrive; it still may."""
        self._failed.setdefault(image_index, problem)

    @property
    def missing_links(self) -> list[str]:
        """The links that stand for images that did not come."""
        return [link for link, (image_index, _) in self._links.items() if image_index not in self._finals]

    def linked(self, link: str | None, text: object) -> Iterator[Event]:
        """Return a finished image that was fetched from its link."""
        image_index, revised_prompt = self._links.get(link or "") or (self._new(), None)
        yield from self.final(image_index, text, revised_prompt)

    def note_broken_link(self, link: str, reason: str) -> None:
        """Remember why an image was not fetched from its link."""
        self._failed[self._links[link][0]] = linked_problem(link, reason)

    def fail(self, image_index: int, problem: Problem) -> None:
        """Remember why a call for an image failed. The next call may be the server's second try."""
        if image_index not in self._failed:
            self._failed[image_index] = problem
            self._failed_numbers.append(image_index)

    def keep_unreadable(self, data: bytes) -> None:
        """Remember bytes of an image that could not be understood; the same image may still arrive."""
        digest = sha256(data).hexdigest()
        if digest not in self.inputs:
            self._unreadable.append((len(data), digest))

    def note_unreadable(self, problem: Problem) -> None:
        """Remember that what could not be read may have held an image."""
        self.note_missing(self._new(), replace(problem, cause=Cause.UNREADABLE_IMAGE))

    def missing_problem(self) -> Problem | None:
        """Return what is missing; None when every image that failed arrived after all."""
        failures = dict(self._retried) | self._failed
        missing = [problem for image_index, problem in failures.items() if image_index not in self._finals]
        unread = {piece for piece in self._unreadable if not self._is_part(*piece)}
        missing += [_UNREAD] * len(unread)
        if not self._finals:
            return min(missing, key=lambda problem: problem.cause is None, default=None)
        missing += [_NOT_ARRIVED] * (0 if unread else self._count_cut(failures))
        if not missing:
            return None
        first = min(missing, key=lambda problem: problem.cause is not None)
        what = f"{self.finals} of {self.finals + len(missing)} images arrived. {first.what}"
        cause = (
            Cause.UNREADABLE_IMAGE
            if any(problem.cause is Cause.UNREADABLE_IMAGE for problem in missing)
            else first.cause
        )
        return replace(first, exit_code=ExitCode.PARTIAL, what=what, charged=Charged.YES, cause=cause)

    def _is_part(self, length: int, digest: str) -> bool:
        """Return whether unread bytes are, or begin, an image that was yielded."""
        images = (given.image.data for several in self._finals.values() for given in several)
        return any(len(data) >= length and sha256(data[:length]).hexdigest() == digest for data in images)

    def _count_cut(self, failures: Mapping[int, Problem]) -> int:
        """Count the images of which something came, but neither the end nor a reason.

        An image at the place of one that was given is the same under another name.
        """
        done = {*self._finals, *failures}
        positions = {self._positions.get(image_index) for image_index in done} - {None}
        names = {name for name, image_index in self._by_id.items() if image_index in done}
        return len(
            {
                name or position
                for name, position in self._announced
                if not {name, position} & (names | positions)
            }
        )

    def failed_tries(self) -> Iterator[Event]:
        """Yield a notice for each try that failed before its image arrived."""
        for image_index, failure in self._retried:
            if image_index in self._finals:
                yield Notice(self.job, f"before the image arrived, another try failed: {failure.what}")


def _damaged() -> Problem:
    return Problem(ExitCode.DAMAGED, _DAMAGED, Charged.YES, RUN_LOG_KEPT, cause=Cause.UNREADABLE_IMAGE)
