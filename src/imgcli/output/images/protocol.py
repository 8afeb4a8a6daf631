"""The protocol between images and terminal rows: box, frame, renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, runtime_checkable

from imgcli.core.image import EncodedImage
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.output.images.animation import Animation

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Box:
    """Room for an image, in cells; at least 1 by 1."""

    columns: int
    rows: int


class Graphic(NamedTuple):
    """Pixels for the terminal, drawn from a cell of the frame on; they may leave the cursor anywhere.

    `is_first` is for what has to be there before the rows that refer to it. `again` draws it once more, where
    its text can be written once only.
    """

    text: str
    row: int = 0
    column: int = 0
    is_first: bool = False
    again: str = ""

    def moved(self, rows: int, columns: int) -> Graphic:
        """Return the graphic as part of a larger frame, so far down and to the right."""
        return self._replace(row=self.row + rows, column=self.column + columns)


@dataclass(frozen=True)
class Frame:
    """An image as rows of text with colour codes, which end with the row; `columns` is their width.

    Where it is made of pixels, the rows leave room for them, and `graphics` brings them. A frame that is
    divided in another way, by its `layout`, has nothing in common with the one before.
    """

    lines: tuple[str, ...]
    columns: int
    graphics: tuple[Graphic, ...] = ()
    layout: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it takes."""
        return len(self.lines)


NOTHING = Frame((), 0)


class RendererOf(Protocol[T_contra]):
    """Turns something, such as an image or a grid of them, into rows for one kind of terminal."""

    def render(self, shown: T_contra, box: Box, /) -> Frame:
        """Fit it into a box and never exceed it; raises any `Exception` when it cannot be shown."""


class Renderer(RendererOf[EncodedImage], Protocol):
    """Turns images into rows for one kind of terminal."""


@runtime_checkable
class StoredRenderer(Protocol):
    """A renderer whose images live in the terminal's memory, apart from the rows that show them."""

    def keep(self) -> None:
        """Keep what was painted last for good."""

    def clear(self) -> str:
        """Return the text that takes what was painted last out of the terminal's memory."""

    def abort(self) -> str:
        """Return the text after which the terminal no longer waits for the rest of an image."""


@runtime_checkable
class HintedRenderer(Protocol):
    """A renderer whose terminal may be told that an image `is_brief`: it is going to be replaced."""

    is_brief: bool


@runtime_checkable
class PlayingRenderer(Protocol):
    """A renderer whose terminal can play an animation by itself."""

    def play(self, animation: Animation, *, is_endless: bool) -> Iterator[str] | None:
        """Return what plays it in the place of its first frame, None where that is too much for it."""


@runtime_checkable
class DividedRenderer(Protocol):
    """A renderer that can show one image at a time, and has others of its kind for more."""

    def sibling(self) -> Renderer:
        """Return a renderer for another image on the same screen."""


class ProviderOf(Protocol[T_co]):
    """Has a renderer for a terminal, which may have to be asked first."""

    @property
    def widest(self) -> int | None:
        """How many columns an image may take, None for all that there are."""

    @property
    def note(self) -> str:
        """Why the renderer is not the one that was asked for; empty where it is, or before it is chosen."""

    def renderer(self) -> T_co:
        """Choose the renderer, the same every time; called when there is something on the screen already."""

    def close(self) -> None:
        """Hand the terminal back as it was; called more than once."""


class RendererProvider(ProviderOf[Renderer], Protocol):
    """Has the renderer of images for a terminal."""

    @property
    def cell(self) -> tuple[int, int] | None:
        """A cell's width and height in pixels, None before the renderer is chosen, or where nobody tells."""


def overlay_frame(box: Box, graphic: str, again: str = "") -> Frame:
    """Return rows that leave the screen as it is, and a graphic that is drawn over the whole box.

    Drawn when all of its rows exist and one more under them, it never scrolls the screen; where the graphic
    before it is not erased, it does not flicker.
    """
    skip = f"\x1b[{box.columns}C"
    return Frame((skip,) * box.rows, box.columns, (Graphic(graphic, again=again),))
