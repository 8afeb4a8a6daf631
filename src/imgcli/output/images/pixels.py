"""Block glyphs as a rich renderable, of which rich lays out a grid; a single image is `blocks.ansi_lines`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich_pixels import Pixels, Renderer

from imgcli.output.images.blocks import BlockRenderer, TerminalPalette, cell_rows, draw
from imgcli.output.images.tiles import ImageTiles
from imgcli.output.tables.table import rendered
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.database import PreviewProtocol
from imgcli.output.text import GAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as PILImage
    from rich.console import RenderableType

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.cells import BlockImage
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
        return list(_segments(draw(image, cells, self.symbols, self.depth, TerminalPalette(self.background))))


class PixelsTiles(ImageTiles["RenderableType"]):
    """Tiles on a terminal that shows text: `Pixels` side by side in a table of rich's."""

    def _drawn(self, renderer: ImageRenderer, image: EncodedImage, box: Box) -> RenderableType:
        if not isinstance(renderer, BlockRenderer):
            raise TypeError(renderer)
        decoded, cells = renderer.fitted(image, box)
        pixels = PixelsRenderer(renderer.glyphs, renderer.depth, renderer.background)
        segments = pixels.render(decoded, cells)
        return Pixels.from_segments(segments)

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


def _segments(blocks: BlockImage) -> Iterator[Segment]:
    inks, papers = _colours(blocks, blocks.foreground), _colours(blocks, blocks.background)
    if blocks.clear is not None:
        masked = zip(papers, blocks.clear.tobytes(), strict=True)
        papers = [None if is_clear else paper for paper, is_clear in masked]
    for row in cell_rows(blocks):
        for colours, cells in groupby(zip(inks[row], papers[row], blocks.text[row], strict=True), _visible):
            yield Segment("".join(char for _, _, char in cells), Style.from_color(*colours))
        yield Segment.line()


def _visible(cell: tuple[Color | None, Color | None, str]) -> tuple[Color | None, Color | None]:
    """Return the colours that matter to a cell: a space has no ink."""
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
