"""Choosing the sinks of a run, printing problems, and the exit code."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.context import abandon, within
from imgcli.app.options import OutputFormat
from imgcli.app.preview_options import PreviewMode
from imgcli.core.errors import Charged, ExitCode, Problem, most_severe
from imgcli.core.events import Failed
from imgcli.core.params import InlineImages, PreviewProtocol
from imgcli.core.pipeline import uncharged
from imgcli.output.terminal.capabilities import (
    Display,
    choose_display,
    detect_terminal,
    has_color,
    is_one_terminal,
    takes_codes,
)
from imgcli.output.terminal.probe import is_in_background
from imgcli.store.publish.naming import STDOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imgcli.app.batch.batch_plan import BatchTask
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.catalog import Catalog
    from imgcli.core.events import Completed, Event
    from imgcli.core.image import EncodedImage
    from imgcli.core.pipeline import Outcome, Sink
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.compare import Comparison
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.images.select import RendererSelector
    from imgcli.output.sinks.jsonl import JsonLinesSink
    from imgcli.output.sinks.live import LiveSink
    from imgcli.output.terminal.screen import Footer


_PATIENCE = 1.0  # seconds
_USUAL_NAME = "a-lighthouse-at-dusk-2.png"


class Reporter:
    """What is written while a run goes on: the result on standard output, the display on standard error."""

    def __init__(self, context: Context, options: GenerateOptions, catalog: Catalog) -> None:
        server = options.server
        self._context = context
        self._options = options.display
        self._name = options.output.name
        self._streams_image = self._name == STDOUT
        self._price = pricing(catalog, None if server.demo else server.host(context.env), is_demo=server.demo)
        self._terminal = detect_terminal(
            context.env, context.stderr, context.size, self._options.preview.protocol
        )
        self._display = self._choose_display()
        self._comparison: Comparison | None = None
        if self._options.before:
            from imgcli.output.images.compare import Comparison

            self._comparison = Comparison(self._options.before)
        self._lines: JsonLinesSink | None = None
        self._live: LiveSink | None = None
        self._selector: RendererSelector | None = None

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees partial images: on a terminal, or inside JSON lines."""
        return self._display is Display.IMAGE or (
            self._options.format is OutputFormat.JSON_LINES and self._options.inline is not InlineImages.NONE
        )

    @property
    def is_inline(self) -> bool:
        """Whether the images themselves go to standard output, inside JSON lines."""
        inline = self._options.inline
        if inline is None and not self._context.stdout.isatty():
            inline = InlineImages.INLINE
        return self._options.format is OutputFormat.JSON_LINES and inline is InlineImages.INLINE

    @property
    def is_shown(self) -> bool:
        """Whether the image itself is shown on a terminal."""
        return self._display is Display.IMAGE

    def compare(self, events: Iterable[Event]) -> Iterator[Event]:
        """Add to each final image how much it differs from the one before, where that is wanted."""
        return iter(self._comparison.notices(events) if self._comparison else events)

    @contextmanager
    def sinks(self, tiles: Mapping[str, str] | None = None) -> Iterator[list[Sink]]:
        """Open the sinks, the display before the result; close them on every path.

        `tiles` names the jobs that share the display, by their ids; None for a single one.
        """
        result = partial(self._result_sinks, _no_row if tiles else None, tuple(tiles or ()))
        with self._opened(partial(self._display_sink, tiles), result) as sinks:
            yield sinks

    @contextmanager
    def batch_sinks(self, task_of: Callable[[str], BatchTask], total: int) -> Iterator[list[Sink]]:
        """Open the sinks of a batch of so many jobs; `task_of` returns the task of a job."""

        def display() -> Sink:
            return self._batch_display(lambda job: task_of(job).label, total)

        def result() -> list[Sink]:
            return self._result_sinks(lambda job: {"row": task_of(job).line, "id": task_of(job).id})

        is_grid = self._display is not Display.LINES and self._is_one_terminal
        has_paths = not (is_grid and self._options.format is OutputFormat.PEOPLE)  # which would push it away
        with self._opened(display, result if has_paths else list) as sinks:
            yield sinks
            if finish := getattr(sinks[0], "finish", None):  # a grid stays, unless it was broken off
                finish()

    @contextmanager
    def _opened(self, display: Callable[[], Sink], result: Callable[[], list[Sink]]) -> Iterator[list[Sink]]:
        opened: list[Sink] = []
        try:
            opened.append(display())
            opened.extend(result())
            with process.stoppable(opened[0]):
                yield opened
        finally:
            for sink in opened:
                with suppress(Exception):  # a display that cannot be closed must not hide how the run ended
                    sink.close()

    def play(self) -> None:
        """Play the run's last image once, where it is animated and somebody looks at it.

        For a run that is over, with nothing printed since: whoever has seen enough may press Ctrl-C.
        """
        context, left = self._context, self._live.left if self._live else None
        is_seen = self._is_one_terminal and takes_codes(context.env, context.stderr)
        is_seen = (
            is_seen and self._options.format is not OutputFormat.JSON_LINES and not self._options.is_still
        )
        if not left or not self._selector or not is_seen or is_in_background(context.stderr):
            return
        from imgcli.output.terminal.viewer import Playback, StillViewer

        provider = self._selector
        viewer: StillViewer[EncodedImage] = StillViewer(context.stderr, self._terminal, provider)
        playback = Playback(False, context.monotonic, context.sleep, lambda: provider.cell)
        with suppress(Exception), process.stoppable(viewer):  # an image that cannot be played stands still
            viewer.replay(left, playback)

    def report(self, job: str, problem: Problem) -> None:
        """Report a problem after a run was broken off, unless its reader takes nothing any more."""
        index = self._lines.next_index if self._lines else 0
        within(_PATIENCE, lambda: report(self._context, self._options.format, problem, job, index))

    def _choose_display(self) -> Display:
        preview, is_for_people = self._options.preview, self._options.format is OutputFormat.PEOPLE
        if preview.mode is PreviewMode.PLAIN:
            return Display.LINES
        is_quiet = not is_for_people and preview.mode is not PreviewMode.EXPLICIT
        return choose_display(PreviewProtocol.OFF if is_quiet else preview.protocol, self._terminal)

    def _result_sinks(
        self, row_of: Callable[[str], dict[str, object]] | None, jobs: tuple[str, ...] = ()
    ) -> list[Sink]:
        """Choose what writes to standard output; nothing does when the image's bytes go there.

        `row_of` returns what JSON lines say about the row of a job; None for a job that is alone. `jobs` are
        those whose paths wait until the display on the same terminal is closed.
        """
        if self._streams_image:
            return []
        # Sinks are imported where one is made: a dry run does without them.
        from imgcli.output.sinks.lines import PathsSink
        from imgcli.output.sinks.per_job import PerJobSink
        from imgcli.output.sinks.queued import QueuedSink
        from imgcli.output.terminal.hyperlinks import NO_LINKS

        if self._options.format is not OutputFormat.JSON_LINES:
            is_below = self._display is not Display.LINES and self._is_one_terminal
            is_plain = self._options.preview.mode is PreviewMode.PLAIN
            links = NO_LINKS if is_plain else self._context.links
            return [PathsSink(self._context.stdout, jobs if is_below else (), links)]
        if row_of:
            return [QueuedSink(PerJobSink(lambda job: self._json_lines(row_of(job))))]
        self._lines = self._json_lines({})
        return [QueuedSink(self._lines)]

    def _json_lines(self, row: dict[str, object]) -> JsonLinesSink:
        from imgcli.output.sinks.jsonl import JsonLinesSink

        inline = InlineImages.INLINE if self.is_inline else InlineImages.NONE
        return JsonLinesSink(self._context.stdout, inline, self._price, self._context.monotonic, row)

    @property
    def _is_one_terminal(self) -> bool:
        return is_one_terminal(self._context.stdout, self._context.stderr)

    def _batch_display(self, name: Callable[[str], str], total: int) -> Sink:
        """Choose what shows a batch on standard error."""
        stderr, clock = self._context.stderr, self._context.monotonic
        is_for_people = self._options.format is OutputFormat.PEOPLE
        if self._display is Display.LINES and is_for_people:
            from imgcli.output.sinks.batch_lines import BatchLinesSink
            from imgcli.output.sinks.queued import QueuedSink

            return QueuedSink(BatchLinesSink(stderr, self._price, clock, name, total))
        if self._display is not Display.IMAGE and not is_for_people:
            return self._display_sink(None)
        from imgcli.output.sinks.batch_grid import BatchGridSink

        renderers = self._renderers() if self._display is Display.IMAGE else None
        sink = BatchGridSink(stderr, self._terminal, self._price, clock, name, total, renderers)
        return sink.open()

    def _display_sink(self, tiles: Mapping[str, str] | None) -> Sink:
        """Choose what writes to standard error."""
        from imgcli.output.sinks import lines
        from imgcli.output.sinks.queued import QueuedSink

        stderr, clock = self._context.stderr, self._context.monotonic
        in_color = has_color(self._context.env, stderr)
        words = lines.STREAMING if self._streams_image else lines.GENERATING
        if self._options.format is not OutputFormat.PEOPLE and self._display is not Display.IMAGE:
            is_for_script = self._options.format is OutputFormat.PATHS
            return lines.ErrorsSink(stderr, tells_names=is_for_script, in_color=in_color)
        if self._display is Display.LINES:
            style = lines.LinesStyle(words=words, write_bill=self._plain_bill, in_color=in_color)
            if tiles:
                from imgcli.output.sinks.group_lines import GroupLinesSink

                return QueuedSink(GroupLinesSink(stderr, self._price, clock, tiles, style))
            sink = lines.LinesSink(stderr, self._price, clock, style)
            return QueuedSink(sink.open(lines.HEARTBEAT))
        from imgcli.output.sinks.live import LiveSink

        renderers = self._renderers() if self._display is Display.IMAGE else None
        if tiles:
            from imgcli.output.sinks.grid import GridSink

            grid = GridSink(stderr, self._terminal, self._price, clock, tiles, renderers)
            return grid.open(words, footer=self._footer())
        self._live = LiveSink(stderr, self._terminal, self._price, clock, renderers)
        return self._live.open(words, footer=self._footer())

    def _plain_bill(self, bill: Bill) -> list[str]:
        from imgcli.output.tables.bill import bill_lines, compact_lines

        if self._options.has_long_bill:
            return bill_lines(bill)
        return compact_lines(bill, self._terminal.size().columns if self._context.stderr.isatty() else None)

    def _renderers(self) -> RendererProvider:
        from imgcli.output.images.select import RendererSelector

        context, preview = self._context, self._options.preview
        renderers = RendererSelector(
            context.env, context.stderr, self._terminal, preview.protocol, preview.width
        )
        if self._comparison is None:
            self._selector = renderers
            return renderers
        from imgcli.output.images.compare import ComparingProvider

        return ComparingProvider(renderers, self._comparison)

    def _footer(self) -> Footer:
        from imgcli.output.terminal.screen import Footer

        columns = 0
        if not self._streams_image and self._is_one_terminal:
            columns = len(str(Path(self._name or _USUAL_NAME).absolute()))
        return Footer(columns, self._options.has_long_bill, remarks=int(self._comparison is not None))


def _no_row(_: str) -> dict[str, object]:
    """Return nothing: the jobs of a command have no rows."""
    return {}


def pricing(models: Catalog, host: str | None = None, *, is_demo: bool = False) -> Price:
    """Return what works out a run's bill; `host` is the server's, with its port, None for unknown."""
    from imgcli.core.billing.bill import bill
    from imgcli.core.billing.rates import apply_rates, server_price, with_server_price

    def price(request: ImageRequest, completed: Completed, partials: int, images: int) -> Bill:
        made = bill(request, completed, partials, models, images)
        if server_price(completed.usage) is None:
            made = apply_rates(made, completed.service_tier or request.service_tier, host)
        return replace(with_server_price(made, completed), is_demo=is_demo)

    return price


def report(
    context: Context, output_format: OutputFormat, problem: Problem, job: str | None = None, index: int = 0
) -> None:
    """Print a problem as its reader expects it; a stream that takes nothing is left alone.

    A command that sends nothing speaks of money only when an earlier run may have cost some.
    """
    from imgcli.output.json import to_json
    from imgcli.output.sinks.jsonl import error_line
    from imgcli.output.sinks.lines import ErrorsSink

    is_local = problem.is_local or (problem.charged is Charged.NO and not context.can_send)
    problem = replace(problem, is_local=is_local)
    with suppress(OSError, ValueError):
        in_color = has_color(context.env, context.stderr)
        ErrorsSink(context.stderr, in_color=in_color).handle(Failed(job or "", problem))
    if output_format is OutputFormat.JSON_LINES:
        with suppress(OSError, ValueError):
            context.stdout.write(to_json(error_line(problem, job, index)) + "\n")
            context.stdout.flush()


def refuse(context: Context, problem: Problem, output_format: OutputFormat = OutputFormat.PEOPLE) -> ExitCode:
    """Print a problem as its reader expects it, and return its exit code."""
    report(context, output_format, problem)
    return problem.exit_code


def exit_status(context: Context, outcome: Outcome, job: str, *, is_free: bool = False) -> ExitCode:
    """Return the exit code of a run, which is also about the sink that writes to standard output."""
    return most_severe([outcome.exit_code, output_status(context, outcome, job, is_free=is_free)])


def output_status(context: Context, outcome: Outcome, job: str, *, is_free: bool = False) -> ExitCode:
    """Report a standard output that did not take what was written, and return the exit code for that."""
    from imgcli.output.sinks.jsonl import JsonLinesSink
    from imgcli.output.sinks.lines import PathsSink

    for broken, error in outcome.broken:
        sink: object = broken
        while inner := getattr(sink, "inner", None):
            sink = inner
        if not isinstance(sink, JsonLinesSink | PathsSink):
            continue  # a display that broke costs the display
        if isinstance(error, BrokenPipeError):
            if isinstance(sink, JsonLinesSink):  # as a filter ends whose reader has left
                process.die_by(signal.SIGPIPE)
            continue  # a path that nobody wants to know costs nothing
        problem = _unwritable(error, outcome)
        problem = uncharged(problem) if is_free else problem
        abandon(context.stdout)
        report(context, OutputFormat.PATHS, problem, job)
        return problem.exit_code
    return ExitCode.OK


def group_status(outcomes: Sequence[Outcome]) -> ExitCode:
    """Return the exit code of several runs: PARTIAL where some of them saved nothing, and others did."""
    codes = [outcome.exit_code for outcome in outcomes]
    is_saved = [bool(outcome.saved) for outcome in outcomes]
    mixed = [ExitCode.PARTIAL] if any(is_saved) and not all(is_saved) else codes
    return most_severe(mixed)


def _unwritable(error: Exception, outcome: Outcome) -> Problem:
    """Describe a standard output that did not take the result."""
    reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    lost = f"Standard output could not be written ({reason})"
    if not isinstance(error, OSError):
        return Problem(ExitCode.INTERNAL, f"{lost}.", Charged.MAYBE)
    if not outcome.saved:
        return Problem(ExitCode.UNKNOWN, f"{lost}, and saving was turned off.", Charged.MAYBE)
    paths = ", ".join(str(saved.path.absolute()) for saved in outcome.saved)
    return Problem(ExitCode.ELSEWHERE, f"{lost}; the image is saved as {paths}.", Charged.YES)
