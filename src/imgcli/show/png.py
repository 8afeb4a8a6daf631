"""Knows a PNG from outside: its size, and whether it arrived whole, without decoding it."""

from __future__ import annotations

import struct
import zlib

from imgcli.show.shrink import Undecodable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OVERHEAD = 12  # bytes of a chunk: length, type, checksum
_MEGAPIXELS = 32  # as many as `shrink` decodes of a PNG


def measure(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, once every chunk is there and its checksum is right.

    A terminal that is handed the bytes themselves tells nobody when it cannot show them. Raises Undecodable
    where it could not. Chunks are as in the PNG specification, third edition, section 5.3.
    """
    if not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise Undecodable("damaged or cut short")
    _check_chunks(data)
    width, height = struct.unpack_from(">II", data, 16)
    if not (width and height):
        raise Undecodable("without a single pixel")
    if width * height > _MEGAPIXELS * 1_000_000:
        raise Undecodable(f"larger than {_MEGAPIXELS} megapixels ({width}x{height})")
    return width, height


def _check_chunks(data: bytes) -> None:
    """Walk from chunk to chunk up to the last, IEND."""
    at, view = len(_SIGNATURE), memoryview(data)
    while at + _OVERHEAD <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body, end = view[at + 4 : at + 8 + length], at + _OVERHEAD + length
        if end > len(data) or zlib.crc32(body).to_bytes(4) != data[end - 4 : end]:
            break
        if bytes(body[:4]) == b"IEND":
            return
        at = end
    raise Undecodable("damaged or cut short")
