"""The live image, repainted in place, with a ticking status row."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING, Self, assert_never

from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started, Waiting
from imgcli.core.image import EncodedImage
from imgcli.core.messages import notice_line, problem_lines, saved_line
from imgcli.core.text import duration
from imgcli.dataclass import dataclass
from imgcli.output.images.decode import facts
from imgcli.output.sinks.lines import GENERATING, printed_path
from imgcli.output.sinks.status import Status, generating
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.sinks.terminal_sink import PERIOD, TerminalSink, bill_under, separator
from imgcli.output.terminal.canvas import Canvas
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.screen import NO_FOOTER
from imgcli.output.text import cell_width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from imgcli.core.billing.rates import Price
    from imgcli.core.errors import Problem
    from imgcli.core.events import Event
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.lines import PendingWords
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.canvas import LeftImage
    from imgcli.output.terminal.capabilities import Terminal
    from imgcli.output.terminal.screen import Footer


_WAITING_IMAGES = 2


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

    def pop_new_lines(self) -> list[str]:
        """Take the lines that were not yet printed."""
        news, self.news = self.news, []
        return news


class LiveSink(TerminalSink[EncodedImage]):
    """Shows a run on a terminal: its newest image, and a status row.

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
        super().__init__(Canvas(stream, terminal, provider), clock, period)
        self._terminal = terminal
        self._separator = separator(terminal)
        self._price = price
        self._summary = RunSummary(clock)
        self._scene = _Scene(Status(clock()))
        self._shown: PartialImage | FinalImage | None = None

    def open(self, words: PendingWords = GENERATING, footer: Footer = NO_FOOTER) -> Self:
        """Put the first status row on the screen, then start to tick; only then is the terminal asked."""
        self._scene.status = self._scene.status.now_doing(words.opening)
        return super().open(words, footer)

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
                self._canvas.leave(self._scene.pop_new_lines(), is_last=True)
            case _:
                self._wake()

    @property
    def left(self) -> LeftImage | None:
        """The last image, once it is there for good."""
        return self._canvas.left if self._has_ended else None

    def _paint(self) -> None:
        self._canvas.print_above(self._take_news(), self._row())
        while not self._canvas.is_away and (arrival := self._take_arrival()):
            self._settle_before(arrival)
            is_brief = isinstance(arrival, PartialImage)
            self._canvas.show(arrival.image, self._row(), is_brief=is_brief)
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
                scene.status = scene.status.now_doing("finishing")
            case Notice(text=text):
                scene.say(notice_line(text))
            case Completed() | Failed():
                pass
            case _:
                assert_never(event)

    def _note_progress(self, event: Started | PartialImage | FinalImage | Waiting) -> None:
        scene = self._scene
        match event:
            case Started(request=request):
                scene.status = scene.status.now_doing(generating(request, 0))
            case Waiting(seconds=seconds, reason=reason):
                scene.status = scene.status.waiting(reason, self._clock() + seconds)
            case PartialImage(image_index=image_index):
                scene.add(event)
                scene.status = scene.status.now_doing(self._progress(image_index))
            case FinalImage():
                scene.add(event)
                scene.status = scene.status.now_doing("saving")
            case _:
                assert_never(event)

    def _progress(self, image_index: int) -> str:
        request, seen = self._summary.request, self._summary.partials_of(image_index)
        return generating(request, seen) if request else f"partial {seen}"

    def _settle_before(self, arrival: PartialImage | FinalImage) -> None:
        """Leave a finished image where it is when the next one begins."""
        shown = self._shown
        if isinstance(shown, FinalImage) and shown.image_index != arrival.image_index:
            self._canvas.leave(self._scene.captions.pop(shown.image_index, []))

    def _end(self, lines: Sequence[str]) -> None:
        captions = [line for caption in self._scene.captions.values() for line in caption]
        self._scene.standing = None
        self._canvas.leave([*captions, *self._scene.pop_new_lines(), *lines], self._paths(), is_last=True)

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
        bill = self._summary.bill(completed, self._price)
        return bill_under(bill, self._terminal, self._footer) if bill else []

    def _row(self) -> str:
        return self._scene.status.row(self._clock(), self._separator)

    def _fraction(self) -> float | None:
        with self._note_lock:
            return self._summary.fraction

    def _take_news(self) -> list[str]:
        with self._note_lock:
            return self._scene.pop_new_lines()

    def _take_arrival(self) -> PartialImage | FinalImage | None:
        with self._note_lock:
            return self._scene.arrivals.popleft() if self._scene.arrivals else None
