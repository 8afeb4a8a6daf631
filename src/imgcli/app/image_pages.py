"""Pages of images on a terminal: tiles with file name and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.text import shorten
from imgcli.output.images.image_grid import GridProvider, GridTile, ImageGrid
from imgcli.output.images.protocol import Box
from imgcli.output.images.tiles import GridLayout, thumbnail
from imgcli.output.terminal.viewer import StillViewer

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.core.image import EncodedImage
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.terminal.capabilities import Terminal


_NAME_LENGTH = 200
_COMFORTABLE = 18
"""Columns of a tile where there are many: more of them would be too small to be told apart."""
_CAPTION_ROWS = 2
_ROWS_BELOW = 2
"""Rows that an image leaves free: see `StillViewer`."""
_FLATTEST, _TALLEST = 2.0, 0.5
"""Beyond these shapes tiles are not made wider or higher for their images' sake."""


class ImagePages:
    """Collects images, and shows a page of them when it is full; `count` is how many may come in all."""

    def __init__(self, stream: TextIO, terminal: Terminal, provider: RendererProvider, count: int) -> None:
        self._viewer = StillViewer[ImageGrid](stream, terminal, GridProvider(provider, terminal))
        self._terminal = terminal
        self._widest = provider.widest
        self._count = count
        self._tiles: list[GridTile] = []
        self._shapes: list[float] = []

    def add(self, image: EncodedImage, name: str, details: tuple[str, ...] = (), label: str = "") -> None:
        """Take an image; raises `decode.Undecodable` for what is none."""
        from imgcli.output.images.decode import pixels

        box, places = self._page()
        small = thumbnail(image, box)
        width, height = pixels(small) or (1, 1)
        self._shapes.append(width / height)
        self._tiles.append(GridTile(label, shorten(name, _NAME_LENGTH), details, small))
        if len(self._tiles) >= places:
            self.flush()

    def flush(self) -> None:
        """Show what was collected."""
        tiles, self._tiles = tuple(self._tiles), []
        shapes, self._shapes = self._shapes, []
        if tiles:
            shape = min(max(min(shapes), _TALLEST), _FLATTEST)
            self._viewer.show(ImageGrid(tiles, shape, min(self._page()[1], self._count)))

    def _page(self) -> tuple[Box, int]:
        """Return the room on a page as it is now, and how many images it takes."""
        columns, rows = self._terminal.size()
        box = Box(max(columns, 1), max(rows - _ROWS_BELOW, 1))
        width = min(_COMFORTABLE, self._widest or _COMFORTABLE)
        height = round(width / self._terminal.aspect) + _CAPTION_ROWS
        return box, GridLayout.across_in(box, width) * max(box.rows // height, 1)
