"""Whether received bytes are a whole picture."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from imgcli.core.dimensions import header_size
from imgcli.core.errors import machine_trouble
from imgcli.core.events import ImageFormat, Picture

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

DECODE_LIMIT = 32_000_000
"""Pixels, nearly four times the largest that is sold. A larger picture is checked for completeness only:
decoding takes memory, whatever the file's size."""

HEAVY_LIMIT = 17_000_000
"""The same for what takes more than 4 bytes a pixel meanwhile: a WebP takes up to 16."""

_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_SVG_END = re.compile(rb"</svg\s*>\s*$")


@dataclass(frozen=True)
class Finding:
    """What an examination found: the damage in words, None when there is none; width and height in pixels.

    `unchecked` says why this machine could not look, None when it could: that says nothing of the bytes.
    """

    damage: str | None
    size: tuple[int, int] | None = None
    unchecked: str | None = None


class _DamageError(Exception):
    """A reason of our own to call a picture damaged."""


def examine(picture: Picture, limit: int = DECODE_LIMIT) -> Finding:
    """Check a picture to its last byte, decoding it once, unless it has more than `limit` pixels.

    Never raises, whatever the bytes are.
    """
    try:
        return Finding(None, _examined(picture, limit))
    except _DamageError as reason:
        return Finding(str(reason))
    except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile bytes; the rest means damaged
        if trouble := machine_trouble(error):
            return Finding(None, header_size(picture), trouble)
        return Finding(f"{type(error).__name__}: {error}")


def _examined(picture: Picture, limit: int) -> tuple[int, int] | None:
    """Measure a picture, raising for any damage."""
    match picture.format:
        case None:
            raise _DamageError("no bytes came" if not picture.data else "it is in no known picture format")
        case ImageFormat.SVG:
            _check_svg(picture.data)
            return None
        case encoding:
            _check_end(encoding, picture.data)
            return _decoded(encoding, picture.data, limit)


def _check_svg(data: bytes) -> None:
    """Look at the end only: an XML parser is no tool for foreign bytes."""
    if not _SVG_END.search(_COMMENT.sub(b"", data[-4096:])):
        raise _DamageError("the svg element does not end")


def _check_end(encoding: ImageFormat, data: bytes) -> None:
    """Catch a cut that decoders forgive: Pillow's `load` does not miss the end, its `verify` half of it."""
    match encoding:
        case ImageFormat.PNG:
            whole = _png_chunks_agree(data)
        case ImageFormat.JPEG:
            whole = data.rfind(b"\xff\xd9") > 0
        case ImageFormat.WEBP:
            whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
        case ImageFormat.GIF:
            whole = data.rstrip(b"\0").endswith(b";")
        case _:
            whole = False
    if not whole:
        raise _DamageError(f"the {encoding} data is cut short or altered")


def _bomb() -> type[Exception]:
    from PIL.Image import DecompressionBombError

    return DecompressionBombError


def _decoded(encoding: ImageFormat, data: bytes, limit: int) -> tuple[int, int] | None:
    """Decode with Pillow, unless there is too much to decode."""
    size = _png_size(data) if encoding is ImageFormat.PNG else None
    if size and size[0] * size[1] > limit:
        return size
    try:
        image = _opened(encoding, data)
    except _bomb():  # complete as far as seen, and more than Pillow wants to measure
        return None
    except ValueError:  # such as a comment that unpacks to more than Pillow takes: the picture is beside it
        image = _opened(encoding, _without_remarks(data) if size else data)
    if image.width * image.height <= (min(limit, HEAVY_LIMIT) if encoding is ImageFormat.WEBP else limit):
        image.load()
    return image.size


def _opened(encoding: ImageFormat, data: bytes) -> ImageFile:
    """Read a picture's header, by the one decoder for it: `Image.open` would import five others first."""
    match encoding:
        case ImageFormat.PNG:
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(BytesIO(data))
        case ImageFormat.JPEG:
            from PIL.JpegImagePlugin import JpegImageFile

            return JpegImageFile(BytesIO(data))
        case ImageFormat.WEBP:
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(BytesIO(data))
        case _:
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(BytesIO(data))


def _without_remarks(data: bytes) -> bytes:
    """Leave of a PNG what its pixels need: the chunks that every reader must know, and transparency."""
    pieces, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        if name[:1].isupper() or name == b"tRNS":
            pieces.append(data[position:end])
        position = end
    return b"".join(pieces)


def _png_size(data: bytes) -> tuple[int, int]:
    """Read width and height; nothing where the header is not where it belongs, which Pillow then refuses."""
    if data[12:16] != b"IHDR":
        return 0, 0
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _png_chunks_agree(data: bytes) -> bool:
    """Check the checksum of every chunk up to the end chunk."""
    view, position = memoryview(data), len(b"\x89PNG\r\n\x1a\n")
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(view[position : position + 4], "big")
        checksum = int.from_bytes(view[end : end + 4], "big")
        if end + 4 > len(data) or zlib.crc32(view[position + 4 : end]) != checksum:
            return False
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False
