"""The base of all terminal displays: a canvas, the repainting thread, and how to end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from imgcli.output.sinks.lines import GENERATING
from imgcli.output.sinks.queued import Ticker
from imgcli.output.terminal.screen import NO_FOOTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.core.billing.bill import Bill
    from imgcli.core.events import Event
    from imgcli.output.sinks.lines import PendingWords
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.canvas import Canvas
    from imgcli.output.terminal.capabilities import Terminal
    from imgcli.output.terminal.screen import Footer


T = TypeVar("T")

PERIOD = 1 / 8  # seconds between two ticks of the status row
_PATIENCE = 0.5  # seconds that a terminal which takes no more may cost at the end, twice


def separator(terminal: Terminal) -> str:
    """Return what stands between two facts in one line."""
    return " · " if terminal.unicode else ", "


def bill_under(bill: Bill, terminal: Terminal, footer: Footer) -> list[str]:
    """Format a bill for the rows under an image."""
    from imgcli.output.tables.bill import rich_bill_lines, screen_lines

    size = terminal.size()
    if footer.has_long_bill:
        return rich_bill_lines(bill, terminal, size.columns)
    return screen_lines(bill, size.columns, size.lines)


class TerminalSink(ABC, Generic[T]):
    """Shows events on a canvas; `handle` only takes note, so that a slow terminal never slows the stream.

    A thread of its own paints, every `period` seconds or when something has come; with None `handle` does.
    """

    def __init__(self, canvas: Canvas[T], clock: Clock, period: float | None) -> None:
        self._canvas = canvas
        self._clock = clock
        self._words = GENERATING
        self._footer = NO_FOOTER
        self._note_lock = threading.Lock()
        self._paint_lock = threading.Lock()
        self._has_ended = False
        self._ticker = Ticker(self.refresh, period) if period else None

    def open(self, words: PendingWords = GENERATING, footer: Footer = NO_FOOTER) -> Self:
        """Put the first status row on the screen, then start to tick; only then is the terminal asked."""
        self._words, self._footer, self._canvas.footer = words, footer, footer
        self._canvas.tick(self._row())
        if self._ticker:
            self._ticker.start()
        self._wake()
        return self

    @abstractmethod
    def handle(self, event: Event) -> None:
        """Take note of one event; the last one is shown before this returns."""

    def close(self) -> None:
        """Hand the terminal back, also in the middle of a run: the image stays, the cursor shows."""
        is_broken_off = not self._has_ended or self._canvas.is_cut
        if is_broken_off:
            self._canvas.drop()
        if self._ticker:
            self._ticker.stop(_PATIENCE)
        is_still = self._paint_lock.acquire(timeout=_PATIENCE)
        try:
            if is_broken_off and (is_still or self._canvas.never_waits):
                self._break_off(is_still=is_still)
        finally:
            if is_still:
                self._paint_lock.release()
            self._canvas.close()

    def suspend(self) -> bool:
        """Leave the terminal to the shell, the cursor below the image, until `resume`."""
        self._canvas.drop()
        if self._paint_lock.acquire(timeout=_PATIENCE):
            try:
                self._canvas.suspend()
            finally:
                self._paint_lock.release()
        return True

    def resume(self) -> None:
        """Continue below whatever the shell has written; may be called without `suspend`."""
        if not self._has_ended:
            self._canvas.resume()
            if self._ticker:
                self._ticker.wake()

    def refresh(self) -> None:
        """Show what has changed: lines, images, or the status row alone."""
        with self._paint_lock:
            self._canvas.set_up(self._row())
            self._paint()
            self._canvas.report(self._fraction(), self._clock())

    @abstractmethod
    def _paint(self) -> None:
        """Put on the canvas what has changed."""

    @abstractmethod
    def _row(self) -> str:
        """Format the status row as it is now."""

    @abstractmethod
    def _fraction(self) -> float | None:
        """Return how much of the work is done, None for nobody knows."""

    @abstractmethod
    def _end(self, lines: Sequence[str]) -> None:
        """Leave the canvas for good, with these lines and what else is to stay under the image."""

    def _wake(self) -> None:
        """Have what was noted shown."""
        if self._ticker:
            self._ticker.wake()
        else:
            self.refresh()

    def _finish(self, lines: Sequence[str]) -> None:
        """Show the last of it, and go on below the image."""
        if self._ticker:
            self._ticker.stop()
        self.refresh()
        with self._paint_lock:
            self._has_ended = True
            self._end(lines)
            self._canvas.end_report()

    def _break_off(self, *, is_still: bool) -> None:
        """End in the middle of anything; while the painting thread is still busy, nothing is painted."""
        if is_still:
            self._canvas.mend(self._row())
        self._canvas.break_off()
        if not self._has_ended:
            self._has_ended = True
            self._end([])
