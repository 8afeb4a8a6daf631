"""Which sinks show a run, chosen once from what was ordered and what is there to show it on."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.context import within
from imgcli.app.options import OutputFormat, PreviewMode
from imgcli.core.events import Failed
from imgcli.core.problem import Charged
from imgcli.output.images.compare import Comparison
from imgcli.output.sinks.jsonl import InlineImages
from imgcli.output.sinks.lines import GENERATING, POURING
from imgcli.output.sinks.queued import QueuedSink
from imgcli.output.terminal.capabilities import (
    Display,
    choose_display,
    detect_terminal,
    has_color,
    is_one_terminal,
)
from imgcli.output.terminal.database import PreviewProtocol
from imgcli.store.publish.naming import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.catalog import Catalog
    from imgcli.core.events import Completed, Event
    from imgcli.core.pipeline import Sink
    from imgcli.core.problem import ExitCode, Problem
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.jsonl import JsonLinesSink
    from imgcli.output.sinks.lines import Words
    from imgcli.output.terminal.screen import Footer


_PATIENCE = 1.0  # seconds
_USUAL_NAME = "a-lighthouse-at-dusk-2.png"


class Reporter:
    """Everything that is written on a run's way: the result on stdout, the show on stderr."""

    def __init__(self, world: Context, order: GenerateOptions, catalog: Catalog) -> None:
        self._world = world
        self._report = order.report
        self._name = order.output.name
        self._pours = self._name == STDOUT
        self._catalog = catalog
        self._endpoint = order.endpoint
        self._terminal = detect_terminal(world.env, world.stderr, world.size, order.report.sight.rung)
        self._display = self._choose_display()
        self._comparison = Comparison(order.report.before) if order.report.before else None
        self._lines: JsonLinesSink | None = None

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees partial images: on a terminal, or inside JSON lines."""
        reads = self._report.style is OutputFormat.JSON_LINES and self._report.inline is not InlineImages.NONE
        return reads or self._display is Display.IMAGE

    @property
    def is_inline(self) -> bool:
        """Whether the images themselves go to standard output, inside JSON lines."""
        inline = self._report.inline
        if inline is None and not self._world.stdout.isatty():
            inline = InlineImages.INLINE
        return self._report.style is OutputFormat.JSON_LINES and inline is InlineImages.INLINE

    @property
    def is_shown(self) -> bool:
        """Whether the image itself is shown on a terminal."""
        return self._display is Display.IMAGE

    def compared(self, events: Iterable[Event]) -> Iterable[Event]:
        """Say after each final image how much it differs from the one before, where that is wanted."""
        return self._comparison.notices(events) if self._comparison else events

    @contextmanager
    def sinks(self) -> Iterator[list[Sink]]:
        """Open the sinks, the show before the result; close them on every path."""
        opened: list[Sink] = []
        try:
            opened.append(self._show())
            opened.extend(self._result())
            with process.stoppable(opened[0]):
                yield opened
        finally:
            for sink in opened:
                with suppress(Exception):  # a display that cannot be closed must not hide how the run ended
                    sink.close()

    def tell(self, job: str, problem: Problem) -> None:
        """Report a problem after a run was broken off, unless its reader takes nothing any more."""
        index = self._lines.next_index if self._lines else 0
        within(_PATIENCE, lambda: tell(self._world, self._report.style, problem, job, index))

    def _choose_display(self) -> Display:
        sight = self._report.sight
        if sight.wanted is PreviewMode.PLAIN:
            return Display.LINES
        is_quiet = self._report.style is not OutputFormat.PEOPLE and sight.wanted is not PreviewMode.ORDERED
        return choose_display(PreviewProtocol.OFF if is_quiet else sight.rung, self._terminal)

    def _result(self) -> list[Sink]:
        """Choose what speaks on standard output; nothing does when the image's bytes go there."""
        if self._pours:
            return []
        if self._report.style is OutputFormat.JSON_LINES:
            from imgcli.output.sinks.jsonl import JsonLinesSink

            inline = InlineImages.INLINE if self.is_inline else InlineImages.NONE
            self._lines = JsonLinesSink(self._world.stdout, inline, self._price, self._world.monotonic)
            return [QueuedSink(self._lines)]
        from imgcli.output.sinks.lines import PathsSink

        return [PathsSink(self._world.stdout)]

    def _show(self) -> Sink:
        """Choose what speaks on standard error."""
        from imgcli.output.sinks.lines import HEARTBEAT, ErrorsSink, LinesSink, LinesStyle

        if self._report.style is not OutputFormat.PEOPLE and self._display is not Display.IMAGE:
            return ErrorsSink(
                self._world.stderr,
                tells_names=self._report.style is OutputFormat.PATHS,
                in_color=has_color(self._world.env, self._world.stderr),
            )
        if self._display is Display.LINES:
            world = self._world
            in_color = has_color(world.env, world.stderr)
            style = LinesStyle(words=self._words, write_bill=self._plain_bill, in_color=in_color)
            lines = LinesSink(world.stderr, self._price, world.monotonic, style)
            return QueuedSink(lines.open(HEARTBEAT))
        return self._live()

    def _plain_bill(self, bill: Bill) -> list[str]:
        from imgcli.output.tables.bill import bill_lines, compact_lines

        if self._report.has_long_bill:
            return bill_lines(bill)
        return compact_lines(bill, self._terminal.size().columns if self._world.stderr.isatty() else None)

    def _live(self) -> Sink:
        from imgcli.output.images.select import RendererSelector
        from imgcli.output.sinks.live import LiveSink

        world, sight = self._world, self._report.sight
        provider: RendererProvider = RendererSelector(
            world.env, world.stderr, self._terminal, sight.rung, sight.width
        )
        if self._comparison:
            from imgcli.output.images.compare import ComparingProvider

            provider = ComparingProvider(provider, self._comparison)
        shown = provider if self._display is Display.IMAGE else None
        sink = LiveSink(world.stderr, self._terminal, self._price, world.monotonic, shown)
        return sink.open(self._words, footer=self._footer())

    def _footer(self) -> Footer:
        from imgcli.output.terminal.screen import Footer

        columns = 0
        if not self._pours and is_one_terminal(self._world.stdout, self._world.stderr):
            columns = len(str(Path(self._name or _USUAL_NAME).absolute()))
        return Footer(columns, self._report.has_long_bill, remarks=int(self._comparison is not None))

    @property
    def _words(self) -> Words:
        return POURING if self._pours else GENERATING

    @property
    def _price(self) -> Price:
        from imgcli.api.auth import server_host

        server = None if self._endpoint.demo else server_host(self._world.env, self._endpoint.base_url)
        return pricing(self._catalog, server, is_demo=self._endpoint.demo)


def pricing(models: Catalog, place: str | None = None, *, is_demo: bool = False) -> Price:
    """Make what works out a job's bill; `place` is the server's host and port, as far as it is known."""
    from imgcli.core.billing.bill import bill
    from imgcli.core.billing.rates import at_rates

    def price(request: ImageRequest, completed: Completed, partials: int, images: int) -> Bill:
        made = bill(request, completed, partials, models, images)
        return replace(at_rates(made, completed.service_tier, place), is_demo=is_demo)

    return price


def tell(
    world: Context, style: OutputFormat, problem: Problem, job: str | None = None, index: int = 0
) -> None:
    """Write a problem as its reader expects it; a stream that takes nothing is let be.

    Where the command sends nothing, money is spoken of only when an earlier run may have cost some.
    """
    from imgcli.output.json import to_json
    from imgcli.output.sinks.jsonl import error_line
    from imgcli.output.sinks.lines import ErrorsSink

    problem = replace(problem, is_local=problem.charged is Charged.NO and not world.can_send)
    with suppress(OSError, ValueError):
        in_color = has_color(world.env, world.stderr)
        ErrorsSink(world.stderr, in_color=in_color).handle(Failed(job or "", problem))
    if style is OutputFormat.JSON_LINES:
        with suppress(OSError, ValueError):
            world.stdout.write(to_json(error_line(problem, job, index)) + "\n")
            world.stdout.flush()


def refuse(world: Context, problem: Problem, style: OutputFormat = OutputFormat.PEOPLE) -> ExitCode:
    """Write a problem as its reader expects it, and give its exit code."""
    tell(world, style, problem)
    return problem.exit_code
