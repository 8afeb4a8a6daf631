"""A request's body, made piece by piece while it goes out: base64 of an image is never whole in memory."""

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
    from collections.abc import Callable, Iterator, Mapping

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


def ignore() -> None:
    """Do nothing."""


class Upload:
    """The body of one request, for as many attempts as it takes.

    `is_whole` says of the last attempt whether its last piece was asked for: before that, no server has a
    whole request, and none can have begun to work on it. `going` is called then.
    """

    def __init__(self, request: ImageRequest, going: Callable[[], None] = ignore) -> None:
        body = WIRES[request.api].body(request)
        if request.is_form:
            boundary = secrets.token_hex(16)
            self.content_type = f"multipart/form-data; boundary={boundary}"
            self._parts = _form(body, boundary.encode())
        else:
            self.content_type = "application/json"
            self._parts = json_parts(body)
        self.is_whole = False
        self._going = going

    @property
    def length(self) -> int:
        """The bytes of the body."""
        return sum(part.length for part in self._parts)

    def pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        """Return the body from its beginning; `sent` is told of the bytes of each piece that was taken."""
        self.is_whole = False  # now, not with the first piece: the connection may break before that
        return self._pieces(sent)

    def _pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        *parts, last = self._parts
        for part in parts:
            for piece in part.pieces():
                yield piece
                sent(len(piece))
        self.is_whole = True
        self._going()
        yield last.data
        sent(len(last.data))


class Document:
    """A JSON body that is small enough to be held."""

    content_type = "application/json"

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._data = json.dumps(body).encode("ascii")
        self.length = len(self._data)
        self.is_whole = False

    def pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        """See `Upload`."""
        self.is_whole = True
        yield self._data
        sent(self.length)


class FileForm:
    """A form with one open file, which is read while it goes out, under a name of ours."""

    def __init__(
        self,
        file: BinaryIO,
        fields: Mapping[str, str],
        name: str = "requests.jsonl",
        mime: str = "application/octet-stream",
    ) -> None:
        boundary = secrets.token_hex(16).encode()
        self.content_type = f"multipart/form-data; boundary={boundary.decode()}"
        heads = [f"{_head(field, value, 0)}\r\n\r\n{value}" for field, value in fields.items()]
        line = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        heads.append(f"{line}\r\nContent-Type: {mime}\r\n\r\n")
        self._before = b"\r\n".join(b"--%b\r\n%b" % (boundary, head.encode()) for head in heads)
        self._after = b"\r\n--%b--\r\n" % boundary
        self._file = file
        self.length = len(self._before) + file.seek(0, os.SEEK_END) + len(self._after)
        self.is_whole = False

    def pieces(self, sent: Callable[[int], None]) -> Iterator[bytes]:
        """See `Upload`. Raises `OSError`."""
        self.is_whole = False
        yield self._before
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece
            sent(len(piece))
        self.is_whole = True
        yield self._after


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


def _form(body: Mapping[str, Any], boundary: bytes) -> list[_Part]:
    """Write the body as multipart/form-data (RFC 7578)."""
    parts: list[_Part] = []
    for name, value in _flat(body):
        for single in value if isinstance(value, tuple) else (value,):
            head = b"--%b\r\n%b\r\n\r\n" % (boundary, _head(name, single, len(parts)).encode())
            content = _data(single) if isinstance(single, InputImage) else _text(single).encode()
            parts += [_Part(head), _Part(content), _Part(b"\r\n")]
    return [*parts, _Part(b"--%b--\r\n" % boundary)]


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
    """Format the head of one field; a file gets a name of ours, for its own may tell of this machine."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if not isinstance(value, InputImage):
        return disposition
    return f'{disposition}; filename="{number}.{value.format}"\r\nContent-Type: {value.mime}'


def _text(value: object) -> str:
    """Format a value as the forms of OpenAI's own client do."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _data(reference: InputImage) -> bytes:
    if reference.data is None:
        raise ValueError(f"{reference.name} was read back from a record, without its bytes")
    return reference.data
