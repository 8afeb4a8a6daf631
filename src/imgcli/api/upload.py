"""Request bodies, built piece by piece while they are sent: no image is held whole as base64."""

from __future__ import annotations

import json
import os
import secrets
from binascii import b2a_base64
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from imgcli.api.wires import WIRES
from imgcli.core.request import DataUrl, InputImage
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from imgcli.core.request import ImageRequest


_PIECE = 49_152
"""Bytes of an image at a time, a multiple of three, so that base64 has no padding but at the end."""


@dataclass(frozen=True)
class _Part:
    """A file, as it is or in base64."""

    data: bytes
    in_base64: bool = False

    @property
    def length(self) -> int:
        return (len(self.data) + 2) // 3 * 4 if self.in_base64 else len(self.data)

    def pieces(self) -> Iterator[bytes]:
        view = memoryview(self.data)
        for start in range(0, len(view), _PIECE):
            piece = bytes(view[start : start + _PIECE])
            yield b2a_base64(piece, newline=False) if self.in_base64 else piece


@dataclass(frozen=True)
class FormFile:
    """An open file for a form, under a name of ours; it is read while it goes out."""

    file: BinaryIO
    name: str = "requests.jsonl"
    mime: str = "application/octet-stream"

    @property
    def length(self) -> int:
        """The bytes of the file."""
        return self.file.seek(0, os.SEEK_END)

    def pieces(self) -> Iterator[bytes]:
        """Yield the file from its beginning. Raises `OSError`."""
        self.file.seek(0)
        while piece := self.file.read(_PIECE):
            yield piece


def ignore() -> None:
    """Do nothing."""


class Body:
    """The body of a request, for as many attempts as it takes.

    `is_whole` says of the last attempt whether its last piece was asked for: before that, no server has a
    whole request, and none can have begun to work on it. `going` is called then.
    """

    def __init__(
        self, content_type: str, parts: Sequence[_Part | FormFile], last: bytes, going: Callable[[], None]
    ) -> None:
        self.content_type = content_type
        self.is_whole = False
        self._parts = parts
        self._last = last
        self._going = going

    @property
    def length(self) -> int:
        """The bytes of the body."""
        return sum(part.length for part in self._parts) + len(self._last)

    def pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        """Return the body from its start; `sent` is called with the bytes of each piece that was taken."""
        self.is_whole = False  # now, not with the first piece: the connection may break before that
        return self._pieces(sent)

    def _pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        for part in self._parts:
            for piece in part.pieces():
                yield piece
                sent(len(piece))
        self.is_whole = True
        self._going()
        yield self._last
        sent(len(self._last))


def request_body(request: ImageRequest, going: Callable[[], None] = ignore) -> Body:
    """Return the body of a request for images; `going` is called before its last piece goes out."""
    body = WIRES[request.api].body(request)
    return form_body(body, going) if request.is_form else json_body(body, going)


def json_body(body: Mapping[str, Any], going: Callable[[], None] = ignore) -> Body:
    """Return a JSON body, with data URLs in place of images."""
    *parts, last = json_parts(body)
    return Body("application/json", parts, last.data, going)


def form_body(fields: Mapping[str, Any], going: Callable[[], None] = ignore) -> Body:
    """Return a body as multipart/form-data, with files in place of images."""
    boundary = secrets.token_hex(16)
    parts, last = _form(fields, boundary.encode()), f"--{boundary}--\r\n"
    return Body(f"multipart/form-data; boundary={boundary}", parts, last.encode(), going)


def json_parts(body: Mapping[str, Any]) -> list[_Part]:
    """Write the body with a mark in place of every image, and cut it there."""
    mark = secrets.token_hex(16)  # nothing else in it is this
    images: list[_Part] = []

    def stand_in(link: DataUrl) -> str:
        images.append(_Part(_data(link.image), in_base64=True))
        return link.prefix + mark

    text = json.dumps(body, default=stand_in, ensure_ascii=False, separators=(",", ":"))
    first, *rest = (_Part(piece) for piece in text.encode().split(mark.encode()))
    return [first, *chain.from_iterable(zip(images, rest, strict=True))]


def _form(body: Mapping[str, Any], boundary: bytes) -> list[_Part | FormFile]:
    """Write the fields of multipart/form-data (RFC 7578), without its end."""
    parts: list[_Part | FormFile] = []
    for name, value in _flat(body):
        for single in value if isinstance(value, tuple) else (value,):
            head = b"--%b\r\n%b\r\n\r\n" % (boundary, _head(name, single, len(parts)).encode())
            parts += [_Part(head), _content(single), _Part(b"\r\n")]
    return parts


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a form: those of an object as OpenAI's own client names them, `svg[model]`."""
    for key, value in fields.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif isinstance(value, list):
            yield from ((f"{name}[]", one) for one in value)
        elif value is not None:
            yield name, value


def _head(name: str, value: object, number: int) -> str:
    """Format the head of one field; a file gets a name of ours, as its own may be private."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if not isinstance(value, InputImage | FormFile):
        return disposition
    file = value.name if isinstance(value, FormFile) else f"{number}.{value.format}"
    return f'{disposition}; filename="{file}"\r\nContent-Type: {value.mime}'


def _content(value: object) -> _Part | FormFile:
    """Return the content of one field; other values as the forms of OpenAI's own client have them."""
    if isinstance(value, FormFile):
        return value
    if isinstance(value, InputImage):
        return _Part(_data(value))
    return _Part((str(value).lower() if isinstance(value, bool) else str(value)).encode())


def _data(reference: InputImage) -> bytes:
    if reference.data is None:
        raise ValueError(f"{reference.name} was read back from a record, without its bytes")
    return reference.data
