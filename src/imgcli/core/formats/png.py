"""The chunks of a PNG file, found at byte level: nothing is decoded, nothing is trusted.

The layout is that of the PNG specification, third edition, section 5: a signature, then chunks of a length, a
type, the content and a checksum, up to IEND. What follows IEND is ignored.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OVERHEAD = 12  # bytes of a chunk besides its content: length, type, checksum
_MOST_CHUNKS = 200_000
"""Far more than any image has; a file made of nothing but empty chunks must not keep us busy."""


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced image: its first pixel's x and y, and how far apart its pixels are."""
_FILTERS = bytes(range(5))  # the filter types of scan lines
_PIECE = 1 << 16  # bytes that are unpacked at a time, so that memory is bounded


@dataclass(frozen=True)
class Chunk:
    """One chunk: its type, and where in the file it begins (at its length) and ends (after its checksum)."""

    kind: bytes
    start: int
    end: int

    def content(self, data: bytes) -> bytes:
        """Cut its content out of the file."""
        return data[self.start + 8 : self.end - 4]

    def is_intact(self, data: bytes) -> bool:
        """Return whether its checksum is right."""
        checksum = int.from_bytes(data[self.end - 4 : self.end])
        return zlib.crc32(memoryview(data)[self.start + 4 : self.end - 4]) == checksum


def chunks(data: bytes) -> Iterator[Chunk]:
    """Walk through the chunks, IEND last; ends early where the file is cut, at once for what is not a PNG."""
    start = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    for _ in range(_MOST_CHUNKS):
        end = start + _OVERHEAD + int.from_bytes(data[start : start + 4])
        if start + _OVERHEAD > len(data) or end > len(data):
            return
        chunk = Chunk(data[start + 4 : start + 8], start, end)
        yield chunk
        if chunk.kind == b"IEND":
            return
        start = end


def last(data: bytes) -> Chunk | None:
    """Find the IEND of a PNG that is whole: every chunk is there, with the right checksum; else None."""
    walk = list(chunks(data))
    is_whole = walk and walk[0].kind == b"IHDR" and walk[-1].kind == b"IEND"
    return walk[-1] if is_whole and all(chunk.is_intact(data) for chunk in walk) else None


def encode(kind: bytes, content: bytes) -> bytes:
    """Format a chunk."""
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def international_text(keyword: str, text: bytes) -> bytes:
    """Format an iTXt chunk of UTF-8 text, uncompressed, without a language (section 11.3.3.4)."""
    return encode(b"iTXt", b"%b\0\0\0\0\0%b" % (keyword.encode("latin-1"), text))


def text_of(content: bytes, keyword: str) -> bytes | None:
    """Read what `international_text` wrote into a chunk; None for other keywords, and for packed text."""
    key, _, rest = content.partition(b"\0")
    if key != keyword.encode("latin-1") or rest[:2] != b"\0\0":
        return None
    _language, _, rest = rest[2:].partition(b"\0")
    return rest.partition(b"\0")[2]


def has_keyword(content: bytes, keyword: str) -> bool:
    """Return whether a text chunk has this keyword, however its text is encoded."""
    return content.startswith(keyword.encode("latin-1") + b"\0")


def defect(data: bytes) -> str | None:
    """Return what is wrong with the chunks, None where all are there, in order and intact."""
    if not last(data):
        return "the png data is cut short or altered"
    walk = list(chunks(data))
    kinds = [chunk.kind for chunk in walk]
    if b"IDAT" not in kinds:
        return "the png holds no image"
    if b"acTL" not in kinds[: kinds.index(b"IDAT")]:
        return None
    promised = int.from_bytes(walk[kinds.index(b"acTL")].content(data)[:4])
    found = kinds.count(b"fcTL")
    if found < promised:
        return f"the png has {found:,} of {promised:,} frames"
    numbers = [chunk.content(data)[:4] for chunk in walk if chunk.kind in (b"fcTL", b"fdAT")]
    in_order = all(number == place.to_bytes(4) for place, number in enumerate(numbers))
    return None if in_order else "the png's frames are out of order"


def frames(data: bytes) -> Iterator[bytes]:
    """Yield the later frames of an animation, each as a PNG of its own."""
    kept, header, first, packed = b"", b"", b"", list[bytes]()
    for chunk in chunks(data):
        if chunk.kind in (b"fcTL", b"IEND") and packed:
            yield b"".join((SIGNATURE, encode(b"IHDR", header), kept, *packed, encode(b"IEND", b"")))
            packed = []
        match chunk.kind:
            case b"IHDR":
                first = chunk.content(data)
            case b"PLTE" | b"tRNS":
                kept += data[chunk.start : chunk.end]
            case b"fcTL":
                header = chunk.content(data)[4:12] + first[8:]
            case b"fdAT":
                packed.append(encode(b"IDAT", chunk.content(data)[4:]))


def essential(data: bytes) -> bytes:
    """Return a PNG reduced to what its pixels need: what every reader must know, and transparency."""
    needed = (chunk for chunk in chunks(data) if chunk.kind[:1].isupper() or chunk.kind == b"tRNS")
    return SIGNATURE + b"".join(data[chunk.start : chunk.end] for chunk in needed)


def unpacked_size(data: bytes) -> int:
    """Return how many bytes the pixels take by the header: scan lines, each after its filter's byte."""
    width, height, depth, color, _, _, is_interlaced = struct.unpack(">IIBBBBB", data[16:29])
    size = 0
    for left, top, across, down in _ADAM7 if is_interlaced else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + -(-columns * depth * _CHANNELS[color] // 8))
    return size


def held_size(data: bytes, limit: int) -> int:
    """Return how many bytes of pixels the data hold; stops soon after `limit`. Raises `zlib.error`."""
    unpacker, size, view = zlib.decompressobj(), 0, memoryview(data)
    for chunk in chunks(data):
        if chunk.kind != b"IDAT":
            continue
        for at in range(chunk.start + 8, chunk.end - 4, _PIECE):
            packed: bytes | memoryview = view[at : min(at + _PIECE, chunk.end - 4)]
            while packed and not unpacker.eof:
                size += len(unpacker.decompress(packed, 16 * _PIECE))
                packed = unpacker.unconsumed_tail
                if size > limit:
                    return size
    return size + len(unpacker.flush())


def has_all_pixels(data: bytes) -> bool:
    """Return whether the pixels of a PNG that is not interlaced are all there, to their checksum.

    Inflates them, in less than half the time of decoding. False where only a decoder can tell.
    """
    size, is_interlaced = unpacked_size(data), data[28]
    line = size // (int.from_bytes(data[20:24]) or 1) or 1
    unpacker, place, end, view = zlib.decompressobj(), 0, 0, memoryview(data)
    for chunk in chunks(data):
        if chunk.kind != b"IDAT":
            continue
        if is_interlaced or end not in (0, chunk.start):  # to other readers, data with a gap are cut short
            return False
        end = chunk.end
        packed: bytes | memoryview = view[chunk.start + 8 : chunk.end - 4]
        while packed and not unpacker.eof:
            try:
                piece = unpacker.decompress(packed, 16 * _PIECE)
            except zlib.error:
                return False
            if piece[-place % line :: line].translate(None, _FILTERS):
                return False
            place += len(piece)
            if place > size:
                return False
            packed = unpacker.unconsumed_tail
    return unpacker.eof and place == size
