"""The seam between a picture and the rows of a terminal: room to paint in, what was painted, who paints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imgcli.core.events import Picture


@dataclass(frozen=True)
class Box:
    """Room for a picture, in cells; at least 1 by 1."""

    columns: int
    rows: int


@dataclass(frozen=True)
class Painting:
    """A picture as rows of text with colour codes, which end with the row; `columns` is their width."""

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
