"""The chunks of a WebP file (RFC 9649), found at byte level: nothing is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


FRAME = b"ANMF"
_HEADER = 12  # bytes: RIFF, the size of the rest, WEBP
_MOST_CHUNKS = 200_000  # as for PNG: hostile files must not keep us busy
_IMAGES = frozenset({b"VP8 ", b"VP8L", FRAME})


class RiffChunk(NamedTuple):
    """One chunk: its four letters, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[RiffChunk]:
    """Walk through the chunks; the last one of a cut file may reach beyond the file's end."""
    at, stop = _HEADER, 8 + int.from_bytes(data[4:8], "little")
    for _ in range(_MOST_CHUNKS):
        head = data[at : min(at + 8, stop)]
        if len(head) < 8:  # noqa: PLR2004 - a name and a length
            return
        length = int.from_bytes(head[4:], "little")
        yield RiffChunk(head[:4], at + 8, at + 8 + length)
        at += 8 + length + length % 2


def defect(data: bytes) -> str | None:
    """Return what is wrong with the chunks, None where all are there."""
    stop = 8 + int.from_bytes(data[4:8], "little")
    walk = list(chunks(data))
    if stop > len(data) or any(chunk.end > stop for chunk in walk):
        return "the webp data is cut short or altered"
    return None if any(chunk.kind in _IMAGES for chunk in walk) else "the webp holds no image"
