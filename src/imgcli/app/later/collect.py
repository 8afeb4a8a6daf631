"""Collecting the answers of a batch: each becomes a run and is saved like any other."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import field, replace
from decimal import Decimal
from io import StringIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from imgcli.app import history_log, lookup, recover, unfinished_run
from imgcli.app.batch.batch_outcomes import note_outcome
from imgcli.app.context import all_secrets
from imgcli.app.later.batch_survey import OF_ONE_BATCH
from imgcli.app.later.submissions import (
    asked,
    batch_client,
    choose,
    ended,
    release,
    remaining,
    settle,
    task_log,
    without_money,
)
from imgcli.app.reporting import pricing, refuse
from imgcli.app.unfinished_run import UnfinishedRun, is_free
from imgcli.core import pipeline
from imgcli.core.billing.bill import dollars
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem, most_severe
from imgcli.core.events import Completed, Failed, FinalImage, Notice, PartialImage, Saved, Started
from imgcli.core.json_fields import timestamp
from imgcli.core.messages import age
from imgcli.core.option import option
from imgcli.core.pipeline import Outcome
from imgcli.core.remote_batch import BatchStatus
from imgcli.core.secrets import mask_secrets
from imgcli.core.text import duration, shorten
from imgcli.dataclass import dataclass
from imgcli.output.sinks.lines import write_paths
from imgcli.store.paths import private_folder, state_folder
from imgcli.store.publish.atomic import reason
from imgcli.store.runlog.reader import PROCESS, RUNS, RunLogFile, process_identity
from imgcli.store.runlog.writer import BILLED, RunLog
from imgcli.store.submitted_batch import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.api.batches import BatchClient
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.events import Event
    from imgcli.core.remote_batch import BatchAnswer, RemoteBatch
    from imgcli.store.batch_state import BatchState
    from imgcli.store.submitted_batch import SubmittedBatch, SubmittedRow


_AS_ASKED = frozenset({ExitCode.OK, ExitCode.ELSEWHERE})
"""Ends with a whole image that is on disk."""
_LONGEST, _MOST_TOLD = 200, 20
_MAKE_ROOM = "Make some room, then run it again."
_GOOD = range(200, 300)


def collect(context: Context, server: ServerOptions, names: Sequence[str], *, wait: bool) -> ExitCode:
    """Save what batches have answered: those of these names, or all that were submitted to this server.

    With `wait`, until each has ended. Raises `ImgcliError`.
    """
    records = choose(context, server, names)
    if not records:
        context.warn(["there is no batch to collect"])
        return ExitCode.OK
    client = batch_client(context, server)
    lookup.add_pending(context)
    codes = list[ExitCode]()
    for number, record in enumerate(records):
        try:
            codes.append(_collect(context, client, record, wait=wait))
        except ImgcliError as error:
            codes.append(refuse(context, without_money(error.problem)))
            if error.problem.exit_code not in OF_ONE_BATCH:
                context.warn(remaining(context, records[number:]))
                break
            if error.problem.cause is not Cause.NOT_FOUND:  # which names the batch, and what to do
                context.warn(remaining(context, [record]))
    return most_severe(codes)


def _collect(context: Context, client: BatchClient, record: SubmittedBatch, *, wait: bool) -> ExitCode:
    """Collect one batch, unless that is done, or another process does it."""
    record = settle(context, client, record)
    if not record.is_open or record.batch is None:
        fate = "was already collected" if record.is_closed else "was not created; its rows were not sent"
        unknown = "may still be created; `imgcli batch status` finds out"
        context.warn([f"batch {record.name} {unknown if record.is_open else fate}"])
        return ExitCode.OK
    remote = ended(context, client, record) if wait else asked(client, record)
    if not remote.has_ended:
        left = _left(context, remote)
        done = f"{remote.completed + remote.failed} of {record.facts.total} rows are done{left}"
        context.warn([f"batch {record.name} is not ready: {done}; {option('wait')} waits for it"])
        return ExitCode.BUSY
    with record.claim() as mine:
        if mine is None or not mine.is_open:
            context.warn([f"another process is collecting batch {record.name}"])
            return ExitCode.OK
        with task_log(context, mine) as log:
            return _Collector(context, client, mine, remote, log).run()


def _left(context: Context, remote: RemoteBatch) -> str:
    seconds = (remote.expires or 0) - context.now().timestamp()
    return f", and it expires in {age(seconds)}" if seconds > 0 else ""


@dataclass
class _Totals:
    """What came of the rows that were collected now."""

    rows: int = 0
    saved: int = 0
    codes: list[ExitCode] = field(default_factory=list)
    known: Decimal = Decimal(0)
    unknown: int = 0
    is_free: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL where some rows brought an image and some did not."""
        worst = most_severe(self.codes)
        return ExitCode.PARTIAL if self.saved and worst not in _AS_ASKED else worst

    @property
    def cost(self) -> str:
        """What they cost, for people."""
        if self.is_free:
            return "free"
        if self.unknown and not self.known:
            return "cost unknown"
        return f"{'at least ' * bool(self.unknown)}{dollars(self.known)}, at half price"


class _EndSink:
    """Notes the end of a run, and what it takes to know its cost; says where a file has another name."""

    def __init__(self, context: Context) -> None:
        self.end: Completed | None = None
        self.images = self.partials = 0
        self._context = context

    def handle(self, event: Event) -> None:
        """Note what an event tells."""
        self.images += isinstance(event, FinalImage)
        self.partials += isinstance(event, PartialImage)
        if isinstance(event, Notice) and event.is_about_name:
            self._context.warn([event.text])
        if isinstance(event, Completed | Failed):
            self.end = event if isinstance(event, Completed) else event.ended

    def close(self) -> None:
        """Do nothing: nothing is open."""


class _Collector:
    """Collects one batch that has ended."""

    def __init__(
        self,
        context: Context,
        client: BatchClient,
        record: SubmittedBatch,
        remote: RemoteBatch,
        log: BatchState | None,
    ) -> None:
        self._context, self._client, self._record, self._remote, self._log = (
            context,
            client,
            record,
            remote,
            log,
        )
        free = {BILLED: False} if record.is_free else {}
        rows = (row._replace(run=replace(row.run, extra={**row.run.extra, **free})) for row in record.rows())
        self._rows = {row.task: row for row in rows if row.task not in record.collected}
        self._totals = _Totals(is_free=record.is_free)
        self._is_complete = True
        self._told = 0
        self._price = pricing(context.models, record.facts.server)

    def run(self) -> ExitCode:
        """Save every answer that was not saved yet, say what is missing, and return the exit code."""
        earlier = len(self._record.collected)
        self._finish_killed()
        self._skip_known()
        for file in self._remote.files:
            with self._downloaded(file) as content:
                self._read(content)
        if self._is_complete or not self._rows:
            self._end_missing()
            self._close()
            release(self._context, self._record)
        else:
            self._totals.codes.append(ExitCode.UNKNOWN)
        self._summarize(earlier)
        return self._totals.exit_code

    def _finish_killed(self) -> None:
        """Finish what a process that was killed while it collected has left: the history knows it then.

        Raises `ImgcliError` where the run logs cannot be read.
        """
        jobs = {row.run.job for row in self._rows.values()}
        quiet = replace(self._context, stdout=StringIO(), stderr=StringIO())
        for run in unfinished_run.choose(self._context, (), None):
            if run.job in jobs:
                recover.finish(quiet, run, [], _EndSink(quiet))

    def _skip_known(self) -> None:
        """Leave out the rows that the history knows: a process that was killed may have saved them last."""
        jobs = {row.run.job: row for row in self._rows.values()}
        with suppress(OSError), lookup.connect_history(self._context, self._context.history_wait) as history:
            begun = self._record.time
            known = history.day(begun.astimezone(), lambda day, _: day.jobs) if begun else frozenset()
            for job in known & jobs.keys():
                entry = history.find_id(job)
                if entry and entry.saved:
                    row = self._rows.pop(jobs[job].task)
                    saved = [Saved(job, n, image.path) for n, image in enumerate(entry.saved) if image.path]
                    write_paths(self._context.stdout, [one.path for one in saved], self._context.links)
                    self._settle(row, Outcome(len(entry.images), saved), entry.cost)

    @contextmanager
    def _downloaded(self, file: str) -> Iterator[BinaryIO]:
        """Return the content of a result file, whole on this disk; empty where the server has it no more.

        Raises `ImgcliError`.
        """
        folder = state_folder(self._context.env) / FOLDER
        try:
            with TemporaryFile(dir=private_folder(folder)) as content:
                self._download(file, content)
                content.seek(0)
                yield content
        except OSError as error:
            what = f"The answers cannot be stored in {folder} ({reason(error)}). The server keeps them."
            raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice=_MAKE_ROOM)) from None

    def _download(self, file: str, content: BinaryIO) -> None:
        from imgcli.api.batches import LONGEST_ANSWER

        try:
            self._client.download(file, content, LONGEST_ANSWER * max(self._record.facts.total, 1))
        except ImgcliError as error:
            if error.problem.exit_code is not ExitCode.REFUSED:
                raise
            content.truncate(0)
            self._is_complete = False
            self._context.warn([f"the server no longer has the answers: {error.problem.what}"])

    def _read(self, content: BinaryIO) -> None:
        from imgcli.api.batches import read_answers

        for answer in read_answers(content):
            if answer is None:
                self._is_complete = False
                self._context.warn(["a line of the answers cannot be read"])
            elif row := self._rows.pop(answer.task, None):
                self._take(row, answer)

    def _take(self, row: SubmittedRow, answer: BatchAnswer) -> None:
        from imgcli.api.batches import body_of, problem_of

        if answer.status is None or answer.status not in _GOOD:
            self._fail(row, problem_of(answer, *all_secrets(self._context)))
            return
        record, watch = self._logged(row, body_of(answer)), _EndSink(self._context)
        outcome = recover.finish(self._context, record, [], watch).outcome
        if outcome:  # none where another process has taken the run log
            self._settle(row, outcome, Decimal(0) if is_free(record) else self._cost(row, watch))

    def _cost(self, row: SubmittedRow, seen: _EndSink) -> Decimal | None:
        end = seen.end
        return self._price(row.run.request, end, seen.partials, seen.images).total if end else None

    def _logged(self, row: SubmittedRow, body: bytes) -> UnfinishedRun:
        """Write an answer into a run log, as if it had just come; from then on `recover` has it too.

        Raises `ImgcliError` where that cannot be.
        """
        from imgcli.api.wires import maskable

        extra = {**row.run.extra, PROCESS: process_identity()}
        log = RunLog.begin(state_folder(self._context.env) / RUNS, replace(row.run, extra=extra))
        for _ in log.tee(mask_secrets([body], *maskable(*self._client.credentials.secrets))):
            pass
        if log.trouble or log.path is None:
            log.discard()
            what = "The answers cannot be stored on this machine. The server keeps them."
            raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice=_MAKE_ROOM))
        log.close()
        return UnfinishedRun(RunLogFile.read(log.path), self._context.now())

    def _fail(self, row: SubmittedRow, problem: Problem) -> None:
        """Note a row without an image, in the history as that of any run."""
        unwritten = RunLogFile(self._record.path, row.run)
        run = UnfinishedRun(unwritten, self._context.now())
        events: list[Event] = [Started(row.run.job, row.run.request), Failed(row.run.job, problem)]
        with history_log.record_recovered(self._context, run, self._context.models) as recorders:
            outcome = pipeline.run(events, recorders)
        self._settle(row, outcome, Decimal(0) if problem.charged is Charged.NO else None)

    def _settle(self, row: SubmittedRow, outcome: Outcome, cost: Decimal | None) -> None:
        """Remember that a row was dealt with, now that its image is safe."""
        totals, is_saved = self._totals, bool(outcome.images) and outcome.exit_code in _AS_ASKED
        totals.rows += 1
        totals.saved += is_saved
        totals.codes.append(outcome.exit_code)
        totals.known += cost or 0
        totals.unknown += cost is None
        if self._log:  # before our own note: a process that is killed in between comes here again
            note_outcome(self._log, row.task, row.run.job, outcome, cost)
        self._note(row.task, "saved" if is_saved else "failed")
        self._tell(row, outcome.problems)

    def _tell(self, row: SubmittedRow, problems: Sequence[Problem]) -> None:
        """Print what is wrong with a row, for the first rows: the history and the state have them all."""
        self._told += bool(problems)
        if self._told > _MOST_TOLD:
            return
        name = f" ({shorten(row.id, _LONGEST)})" if row.id else ""
        lines = [f"line {row.line}{name}: {shorten(problem.what, _LONGEST)}" for problem in problems]
        self._context.write_lines(lines)

    def _close(self) -> None:
        with suppress(OSError):  # then it is found to be collected another time
            self._record.end("closed")

    def _note(self, task: str, status: str) -> None:
        try:
            self._record.note("collected", task=task, status=status)
        except OSError as error:
            what = f"{self._record.path} cannot be written ({reason(error)}). What was saved stays."
            raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, Charged.NO, _MAKE_ROOM)) from None

    def _end_missing(self) -> None:
        """Note the rows for which no answer came."""
        for fault in self._remote.faults:
            self._context.warn([f"the server refused the batch: {fault}"])
        ended = self._remote.status or BatchStatus.COMPLETED
        if ended is BatchStatus.COMPLETED:
            problem = Problem(ExitCode.UNKNOWN, "The batch has no answer for it.", Charged.MAYBE, CHECK_USAGE)
        else:
            code = ExitCode.REFUSED if ended is BatchStatus.FAILED else ExitCode.BUSY
            problem = Problem(
                code, f"The batch {_FATES[ended]} before it was done.", Charged.NO, "Run it again."
            )
        while self._rows:
            self._fail(self._rows.pop(next(iter(self._rows))), problem)

    def _summarize(self, earlier: int) -> None:
        totals, record, more = self._totals, self._record, self._told - _MOST_TOLD
        self._context.write_lines([f"and {more:,} more rows"] if more > 0 else [])
        parts = [f"{totals.saved} saved", f"{totals.rows - totals.saved} without an image"]
        parts += [f"{earlier} collected earlier"] if earlier else []
        took = ""
        if begun := timestamp(record.facts.created):
            seconds = (self._context.now().astimezone() - begun.astimezone()).total_seconds()
            took = f", {duration(seconds)} after it was submitted"
        counts = ", ".join(parts)
        told = f"batch {record.name} is {self._remote.status or 'over'}{took}: {counts}; {totals.cost}"
        again = f"; {len(self._rows)} are left: run it again" if self._rows else ""
        self._context.write_lines([f"{told}{again}"])


_FATES = {
    BatchStatus.FAILED: "was refused",
    BatchStatus.EXPIRED: "expired",
    BatchStatus.CANCELLED: "was cancelled",
}
