"""Viewing recorded runs and live streams, as `gen` shows them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.reporting import exit_status, pricing
from imgcli.app.view.view_input import ViewInputKind
from imgcli.core import pipeline
from imgcli.core.events import Failed, Saved, Started
from imgcli.core.pipeline import mark_uncharged
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.sinks.lines import VIEWING, DescriptionSink
from imgcli.output.terminal.capabilities import Display, has_color

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from imgcli.app.context import Context
    from imgcli.app.view.view_input import ViewInput
    from imgcli.app.view.view_options import ViewOptions
    from imgcli.core.errors import ExitCode
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.select import RendererSelector
    from imgcli.output.terminal.capabilities import Terminal


_JOB = "view"
_NAME_LENGTH = 200
_LONGEST_RUN = 1_000_000.0
"""Seconds, as many as a recording can tell; a system cannot sleep for whatever number a file holds."""


@dataclass(frozen=True)
class RunViewer:
    """Views runs on a stream: as images where the display is one for them, else as lines."""

    context: Context
    options: ViewOptions
    stream: TextIO
    terminal: Terminal
    display: Display
    provider: RendererSelector

    def view(self, source: ViewInput) -> ExitCode:
        """Replay the run, and return its exit code."""
        if len(self.options.names) > 1:
            self.context.write_lines([shorten(source.name, _NAME_LENGTH)])
        events = pipeline.enforce_grammar(_job(source), self._source(source))
        if self.options.save:
            from imgcli.app.view.image_keeper import ImageKeeper

            events = ImageKeeper.of(self.context, self.options.save, source).finals(events)
        with self._sinks(source) as sinks:
            outcome = pipeline.run(_local(events), sinks)
        return exit_status(self.context, outcome, _job(source), is_free=True)

    def _source(self, source: ViewInput) -> Iterator[Event]:
        job = _job(source)
        if source.header:
            yield Started(job, source.header.request)
        pace = _Pace(self.context, None if source.is_live else self.options.speed)
        if source.kind is ViewInputKind.LINES:
            from imgcli.api.stream.jsonl import read_json_lines

            yield from read_json_lines(source.chunks, job, pace.wait)
            return
        from imgcli.api.stream.reader import read_events
        from imgcli.store.runlog.writer import replayed

        chunks = replayed(source.chunks, pace.wait) if pace.speed else source.chunks
        if source.is_live:  # whose writer may never close it
            yield from read_events(chunks, job, note_end=None)
        else:
            yield from read_events(chunks, job)

    @contextmanager
    def _sinks(self, source: ViewInput) -> Iterator[list[Sink]]:
        """Open the show, then what speaks on standard output; close them on every path."""
        with closing(self._show_of_run(source)) as show, process.stoppable(show):
            yield [show, *self._results(source)]

    def _show_of_run(self, source: ViewInput) -> Sink:
        price, clock = pricing(self.context.models), self.context.monotonic
        if self.display is Display.LINES:
            from imgcli.output.sinks.lines import LinesSink, LinesStyle

            in_color = has_color(self.context.env, self.context.stderr)
            style = LinesStyle(_viewing_line, VIEWING, in_color=in_color)
            return LinesSink(self.context.stderr, price, clock, style)
        from imgcli.output.sinks.live import LiveSink

        provider = self.provider if self.display is Display.IMAGE else None
        has_progress = self.terminal.progress and source.is_live  # a replay is no work that goes on
        terminal = replace(self.terminal, progress=has_progress)
        return LiveSink(self.stream, terminal, price, clock, provider).open(VIEWING)

    def _results(self, source: ViewInput) -> list[Sink]:
        if self.options.save:
            from imgcli.output.sinks.lines import PathsSink

            return [PathsSink(self.context.stdout, links=self.context.links)]
        return [DescriptionSink(self.context.stdout, source.name)] if self.display is Display.LINES else []


@dataclass
class _Pace:
    """Waits until the time of a replay has come: `speed` times as fast as it was, None for no waiting."""

    context: Context
    speed: float | None

    def __post_init__(self) -> None:
        self._began = self.context.monotonic()

    def wait(self, seconds: float) -> None:
        """Return when so many seconds of the original run have passed; at once where no run is as long."""
        if self.speed and 0 < seconds < _LONGEST_RUN:
            left = self._began + seconds / self.speed - self.context.monotonic()
            if left > 0:
                self.context.sleep(min(left, _LONGEST_RUN))


def _local(events: Iterable[Event]) -> Iterator[Event]:
    """Leave money out of what is shown: viewing costs none, and the run may be somebody else's."""
    for event in mark_uncharged(events):
        match event:
            case Failed(problem=problem) | Saved(problem=problem) if problem:
                yield replace(event, problem=replace(problem, is_local=True))
            case _:
                yield event


def _job(source: ViewInput) -> str:
    return source.header.job if source.header else _JOB


def _viewing_line(request: ImageRequest) -> str:
    return f"a run of {shorten(request.model, _NAME_LENGTH)}"
