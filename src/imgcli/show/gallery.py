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
    from imgcli.show.painting import Easel
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
        self._memory: Remembered | None = None

    def show(self, picture: Picture, caption: str) -> None:
        """Paint one under what is there; raises what the painter raises, and then nothing is shown."""
        screen = Screen()
        try:
            self._show(picture, caption, screen)
        except Exception:
            raise
        except BaseException:
            self._break_off(screen)
            raise

    def _show(self, picture: Picture, caption: str, screen: Screen) -> None:
        columns, rows = self._terminal.size()
        self._out.write(_SAVE_CURSOR)
        painter = self._easel.painter()
        self._memory = painter if isinstance(painter, Remembered) else None
        self._out.write(f"{_RESTORE_CURSOR}{_CLEAR_LINE}")
        box = Box(max(min(self._easel.widest or columns, columns), 1), max(rows - _CAPTION_ROWS, 1))
        painting = painter.paint(picture, box) if rows > 1 else NOTHING
        self._out.write(screen.draw(painting, "", columns))
        self._out.write(screen.leave())
        if self._memory:
            self._memory.keep()
        unicode = self._terminal.unicode
        line = caption if unicode else caption.replace(" · ", ", ")
        self._out.write(f"{_FAINT}{shorten(line, max(columns - 1, 1))}{_RESET}\r\n")

    def _break_off(self, screen: Screen) -> None:
        """Give the terminal back in the middle of anything: a signal has come."""
        aborted = self._memory.abort() if self._memory else ""
        self._out.recover(aborted + screen.break_off())
