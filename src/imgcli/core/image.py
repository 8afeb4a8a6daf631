"""An encoded image: format, size and content credentials, read from its bytes without decoding."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from imgcli.core.formats import jpeg, png, webp
from imgcli.dataclass import cached_property, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


class ImageFormat(StrEnum):
    """The formats of the API, spelled as in its `output_format`."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    GIF = "gif"
    SVG = "svg"

    @property
    def suffix(self) -> str:
        """The extension of a file name, with its dot."""
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"


MOVING_FORMATS = (ImageFormat.GIF, ImageFormat.SVG)
"""Formats without partial images and without published token counts."""


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image: the bytes exactly as received; `format` is sniffed from them, None if unknown."""

    data: bytes
    format: ImageFormat | None

    @classmethod
    def of(cls, data: bytes) -> EncodedImage:
        """Wrap bytes, and detect their format."""
        return cls(data, sniff(data))

    @cached_property
    def sha256(self) -> str:
        """The bytes' SHA-256 in lowercase hex, which identifies an image everywhere."""
        import hashlib  # OpenSSL: here, so that help and completions do without it

        return hashlib.sha256(self.data).hexdigest()


def sniff(data: bytes) -> ImageFormat | None:
    """Detect the format from the first bytes; None for anything that the API does not send."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in head:
        return ImageFormat.SVG
    return None


_LABEL_AREA = 64  # bytes; the first box has its label at the start of its segment


class ContentCredentials(StrEnum):
    """Whether a file has content credentials; UNKNOWN for formats that are not examined."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def content_credentials(data: bytes) -> ContentCredentials:
    """Check a file's bytes for content credentials. Never raises, whatever they are."""
    match sniff(data):
        case ImageFormat.PNG:
            found = any(chunk.kind == b"caBX" for chunk in png.chunks(data))
        case ImageFormat.JPEG:
            found = any(_holds_credentials(segment) for segment in _app11_segments(data))
        case ImageFormat.WEBP:
            found = any(chunk.kind == b"C2PA" for chunk in webp.chunks(data))
        case _:
            return ContentCredentials.UNKNOWN
    return ContentCredentials.PRESENT if found else ContentCredentials.ABSENT


def _app11_segments(data: bytes) -> Iterator[bytes]:
    """Yield the start of each APP11 segment before a JPEG's coded data."""
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.START_OF_SCAN:
            return
        if segment.marker == jpeg.APP11:
            yield segment.content(data)[:_LABEL_AREA]


def _holds_credentials(segment: bytes) -> bool:
    """Return whether a segment is a JUMBF superbox (ISO/IEC 19566-5) with the label or type `c2pa`."""
    return segment.startswith(b"JP") and segment[12:16] == b"jumb" and b"c2pa" in segment[16:]


Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""


def header_size(image: EncodedImage) -> Size | None:
    """Read width and height from a header; None for SVG, for unknown formats, and for a broken header.

    As stored: an orientation in EXIF is not applied.
    """
    match image.format:
        case ImageFormat.PNG:
            size = _two(image.data[16:24], 4, "big") if image.data[12:16] == b"IHDR" else None
        case ImageFormat.JPEG:
            size = _jpeg(image.data)
        case ImageFormat.WEBP:
            size = _webp(image.data)
        case ImageFormat.GIF:
            size = _two(image.data[6:10], 2, "little")
        case _:
            size = None
    return size if size and all(size) else None


def _jpeg(data: bytes) -> Size | None:
    """Read the frame header, which holds precision, height, width."""
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
