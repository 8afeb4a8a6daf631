"""The segments of a JPEG file (ITU-T T.81, annex B), found at byte level: nothing is decoded."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterator


END_OF_IMAGE = 0xD9
START_OF_SCAN = 0xDA
APP11 = 0xEB
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Table B.1; the three left out stand for tables and an extension."""
HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Frames that are made of blocks, Huffman coded: all that occur in practice."""

_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_RESTARTS = range(0xD0, 0xD8)
_BARE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers that no length follows
_RESERVED = frozenset({0x00, *range(0x02, 0xC0)})
_RESTART_INTERVAL = 0xDD
_MARKER = regex(rb"\xff+([^\xff])")  # any number of FF may come before it
_NEXT_MARKER = regex(rb"\xff[\x01-\xfe]")  # after coded data, in which FF 00 is a byte FF
_MOST_SEGMENTS = 500_000  # of an image within our limits that has a restart after every block
_BLOCK = 8  # pixels


class Segment(NamedTuple):
    """One segment: its marker, where it begins (at its marker), and where its coded data begin and end.

    Only a scan's header and a restart marker have coded data after them; for others `body` is `end`.
    """

    marker: int
    start: int
    body: int
    end: int

    def content(self, data: bytes) -> bytes:
        """Return what stands between its length and its coded data."""
        return data[self.start + 4 : self.body]


def segments(data: bytes) -> Iterator[Segment]:
    """Walk through the segments after the first marker, END_OF_IMAGE last; ends early where the file is cut.

    The last one of a cut file may reach beyond the file's end.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.match(data, at)
        if not found:
            return
        at, marker = found.end() - 2, found[1][0]
        body = at + 2 + (0 if marker in _BARE else max(2, int.from_bytes(data[at + 2 : at + 4])))
        end = body
        if marker == START_OF_SCAN or marker in _RESTARTS:
            found = _NEXT_MARKER.search(data, body)
            end = found.start() if found else len(data)
        yield Segment(marker, at, body, end)
        if marker == END_OF_IMAGE:
            return
        at = end


def is_progressive(data: bytes) -> bool:
    """Return whether the image comes in passes, for which a decoder keeps all of it in memory."""
    frames = (segment.marker for segment in segments(data) if segment.marker in STARTS_OF_FRAME)
    return next(frames, 0) in _PROGRESSIVE


def defect(data: bytes) -> str | None:
    """Return what is wrong with the segments, None where all are there and in order."""
    marker, frame, interval = 0, b"", 0
    expected = seen = 0
    for segment in segments(data):
        marker = segment.marker
        if marker in _RESTARTS and interval:
            if marker != _RESTARTS[seen % len(_RESTARTS)]:
                return "the jpeg's restart markers are out of order"
            seen += 1
            continue
        if not expected <= seen <= expected + 1:  # some encoders end with one more
            return f"the jpeg has {seen:,} of {expected:,} restart markers"
        if marker in _RESERVED:
            return "the jpeg data is cut short or altered"
        if marker in STARTS_OF_FRAME:
            frame = segment.content(data) if marker in HUFFMAN_FRAMES else b""
        elif marker == _RESTART_INTERVAL:
            interval = int.from_bytes(segment.content(data)[:2])
        elif marker == START_OF_SCAN:
            seen, expected = 0, _restarts(frame, segment.content(data), interval)
    return None if marker == END_OF_IMAGE else "the jpeg data is cut short or altered"


def _restarts(frame: bytes, scan: bytes, interval: int) -> int:
    """Return how many restart markers a scan has: one after every `interval` units (section A.2)."""
    if not interval or not frame:
        return 0
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    factors = {frame[at]: divmod(frame[at + 1], 16) for at in range(6, 6 + 3 * frame[5], 3)}
    across = _BLOCK * max(horizontal for horizontal, _ in factors.values())  # pixels of a unit
    down = _BLOCK * max(vertical for _, vertical in factors.values())
    if scan[0] == 1:  # a scan of one component has its blocks alone
        horizontal, vertical = factors[scan[1]]
        width, height = ceil(width * horizontal * _BLOCK / across), ceil(height * vertical * _BLOCK / down)
        across = down = _BLOCK
    return ceil(ceil(width / across) * ceil(height / down) / interval) - 1
