"""A batch on a terminal: a grid of its newest images, with progress below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars
from imgcli.core.events import Notice
from imgcli.core.messages import STOPPING
from imgcli.core.option import option
from imgcli.core.text import duration
from imgcli.output.sinks.grid import GridSink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.output.images.protocol import RendererProvider
    from imgcli.output.sinks.summary import Clock
    from imgcli.output.terminal.capabilities import Terminal


_BAR_COLUMNS = 8
_MOST_PROBLEMS = 10
_MINUTE = 60.0
_SOON = 3
"""Images after which it makes sense to say how long the rest will take."""


class BatchGridSink(GridSink):
    """Shows a batch of `total` images, of which as many as fit; `name` tells the row of a job.

    `finish` ends it. The table of what it came to is its caller's.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as the grid, and what it is about
        self,
        stream: TextIO,
        terminal: Terminal,
        price: Price,
        clock: Clock,
        name: Callable[[str], str],
        total: int,
        provider: RendererProvider | None = None,
    ) -> None:
        super().__init__(stream, terminal, price, clock, {}, provider)
        self._name, self._total = name, total
        self._is_stopping = False
        self._bar = "━─" if terminal.unicode else "#-"

    def _label(self, job: str) -> str:
        return self._name(job)

    def _row(self) -> str:
        done, failed = len(self._ended), sum(tile.problem is not None for tile in self._ended)
        filled = _BAR_COLUMNS * done // max(self._total, 1)
        bar = self._bar[0] * filled + self._bar[1] * (_BAR_COLUMNS - filled)
        words = [f"{bar} {done:,} of {self._total:,}", *([f"{failed:,} failed"] if failed else [])]
        words += [self._money(done)] if self._bill and not self._is_stopping else []
        status = self._status.now_doing(self._separator.join([*words, *self._pace(done)]))
        return status.row(self._clock(), self._separator)

    def _fraction(self) -> float | None:
        return self._share(self._total)

    def _money(self, done: int) -> str:
        """Format what it has cost, and what it will if it goes on like that."""
        known = self._bill.total if self._bill else None
        if known is None or not _SOON <= done < self._total:
            return self._spent()
        return f"{self._spent()} of ~{dollars(known * self._total / done)}"

    def _note(self, event: Event) -> None:
        if isinstance(event, Notice) and event.text == STOPPING:
            self._is_stopping = True
        else:
            super()._note(event)

    def _pace(self, done: int) -> list[str]:
        """Format how fast it goes, and how long it will take."""
        if self._is_stopping:
            return [STOPPING]
        elapsed = self._clock() - self._status.began
        if done < _SOON or elapsed <= 0:
            return []
        left = (self._total - done) * elapsed / done
        return [f"{_rounded(left)} left", f"{done * _MINUTE / elapsed:.3g}/min"]

    def _end(self, lines: Sequence[str]) -> None:
        problems = self._problem_lines()
        more = len(problems) - _MOST_PROBLEMS
        hidden = [f"... and {more:,} more lines; {option('report')} lists every row"] if more > 0 else []
        self._canvas.leave([*self._notices, *problems[:_MOST_PROBLEMS], *hidden, *lines], self._paths())


def _rounded(seconds: float) -> str:
    """Format about how long something takes."""
    return duration(seconds) if seconds >= _MINUTE else f"{seconds:.0f} s"
