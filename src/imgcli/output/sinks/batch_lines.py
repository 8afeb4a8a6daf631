"""A batch as plain lines: one for each image that was saved or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.events import Completed, Failed, Notice, Saved, Started, Waiting
from imgcli.core.messages import notice_line, problem_lines, saved_line, waiting_line
from imgcli.core.text import duration, shorten
from imgcli.output.sinks.summary import RunSummary
from imgcli.output.tables.bill import total_words
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.output.sinks.summary import Clock


_NAME_LENGTH = 60


class BatchLinesSink:
    """Writes how each job of a batch ended, with its number among `total` and the `name` of its row."""

    def __init__(
        self, stderr: TextIO, price: Price, clock: Clock, name: Callable[[str], str], total: int
    ) -> None:
        self._out = SafeWriter(stderr)
        self._price, self._clock = price, clock
        self._name, self._total = name, total
        self._ended = 0
        self._summaries: dict[str, RunSummary] = {}

    def handle(self, event: Event) -> None:
        """Write what this event has to say; raises `OSError` when nobody reads."""
        if isinstance(event, Started):
            self._summaries[event.job] = RunSummary(self._clock)
        if summary := self._summaries.get(event.job):
            summary.note(event)
        match event:
            case Notice(text=text):
                self._out.lines([notice_line(text)])
            case Waiting(seconds=seconds, reason=reason):
                self._out.lines([f"{self._label(event.job)}: {waiting_line(seconds, reason)}"])
            case Saved(problem=problem) if problem:
                self._out.lines(problem_lines(problem))
            case Completed():
                self._end(event.job, self._lines(summary, event))
            case Failed(problem=problem):
                self._end(event.job, problem_lines(problem))
            case _:
                pass

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _end(self, job: str, lines: list[str]) -> None:
        self._ended += 1
        self._summaries.pop(job, None)
        first, *rest = lines
        self._out.lines([f"[{self._ended}/{self._total}] {self._label(job)}: {first}", *rest])

    def _label(self, job: str) -> str:
        return shorten(self._name(job), _NAME_LENGTH)

    def _lines(self, summary: RunSummary | None, completed: Completed) -> list[str]:
        if summary is None:
            return ["done"]
        bill = summary.bill(completed, self._price)
        facts = [duration(summary.elapsed), *([total_words(bill)] if bill else [])]
        names = [str(one.path) if one.problem else one.path.name for one in summary.saved.values()]
        # The cost is that of the request, and stands once.
        saved = [saved_line(name, [] if at else facts, ", ") for at, name in enumerate(names)]
        return saved or summary.unsaved_lines(", ", "not saved") or ["done"]
