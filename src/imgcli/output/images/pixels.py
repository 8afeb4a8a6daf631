"""Block glyphs as `rich_pixels.Pixels`: half blocks, and the tiles of a grid, which rich lays out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from rich_pixels import Pixels, Renderer

from imgcli.core.params import PreviewProtocol
from imgcli.output.images.blocks import BlockRenderer, TerminalPalette, draw
from imgcli.output.images.protocol import Frame
from imgcli.output.images.tiles import ImageTiles
from imgcli.output.tables.table import rendered
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.text import GAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PILImage
    from rich.console import RenderableType
    from rich.segment import Segment

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.protocol import Box, Graphic
    from imgcli.output.images.protocol import Renderer as ImageRenderer
    from imgcli.output.images.tiles import GridLayout


class PixelsRenderer(Renderer):
    """Makes `rich_pixels.Pixels.from_image(image, resize=(columns, rows), renderer=...)` draw block glyphs.

    `resize` counts cells; without it a cell is one pixel wide and two high.
    """

    def __init__(
        self,
        symbols: PreviewProtocol = PreviewProtocol.BLOCKS,
        depth: ColorDepth = ColorDepth.TRUECOLOR,
        background: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.background = background
        self.symbols = symbols
        self.depth = depth

    def render(self, image: PILImage, resize: tuple[int, int] | None) -> list[Segment]:
        """Return the image as segments of equal style, a newline after every row."""
        cells = resize or (image.width, (image.height + 1) // 2)
        palette = TerminalPalette(self.background)
        return list(draw(image, cells, self.symbols, self.depth, palette).segments())


class HalfRenderer(BlockRenderer):
    """Draws with half blocks, as rich-pixels does: each of its two pixels is a colour of the cell."""

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Decode, shrink and draw; raises `decode.Undecodable` for what is no image."""
        blocks = self.drawn(encoded, box)
        pixels = Pixels.from_segments(list(blocks.segments()))
        lines = rendered([pixels], ColorDepth.TRUECOLOR, blocks.columns).splitlines()
        return Frame(tuple(lines[: len(blocks.rows)]), blocks.columns)


class PixelsTiles(ImageTiles["RenderableType"]):
    """Tiles on a terminal that shows text: `Pixels` side by side in a table of rich's."""

    def _drawn(self, renderer: ImageRenderer, image: EncodedImage, box: Box) -> RenderableType:
        if not isinstance(renderer, BlockRenderer):
            raise TypeError(renderer)
        return Pixels.from_segments(list(renderer.drawn(image, box).segments()))

    def _explained(self, reason: str) -> RenderableType:
        return Text(reason, style="dim")

    def _composed(
        self, shown: Sequence[RenderableType | None], layout: GridLayout
    ) -> tuple[list[str], tuple[Graphic, ...]]:
        table = Table.grid(padding=(0, len(GAP)), pad_edge=False, collapse_padding=True)
        for _ in range(layout.across):
            table.add_column(width=layout.columns, no_wrap=True)
        table.add_row(*(one or "" for one in shown))
        lines = rendered([table], ColorDepth.TRUECOLOR, layout.width).splitlines()
        return lines + [" " * layout.width] * (layout.rows - len(lines)), ()
