"""Whether a picture brings content credentials (C2PA), by the place that its format has for them.

Only whether they are there: whether they hold is for programs that know whom to trust. The places are those
that the C2PA technical specification names under "Embedding manifests": PNG's caBX chunk, JPEG's APP11
segments, WebP's C2PA chunk.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.core import jpeg, png, webp
from imgcli.core.events import ImageFormat, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            found = any(chunk.kind == b"C2PA" for chunk in webp.chunks(data))
        case _:
            return Credentials.UNKNOWN
    return Credentials.PRESENT if found else Credentials.ABSENT


def _app11_segments(data: bytes) -> Iterator[bytes]:
    """Yield the beginnings of a JPEG's APP11 segments, up to where its coded data begin."""
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.START_OF_SCAN:
            return
        if segment.marker == jpeg.APP11:
            yield segment.content(data)[:_LABEL_AREA]


def _holds_credentials(segment: bytes) -> bool:
    """Tell whether a segment is a JUMBF superbox (ISO/IEC 19566-5) of the label or type `c2pa`."""
    return segment.startswith(b"JP") and segment[12:16] == b"jumb" and b"c2pa" in segment[16:]
