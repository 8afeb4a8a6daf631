"""The seam between a picture and the rows of a terminal: room to paint in, what was painted, who paints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from imgcli.core.events import Picture


@dataclass(frozen=True)
class Box:
    """Room for a picture, in cells; at least 1 by 1."""

    columns: int
    rows: int


@dataclass(frozen=True)
class Painting:
    """A picture as rows of text with colour codes, which end with the row; `columns` is their width.

    Where it is made of pixels, the rows leave room, and the last one brings the pixels: see `graphics`.
    """

    lines: tuple[str, ...]
    columns: int

    @property
    def rows(self) -> int:
        """How many rows it takes."""
        return len(self.lines)


NOTHING = Painting((), 0)


class Painter(Protocol):
    """Turns pictures into rows for one kind of terminal."""

    def paint(self, picture: Picture, box: Box) -> Painting:
        """Fit a picture into a box and never exceed it; raises any `Exception` when it cannot be shown."""


@runtime_checkable
class Remembered(Protocol):
    """A painter whose pictures live in the terminal's memory, apart from the rows that show them."""

    def keep(self) -> None:
        """Let what was painted last stay for good."""

    def clear(self) -> str:
        """Give the text that takes what was painted last out of the terminal's memory."""

    def abort(self) -> str:
        """Return the text after which the terminal no longer waits for the rest of a picture."""


class Easel(Protocol):
    """Has the painter for a terminal, which may have to be asked first."""

    @property
    def widest(self) -> int | None:
        """How many columns a picture may take, None for all that there are."""

    def painter(self) -> Painter:
        """Choose the painter, the same every time; called when there is something on the screen already."""

    def close(self) -> None:
        """Give the terminal back as it was; called more than once."""
