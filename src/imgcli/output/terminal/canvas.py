"""An image on a real terminal: fitted to the window, kept in place; it never fails a run."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from imgcli.core.text import shorten
from imgcli.output.images.protocol import NOTHING, Box, HintedRenderer, StoredRenderer
from imgcli.output.terminal.console import paint
from imgcli.output.terminal.progress import ProgressBar
from imgcli.output.terminal.screen import NO_FOOTER, Screen, expected_rows, image_rows, rows_below, rows_of
from imgcli.output.terminal.writer import BrokenPipeWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from imgcli.output.images.protocol import Frame, ProviderOf, RendererOf
    from imgcli.output.terminal.capabilities import Terminal


T = TypeVar("T")
"""What is shown: an image, or a grid of them."""

_FAINT, _RESET = "\x1b[2m", "\x1b[0m"
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_REASON_LENGTH = 200
_REPAIR_SECONDS = 0.3  # seconds that painting over a `^C` may take at the end


class LeftImage(NamedTuple):
    """An image that was left for good, in a window of this size, and how many rows stand under it."""

    image: object
    frame: Frame
    below: int
    size: os.terminal_size


class Canvas(Generic[T]):
    """Paints for one thread at a time. A terminal that has gone away costs nothing but the show.

    Lines given to it are safe to print already; they may hold colour codes.
    """

    def __init__(
        self, stream: TextIO, terminal: Terminal, provider: ProviderOf[RendererOf[T]] | None
    ) -> None:
        self._out = BrokenPipeWriter(stream)
        self._terminal = terminal
        self._provider = provider
        self.footer = NO_FOOTER
        self._lines_below: list[str] = []
        self._renderer: RendererOf[T] | None = None
        self._screen = Screen()
        self._progress = ProgressBar(is_supported=terminal.progress)
        self._size = os.terminal_size((0, 0))
        self._image: T | None = None
        self._frame = NOTHING
        self.left: LeftImage | None = None
        self._complaints: list[str] = []
        self._is_set_up = False
        self._is_away = False
        self._is_stale = False

    def set_up(self, status: str) -> None:
        """Choose the renderer, once: that may print questions, over which the status row is written anew."""
        if self._is_set_up or not self._provider or self._is_away:
            return
        self._is_set_up = True
        self._out.write(_SAVE_CURSOR)
        try:
            self._renderer = self._provider.renderer()
        except Exception as error:  # noqa: BLE001 - see `_paint`
            self._complaints.append(f"no preview: {_why(error)}")
        self._out.write(_RESTORE_CURSOR)
        self._repaint(status)
        if self._complaints:
            self._complain(status)
        elif self._provider.note:
            self.print_above([f"{_FAINT}{self._provider.note}{_RESET}"], status)

    def tick(self, status: str) -> None:
        """Update the status row; everything, when the window has changed."""
        if self._is_away:
            return
        if self._is_resized():
            self._repaint(status)
        else:
            self._out.write(self._screen.tick(status, self._size.columns))

    def show(self, image: T, status: str, *, is_brief: bool = False) -> None:
        """Put an image in the place of the one before; one that cannot be shown leaves that where it is."""
        if isinstance(self._renderer, HintedRenderer):
            self._renderer.is_brief = is_brief
        if self._is_resized():
            self._repaint(status)
        if self._image == image:
            return
        frame = self._paint(image)
        if frame is None:
            self._complain(status)
        else:
            self._image, self._frame = image, frame
            paint(self._out, self._screen.update(frame, status, self._size.columns))

    def print_above(self, lines: Sequence[str], status: str) -> None:
        """Print lines above the image, which moves down."""
        self.tick(status)
        if lines and self._is_away:
            self._out.write("".join(f"{line}\r\n" for line in lines))
        elif lines:
            self._out.write(self._screen.print_above(lines, self._size.columns))

    def leave(self, lines: Sequence[str], after: Sequence[str] = (), *, is_last: bool = False) -> None:
        """Keep the image for good, with these lines under it in the place of the status row.

        It gives way to them, to the lines that others print `after` them, and to the shell's prompt. The last
        one may be played in its place afterwards, see `left`.
        """
        self._lines_below = [*lines, *after]
        if self._image and not self._is_away and self._frame.rows > self._most_rows():
            self._repaint("")
        self._note_left()
        if isinstance(self._renderer, StoredRenderer) and not is_last:
            self._renderer.keep()
        self._out.write(self._screen.leave())
        self._out.write("".join(f"{line}\r\n" for line in lines))
        self._image, self._frame, self._lines_below = None, NOTHING, []

    def report(self, fraction: float | None, now: float) -> None:
        """Show in the terminal's tab how much of the work is done, None for nobody knows."""
        if not self._is_away:
            self._out.write(self._progress.update(fraction, now))

    def end_report(self) -> None:
        """Take that away."""
        self._out.write(self._progress.clear())

    @property
    def is_cut(self) -> bool:
        """Whether something was not written to its end."""
        return self._out.is_cut

    @property
    def never_waits(self) -> bool:
        """Whether a terminal that takes nothing cannot hold us up."""
        return self._out.never_waits

    def drop(self) -> None:
        """Drop what is being written, and all that follows, until `mend`, `break_off` or `suspend`."""
        self._out.limit(0)

    def mend(self, status: str) -> None:
        """Paint over what others may have written into the image, a `^C` for instance.

        A slow terminal gets a part of it, over the same image; one that was cut already gets nothing.
        """
        if self._is_away or self._out.is_cut:
            return
        self._out.recover()
        self._out.limit(_REPAIR_SECONDS)
        if self._is_resized() or not self._image:
            self._repaint(status)
        elif frame := self._paint(self._image):
            self._frame = frame
            paint(self._out, self._screen.draw(frame, status, self._size.columns))

    def break_off(self) -> None:
        """Restore the terminal in the middle of anything, and go on writing below the image."""
        aborted = ""
        if isinstance(self._renderer, StoredRenderer):
            aborted = self._renderer.abort()
            self._renderer.keep()
        left = self._screen.break_off() if self._out.is_cut else self._screen.leave()
        self._out.recover(aborted + left + self._progress.clear())

    def suspend(self) -> None:
        """Leave the image, and the terminal to somebody else: nothing is painted until `resume`."""
        self.break_off()
        self._is_away = True
        if self._provider:
            self._provider.close()

    def resume(self) -> None:
        """Repaint everything at the next tick, wherever the cursor is by then."""
        self._out.limit(inf)
        self._is_stale, self._is_away = True, False

    def close(self) -> None:
        """Restore the terminal, and write nothing more."""
        self._out.close()
        if self._provider:
            self._provider.close()

    @property
    def is_away(self) -> bool:
        """Whether somebody else has the terminal."""
        return self._is_away

    def _is_resized(self) -> bool:
        """Check the window; it counts as resized before anything has been painted, and after a pause."""
        columns, lines = self._terminal.size()
        before, self._size = self._size, os.terminal_size((max(columns, 1), max(lines, 1)))
        was_stale, self._is_stale = self._is_stale, False
        return was_stale or self._size != before

    def _repaint(self, status: str) -> None:
        """Clear what is ours and paint it as it fits now."""
        if self._image:
            self._frame = self._paint(self._image) or NOTHING
        text = self._forgotten() + self._screen.redraw(self._frame, status, self._size.columns)
        if self._image:
            paint(self._out, text)
        else:  # before the first one there is no time for rich: its import would come before the request
            self._out.write(text)

    def _forgotten(self) -> str:
        """Take an image for which there is no room any more out of the terminal's memory."""
        if self._frame is NOTHING and isinstance(self._renderer, StoredRenderer):
            return self._renderer.clear()
        return ""

    def _note_left(self) -> None:
        """Note where the image stays, or how far down it is by now."""
        below = rows_of(self._lines_below, max(self._size.columns, 1))
        if self._image and not self._is_away:
            self.left = LeftImage(self._image, self._frame, below, self._size)
        elif self.left:
            self.left = self.left._replace(below=self.left.below + below)

    def _paint(self, image: T) -> Frame | None:
        """Paint for the window as it is, less what is to stand below; None when that is not possible."""
        if not self._renderer or self._size.lines <= 1:
            return NOTHING
        widest = (self._provider.widest if self._provider else None) or self._size.columns
        try:
            return self._renderer.render(image, Box(min(widest, self._size.columns), self._most_rows()))
        except Exception as error:  # noqa: BLE001 - a preview that fails costs the preview
            self._complaints.append(f"no preview: {_why(error)}")
            return None

    def _most_rows(self) -> int:
        """Count the rows that an image may take."""
        columns, rows = self._size.columns, self._size.lines
        below = max(expected_rows(self.footer, columns, rows), rows_below(self._lines_below, columns))
        return image_rows(rows, below, self.footer)

    def _complain(self, status: str) -> None:
        """Print once, in grey, why there is no image."""
        if len(self._complaints) == 1:
            self.print_above([f"{_FAINT}{self._complaints[0]}{_RESET}"], status)


def _why(error: Exception) -> str:
    """Format an error as a clause; what cannot be decoded says what "the image is"."""
    subject = "the image is " if hasattr(error, "reason") else ""
    return subject + shorten(str(error) or type(error).__name__, _REASON_LENGTH)
