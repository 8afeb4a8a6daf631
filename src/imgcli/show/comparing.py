"""An easel on which every picture stands beside the one that was before it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from imgcli.show.painting import Remembered

if TYPE_CHECKING:
    from imgcli.core.events import Picture
    from imgcli.show.comparison import Comparison
    from imgcli.show.painting import Box, Easel, Painter, Painting


@dataclass
class ComparingEasel:
    """Lends another easel's painter, which then paints comparisons: partial pictures are compared too."""

    easel: Easel
    comparison: Comparison

    @property
    def widest(self) -> int | None:
        """See `Easel`."""
        return self.easel.widest

    def painter(self) -> Painter:
        """See `Easel`."""
        return self._painter

    def close(self) -> None:
        """See `Easel`."""
        self.easel.close()

    @cached_property
    def _painter(self) -> Painter:
        painter = self.easel.painter()
        if isinstance(painter, Remembered):
            return _RememberedComparingPainter(painter, self.comparison, painter)
        return _ComparingPainter(painter, self.comparison)


@dataclass(frozen=True)
class _ComparingPainter:
    """Paints before and after in a picture's place; the picture alone where the two cannot be compared."""

    inner: Painter
    comparison: Comparison

    def paint(self, picture: Picture, box: Box) -> Painting:
        """See `Painter`."""
        return self.inner.paint(self.comparison.after(picture).picture or picture, box)


@dataclass(frozen=True)
class _RememberedComparingPainter(_ComparingPainter):
    """The same for a painter whose pictures live in the terminal's memory."""

    memory: Remembered

    def keep(self) -> None:
        """See `Remembered`."""
        self.memory.keep()

    def clear(self) -> str:
        """See `Remembered`."""
        return self.memory.clear()

    def abort(self) -> str:
        """See `Remembered`."""
        return self.memory.abort()
