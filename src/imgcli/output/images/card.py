"""A test card in every renderer that a terminal supports, for one screenshot in a bug report."""

from __future__ import annotations

from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.text import shorten
from imgcli.output.images.protocol import NOTHING, Box, Frame, Graphic, StoredRenderer
from imgcli.output.text import GAP, cell_width, cut_end, left

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as PILImage
    from PIL.ImageDraw import ImageDraw

    from imgcli.output.images.protocol import Renderer


_WIDTH, _HEIGHT = 480, 320
_BARS = ("white", "yellow", "cyan", "lime", "magenta", "red", "blue", "black")
_BAR_ROWS, _GRADIENT_ROWS = 90, 50  # pixels
_GREY, _INK = (40, 40, 48), (240, 240, 240)
_LINES_AT = (16, 170, 200, 290)  # left, top, right, bottom
_FINEST = 3  # pixels between the first two lines; each gap is one wider than the last
_CORAL, _DOT = (244, 113, 80), (424, 178, 448, 202)
"""A small saturated object, whose colour a poor palette loses."""
_CORNER = 64  # pixels; transparent, so that the background is seen
_FONT, _FONT_AT = 52, (222, 238)
_REASON_LENGTH = 200
_FAINT, _RESET = "\x1b[2m", "\x1b[0m"


def paint_test_card(name: str) -> EncodedImage:
    """Paint the card of a renderer of this name, as PNG.

    It has colour bars, a gradient, thin lines, a small saturated object, the name, and a transparent corner.
    """
    from PIL import Image, ImageDraw, ImageFont

    card = Image.new("RGBA", (_WIDTH, _HEIGHT), _GREY)
    draw = ImageDraw.Draw(card)
    _paint_bars(draw)
    card.paste(_gradient(), (0, _BAR_ROWS))
    _paint_lines(draw)
    draw.ellipse(_DOT, fill=_CORAL)
    draw.text(_FONT_AT, name, fill=_INK, font=ImageFont.load_default(_FONT))
    draw.polygon([(0, _HEIGHT - _CORNER), (0, _HEIGHT), (_CORNER, _HEIGHT)], fill=(0, 0, 0, 0))
    file = BytesIO()
    card.save(file, "PNG")
    return EncodedImage(file.getvalue(), ImageFormat.PNG)


def _paint_bars(draw: ImageDraw) -> None:
    width = _WIDTH // len(_BARS)
    for index, color in enumerate(_BARS):
        draw.rectangle((index * width, 0, (index + 1) * width - 1, _BAR_ROWS - 1), fill=color)


def _gradient() -> PILImage:
    """Return a band that goes from black to white at its top, and through all hues at its bottom."""
    from PIL import Image

    ramp = Image.linear_gradient("L").rotate(90).resize((_WIDTH, _GRADIENT_ROWS))
    full = Image.new("L", ramp.size, 255)
    hues = Image.merge("HSV", (ramp, full, full)).convert("RGB")
    band = ramp.convert("RGB")
    band.paste(hues.resize((_WIDTH, _GRADIENT_ROWS // 2)), (0, _GRADIENT_ROWS // 2))
    return band


def _paint_lines(draw: ImageDraw) -> None:
    """Paint lines of one pixel: upright ones that come closer and closer, a frame, a diagonal."""
    start, top, right, bottom = _LINES_AT
    at, gap = right, _FINEST
    while at > start:
        draw.line((at, top, at, bottom - _CORNER), fill=_INK)
        at, gap = at - gap, gap + 1
    draw.rectangle((right + 20, top, _DOT[0] - 20, bottom - _CORNER), outline=_INK)
    draw.line((right + 20, top, _DOT[0] - 20, bottom - _CORNER), fill=_INK)


class NamedRenderer(NamedTuple):
    """A renderer with the name that is written on its card."""

    name: str
    renderer: Renderer


class CardRenderer:
    """Draws a card with each of several renderers, all of them in one box; a `StoredRenderer` as well."""

    def __init__(self, renderers: Sequence[NamedRenderer], aspect: float, most_rows: int) -> None:
        self._renderers = renderers
        self._aspect = aspect
        self._most_rows = most_rows

    def render(self, cards: Sequence[EncodedImage], box: Box) -> Frame:
        """Draw the cards as large as the box allows, each under its name; one that fails says why."""
        rows = min(box.rows, self._most_rows)
        across, tile = self._layout(len(cards), Box(box.columns, rows))
        width = across * (tile.columns + len(GAP)) - len(GAP)
        lines, graphics = list[str](), list[Graphic]()
        drawn = [self._drawn(each, card, tile) for each, card in zip(self._renderers, cards, strict=True)]
        for start in range(0, len(drawn), across):
            row = [*drawn[start : start + across], *[NOTHING] * across][:across]
            for column, frame in enumerate(row):
                place = column * (tile.columns + len(GAP))
                graphics += [graphic.moved(len(lines) + 1, place) for graphic in frame.graphics]
            names = [each.name for each in self._renderers[start : start + across]]
            lines.append(
                GAP.join(left(cut_end(name, tile.columns), tile.columns) for name in names).ljust(width)
            )
            lines += [
                GAP.join(_cells(frame, index, tile.columns) for frame in row) for index in range(tile.rows)
            ]
        inside = tuple(graphic for graphic in graphics if graphic.row + tile.rows <= rows)
        return Frame(tuple(lines[:rows]), width, inside)  # a tiny window has no room for all of them

    def keep(self) -> None:
        """Keep what was painted last for good."""
        for one in self._stored():
            one.keep()

    def clear(self) -> str:
        """Return the text that takes what was painted last out of the terminal's memory."""
        return "".join(one.clear() for one in self._stored())

    def abort(self) -> str:
        """Return the text after which the terminal no longer waits for the rest of an image."""
        return "".join(one.abort() for one in self._stored())

    def _stored(self) -> Iterator[StoredRenderer]:
        return (each.renderer for each in self._renderers if isinstance(each.renderer, StoredRenderer))

    def _drawn(self, each: NamedRenderer, card: EncodedImage, tile: Box) -> Frame:
        try:
            return each.renderer.render(card, tile)
        except Exception as error:  # noqa: BLE001 - the others are to be seen all the same
            reason = cut_end(shorten(str(error) or type(error).__name__, _REASON_LENGTH), tile.columns)
            return Frame((f"{_FAINT}{reason}{_RESET}",), cell_width(reason))

    def _layout(self, count: int, box: Box) -> tuple[int, Box]:
        """Choose how many cards are side by side so that they are largest."""
        best = (1, Box(1, 1))
        for across in range(1, count + 1):
            columns = (box.columns + len(GAP)) // across - len(GAP)
            rows = box.rows // ceil(count / across) - 1
            high = round(columns * _HEIGHT / _WIDTH / self._aspect)
            if high > rows:
                high, columns = rows, round(rows * self._aspect * _WIDTH / _HEIGHT)
            if columns > best[1].columns and high >= 1:
                best = across, Box(columns, high)
        return best


def _cells(frame: Frame, row: int, columns: int) -> str:
    """Return a row of a card, cleared beside and below its image."""
    return frame.lines[row] + " " * (columns - frame.columns) if row < frame.rows else " " * columns
