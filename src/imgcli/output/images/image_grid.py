"""A grid of images for a terminal: tiles in rows, with captions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.dataclass import dataclass
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.protocol import Frame, Graphic
from imgcli.output.images.tiles import FrameTiles, GridLayout, TileLimits
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.text import GAP, cell_width, cut_end, cut_middle, left

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.protocol import Box, Renderer, RendererProvider
    from imgcli.output.images.tiles import ImageTiles
    from imgcli.output.terminal.capabilities import Terminal


_ONE_ROW, _TWO_ROWS = 34, 12
"""Columns beside its label in which a caption can be read in one row, and in two."""
_FEW_ROWS = 8
_FAINT, _RED, _RESET = "\x1b[2m", "\x1b[31m", "\x1b[0m"


class GridTile(NamedTuple):
    """An image, None where none has come yet, and its caption: safe to print.

    Where not all tiles fit, those of the highest `rank` are shown.
    """

    label: str
    words: str
    details: tuple[str, ...] = ()
    image: EncodedImage | None = None
    rank: int = 0
    is_faulty: bool = False


class ImageGrid(NamedTuple):
    """Tiles in their order; `shape` is how many times their images are wider than high.

    They are as small as if there were `places` of them at least; `more` tiles are counted, and not shown.
    """

    tiles: tuple[GridTile, ...]
    shape: float = 1.0
    places: int = 0
    more: int = 0

    def layout(self, box: Box, aspect: float, widest: int | None) -> GridLayout | None:
        """Choose the layout in a box of cells that are `aspect` times as high as wide; see `TileLimits`."""
        if not self.tiles:
            return None
        label = max(cell_width(tile.label) for tile in self.tiles)
        caption_rows = partial(_caption_rows, label, any(tile.details for tile in self.tiles))
        limits = TileLimits(caption_rows, self.shape * aspect, widest)
        return GridLayout.of(max(len(self.tiles) + self.more, self.places), box, limits)


def _caption_rows(label: int, has_details: bool, width: int) -> int:  # noqa: FBT001 - bound by `partial`
    """Count the rows of a caption: fewer where tiles are wide enough for everything."""
    beside = width - label - len(GAP)
    if beside >= _ONE_ROW or not has_details:
        return 1
    return 2 if beside >= _TWO_ROWS else 3


@dataclass
class GridProvider:
    """Lends another provider's renderer to a grid; without one, tiles are rows of text."""

    provider: RendererProvider | None
    terminal: Terminal

    def __post_init__(self) -> None:
        self._renderer: GridRenderer | None = None

    @property
    def widest(self) -> int | None:
        """Return None: what is limited is each image, and not the grid."""
        return None

    @property
    def note(self) -> str:
        """See `RendererProvider`."""
        return self.provider.note if self.provider else ""

    def renderer(self) -> GridRenderer:
        """See `RendererProvider`."""
        if self._renderer is None:
            renderer = self.provider.renderer() if self.provider else None
            widest = self.provider.widest if self.provider else None
            self._renderer = GridRenderer(renderer, self._terminal_as_told(), widest)
        return self._renderer

    def _terminal_as_told(self) -> Terminal:
        """Return the terminal with the shape of its cells, which some tell only when they are asked."""
        if not self.provider or not self.provider.cell:
            return self.terminal
        width, height = self.provider.cell
        return replace(self.terminal, aspect=height / width)

    def close(self) -> None:
        """See `RendererProvider`."""
        if self.provider:
            self.provider.close()


class GridRenderer:
    """Renders grids. What is unchanged since the last one is neither decoded nor encoded again."""

    def __init__(self, renderer: Renderer | None, terminal: Terminal, widest: int | None = None) -> None:
        self._widest = widest
        self._terminal = terminal
        self._separator = " · " if terminal.unicode else ", "
        self._images = renderer and image_tiles(renderer)

    def render(self, grid: ImageGrid, box: Box) -> Frame:
        """Fit a grid into a box; never raises: a tile that cannot be shown says why."""
        layout = self._layout(grid, box)
        if not self._images or not layout:
            gone = self.clear()
            rows = tuple(text_rows(grid, box, self._separator))
            return Frame(rows, box.columns, (Graphic(gone, is_first=True),) if gone else ())
        shown = _chosen(grid.tiles, layout.places)
        image_rows, graphics = self._images.rows([tile.image for tile in shown], layout)
        lines = list[str]()
        for number, image_lines in enumerate(image_rows):
            start = number * layout.across
            lines += image_lines + self._captions(shown[start : start + layout.across], layout)
        if more := len(grid.tiles) + grid.more - len(shown):
            lines.append(left(cut_end(f"+ {more} more", layout.width), layout.width))
        return Frame(tuple(lines), layout.width, tuple(graphics), layout)

    def keep(self) -> None:
        """See `StoredRenderer`."""
        if self._images:
            self._images.keep()

    def clear(self) -> str:
        """See `StoredRenderer`."""
        return self._images.clear() if self._images else ""

    def abort(self) -> str:
        """See `StoredRenderer`."""
        return self._images.abort() if self._images else ""

    def _layout(self, grid: ImageGrid, box: Box) -> GridLayout | None:
        """Choose a layout; None where rows of text tell more than one or two small images, or blank tiles."""
        if not self._images or not any(tile.image for tile in grid.tiles):
            return None
        layout = grid.layout(box, self._terminal.aspect, self._widest)
        are_few = layout and layout.places < len(grid.tiles) + grid.more <= box.rows < _FEW_ROWS
        return None if are_few else layout

    def _captions(self, tiles: Sequence[GridTile], layout: GridLayout) -> list[str]:
        """Return the captions of a row of tiles, side by side."""
        captions = [list(self._caption(tile, layout)) for tile in tiles]
        captions += [[" " * layout.columns] * layout.caption_rows] * (layout.across - len(tiles))
        return [GAP.join(row) for row in zip(*captions, strict=True)]

    def _caption(self, tile: GridTile, layout: GridLayout) -> Iterator[str]:
        """Yield the rows of a caption, equally wide; the last of several is faint."""
        details, several = self._separator.join(tile.details), tile.details
        while len(several) > 1 and cell_width(details) > layout.columns:
            several = several[1:]  # the last of them, the cost, says most
            details = self._separator.join(several)
        beside = cell_width(tile.label) + len(GAP) if tile.label else 0
        match layout.caption_rows:
            case 1:
                after = f"{self._separator}{details}" if details else ""
                words = cut_middle(tile.words, layout.columns - beside - cell_width(after))
                rows = [GAP.join(filter(None, [tile.label, words])) + after]
            case 2:
                words = cut_middle(tile.words, layout.columns - beside)
                rows = [GAP.join(filter(None, [tile.label, words])), details]
            case _:
                rows = [tile.label, cut_middle(tile.words, layout.columns), details]
        styles = [_RED if tile.is_faulty and self._terminal.depth > ColorDepth.MONO else ""] * len(rows)
        styles[1:] = [*styles[1:-1], _FAINT] if len(rows) > 1 else []
        for row, style in zip(rows, styles, strict=True):
            text = left(cut_end(row, layout.columns), layout.columns)
            yield f"{style}{text}{_RESET}" if style else text


def image_tiles(renderer: Renderer) -> ImageTiles[Any]:
    """Return what draws images of tiles: rich, where a terminal shows text."""
    if isinstance(renderer, BlockRenderer):
        from imgcli.output.images.pixels import PixelsTiles

        return PixelsTiles(renderer)
    return FrameTiles(renderer)


def _chosen(tiles: Sequence[GridTile], count: int) -> Sequence[GridTile]:
    """Return so many tiles of the highest rank, in their order."""
    best = sorted(range(len(tiles)), key=lambda index: tiles[index].rank, reverse=True)[: max(count, 0)]
    return [tiles[index] for index in sorted(best)]


def text_rows(grid: ImageGrid, box: Box, separator: str) -> Iterator[str]:
    """Yield a row of text for each tile, as many as fit."""
    count = len(grid.tiles) + grid.more
    shown = _chosen(grid.tiles, box.rows if count <= box.rows else box.rows - 1)
    width = max((cell_width(tile.label) for tile in shown), default=0)
    for tile in shown:
        text = GAP.join([left(tile.label, width), separator.join([tile.words, *tile.details])])
        yield left(cut_end(text, box.columns), box.columns)
    if more := count - len(shown):
        yield left(cut_end(f"+ {more} more", box.columns), box.columns)
