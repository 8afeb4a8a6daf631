"""Whether a picture brings content credentials (C2PA), by the place that its format has for them.

Only whether they are there: whether they hold is for programs that know whom to trust. The places are those
that the C2PA technical specification names under "Embedding manifests": PNG's caBX chunk, JPEG's APP11
segments, WebP's C2PA chunk.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.core import png
from imgcli.core.events import ImageFormat, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_PARTS = 200_000  # as for PNG: hostile files must not keep us busy
_FILL, _APP11 = 0xFF, 0xEB
_ENDS = b"\xd9\xda"  # the picture's end, and where its data begin
_LABEL_AREA = 64  # bytes; the first box names itself in the beginning of its segment


class Credentials(StrEnum):
    """UNKNOWN stands for formats in which we do not look."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def credentials(data: bytes) -> Credentials:
    """Look for content credentials in a file's bytes. Never raises, whatever they are."""
    match sniff(data):
        case ImageFormat.PNG:
            found = any(chunk.kind == b"caBX" for chunk in png.chunks(data))
        case ImageFormat.JPEG:
            found = any(_holds_credentials(segment) for segment in _app11_segments(data))
        case ImageFormat.WEBP:
            found = any(kind == b"C2PA" for kind in _riff_kinds(data))
        case _:
            return Credentials.UNKNOWN
    return Credentials.PRESENT if found else Credentials.ABSENT


def _app11_segments(data: bytes) -> Iterator[bytes]:
    """Give the beginnings of a JPEG's APP11 segments, up to where its picture data begin."""
    at = 2
    for _ in range(_MOST_PARTS):
        marker, length = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4])
        if len(marker) < 2 or marker[0] != _FILL or marker[1] in _ENDS or length < 2:  # noqa: PLR2004
            return
        if marker[1] == _FILL:
            at += 1
            continue
        if marker[1] == _APP11:
            yield data[at + 4 : at + 2 + min(length, _LABEL_AREA)]
        at += 2 + length


def _holds_credentials(segment: bytes) -> bool:
    """Tell whether a segment is a JUMBF superbox (ISO/IEC 19566-5) of the label or type `c2pa`."""
    return segment.startswith(b"JP") and segment[12:16] == b"jumb" and b"c2pa" in segment[16:]


def _riff_kinds(data: bytes) -> Iterator[bytes]:
    """List the chunks of a WebP file by their four letters."""
    at = 12
    for _ in range(_MOST_PARTS):
        head = data[at : at + 8]
        if len(head) < 8:  # noqa: PLR2004 - a name and a length
            return
        yield head[:4]
        length = int.from_bytes(head[4:], "little")
        at += 8 + length + length % 2
