"""Between an image and the rows of a terminal: the box, the frame, the renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from imgcli.core.image import EncodedImage


@dataclass(frozen=True)
class Box:
    """Room for an image, in cells; at least 1 by 1."""

    columns: int
    rows: int


@dataclass(frozen=True)
class Frame:
    """An image as rows of text with colour codes, which end with the row; `columns` is their width.

    Where it is made of pixels, the rows leave room, and the last one brings the pixels: see `graphics`.
    """

    lines: tuple[str, ...]
    columns: int

    @property
    def rows(self) -> int:
        """How many rows it takes."""
        return len(self.lines)


NOTHING = Frame((), 0)


class Renderer(Protocol):
    """Turns images into rows for one kind of terminal."""

    def render(self, image: EncodedImage, box: Box) -> Frame:
        """Fit an image into a box and never exceed it; raises any `Exception` when it cannot be shown."""


@runtime_checkable
class StoredRenderer(Protocol):
    """A renderer whose images live in the terminal's memory, apart from the rows that show them."""

    def keep(self) -> None:
        """Keep what was painted last for good."""

    def clear(self) -> str:
        """Return the text that takes what was painted last out of the terminal's memory."""

    def abort(self) -> str:
        """Return the text after which the terminal no longer waits for the rest of an image."""


class RendererProvider(Protocol):
    """Has the renderer for a terminal, which may have to be asked first."""

    @property
    def widest(self) -> int | None:
        """How many columns an image may take, None for all that there are."""

    def renderer(self) -> Renderer:
        """Choose the renderer, the same every time; called when there is something on the screen already."""

    def close(self) -> None:
        """Hand the terminal back as it was; called more than once."""


_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_MAKE_ROOM = "\n\x1b[A"  # some terminals scroll at the end of an image unless there is a row under it


def lay_over(box: Box, graphic: str) -> Frame:
    """Return rows that leave the screen as it is, the last of them drawing a graphic over the whole box.

    Drawn last, when all of its rows exist and one more under them, it never scrolls the screen; where the
    graphic before it is not erased, it does not flicker. It may leave the cursor anywhere: terminals
    differ in that. What is saved is the box's first cell: see `Screen.break_off`.
    """
    skip, below = f"\x1b[{box.columns}C", box.rows - 1
    to_top, to_last = (f"\x1b[{below}A", f"\x1b[{below}B") if below else ("", "")
    last = f"{_MAKE_ROOM}\r{to_top}{_SAVE_CURSOR}{graphic}{_RESTORE_CURSOR}{to_last}{skip}"
    return Frame((*[skip] * (box.rows - 1), last), box.columns)
