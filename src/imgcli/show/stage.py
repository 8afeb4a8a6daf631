"""The picture on a real terminal: fitted to the window, kept in place, never the cause of a failure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcli.core.text import shorten
from imgcli.show.output import Patient
from imgcli.show.painting import NOTHING, Box
from imgcli.show.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from imgcli.core.events import Picture
    from imgcli.show.painting import Painter, Painting
    from imgcli.show.terminal import Terminal

_FAINT, _RESET = "\x1b[2m", "\x1b[0m"
_REASON_LENGTH = 200


class Stage:
    """Paints for one thread at a time. A terminal that has gone away costs nothing but the show.

    Lines given to it are safe to print already; they may hold colour codes.
    """

    def __init__(self, stream: TextIO, terminal: Terminal, painter: Painter | None) -> None:
        self._out = Patient(stream)
        self._terminal = terminal
        self._painter = painter
        self._screen = Screen()
        self._size = os.terminal_size((0, 0))
        self._picture: Picture | None = None
        self._painting = NOTHING
        self._complaints: list[str] = []

    def tick(self, status: str) -> None:
        """Bring the status row up to date; everything, when the window has changed."""
        if self._is_resized():
            self._repaint(status)
        else:
            self._out.write(self._screen.tick(status, self._size.columns))

    def show(self, picture: Picture, status: str) -> None:
        """Put a picture in the place of the one before; one that cannot be shown leaves that where it is."""
        if self._is_resized():
            self._repaint(status)
        if self._picture and self._picture.data == picture.data:
            return
        painting = self._paint(picture)
        if painting is None:
            self._complain(status)
        else:
            self._picture, self._painting = picture, painting
            self._out.write(self._screen.draw(painting, status, self._size.columns))

    def print_above(self, lines: Sequence[str], status: str) -> None:
        """Let lines scroll by above the picture."""
        self.tick(status)
        if lines:
            self._out.write(self._screen.print_above(lines, self._size.columns))

    def leave(self, lines: Sequence[str]) -> None:
        """Let the picture stay for good, with these lines under it in the place of the status row."""
        self._out.write(self._screen.leave() + "".join(f"{line}\r\n" for line in lines))
        self._picture, self._painting = None, NOTHING

    def mend(self, status: str) -> None:
        """Paint over what others may have written into the picture, a `^C` for instance."""
        self._repaint(status)

    @property
    def columns(self) -> int:
        """The window's width when it was last looked at."""
        return self._size.columns

    def _is_resized(self) -> bool:
        """Look at the window; it counts as resized before anything has been painted."""
        columns, lines = self._terminal.size()
        before, self._size = self._size, os.terminal_size((max(columns, 1), max(lines, 1)))
        return self._size != before

    def _repaint(self, status: str) -> None:
        """Clear what is ours and paint it as it fits now."""
        if self._picture:
            self._painting = self._paint(self._picture) or NOTHING
        columns = self._size.columns
        self._out.write(self._screen.erase(columns) + self._screen.draw(self._painting, status, columns))

    def _paint(self, picture: Picture) -> Painting | None:
        """Paint for the window as it is, less the status row; None when that is not possible."""
        if not self._painter or self._size.lines <= 1:
            return NOTHING
        try:
            return self._painter.paint(picture, Box(self._size.columns, self._size.lines - 1))
        except Exception as error:  # noqa: BLE001 - a preview that fails costs the preview
            self._complaints.append(
                f"no preview: {shorten(str(error) or type(error).__name__, _REASON_LENGTH)}"
            )
            return None

    def _complain(self, status: str) -> None:
        """Say once, in grey, why there is no picture."""
        if len(self._complaints) == 1:
            self.print_above([f"{_FAINT}{self._complaints[0]}{_RESET}"], status)
