"""A picture's width and height, from its header, and its description for people."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from imgcli.core.events import ImageFormat
from imgcli.core.wording import picture_facts

if TYPE_CHECKING:
    from imgcli.core.events import Picture

_PNG_SIZE = slice(16, 24)  # the first two fields of IHDR, which is always the first chunk


def pixels(picture: Picture) -> tuple[int, int] | None:
    """Read width and height in pixels, None where the header does not tell."""
    size = _png_size(picture.data) if picture.format is ImageFormat.PNG else _size_by_pillow(picture.data)
    return size if size and all(size) else None


def facts(picture: Picture) -> list[str]:
    """Describe a picture: `1024x1024`, `1.7 MB`."""
    return picture_facts(pixels(picture), len(picture.data))


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Read the usual format without the cost of importing Pillow."""
    field = data[_PNG_SIZE]
    if data[12:16] != b"IHDR" or len(field) < 8:  # noqa: PLR2004 - two numbers of four bytes
        return None
    return int.from_bytes(field[:4]), int.from_bytes(field[4:])


def _size_by_pillow(data: bytes) -> tuple[int, int] | None:
    with suppress(Exception):  # Pillow raises whatever it likes on hostile files
        from PIL import Image

        with Image.open(BytesIO(data)) as image:
            return image.size
    return None
