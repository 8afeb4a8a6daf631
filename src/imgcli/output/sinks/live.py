"""The live image: events in, an image repainted in place, with a status row that ticks."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Self, assert_never

from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.messages import notice_line, partial_label, problem_lines, saved_line
from imgcli.core.text import duration, shorten
from imgcli.output.images.decode import facts
from imgcli.output.sinks.lines import GENERATING, printed_path
from imgcli.output.sinks.queued import Ticker
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.terminal.canvas import Canvas
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.screen import NO_FOOTER, Footer
from imgcli.output.text import cell_width

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.core.billing.rates import Price
    from imgcli.core.errors import Problem
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.lines import Words
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.capabilities import Terminal


PERIOD = 1 / 8  # seconds between two ticks of the status row
_PATIENCE = 0.5  # seconds that a terminal which takes no more may cost at the end, twice
_WAITING_IMAGES = 2
_REASON_LENGTH = 200
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"
_TURNS_A_SECOND = 8
_MODEL_LENGTH = 40


@dataclass(frozen=True)
class Status:
    """What is happening, since when (a reading of the clock), and when it goes on (None: when it does)."""

    began: float
    doing: str = "connecting"
    until: float | None = None

    def row(self, now: float, separator: str) -> str:
        """Write the row as it is at this moment; its beginning alone changes while only the clock moves."""
        spinner = _ASCII_SPINNER if separator.isascii() else _SPINNER
        elapsed = max(now - self.began, 0)
        turn = spinner[int(elapsed * _TURNS_A_SECOND) % len(spinner)]
        return f"{turn} {elapsed:5.1f} s{separator}{self._doing(now)}"

    def _doing(self, now: float) -> str:
        if self.until is None:
            return self.doing
        left = ceil(self.until - now)
        return f"retrying in {left} s: {self.doing}" if left > 0 else "retrying"


def generating(request: ImageRequest, partials: int) -> str:
    """Format how far the server is."""
    model = shorten(request.model, _MODEL_LENGTH)
    return f"{partial_label(partials, request.partials)}, {model}" if partials else f"generating, {model}"


@dataclass
class _Scene:
    """What is to be shown, as the events have it; what has been shown is taken away."""

    status: Status
    arrivals: deque[PartialImage | FinalImage] = field(default_factory=deque)
    news: list[str] = field(default_factory=list)
    captions: dict[int, list[str]] = field(default_factory=dict)
    standing: int | None = None
    """The image that is finished and shown last: what is said from then on goes under it."""

    def say(self, line: str) -> None:
        """Print a line: above an image that still changes, under one that is finished."""
        if self.standing is None:
            self.news.append(line)
        else:
            self.caption(self.standing, [line])

    def caption(self, image_index: int, lines: list[str]) -> None:
        """Print lines under an image."""
        self.captions.setdefault(image_index, []).extend(lines)

    def add(self, arrival: PartialImage | FinalImage) -> None:
        """Queue an image; while frame is slower than the stream, it replaces one that was not shown."""
        self.standing = arrival.image_index if isinstance(arrival, FinalImage) else None
        newest = self.arrivals[-1] if len(self.arrivals) >= _WAITING_IMAGES else None
        if newest and newest.image_index == arrival.image_index:
            self.arrivals.pop()
        self.arrivals.append(arrival)

    def take_news(self) -> list[str]:
        """Take the lines that were not yet printed."""
        news, self.news = self.news, []
        return news


class LiveSink:
    """Shows a run on a terminal; `handle` only takes note, so that a slow terminal never slows the stream.

    A thread of its own paints, every `period` seconds or when something has come; with None `handle` does.
    Without an `provider` there is the status row alone.
    """

    def __init__(
        self,
        stream: TextIO,
        terminal: Terminal,
        price: Price,
        clock: Clock,
        provider: RendererProvider | None = None,
        period: float | None = PERIOD,
    ) -> None:
        self._canvas = Canvas(stream, terminal, provider)
        self._footer = NO_FOOTER
        self._terminal = terminal
        self._separator = " · " if terminal.unicode else ", "
        self._price = price
        self._clock = clock
        self._summary = RunSummary(clock)
        self._scene = _Scene(Status(clock()))
        self._shown: PartialImage | FinalImage | None = None
        self._note_lock = threading.Lock()
        self._paint_lock = threading.Lock()
        self._words = GENERATING
        self._has_ended = False
        self._ticker = Ticker(self.refresh, period) if period else None

    def open(self, words: Words = GENERATING, footer: Footer = NO_FOOTER) -> Self:
        """Put the first status row on the screen, then start to tick; only then is the terminal asked."""
        self._words, self._footer, self._canvas.footer = words, footer, footer
        self._scene.status = replace(self._scene.status, doing=words.opening)
        self._canvas.tick(self._row())
        if self._ticker:
            self._ticker.start()
            self._ticker.wake()
        else:
            self.refresh()
        return self

    def handle(self, event: Event) -> None:
        """Take note of one event; the last one is shown before this returns."""
        with self._note_lock:
            self._summary.note(event)
            self._note(event)
        match event:
            case Completed():
                unsaved = self._summary.unsaved_lines(self._separator, self._words.unsaved)
                self._finish(unsaved + self._bill_lines(event))
            case Failed(problem=problem, ended=ended):
                self._finish(self._bill_lines(ended) + self._problem_lines(problem))
            case _ if self._has_ended:
                self._canvas.leave(self._scene.take_news())
            case _ if self._ticker:
                self._ticker.wake()
            case _:
                self.refresh()

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

    def _break_off(self, *, is_still: bool) -> None:
        """End in the middle of anything; while the painting thread is still busy, nothing is painted."""
        if is_still:
            self._canvas.mend(self._row())
        self._canvas.break_off()
        if not self._has_ended:
            self._end([])

    def suspend(self) -> None:
        """Leave the terminal to the shell, the cursor below the image, until `resume`."""
        self._canvas.drop()
        if self._paint_lock.acquire(timeout=_PATIENCE):
            try:
                self._canvas.suspend()
            finally:
                self._paint_lock.release()

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
            self._canvas.print_above(self._take_news(), self._row())
            while not self._canvas.is_away and (arrival := self._take_arrival()):
                self._settle_before(arrival)
                self._canvas.show(arrival.image, self._row())
                self._shown = arrival

    def _note(self, event: Event) -> None:
        """Turn an event into what is to be shown."""
        scene = self._scene
        match event:
            case Started() | PartialImage() | FinalImage() | Waiting():
                self._note_progress(event)
            case Saved(image_index=image_index, problem=problem):
                scene.caption(
                    image_index, self._caption(event) + (self._problem_lines(problem) if problem else [])
                )
                scene.status = replace(scene.status, doing="finishing", until=None)
            case Notice(text=text):
                scene.say(notice_line(text))
            case Completed() | Failed():
                pass
            case _:
                assert_never(event)

    def _note_progress(self, event: Started | PartialImage | FinalImage | Waiting) -> None:
        scene, until = self._scene, None
        match event:
            case Started(request=request):
                doing = generating(request, 0)
            case Waiting(seconds=seconds, reason=reason):
                doing, until = shorten(reason, _REASON_LENGTH), self._clock() + seconds
            case PartialImage(image_index=image_index):
                scene.add(event)
                doing = self._progress(image_index)
            case FinalImage():
                scene.add(event)
                doing = "saving"
            case _:
                assert_never(event)
        scene.status = replace(scene.status, doing=doing, until=until)

    def _progress(self, image_index: int) -> str:
        request, seen = self._summary.request, self._summary.partials_of(image_index)
        return generating(request, seen) if request else f"partial {seen}"

    def _settle_before(self, arrival: PartialImage | FinalImage) -> None:
        """Leave a finished image where it is when the next one begins."""
        shown = self._shown
        if isinstance(shown, FinalImage) and shown.image_index != arrival.image_index:
            self._canvas.leave(self._scene.captions.pop(shown.image_index, []))

    def _finish(self, lines: list[str]) -> None:
        """Show the last of it, and go on below the image."""
        if self._ticker:
            self._ticker.stop()
        self.refresh()
        with self._paint_lock:
            self._end(lines)

    def _end(self, lines: list[str]) -> None:
        captions = [line for caption in self._scene.captions.values() for line in caption]
        self._has_ended, self._scene.standing = True, None
        self._canvas.leave([*captions, *self._scene.take_news(), *lines], self._paths())

    def _paths(self) -> list[str]:
        """Return what is printed on standard output once we have ended, where that is this terminal."""
        printed = map(printed_path, self._summary.saved.values()) if self._footer.path_columns else ()
        return [str(path) for path in printed if path]

    def _caption(self, saved: Saved) -> list[str]:
        """Describe a file in one row: its name, or its path where that is not as expected, and what fits."""
        final = self._summary.finals.get(saved.image_index)
        known = facts(final.image) if final else []
        took = duration(self._clock() - self._scene.status.began)
        name = str(saved.path) if saved.problem else saved.path.name
        details, columns = [*known, took], self._terminal.size().columns
        while details and cell_width(saved_line(name, details, self._separator)) > columns:
            details.pop()
        return [saved_line(name, details, self._separator)]

    def _problem_lines(self, problem: Problem) -> list[str]:
        return problem_lines(problem, in_color=self._terminal.depth > ColorDepth.MONO)

    def _bill_lines(self, completed: Completed | None) -> list[str]:
        from imgcli.output.tables.bill import rich_bill_lines, screen_lines

        bill, size = self._summary.bill(completed, self._price), self._terminal.size()
        if not bill:
            return []
        if self._footer.has_long_bill:
            return rich_bill_lines(bill, self._terminal, size.columns)
        return screen_lines(bill, size.columns, size.lines)

    def _row(self) -> str:
        return self._scene.status.row(self._clock(), self._separator)

    def _take_news(self) -> list[str]:
        with self._note_lock:
            return self._scene.take_news()

    def _take_arrival(self) -> PartialImage | FinalImage | None:
        with self._note_lock:
            return self._scene.arrivals.popleft() if self._scene.arrivals else None
