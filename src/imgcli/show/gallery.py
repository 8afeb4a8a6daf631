"""Finished pictures, one after the other, each with a line about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.text import shorten
from imgcli.show.output import Patient
from imgcli.show.painting import NOTHING, Box, Remembered
from imgcli.show.screen import Screen

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.core.events import Picture
    from imgcli.show.painting import Easel, Painting
    from imgcli.show.terminal import Terminal

_FAINT, _RESET = "\x1b[2m", "\x1b[0m"
_CAPTION_ROWS = 2  # the line about it, and the shell's prompt
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_CLEAR_LINE = "\x1b[K"


class Gallery:
    """Shows pictures on a terminal that does not change meanwhile."""

    def __init__(self, stream: TextIO, terminal: Terminal, easel: Easel) -> None:
        self._out = Patient(stream)
        self._terminal = terminal
        self._easel = easel

    def show(self, picture: Picture, caption: str) -> None:
        """Paint one under what is there; raises what the painter raises, and then nothing is shown."""
        columns, rows = self._terminal.size()
        self._out.write(_SAVE_CURSOR)
        painter = self._easel.painter()
        self._out.write(f"{_RESTORE_CURSOR}{_CLEAR_LINE}")
        box = Box(max(min(self._easel.widest or columns, columns), 1), max(rows - _CAPTION_ROWS, 1))
        painting = painter.paint(picture, box) if rows > 1 else NOTHING
        self._write(painting, columns)
        if isinstance(painter, Remembered):
            painter.keep()
        unicode = self._terminal.unicode
        line = caption if unicode else caption.replace(" · ", ", ")
        self._out.write(f"{_FAINT}{shorten(line, max(columns - 1, 1))}{_RESET}\r\n")

    def _write(self, painting: Painting, columns: int) -> None:
        """Paint, and give the terminal back also when that is broken off."""
        screen = Screen()
        try:
            self._out.write(screen.draw(painting, "", columns))
        finally:
            self._out.write(screen.leave())
