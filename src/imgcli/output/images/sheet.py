"""Contact sheets: many images in one, in rows, with captions."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from imgcli.core.text import clean
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PILImage
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from imgcli.core.image import ImageFormat


_PAPER, _INK, _FAINT = (255, 255, 255), (32, 32, 32), (112, 112, 112)
_GAP = 16  # pixels between tiles, and around them
_MEGAPIXELS = 100
_LONGEST_SIDES = {"JPEG": 65_535, "WEBP": 16_383}  # pixels, by the formats' own headers
_ELLIPSIS = "..."


@dataclass(frozen=True)
class Tile:
    """One image of a sheet, already small, and the lines under it: the first in ink, the others faint."""

    image: PILImage
    caption: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where tiles go: so many columns of square tiles, each `side` pixels wide."""

    count: int
    columns: int
    side: int
    caption_lines: int

    @classmethod
    def of(cls, count: int, side: int, caption_lines: int, columns: int | None = None) -> Layout:
        """Choose the columns that make a sheet about as wide as it is high, where nobody chose them."""
        return cls(count, min(columns or math.ceil(math.sqrt(count)), count), side, caption_lines)

    @property
    def font_size(self) -> int:
        """The height of the letters in pixels; they grow with the tiles."""
        return max(10, self.side // 20)

    @property
    def line_height(self) -> int:
        """The height of a line of a caption in pixels."""
        return self.font_size * 3 // 2

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a tile in pixels, with its caption and the gap after it."""
        return self.side + _GAP, self.side + self.caption_lines * self.line_height + _GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        rows = math.ceil(self.count / self.columns)
        return _GAP + self.columns * self.cell[0], _GAP + rows * self.cell[1]

    def corner(self, index: int) -> tuple[int, int]:
        """Return the upper left corner of a tile."""
        row, column = divmod(index, self.columns)
        return _GAP + column * self.cell[0], _GAP + row * self.cell[1]

    def is_too_large(self, file_format: ImageFormat) -> bool:
        """Return whether the format, or a modest machine's memory, has no room for the sheet."""
        width, height = self.size
        longest = _LONGEST_SIDES.get(file_format.name, width + height)
        return max(width, height) > longest or width * height > _MEGAPIXELS * 1_000_000


def compose(tiles: Sequence[Tile], layout: Layout) -> PILImage:
    """Paint the tiles onto one sheet, each in the middle of its square."""
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(layout.font_size)
    for index, tile in enumerate(tiles):
        left, top = layout.corner(index)
        width, height = tile.image.size
        sheet.paste(tile.image, (left + (layout.side - width) // 2, top + (layout.side - height) // 2))
        for number, line in enumerate(tile.caption):
            text = shorten_to(clean(line), layout.side, font)
            place = left + layout.side // 2, top + layout.side + number * layout.line_height + _GAP // 4
            draw.text(place, text, _FAINT if number else _INK, font, anchor="ma")
    return sheet


def shorten_to(text: str, width: int, font: FreeTypeFont | ImageFont) -> str:
    """Return a text at most `width` pixels wide, its middle left out: a file name's end tells most."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}{_ELLIPSIS}{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= width:
            return short
    return _ELLIPSIS


def encode(sheet: PILImage, file_format: ImageFormat) -> bytes:
    """Encode a sheet as a file."""
    data = io.BytesIO()
    sheet.save(data, file_format.name, **({"quality": 90} if file_format.name == "JPEG" else {}))
    return data.getvalue()
