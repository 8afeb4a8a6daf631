"""Tiles of a grid: where each image goes, and which must be drawn again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.images.decode import decode
from imgcli.output.images.protocol import NOTHING, Box, DividedRenderer, Frame, Graphic, StoredRenderer
from imgcli.output.images.sixel import SixelRenderer
from imgcli.output.text import GAP, cell_width, cut_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imgcli.output.images.protocol import Renderer


T = TypeVar("T")

_NARROWEST, _LOWEST = 12, 4  # columns and rows of a tile's image
_LEGIBLE = 34  # columns of a caption, for which a tile may be wider than its image
_ENOUGH = (16, 32)  # pixels of a cell, where nobody knows better
_REASON_LENGTH = 200
_FAINT, _RESET = "\x1b[2m", "\x1b[0m"


class TileLimits(NamedTuple):
    """What tiles look like: the height of a caption of some width, and the shape of an image.

    An image takes `shape` times as many columns as rows, and at most `widest` columns, where that is given.
    """

    caption_rows: Callable[[int], int]
    shape: float = 2.0
    widest: int | None = None


class GridLayout(NamedTuple):
    """How tiles are arranged: so many across and down, each `columns` by `rows` cells over its caption.

    The image may take `image_columns` of them.
    """

    across: int
    down: int
    columns: int
    rows: int
    caption_rows: int
    image_columns: int

    @property
    def places(self) -> int:
        """How many tiles there is room for."""
        return self.across * self.down

    @property
    def width(self) -> int:
        """The columns of the whole grid."""
        return self.across * (self.columns + len(GAP)) - len(GAP)

    @property
    def box(self) -> Box:
        """The room for a tile's image."""
        return Box(self.image_columns, self.rows)

    @staticmethod
    def across_in(box: Box, columns: int) -> int:
        """Return how many tiles of so many columns there is room for, side by side; at least one."""
        return max((box.columns + len(GAP)) // (columns + len(GAP)), 1)

    @classmethod
    def of(cls, count: int, box: Box, limits: TileLimits) -> GridLayout | None:
        """Make so many tiles as large as a box allows; None where there is no room for a single one.

        Where not all of them fit, a row is left for how many more there are.
        """
        if found := _largest(count, box, limits):
            return found
        less = Box(box.columns, max(box.rows - 1, 1))
        most = max(
            across * (less.rows // (_LOWEST + limits.caption_rows(width))) for across, width in _widths(box)
        )
        return _largest(most, less, limits) if most else None


def _largest(count: int, box: Box, limits: TileLimits) -> GridLayout | None:
    """Return the layout in which so many tiles are largest, None where they do not fit."""
    best, largest = None, 0.0
    for across, width in _widths(box):
        down, below = ceil(count / across), limits.caption_rows(width)
        rows = box.rows // down - below
        if across > count or rows < _LOWEST:
            continue
        most = min(width, limits.widest or width)
        side = min(most, rows * limits.shape)
        if best is None or side > largest or (side == largest and down < best.down):
            columns = min(width, max(round(side), _LEGIBLE))
            rows = min(rows, max(round(side / limits.shape), _LOWEST))
            best, largest = GridLayout(across, down, columns, rows, below, min(columns, most)), side
    return best


def _widths(box: Box) -> Iterator[tuple[int, int]]:
    """Yield how many tiles may be side by side, and how wide each of them is."""
    for across in range(1, GridLayout.across_in(box, _NARROWEST) + 1):
        yield across, (box.columns + len(GAP)) // across - len(GAP)


@dataclass
class _Slot(Generic[T]):
    """A place for an image, with the renderer that knows what it showed there."""

    renderer: Renderer
    image: EncodedImage | None = None
    box: Box | None = None
    shown: T | None = None

    def clear(self) -> str:
        """Forget the image, and return the text that takes it out of the terminal's memory."""
        self.image = self.box = self.shown = None
        return self.renderer.clear() if isinstance(self.renderer, StoredRenderer) else ""


class ImageRow(NamedTuple, Generic[T]):
    """A row of the grid as it was composed last."""

    shown: tuple[T | None, ...]
    layout: GridLayout
    lines: list[str]
    graphics: tuple[Graphic, ...]


class ImageTiles(ABC, Generic[T]):
    """Draws the images of tiles, each of them once; T is what one of them is drawn as."""

    def __init__(self, renderer: Renderer) -> None:
        self._slots: list[_Slot[T]] = [_Slot(renderer)]
        self._rows: list[ImageRow[T]] = []

    def rows(
        self, images: Sequence[EncodedImage | None], layout: GridLayout
    ) -> tuple[list[list[str]], list[Graphic]]:
        """Return the lines of every row of images, and the graphics, as far down as that row's first line."""
        while len(self._slots) < len(images):
            self._slots.append(_Slot(self._another_renderer()))
        gone = "".join(slot.clear() for slot in self._slots[len(images) :])
        shown = list[T | None]()
        for slot, image in zip(self._slots, images, strict=False):
            gone += "" if image or not slot.image else slot.clear()
            shown.append(self._show(slot, image, layout.box) if image else None)
        rows = [
            self._row(number, tuple(shown[start : start + layout.across]), layout)
            for number, start in enumerate(range(0, len(shown), layout.across))
        ]
        self._rows = rows
        height = layout.rows + layout.caption_rows
        graphics = [Graphic(gone, is_first=True)] if gone else []
        for number, row in enumerate(rows):
            graphics += [graphic.moved(number * height, 0) for graphic in row.graphics]
        return [row.lines for row in rows], graphics

    def keep(self) -> None:
        """Keep what was painted last for good."""
        for slot in self._slots:
            if isinstance(slot.renderer, StoredRenderer):
                slot.renderer.keep()
            slot.image = slot.box = slot.shown = None

    def clear(self) -> str:
        """Return the text that takes what was painted last out of the terminal's memory."""
        self._rows = []
        return "".join(slot.clear() for slot in self._slots)

    def abort(self) -> str:
        """Return the text after which the terminal no longer waits for the rest of an image."""
        renderer = self._slots[0].renderer
        return renderer.abort() if isinstance(renderer, StoredRenderer) else ""

    @abstractmethod
    def _drawn(self, renderer: Renderer, image: EncodedImage, box: Box) -> T:
        """Draw an image; raises any `Exception` when it cannot be shown."""

    @abstractmethod
    def _explained(self, reason: str) -> T:
        """Draw why there is no image, in one row."""

    @abstractmethod
    def _composed(
        self, shown: Sequence[T | None], layout: GridLayout
    ) -> tuple[list[str], tuple[Graphic, ...]]:
        """Put images side by side."""

    def _another_renderer(self) -> Renderer:
        first = self._slots[0].renderer
        return first.sibling() if isinstance(first, DividedRenderer) else first

    def _show(self, slot: _Slot[T], image: EncodedImage, box: Box) -> T:
        """Return an image as it was drawn already, or draw it; what cannot be shown leaves the one before."""
        if slot.shown is not None and slot.image is image and slot.box == box:
            return slot.shown
        is_same_box, slot.image, slot.box = slot.box == box, image, box
        try:
            slot.shown = self._drawn(slot.renderer, image, box)
        except Exception as error:  # noqa: BLE001 - a preview that fails costs the preview
            if slot.shown is None or not is_same_box:
                reason = shorten(str(error) or type(error).__name__, _REASON_LENGTH)
                slot.shown = self._explained(cut_end(f"no preview: {reason}", box.columns))
        return slot.shown

    def _row(self, number: int, shown: tuple[T | None, ...], layout: GridLayout) -> ImageRow[T]:
        """Compose a row, unless it is as before."""
        before = self._rows[number] if number < len(self._rows) else None
        if before and before.layout == layout and list(map(id, before.shown)) == list(map(id, shown)):
            return before
        return ImageRow(shown, layout, *self._composed(shown, layout))


class FrameTiles(ImageTiles[Frame]):
    """Tiles on a terminal that shows pixels: the frames of a renderer, side by side."""

    def _drawn(self, renderer: Renderer, image: EncodedImage, box: Box) -> Frame:
        makes_pixels = isinstance(renderer, SixelRenderer)  # the others send files
        return renderer.render(image if makes_pixels else thumbnail(image, box), box)

    def _explained(self, reason: str) -> Frame:
        return Frame((f"{_FAINT}{reason}{_RESET}",), cell_width(reason))

    def _composed(
        self, shown: Sequence[Frame | None], layout: GridLayout
    ) -> tuple[list[str], tuple[Graphic, ...]]:
        frames = [one or NOTHING for one in shown]
        frames += [NOTHING] * (layout.across - len(frames))
        lines = [
            GAP.join(_line(frame, row, layout.columns) for frame in frames) for row in range(layout.rows)
        ]
        graphics = [
            graphic.moved(0, column * (layout.columns + len(GAP)))
            for column, frame in enumerate(frames)
            for graphic in frame.graphics
        ]
        return lines, tuple(graphics)


def _line(frame: Frame, row: int, columns: int) -> str:
    """Return a row of a tile, cleared beside its image."""
    return frame.lines[row] + " " * (columns - frame.columns) if row < frame.rows else " " * columns


def thumbnail(image: EncodedImage, box: Box) -> EncodedImage:
    """Return an image with no more pixels than a box needs: a grid of large ones takes long to send.

    Raises `decode.Undecodable`.
    """
    most = box.columns * _ENOUGH[0], box.rows * _ENOUGH[1]
    decoded = decode(image.data, most)
    if decoded.width <= most[0] and decoded.height <= most[1]:
        return image
    decoded.thumbnail(most, reducing_gap=2.0)
    file = BytesIO()
    decoded.save(file, "PNG", compress_level=1)
    return EncodedImage(file.getvalue(), ImageFormat.PNG)
