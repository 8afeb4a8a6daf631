"""Images to send along: files in every format, masks, and large ones."""

from __future__ import annotations

import hashlib
import io
import random
import re
from dataclasses import dataclass

from PIL import Image

from imgcli.core.image import ImageFormat
from imgcli.core.request import InputImage


def encoded(
    form: str, mode: str = "RGB", size: tuple[int, int] = (48, 32), colour: tuple[int, ...] | int = 0
) -> bytes:
    """Make a small image, for instance of a mask's mode RGBA."""
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, form)
    return out.getvalue()


JPEG = encoded("JPEG")
WEBP = encoded("WEBP")
MASK = encoded("PNG", "RGBA")


def noise(side: int) -> bytes:
    """Make a png that does not compress: three bytes a pixel."""
    image = Image.frombytes("RGB", (side, side), random.Random(side).randbytes(3 * side * side))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=0)
    return out.getvalue()


def reference(data: bytes, name: str = "a.png", form: ImageFormat = ImageFormat.PNG) -> InputImage:
    """Make what reading a file makes."""
    digest = hashlib.sha256(data).hexdigest()
    return InputImage(name, f"/home/me/{name}", None, form, digest, (48, 32), len(data), data)


@dataclass(frozen=True)
class Field:
    """One field of a form, as it came over the wire."""

    name: str
    filename: str | None
    mime: str | None
    data: bytes


def form_fields(content_type: str, body: bytes) -> list[Field]:
    """Take a form apart, strictly, so that it is read as any server reads it."""
    match = re.fullmatch(r"multipart/form-data; boundary=(\S+)", content_type)
    assert match, content_type
    line = b"--" + match[1].encode()
    assert body.startswith(line + b"\r\n")
    assert body.endswith(b"\r\n" + line + b"--\r\n")
    pieces = (b"\r\n" + body).split(b"\r\n" + line)
    return [_field(piece.removeprefix(b"\r\n")) for piece in pieces[1:-1]]


def _field(piece: bytes) -> Field:
    head, gap, data = piece.partition(b"\r\n\r\n")
    assert gap
    match = re.fullmatch(
        r'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?'
        r"(?:\r\nContent-Type: (\S+))?",
        head.decode(),
    )
    assert match, head
    return Field(match[1], match[2], match[3], data)


def smooth(width: int, height: int) -> bytes:
    """Make a png that compresses to about two bytes a pixel, so that decoding it takes twice its size."""
    grain = random.Random(width).randbytes(2 * width * height)
    blank = Image.new("L", (width, height))
    bands = [Image.frombytes("L", (width, height), grain[i::2]) for i in range(2)]
    out = io.BytesIO()
    Image.merge("RGB", [*bands, blank]).save(out, "PNG", compress_level=1)
    return out.getvalue()
