"""The renderer for block glyphs, which works in every terminal that shows text."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.params import PreviewProtocol
from imgcli.output.images.decode import cut_out, decode, fit
from imgcli.output.images.protocol import Frame
from imgcli.output.terminal.capabilities import ColorDepth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PILImage

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.block_image import BlockImage
    from imgcli.output.images.protocol import Box
    from imgcli.output.terminal.capabilities import Terminal

RGB = tuple[int, int, int]

_CELL_WIDTH, _CELL_HEIGHT = 16, 32  # pixels of an image of which a cell can make use, and some to spare
_DARK_BELOW = 128
_RESET = "\x1b[0m"
_INK, _PAPER = 30, 40  # where SGR's codes for the foreground and for the background begin
_NO_PAPER = "49"  # the terminal's own background
_BASE = 8  # colours that have a code of their own; as many more have a bright one


class TerminalPalette(NamedTuple):
    """A terminal's colours: the one behind everything, and the first sixteen, where they are known.

    And whether it draws wedges, which are glyphs beside those of any font.
    """

    background: RGB | None = None
    sixteen: Sequence[RGB] = ()
    has_wedges: bool = False


UNTOLD = TerminalPalette()


class BlockRenderer:
    """Draws with a set of block glyphs, or ASCII, in the terminal's own colours.

    A pixel of the image takes at most `zoom` columns.
    """

    def __init__(
        self, terminal: Terminal, glyphs: PreviewProtocol = PreviewProtocol.BLOCKS, zoom: float = inf
    ) -> None:
        self._zoom = zoom
        self._terminal = terminal
        self._glyphs = glyphs

    @property
    def depth(self) -> ColorDepth:
        """How many colours it draws with."""
        return self._terminal.depth

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Decode, shrink and draw; raises `decode.Undecodable` for what is no image."""
        blocks = self.drawn(encoded, box)
        return Frame(tuple(ansi_lines(blocks)), blocks.columns)

    def drawn(self, encoded: EncodedImage, box: Box) -> BlockImage:
        """Return the image in cells, which rich can print too; raises `decode.Undecodable`."""
        image = decode(encoded.data, (box.columns * _CELL_WIDTH, box.rows * _CELL_HEIGHT))
        terminal = self._terminal
        cells = fit(image.size, box.columns, box.rows, (1, terminal.aspect), self._zoom)
        palette = TerminalPalette(terminal.background, terminal.palette or (), terminal.has_wedges)
        return draw(image, cells, self._glyphs, terminal.depth, palette, dark=self._is_dark())

    def _is_dark(self) -> bool:
        background = self._terminal.background
        return background is None or max(background) < _DARK_BELOW


def draw(
    blocks: PILImage,
    cells: tuple[int, int],
    symbols: PreviewProtocol,
    depth: ColorDepth,
    palette: TerminalPalette = UNTOLD,
    *,
    dark: bool = True,
) -> BlockImage:
    """Draw an image of any mode so that it fills (columns, rows) cells; see `decode.fit` for its aspect.

    Transparent parts show the terminal's background. `dark` says whether that is dark, which matters where
    it stays visible: without colours.
    """
    opaque, clear = cut_out(blocks, cells, palette.background)
    drawn = _drawn(opaque, cells, symbols, depth, palette, dark=dark)
    if clear is None:
        return drawn
    shown = zip(drawn.text, clear.tobytes(), strict=True)
    return replace(drawn, text="".join(" " if is_clear else char for char, is_clear in shown), clear=clear)


def _drawn(
    opaque: PILImage,
    cells: tuple[int, int],
    symbols: PreviewProtocol,
    depth: ColorDepth,
    palette: TerminalPalette,
    *,
    dark: bool,
) -> BlockImage:
    from imgcli.output.images.cells import BRIGHTNESS, EVEN, mosaic
    from imgcli.output.images.dither import dithered, letters, monochrome
    from imgcli.output.images.glyphs import splits

    if symbols is PreviewProtocol.ASCII:
        return letters(opaque, cells, depth, palette.sixteen, dark=dark)
    if depth <= ColorDepth.MONO:
        return monochrome(opaque, cells, symbols, dark=dark)
    if depth is ColorDepth.TRUECOLOR:
        emphasis = BRIGHTNESS if symbols is PreviewProtocol.OCTANTS else EVEN
        return mosaic(opaque, cells, splits(symbols, slanted=palette.has_wedges), emphasis)
    return dithered(opaque, cells, symbols, depth, palette.sixteen)


def ansi_lines(blocks: BlockImage) -> list[str]:
    """Return the rows for a terminal: a colour is set where it changes, and at a row's end none is left.

    Rich prints them as they are (see `console.paint`): to encode them, it takes an order of magnitude longer,
    for nearly all of their styles are new to it.
    """
    inks, papers = _codes(blocks, blocks.foreground, _INK), _codes(blocks, blocks.background, _PAPER)
    if blocks.clear is not None and blocks.background is not None:
        masked = zip(papers, blocks.clear.tobytes(), strict=True)
        papers = [_NO_PAPER if is_clear else paper for paper, is_clear in masked]
    return [_line(blocks.text[row], inks[row], papers[row]) for row in blocks.rows]


def _codes(blocks: BlockImage, colours: PILImage | None, base: int) -> list[str]:
    """Return for each cell the SGR parameters that set its colour; nothing where the terminal's own stays."""
    if colours is None:
        return [""] * len(blocks.text)
    data = colours.tobytes()
    if colours.mode == "RGB":
        # A number is written once and not for every cell: twice as fast.
        reds, greens, blues = (
            [form % level for level in range(256)] for form in (f"{base + 8};2;%d;", "%d;", "%d")
        )
        levels = zip(data[0::3], data[1::3], data[2::3], strict=True)
        return [f"{reds[r]}{greens[g]}{blues[b]}" for r, g, b in levels]
    by_number = [_code(number, base) for number in range(256)]
    return [by_number[number] for number in data]


def _code(number: int, base: int) -> str:
    if number < _BASE:
        return str(base + number)
    return str(base + 60 + number - _BASE) if number < 2 * _BASE else f"{base + 8};5;{number}"


def _line(text: str, inks: Sequence[str], papers: Sequence[str]) -> str:
    """Return a row with the codes that change its colours."""
    found, last_ink, last_paper = [], "", _NO_PAPER if papers[0] else ""
    for char, cell_ink, paper in zip(text, inks, papers, strict=True):
        ink = last_ink if char == " " else cell_ink
        if ink != last_ink:
            found.append(f"\x1b[{ink};{paper}m{char}" if paper != last_paper else f"\x1b[{ink}m{char}")
        elif paper != last_paper:
            found.append(f"\x1b[{paper}m{char}")
        else:
            found.append(char)
        last_ink, last_paper = ink, paper
    return "".join(found) + (_RESET if last_ink or last_paper not in {"", _NO_PAPER} else "")
