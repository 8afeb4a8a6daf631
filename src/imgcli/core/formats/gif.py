"""The blocks of a GIF file (GIF89a specification), found at byte level: nothing is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


EXTENSION, IMAGE, TRAILER = b"!", b",", b";"
_HEADER = 13  # bytes: the signature and the logical screen
_DESCRIPTOR = 10  # bytes of an image before its colours


class Block(NamedTuple):
    """One block: its first byte, and where in the file it begins and ends."""

    kind: bytes
    start: int
    end: int

    def size(self, data: bytes) -> tuple[int, int]:
        """Return an image's width and height."""
        fields = data[self.start + 5 : self.start + 9]
        return int.from_bytes(fields[:2], "little"), int.from_bytes(fields[2:], "little")

    def alone(self, data: bytes, transparent: int) -> bytes:
        """Return an image as a GIF of its own that shows the color `transparent` where it has no pixels."""
        screen = b"GIF89a" + data[self.start + 5 : self.start + 9] + b"\xf7\0\0" + bytes(range(256)) * 3
        control = b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
        return screen + control + b",\0\0\0\0" + data[self.start + 5 : self.end] + b";"


def blocks(data: bytes) -> Iterator[Block]:
    """Walk through the blocks, TRAILER last; ends early where the file is cut or altered."""
    at = _HEADER + _colors(data[10:11])
    while True:
        kind = data[at : at + 1]
        match kind:
            case b"!":
                end = _after(data, at + 2)
            case b",":
                end = _after(data, at + _DESCRIPTOR + _colors(data[at + 9 : at + 10]) + 1)
            case b";":
                end = at + 1
            case b"\0" if data[at + 1 : at + 2] != b"\0":  # one terminator too many, which readers forgive
                at += 1
                continue
            case _:
                return
        if end is None:
            return
        yield Block(kind, at, end)
        if kind == TRAILER:
            return
        at = end


def defect(data: bytes) -> str | None:
    """Return what is wrong with the blocks, None where all are there."""
    kinds = {block.kind for block in blocks(data)}
    if TRAILER not in kinds:
        return "the gif data is cut short or altered"
    return None if IMAGE in kinds else "the gif holds no image"


def _colors(flags: bytes) -> int:
    """Return how many bytes the color table takes that these flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _after(data: bytes, at: int) -> int | None:
    """Return where the sub-blocks that begin here end, None where they do not."""
    while at < len(data):
        length = data[at]
        at += 1 + length
        if not length:
            return at
    return None
