"""Which sinks show a run, chosen once from what was ordered and what is there to show it on."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imgcli.cli.order import STDOUT, Style
from imgcli.core.events import Failed
from imgcli.show.terminal import Display, PreviewMode, choose_display, look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.cli.order import Order
    from imgcli.cli.world import World
    from imgcli.core.catalog import Catalog
    from imgcli.core.errors import Problem
    from imgcli.core.session import Sink
    from imgcli.show.tally import Price


class Reporter:
    """Everything that is written on a run's way: the result on stdout, the show on stderr."""

    def __init__(self, world: World, order: Order, catalog: Catalog) -> None:
        self._world = world
        self._report = order.report
        self._pours = order.output.name == STDOUT
        self._catalog = catalog
        self._terminal = look(world.env, world.stderr, world.size)
        self._display = self._choose_display()

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees partial images: on a terminal, or as JSON lines."""
        return self._display is Display.PICTURE or self._report.style is Style.JSON_LINES

    @property
    def is_shown(self) -> bool:
        """Whether the picture itself is shown on a terminal."""
        return self._display is Display.PICTURE

    @contextmanager
    def sinks(self) -> Iterator[list[Sink]]:
        """Open the sinks, the show before the result; close them on every path."""
        opened: list[Sink] = []
        try:
            opened.append(self._show())
            opened.extend(self._result())
            yield opened
        finally:
            for sink in opened:
                with suppress(Exception):  # a display that cannot be closed must not hide how the run ended
                    sink.close()

    def tell(self, job: str, problem: Problem) -> None:
        """Report a problem outside of a run: before it began, or after it was broken off."""
        tell(self._world, self._report.style, problem, job)

    def _choose_display(self) -> Display:
        quiet = self._report.style is not Style.PEOPLE and self._report.preview is None
        mode = PreviewMode.OFF if quiet else self._report.preview or PreviewMode.AUTO
        return choose_display(mode, self._terminal)

    def _result(self) -> list[Sink]:
        """Choose what speaks on standard output; nothing does when the picture's bytes go there."""
        if self._pours:
            return []
        if self._report.style is Style.JSON_LINES:
            from imgcli.show.jsonl import JsonLinesSink

            clock = self._world.monotonic
            return [JsonLinesSink(self._world.stdout, self._report.inline, self._price, clock)]
        from imgcli.show.paths import PathsSink

        return [PathsSink(self._world.stdout)]

    def _show(self) -> Sink:
        """Choose what speaks on standard error."""
        from imgcli.show.plain import ErrorsSink, PlainSink

        if self._report.style is not Style.PEOPLE and self._display is not Display.PICTURE:
            return ErrorsSink(self._world.stderr)
        if self._display is Display.LINES:
            return PlainSink(self._world.stderr, self._price, self._world.monotonic)
        return self._live()

    def _live(self) -> Sink:
        from imgcli.show.block_painter import BlockPainter
        from imgcli.show.live import LiveSink

        painter = BlockPainter(self._terminal, self._report.width)
        return LiveSink(
            self._world.stderr,
            self._terminal,
            self._price,
            self._world.monotonic,
            painter if self._display is Display.PICTURE else None,
        ).open()

    @property
    def _price(self) -> Price:
        from imgcli.core.bill import bill

        return lambda request, completed, partials: bill(request, completed, partials, self._catalog)


def tell(world: World, style: Style, problem: Problem, job: str | None = None) -> None:
    """Write a problem as its reader expects it; a stream that takes nothing is let be."""
    from imgcli.show.jsonl import error_line, to_json
    from imgcli.show.plain import ErrorsSink

    with suppress(OSError, ValueError):
        ErrorsSink(world.stderr).handle(Failed(job or "", problem))
    if style is Style.JSON_LINES:
        with suppress(OSError, ValueError):
            world.stdout.write(to_json(error_line(problem, job)) + "\n")
            world.stdout.flush()
