"""The renderer with block glyphs, for every terminal that shows text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.output.images.protocol import Frame
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.database import PreviewProtocol

if TYPE_CHECKING:
    from imgcli.core.image import EncodedImage
    from imgcli.output.images.dither import Depth
    from imgcli.output.images.protocol import Box
    from imgcli.output.terminal.capabilities import Terminal

_CELL_WIDTH, _CELL_HEIGHT = 16, 32  # pixels of an image of which a cell can make use, and some to spare
_DARK_BELOW = 128


class BlockRenderer:
    """Draws with the glyphs of one of the ladder's rungs, in the terminal's own colours."""

    def __init__(self, terminal: Terminal, rung: PreviewProtocol = PreviewProtocol.BLOCKS) -> None:
        self._terminal = terminal
        self._rung = rung

    def paint(self, encoded: EncodedImage, box: Box) -> Frame:
        """Decode, shrink and draw; raises `decode.Undecodable` for what is no image."""
        from imgcli.output.images.ansi import Symbols, ansi_lines, draw
        from imgcli.output.images.decode import decode, fit, flatten

        image = decode(encoded.data, (box.columns * _CELL_WIDTH, box.rows * _CELL_HEIGHT))
        cells = fit(image.size, box.columns, box.rows, (1, self._terminal.aspect))
        opaque = flatten(image, self._terminal.background)
        symbols = Symbols(self._rung.value)
        mosaic = draw(opaque, cells, symbols, _depth(self._terminal.depth), dark=self._is_dark())
        return Frame(tuple(ansi_lines(mosaic)), cells[0])

    def _is_dark(self) -> bool:
        background = self._terminal.background
        return background is None or max(background) < _DARK_BELOW


def _depth(depth: ColorDepth) -> Depth:
    from imgcli.output.images.dither import Depth

    return {
        ColorDepth.TRUECOLOR: Depth.TRUECOLOR,
        ColorDepth.ANSI_256: Depth.COLORS_256,
        ColorDepth.ANSI_16: Depth.COLORS_16,
    }.get(depth, Depth.MONO)
