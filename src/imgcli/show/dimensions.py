"""A picture's width and height, and its description for people."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from imgcli.core.dimensions import header_size
from imgcli.core.wording import picture_facts

if TYPE_CHECKING:
    from imgcli.core.events import Picture


def pixels(picture: Picture) -> tuple[int, int] | None:
    """Read width and height in pixels, None where nothing tells; Pillow is asked about rare formats only."""
    return header_size(picture) if picture.format else _size_by_pillow(picture.data)


def facts(picture: Picture) -> list[str]:
    """Describe a picture: `1024x1024`, `1.7 MB`."""
    return picture_facts(pixels(picture), len(picture.data))


def _size_by_pillow(data: bytes) -> tuple[int, int] | None:
    with suppress(Exception):  # Pillow raises whatever it likes on hostile files
        from PIL import Image

        with Image.open(BytesIO(data)) as image:
            return image.size if all(image.size) else None
    return None
