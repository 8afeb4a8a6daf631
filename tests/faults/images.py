"""The images that scenarios name: whole ones of every kind, hostile ones, and cuts of them."""

from __future__ import annotations

import random
import re
import struct
import zlib
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from streams import BLUE, GREEN, RED, png

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SPEC = re.compile(r"(?P<name>[A-Z0-9_]+)(?P<flip>~\d+)?(?::(?P<cut>-?\d+))?(?P<tail>\+junk)?")


def chunk(name: bytes, data: bytes) -> bytes:
    """Build one PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Build a PNG's signature and its first chunk."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def _noise() -> bytes:
    """Paint what does not compress: about 120 kB, so that it arrives and is written in several pieces."""
    grain = random.Random(7)
    rows = b"".join(b"\0" + grain.randbytes(600) for _ in range(200))
    return header(200, 200) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def _one_row() -> bytes:
    """Paint one row where the header says 64."""
    return header(64, 64) + chunk(b"IDAT", zlib.compress(bytes(1 + 64 * 3))) + chunk(b"IEND", b"")


def _half_a_jpeg() -> bytes:
    """Paint noise, cut it in half, and end it."""
    from PIL import Image

    out = BytesIO()
    Image.effect_noise((200, 200), 60).save(out, "JPEG")
    return out.getvalue()[: len(out.getvalue()) // 2].rstrip(b"\xff") + b"\xff\xd9"


def _flat(width: int, height: int, colour: int, bytes_per_pixel: int) -> bytes:
    """Paint nothing, very large: a few kilobytes on disk, hundreds of megabytes decoded."""
    packer, row = zlib.compressobj(1), bytes(1 + width * bytes_per_pixel)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return header(width, height, colour=colour) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _text_bomb() -> bytes:
    """Paint a small image with a comment that unpacks to 200 MB."""
    packer, megabyte = zlib.compressobj(9), bytes(1_000_000)
    text = b"".join(packer.compress(megabyte) for _ in range(200)) + packer.flush()
    return RED[:33] + chunk(b"zTXt", b"Comment\0\0" + text) + RED[33:]


def _pillow(kind: str) -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (48, 32), (200, 40, 40)).save(out, kind)
    return out.getvalue()


def _animation() -> bytes:
    from PIL import Image

    out = BytesIO()
    frames = [Image.new("RGB", (48, 32), (shade, 40, 40)) for shade in (0, 90, 180)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


_MAKERS: dict[str, Callable[[], bytes]] = {
    "RED": lambda: RED,
    "BLUE": lambda: BLUE,
    "GREEN": lambda: GREEN,
    "NOISE": _noise,
    "TALL": lambda: png(width=1, height=60_000),
    "WIDE": lambda: png(width=60_000, height=1),
    "CLAIM": lambda: header(2**31 - 1, 2**31 - 1) + RED[33:],
    "GREY81": lambda: _flat(9000, 9000, 0, 1),
    "RGBA62": lambda: _flat(7900, 7900, 6, 4),
    "TEXTBOMB": _text_bomb,
    "ROWS": _one_row,
    "JPEGHALF": _half_a_jpeg,
    "SVGBROKEN": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><path></svg>',
    "JPEG": lambda: _pillow("JPEG"),
    "WEBP": lambda: _pillow("WEBP"),
    "GIF": lambda: _pillow("GIF"),
    "APNG": _animation,
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>',
    "HTML": lambda: b"<html><body>not an image</body></html>",
    "OLD": lambda: b"precious bytes of the user's",
}


@cache
def image(spec: str) -> bytes:
    """Make the image that a spec names: `RED`, `RED:60` (a cut), `RED~50` (a bit flipped), `RED+junk`."""
    found = _SPEC.fullmatch(spec)
    assert found, f"no image is called {spec}"
    data = _MAKERS[found["name"]]()
    if found["flip"]:
        place = int(found["flip"][1:])
        data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    if found["cut"]:
        data = data[: int(found["cut"])]
    return data + (b"\0<script>junk</script>" if found["tail"] else b"")
