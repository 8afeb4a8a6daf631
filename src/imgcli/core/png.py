"""The chunks of a PNG file, found at byte level: nothing is decoded, nothing is believed.

The layout is that of the PNG specification, third edition, section 5: a signature, then chunks of a length, a
type, the content and a checksum, up to IEND. What follows IEND belongs to nobody, and is left alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AROUND = 12  # bytes of a chunk besides its content: length, type, checksum
_MOST_CHUNKS = 200_000
"""Far more than any picture has; a file made of nothing but empty chunks must not keep us busy."""


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
        """Whether its checksum is right."""
        checksum = int.from_bytes(data[self.end - 4 : self.end])
        return zlib.crc32(memoryview(data)[self.start + 4 : self.end - 4]) == checksum


def chunks(data: bytes) -> Iterator[Chunk]:
    """Walk through the chunks, IEND last; ends early where the file is cut, at once for what is no PNG."""
    start = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    for _ in range(_MOST_CHUNKS):
        end = start + _AROUND + int.from_bytes(data[start : start + 4])
        if start + _AROUND > len(data) or end > len(data):
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
    """Spell a chunk."""
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def international_text(keyword: str, text: bytes) -> bytes:
    """Spell an iTXt chunk of UTF-8 text, uncompressed, its language not told (section 11.3.3.4)."""
    return encode(b"iTXt", b"%b\0\0\0\0\0%b" % (keyword.encode("latin-1"), text))


def text_of(content: bytes, keyword: str) -> bytes | None:
    """Read what `international_text` wrote into a chunk; None for other keywords, and for packed text."""
    key, _, rest = content.partition(b"\0")
    if key != keyword.encode("latin-1") or rest[:2] != b"\0\0":
        return None
    _language, _, rest = rest[2:].partition(b"\0")
    return rest.partition(b"\0")[2]


def has_keyword(content: bytes, keyword: str) -> bool:
    """Tell whether a text chunk goes by this keyword, however its text is spelt."""
    return content.startswith(keyword.encode("latin-1") + b"\0")
