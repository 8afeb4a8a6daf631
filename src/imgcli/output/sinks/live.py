"""The live image: events in, an image repainted in place, with a status row that ticks."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, assert_never

from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.messages import notice_line, problem_lines, saved_line, unsaved_line
from imgcli.core.text import duration, shorten
from imgcli.output.images.decode import facts
from imgcli.output.sinks.lines import printed_path
from imgcli.output.sinks.queued import Ticker
from imgcli.output.sinks.status import GENERATING, Status, Words, generating
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.terminal.canvas import Canvas
from imgcli.output.terminal.layout import NO_FOOTER, Footer
from imgcli.output.text import cell_width

if TYPE_CHECKING:
    from typing import TextIO

    from imgcli.core.billing.rates import Price
    from imgcli.core.errors import Problem
    from imgcli.core.events import Event
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.capabilities import Terminal


PERIOD = 1 / 8  # seconds between two ticks of the status row
_PATIENCE = 0.5  # seconds that a terminal which takes no more may cost at the end, twice
_WAITING_IMAGES = 2
_REASON_LENGTH = 200
_RED, _RESET = "\x1b[1;31m", "\x1b[0m"


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
        """Have a line printed: above an image that still changes, under one that is finished."""
        if self.standing is None:
            self.news.append(line)
        else:
            self.caption(self.standing, [line])

    def caption(self, image_index: int, lines: list[str]) -> None:
        """Have lines printed under an image."""
        self.captions.setdefault(image_index, []).extend(lines)

    def add(self, arrival: PartialImage | FinalImage) -> None:
        """Queue an image; while painting is slower than the stream, it replaces one that was not shown."""
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
    Without an `easel` there is the status row alone.
    """

    def __init__(
        self,
        stream: TextIO,
        terminal: Terminal,
        price: Price,
        clock: Clock,
        easel: RendererProvider | None = None,
        period: float | None = PERIOD,
    ) -> None:
        self._stage = Canvas(stream, terminal, easel)
        self._footer = NO_FOOTER
        self._terminal = terminal
        self._separator = " · " if terminal.unicode else ", "
        self._price = price
        self._clock = clock
        self._tally = RunSummary(clock)
        self._scene = _Scene(Status(clock()))
        self._shown: PartialImage | FinalImage | None = None
        self._noting = threading.Lock()
        self._painting = threading.Lock()
        self._words = GENERATING
        self._has_ended = False
        self._ticker = Ticker(self.refresh, period) if period else None

    def open(self, words: Words = GENERATING, footer: Footer = NO_FOOTER) -> Self:
        """Put the first status row on the screen, then start to tick; only then is the terminal asked."""
        self._words, self._footer, self._stage.footer = words, footer, footer
        self._scene.status = replace(self._scene.status, doing=words.opening)
        self._stage.tick(self._row())
        if self._ticker:
            self._ticker.start()
            self._ticker.wake()
        else:
            self.refresh()
        return self

    def handle(self, event: Event) -> None:
        """Take note of one event; the last one is shown before this returns."""
        with self._noting:
            self._tally.note(event)
            self._note(event)
        match event:
            case Completed():
                self._finish(self._unsaved_lines() + self._bill_lines(event))
            case Failed(problem=problem, ended=ended):
                self._finish(self._bill_lines(ended) + _loud_lines(problem))
            case _ if self._has_ended:
                self._stage.leave(self._scene.take_news())
            case _ if self._ticker:
                self._ticker.wake()
            case _:
                self.refresh()

    def close(self) -> None:
        """Return the terminal back, also in the middle of a run: the image stays, the cursor shows."""
        is_broken_off = not self._has_ended or self._stage.is_cut
        if is_broken_off:
            self._stage.drop()
        if self._ticker:
            self._ticker.stop(_PATIENCE)
        is_still = self._painting.acquire(timeout=_PATIENCE)
        try:
            if is_broken_off and (is_still or self._stage.never_waits):
                self._break_off(is_still=is_still)
        finally:
            if is_still:
                self._painting.release()
            self._stage.close()

    def _break_off(self, *, is_still: bool) -> None:
        """End in the middle of anything; while the painting thread is still busy, nothing is painted."""
        if is_still:
            self._stage.mend(self._row())
        self._stage.break_off()
        if not self._has_ended:
            self._end([])

    def suspend(self) -> None:
        """Leave the terminal to the shell, the cursor below the image, until `resume`."""
        self._stage.drop()
        if self._painting.acquire(timeout=_PATIENCE):
            try:
                self._stage.suspend()
            finally:
                self._painting.release()

    def resume(self) -> None:
        """Come back, below whatever the shell has written; may be called without `suspend`."""
        if not self._has_ended:
            self._stage.resume()
            if self._ticker:
                self._ticker.wake()

    def refresh(self) -> None:
        """Show what has changed: lines, images, or the status row alone."""
        with self._painting:
            self._stage.set_up(self._row())
            self._stage.print_above(self._take_news(), self._row())
            while not self._stage.is_away and (arrival := self._take_arrival()):
                self._settle_before(arrival)
                self._stage.show(arrival.image, self._row())
                self._shown = arrival

    def _note(self, event: Event) -> None:
        """Turn an event into what is to be shown."""
        scene = self._scene
        match event:
            case Started() | PartialImage() | FinalImage() | Waiting():
                self._note_progress(event)
            case Saved(image_index=image_index, problem=problem):
                scene.caption(image_index, self._caption(event) + (_loud_lines(problem) if problem else []))
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
        request, seen = self._tally.request, self._tally.partials_of(image_index)
        return generating(request, seen) if request else f"partial {seen}"

    def _settle_before(self, arrival: PartialImage | FinalImage) -> None:
        """Leave a finished image where it is when the next one begins."""
        shown = self._shown
        if isinstance(shown, FinalImage) and shown.image_index != arrival.image_index:
            self._stage.leave(self._scene.captions.pop(shown.image_index, []))

    def _finish(self, lines: list[str]) -> None:
        """Show the last of it, and go on below the image."""
        if self._ticker:
            self._ticker.stop()
        self.refresh()
        with self._painting:
            self._end(lines)

    def _end(self, lines: list[str]) -> None:
        captions = [line for caption in self._scene.captions.values() for line in caption]
        self._has_ended, self._scene.standing = True, None
        self._stage.leave([*captions, *self._scene.take_news(), *lines], self._paths())

    def _paths(self) -> list[str]:
        """List what is printed on standard output once we have ended, where that is this terminal."""
        printed = map(printed_path, self._tally.saved.values()) if self._footer.path_columns else ()
        return [str(path) for path in printed if path]

    def _caption(self, saved: Saved) -> list[str]:
        """Describe a file in one row: its name, or its path where that is not as expected, and what fits."""
        final = self._tally.finals.get(saved.image_index)
        known = facts(final.image) if final else []
        took = duration(self._clock() - self._scene.status.began)
        name = str(saved.path) if saved.problem else saved.path.name
        told, columns = [*known, took], self._terminal.size().columns
        while told and cell_width(saved_line(name, told, self._separator)) > columns:
            told.pop()
        return [saved_line(name, told, self._separator)]

    def _unsaved_lines(self) -> list[str]:
        return [
            unsaved_line(facts(final.image), self._separator, self._words.unsaved)
            for final in self._tally.unsaved
        ]

    def _bill_lines(self, completed: Completed | None) -> list[str]:
        from imgcli.output.tables.bill import rich_lines, screen_lines

        bill, size = self._tally.bill(completed, self._price), self._terminal.size()
        if not bill:
            return []
        if self._footer.has_long_bill:
            return rich_lines(bill, self._terminal, size.columns)
        return screen_lines(bill, size.columns, size.lines)

    def _row(self) -> str:
        return self._scene.status.row(self._clock(), self._separator)

    def _take_news(self) -> list[str]:
        with self._noting:
            return self._scene.take_news()

    def _take_arrival(self) -> PartialImage | FinalImage | None:
        with self._noting:
            return self._scene.arrivals.popleft() if self._scene.arrivals else None


def _loud_lines(problem: Problem) -> list[str]:
    """A problem's lines, its first one in red."""
    first, *others = problem_lines(problem)
    return [f"{_RED}{first}{_RESET}", *others]
