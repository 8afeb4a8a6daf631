"""A picture's width and height, read from its header without decoding anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from imgcli.core import jpeg
from imgcli.core.events import ImageFormat

if TYPE_CHECKING:
    from imgcli.core.events import Picture

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""


def header_size(picture: Picture) -> Size | None:
    """Read width and height of a PNG, JPEG, WebP or GIF; None for others, and where the header does not tell.

    As stored: an orientation in EXIF is not applied.
    """
    match picture.format:
        case ImageFormat.PNG:
            size = _png(picture.data)
        case ImageFormat.JPEG:
            size = _jpeg(picture.data)
        case ImageFormat.WEBP:
            size = _webp(picture.data)
        case ImageFormat.GIF:
            size = _two(picture.data[6:10], 2, "little")
        case _:
            size = None
    return size if size and all(size) else None


def _png(data: bytes) -> Size | None:
    """Read the first two fields of IHDR, which is always the first chunk."""
    return _two(data[16:24], 4, "big") if data[12:16] == b"IHDR" else None


def _jpeg(data: bytes) -> Size | None:
    """Read the frame's header, which has height before width, after the precision."""
    for segment in jpeg.segments(data):
        if segment.marker in jpeg.STARTS_OF_FRAME:
            size = _two(segment.content(data)[1:5], 2, "big")
            return (size[1], size[0]) if size else None
        if segment.marker == jpeg.START_OF_SCAN:
            return None
    return None


def _webp(data: bytes) -> Size | None:
    """Read the first chunk (RFC 9649): lossy, lossless or extended."""
    match data[12:16]:
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            size = _two(data[26:30], 2, "little")
            return (size[0] & 0x3FFF, size[1] & 0x3FFF) if size else None
        case b"VP8L" if data[20:21] == b"\x2f" and len(data) >= 25:  # noqa: PLR2004 - its header's end
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            size = _two(data[24:30], 3, "little")
            return (size[0] + 1, size[1] + 1) if size else None
        case _:
            return None


def _two(field: bytes, width: int, order: Literal["big", "little"]) -> Size | None:
    """Read two unsigned numbers of `width` bytes each."""
    if len(field) != 2 * width:
        return None
    return int.from_bytes(field[:width], order), int.from_bytes(field[width:], order)
