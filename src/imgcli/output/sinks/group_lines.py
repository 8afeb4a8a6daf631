"""Several jobs as plain lines: each starts with its job's number; one bill at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.errors import Charged
from imgcli.core.events import Completed, Failed
from imgcli.core.messages import unbilled_lines
from imgcli.core.text import shorten
from imgcli.output.sinks.lines import HEARTBEAT, LinesSink
from imgcli.output.sinks.per_job import PerJobSink
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from imgcli.core.billing.bill import Bill
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.output.sinks.lines import LinesStyle
    from imgcli.output.sinks.summary import Clock


_LABEL_LENGTH = 40


class GroupLinesSink:
    """Writes the lines of jobs that `labels` names by their ids: `[2/4] saved ...`, or `[gpt-image-2] ...`.

    `style` is that of a single job; its bill is written for all of them, once they have ended.
    """

    def __init__(
        self, stderr: TextIO, price: Price, clock: Clock, labels: Mapping[str, str], style: LinesStyle
    ) -> None:
        self._stderr = stderr
        self._price = price
        self._clock = clock
        self._labels = labels
        self._style = style
        self._running = set(labels)
        self._summaries: dict[str, RunSummary] = {}
        self._bill: Bill | None = None
        self._unbilled = 0
        self._lines = PerJobSink(self._lines_of)

    def handle(self, event: Event) -> None:
        """Write what this event has to say; raises `OSError` when nobody reads."""
        summary = self._summaries.setdefault(event.job, RunSummary(self._clock))
        summary.note(event)
        self._lines.handle(event)
        match event:
            case Completed():
                self._add(event.job, summary, event)
            case Failed(ended=ended, problem=problem):
                self._add(event.job, summary, ended, is_free=problem.charged is Charged.NO)
            case _:
                pass

    def close(self) -> None:
        """Write the bill of what has ended, unless it was written."""
        self._lines.close()
        self._write_bill()

    def _lines_of(self, job: str) -> LinesSink:
        label = shorten(self._labels.get(job, ""), _LABEL_LENGTH)
        place = f"{label}/{len(self._labels)}" if label.isdecimal() else label
        style = self._style._replace(prefix=f"[{place}] " if place else "", write_bill=lambda _: [])
        return LinesSink(self._stderr, self._price, self._clock, style).open(HEARTBEAT)

    def _add(self, job: str, summary: RunSummary, ended: Completed | None, *, is_free: bool = True) -> None:
        """Add what a job cost; the last one's end is the time for the bill."""
        from imgcli.core.billing.bill import sum_bills

        bill = summary.bill(ended, self._price)
        self._bill = sum_bills(filter(None, [self._bill, bill]))
        self._unbilled += bill is None and not is_free
        del self._summaries[job]
        self._running.discard(job)
        if not self._running:
            self._write_bill()

    def _write_bill(self) -> None:
        from imgcli.output.tables.bill import compact_lines

        bill, self._bill = self._bill, None
        if bill:
            lines = (self._style.write_bill or compact_lines)(bill)
            SafeWriter(self._stderr).lines([*lines, *unbilled_lines(self._unbilled)])
