"""Finds images in the bytes of an answer, even if the rest of it cannot be read."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.api.stream.assembler import decode_beginning
from imgcli.core.errors import Cause, ExitCode, ImgcliError
from imgcli.core.events import Completed, FinalImage, PartialImage
from imgcli.core.image import EncodedImage, sniff
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Iterator

    from imgcli.core.events import Event


Buffer: TypeAlias = "bytes | mmap.mmap"

_SIGNATURE = r"(?:iVBORw0KGgo|/9j/|_9j_|R0lGOD[dl]h|UklGR[A-Za-z0-9+/_-]{6}XRUJQ|PHN2Z[wyz]|PD94bWwg)"
"""How base64 of a PNG, JPEG, GIF, WebP or SVG begins."""
_RAW = regex(rb"\s*+(?=GIF8[79]a|RIFF....WEBP|(?:<\?xml[^>]*>\s*+)?<svg\b)", re.DOTALL)
"""How an answer begins that is an image itself."""
_BINARY = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""How a PNG and a JPEG begin: no text holds these bytes."""
_LETTERS = rb"[A-Za-z0-9+/_-]"
_START = regex(_SIGNATURE.encode() + rb"|\\/9j\\/")
_BODY = regex(
    rb"%b*+(?:(?:\\[/nrt]|\\u002[bBfF]|\r?\n(?:data: ?)?(?=%b++(?:[=\r\n\"\\]|\Z)))%b*+)*+"
    % (_LETTERS, _LETTERS, _LETTERS)
)
"""Base64 with what JSON and line breaks put between its letters."""
_ESCAPED = regex(rb"\\(?:u00(2[bBfF])|([/nrt]))|\r?\n(?:data: ?)?")
_IN_A_STRING = regex(rf"\s*(?:data:image/[^,]{{0,100}},)?{_SIGNATURE}")
_ITEM = regex(rb'"(?:item_)?id"\s*:\s*"([^"]*)"')
_SHORTEST = 64  # letters of a string that is an image
_DISTINCT_LENGTH = 1024  # bytes in which two images of one kind and size differ
_CONTEXT = 4096  # bytes in which an event says what it is
_BOUNDARY = regex(rb"\r?\n\r?\n|\r\r|\n(?=\{)|\}")
_PREVIEW = regex(rb"(?:event:[^\r\n]*|\"type\"\s*:\s*\"[^\"]*)(?:partial(?!_succeeded)|preview)")
"""How an event of a preview calls itself; Seedream's `partial_succeeded` is a finished image."""
_LINK = regex(rb"\"(?:url|result)\"\s*:\s*\"https?:")
_NOT_FINAL = regex(r"partial|preview|thumb|image_url|input|mask")
_NOT_FINAL_KEY = regex(
    rb"\"[^\"]*(?:%b)[^\"]*\"\s*:\s*\[?\s*\"(?:data:[^\",]*,)?$" % _NOT_FINAL.pattern.encode()
)
_REPEATED = frozenset({"tools", "instructions", "metadata"})
"""Fields of a response in which a server repeats what it was sent."""


@dataclass(frozen=True)
class FoundImage:
    """Where the base64 of an image stands; `is_final` is false for a preview and for a repeated input.

    `item` is what its event calls it; `is_raw` tells that the bytes of the image stand there instead.
    """

    start: int
    end: int
    is_final: bool
    item: bytes | None = None
    is_raw: bool = False


def find_images(buffer: Buffer, position: int = 0) -> Iterator[FoundImage]:
    """Find the base64 of every image in the bytes of an answer, however its events are written."""
    while (found := _START.search(buffer, position)) is not None:
        start, before = found.start(), position
        if start and re.match(_LETTERS, buffer[start - 1 : start]) and not _is_escape(buffer, start):
            position = found.end()  # inside another image, by chance
            continue
        body = _BODY.match(buffer, start)
        position = body.end() if body else found.end()
        yield _described(buffer, before, start, position)


def _answered_images(buffer: Buffer, position: int) -> Iterator[FoundImage]:
    """Find the images in an answer: base64, and after that an image as it is, up to the answer's end."""
    begun = _RAW.match(buffer, position)
    starts = [begun.end()] if begun else [buffer.find(signature, position) for signature in _BINARY]
    raw = min((start for start in starts if start >= 0), default=len(buffer))
    yield from takewhile(lambda image: image.end <= raw, find_images(buffer, position))
    if raw < len(buffer):
        yield FoundImage(raw, len(buffer), is_final=True, is_raw=True)


def may_hold_image(answer: bytes, *, is_whole: bool) -> bool:
    """Return whether the beginning of an answer has an image that can be salvaged, a preview too.

    What there is of an image can be; of a preview, all that there is. `is_whole` says that no more came.
    """
    if not is_whole:
        return True
    return any(image.is_final or image.end < len(answer) for image in _answered_images(answer, 0))


def may_hold_link(answer: bytes) -> bool:
    """Return whether the beginning of an answer has a link in an image's place."""
    return _LINK.search(answer) is not None


def decode(buffer: Buffer, image: FoundImage) -> bytes:
    """Return the bytes of an image, as many as came."""
    text = bytes(buffer[image.start : image.end])
    if image.is_raw:
        return text
    is_bare = b"\\" not in text and b"\n" not in text
    return decode_beginning(text if is_bare else _ESCAPED.sub(_unescaped, text))


def image_texts(event: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Find the strings in a parsed event that are base64 of an image: no preview, and no repeated input."""
    rest: list[Any] = [event]
    while rest:
        value = rest.pop()
        match value:
            case str() if len(value) >= _SHORTEST and _IN_A_STRING.match(value):
                yield value
            case dict():
                rest += [
                    one for key, one in value.items() if not (key in _REPEATED or _NOT_FINAL.search(key))
                ]
            case list():
                rest += value
            case _:
                pass


@dataclass(frozen=True)
class RecordContent:
    """The bytes of a record, and where in them the answer begins.

    `inputs` are the SHA-256 of the images that were sent, should the server have repeated them.
    """

    buffer: Buffer
    start: int = 0
    inputs: frozenset[str] = frozenset()


def salvaged(events: Iterable[Event], record: RecordContent, job: str) -> Iterator[Event]:
    """Yield the events of a record, and before its end the images in it that none of them had.

    A problem that is only about images that could not be read is gone when they are found.
    """
    given, images = set(record.inputs), 0
    end: Completed | ImgcliError | None = None
    try:
        for event in events:
            match event:
                case Completed():
                    end = event
                    break
                case FinalImage(image_index=number, image=image):
                    images = max(images, number + 1)
                    given.add(image.sha256)
                case PartialImage(image=image):
                    given.add(image.sha256)
                case _:
                    pass
            yield event
    except ImgcliError as error:
        end = error
    found = 0
    for data in _unknown(record, given):
        yield FinalImage(job, images + found, EncodedImage.of(data), is_salvaged=True)
        found += 1
    if isinstance(end, ImgcliError):
        raise _without_found_images(end) if found else end
    if end:
        yield end


def _without_found_images(error: ImgcliError) -> ImgcliError:
    """Return what is left of a problem once its images were found."""
    problem = error.problem
    if problem.cause is Cause.UNREADABLE_IMAGE and problem.code is None:
        problem = replace(problem, exit_code=ExitCode.UNKNOWN, cause=None)
    return ImgcliError(problem, error.ended)


@dataclass(frozen=True)
class _Candidate:
    """An image as it stands in a record, by what can be compared."""

    place: FoundImage
    length: int
    digest: str
    head: bytes
    is_image: bool

    @classmethod
    def of(cls, buffer: Buffer, place: FoundImage) -> _Candidate:
        data = decode(buffer, place)
        return cls(place, len(data), sha256(data).hexdigest(), data[:_SHORTEST], sniff(data) is not None)

    def is_start_of(self, other: _Candidate, buffer: Buffer) -> bool:
        """Return whether the other image is this one and more: its first copy, or its second."""
        if self.length >= other.length or not other.head.startswith(self.head):
            return False
        if self.length < _DISTINCT_LENGTH and self.place.item != other.place.item:
            return False
        return sha256(decode(buffer, other.place)[: self.length]).hexdigest() == self.digest


def holds_more(record: RecordContent, given: Iterable[str]) -> bool:
    """Return whether a record holds an image, or a part of one, whose SHA-256 is not in `given`."""
    return any(True for _ in _unknown(record, set(given) | record.inputs))


def _unknown(record: RecordContent, given: set[str]) -> Iterator[bytes]:
    """Decode the images of a record whose SHA-256 is not among `given`, each once."""
    buffer, places = record.buffer, _answered_images(record.buffer, record.start)
    pieces = [_Candidate.of(buffer, place) for place in places if place.is_final]
    for piece in pieces:
        if (
            not piece.is_image
            or piece.digest in given
            or any(piece.is_start_of(other, buffer) for other in pieces)
        ):
            continue
        given.add(piece.digest)
        yield decode(buffer, piece.place)


def _is_escape(buffer: Buffer, start: int) -> bool:
    """Return whether the letter before ends a line break as JSON writes it."""
    return bytes(buffer[max(start - 2, 0) : start]) in (b"\\n", b"\\r", b"\\t")


def _described(buffer: Buffer, before: int, start: int, end: int) -> FoundImage:
    """Describe an image by its event, as far as that can be seen."""
    head = _BOUNDARY.split(bytes(buffer[max(before, start - _CONTEXT) : start]))[-1]
    tail = bytes(buffer[end : end + _CONTEXT]).partition(b"}")[0]
    is_beside = _PREVIEW.search(head) or _PREVIEW.search(tail) or _NOT_FINAL_KEY.search(head)
    items = _ITEM.findall(head)
    return FoundImage(start, end, not is_beside, items[-1] if items else None)


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return b"+" if found[1].lower() == b"2b" else b"/"
    return b"/" if found[2] == b"/" else b""
