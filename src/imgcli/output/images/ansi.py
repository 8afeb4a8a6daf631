"""Block glyphs and colours: an image as a terminal's own codes, or as a rich renderable."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from PIL import ImageChops
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich_pixels import Renderer

from imgcli.output.images.cells import BRIGHTNESS, EVEN, BlockImage, mosaic
from imgcli.output.images.decode import flatten
from imgcli.output.images.dither import Depth, dithered, letters, monochrome
from imgcli.output.images.glyphs import Symbols, splits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as PILImage

__all__ = ["BlockImage", "Depth", "PixelsRenderer", "Symbols", "ansi_lines", "draw"]

_RESET = "\x1b[0m"
_INK, _PAPER = 30, 40  # where SGR's codes for the foreground and for the background begin
_BASE = 8  # colours that have a code of their own; as many more have a bright one


def draw(
    blocks: PILImage, cells: tuple[int, int], symbols: Symbols, depth: Depth, *, dark: bool = True
) -> BlockImage:
    """Draws an image of any mode so that it fills (columns, rows) cells; see `decode.fit` for its aspect.

    Transparent parts show a checkerboard. `dark` says what the terminal's background is, which matters where
    it stays visible: in ASCII and without colours.
    """
    opaque = flatten(blocks)
    if symbols is Symbols.ASCII:
        return letters(opaque, cells, depth, dark=dark)
    if depth is Depth.MONO:
        return monochrome(opaque if dark else ImageChops.invert(opaque), cells, symbols)
    if depth is Depth.TRUECOLOR:
        emphasis = BRIGHTNESS if symbols is Symbols.OCTANTS else EVEN
        return mosaic(opaque, cells, splits(symbols), emphasis)
    return dithered(opaque, cells, symbols, depth)


def ansi_lines(blocks: BlockImage) -> list[str]:
    """A mosaic's rows for a terminal: a colour is set where it changes, and at a row's end none is left.

    Rich takes an order of magnitude longer for the same cells: nearly all of their styles are new to it.
    """
    inks, papers = _codes(blocks, blocks.foreground, _INK), _codes(blocks, blocks.background, _PAPER)
    return [_line(blocks.text[row], inks[row], papers[row]) for row in _rows(blocks)]


class PixelsRenderer(Renderer):
    """Makes `rich_pixels.Pixels.from_image(image, resize=(columns, rows), renderer=...)` draw block glyphs.

    `resize` counts cells; without it a cell is one pixel wide and two high.
    """

    def __init__(self, symbols: Symbols = Symbols.BLOCKS, depth: Depth = Depth.TRUECOLOR) -> None:
        super().__init__()
        self.symbols = symbols
        self.depth = depth

    def render(self, image: PILImage, resize: tuple[int, int] | None) -> list[Segment]:
        """The image as segments of equal style, a newline after every row."""
        cells = resize or (image.width, (image.height + 1) // 2)
        return list(_segments(draw(image, cells, self.symbols, self.depth)))


def _rows(blocks: BlockImage) -> list[slice]:
    return [slice(start, start + blocks.columns) for start in range(0, len(blocks.text), blocks.columns)]


def _codes(blocks: BlockImage, colours: PILImage | None, base: int) -> list[str]:
    """For each cell the SGR parameters that set its colour; nothing where the terminal's own stays."""
    if colours is None:
        return [""] * len(blocks.text)
    data = colours.tobytes()
    if colours.mode == "RGB":
        true = f"{base + 8};2;"
        return [f"{true}{r};{g};{b}" for r, g, b in zip(data[0::3], data[1::3], data[2::3], strict=True)]
    by_number = [_code(number, base) for number in range(256)]
    return [by_number[number] for number in data]


def _code(number: int, base: int) -> str:
    if number < _BASE:
        return str(base + number)
    return str(base + 60 + number - _BASE) if number < 2 * _BASE else f"{base + 8};5;{number}"


def _line(text: str, inks: Sequence[str], papers: Sequence[str]) -> str:
    """A row with the codes that change its colours."""
    found, last_ink, last_paper = [], "", ""
    for char, cell_ink, paper in zip(text, inks, papers, strict=True):
        ink = last_ink if char == " " else cell_ink
        if ink != last_ink:
            found.append(f"\x1b[{ink};{paper}m" if paper != last_paper else f"\x1b[{ink}m")
        elif paper != last_paper:
            found.append(f"\x1b[{paper}m")
        found.append(char)
        last_ink, last_paper = ink, paper
    return "".join(found) + (_RESET if last_ink or last_paper else "")


def _segments(blocks: BlockImage) -> Iterator[Segment]:
    inks, papers = _colours(blocks, blocks.foreground), _colours(blocks, blocks.background)
    for row in _rows(blocks):
        for colours, cells in groupby(zip(inks[row], papers[row], blocks.text[row], strict=True), _visible):
            yield Segment("".join(char for _, _, char in cells), Style.from_color(*colours))
        yield Segment.line()


def _visible(cell: tuple[Color | None, Color | None, str]) -> tuple[Color | None, Color | None]:
    """The colours that matter to a cell: a space has no ink."""
    ink, paper, char = cell
    return None if char == " " else ink, paper


def _colours(blocks: BlockImage, colours: PILImage | None) -> Sequence[Color | None]:
    if colours is None:
        return [None] * len(blocks.text)
    data = colours.tobytes()
    if colours.mode == "RGB":
        return [Color.from_rgb(*rgb) for rgb in zip(data[0::3], data[1::3], data[2::3], strict=True)]
    by_number = [Color.from_ansi(number) for number in range(256)]
    return [by_number[number] for number in data]
