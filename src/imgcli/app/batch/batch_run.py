"""Running a batch: which task is next, how each ended, and when to stop."""

from __future__ import annotations

import signal
import threading
from collections import Counter, deque
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from imgcli.app import desktop, process
from imgcli.app.artifacts import unfinished_notices
from imgcli.app.batch.batch_budget import BatchBudget
from imgcli.app.batch.batch_outcomes import note_outcome, resolve_unknown
from imgcli.app.batch.batch_preview import BatchPreview
from imgcli.app.batch.pacer import Pacer
from imgcli.app.batch.task_bounds import TaskBounds
from imgcli.app.generate import find_credentials, new_job_id, prepare_one
from imgcli.app.job import JobHooks
from imgcli.app.job_pool import JobPool, JobResult, Task
from imgcli.app.options import OutputFormat
from imgcli.app.reporting import Reporter, output_status, pricing, refuse
from imgcli.core import pipeline
from imgcli.core.batch_result import BatchRowResult, RowStatus, TaskStatus
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, most_severe
from imgcli.core.events import Completed, Failed, Waiting
from imgcli.core.messages import STOPPING
from imgcli.output.batch_report import is_report, report_bytes, report_format
from imgcli.output.sinks.summary import RunSummary
from imgcli.store.batch_state import BatchState, state_path
from imgcli.store.files import UnfitFileError, open_regular
from imgcli.store.publish.atomic import OnExists, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.batch.batch_plan import BatchOptions, BatchPlan, BatchTask
    from imgcli.app.context import Context
    from imgcli.app.job import Job
    from imgcli.core.batch_result import TaskOutcome
    from imgcli.core.billing.rates import Price
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Outcome


_BUSY = 900.0
"""Seconds for which a busy server is asked again: in a batch nobody waits for the one image."""
_ALIKE = frozenset({ExitCode.AUTH, ExitCode.BILLING, ExitCode.UNWRITABLE})
"""Ends that every other task would have too."""
_ALIKE_PERHAPS = frozenset(
    {ExitCode.BUSY, ExitCode.UNREACHABLE, ExitCode.UNWRITABLE, ExitCode.ELSEWHERE, ExitCode.UNKNOWN}
)
_IN_A_ROW = 5
"""Tasks with the same one of these ends, and none that ended well between them, that end the batch."""
_STOPPED = "stopped, because the other images would end the same way"
_CAP, _OUTPUT = "daily-cap", "output"


def run_batch(context: Context, plan: BatchPlan, options: BatchOptions) -> ExitCode:
    """Send the tasks that are not done, and return OK where all of the batch is saved, PARTIAL where some is.

    Raises `ImgcliError` for what is refused before anything is sent, and `Interrupted` at the end of a batch
    whose user pressed Ctrl-C: what ran then was finished.
    """
    if options.later:
        from imgcli.app.later.submit import submit_batch

        return submit_batch(context, plan, options)
    form = report_format(options.report.name) if options.report else None
    context.warn(plan.notices if plan.has_notes else ())
    with _opened_state(options) as state:
        resolve_unknown(context, state, plan.kinds[0].server if plan.kinds else None)
        earlier = dict(state.outcomes)
        run = BatchRun(context, plan, options, state)
        run.check_key()
        report = None
        if options.report and form:  # before anything is paid for, so that it fails now where it would later
            report = _begin_report(context, options.report, report_bytes(_rows(plan, state, earlier), form))
        try:
            outcome = run.run()
        finally:
            rows = _rows(plan, state, earlier)
            run.write_summary(rows)
            if report and form:
                _end_report(context, report, report_bytes(rows, form))
    told = {problem.what for problem in outcome.problems}
    context.warn([state.trouble] if state.trouble and state.trouble not in told else [])
    if plan.kinds and plan.kinds[0].display.notifies and not run.is_drained:
        from imgcli.output.tables.batch import count_words

        desktop.notify_of(context, f"batch: {count_words(rows)}")
    written = output_status(context, outcome, "", is_free=plan.kinds[0].server.is_free)
    if run.is_drained:
        raise process.Interrupted(signal.SIGINT)
    return most_severe([_exit_code(rows, run, outcome), written])


@contextmanager
def _opened_state(options: BatchOptions) -> Iterator[BatchState]:
    """Open the state beside the batch file; standard input has none. Raises `ImgcliError`."""
    file = options.file
    with BatchState.open(state_path(file), file.name) if file else nullcontext(BatchState.unsaved()) as state:
        yield state


def _rows(plan: BatchPlan, state: BatchState, earlier: Mapping[str, TaskOutcome]) -> list[BatchRowResult]:
    """Return what is known of each task, and whether that is from an earlier run."""
    found = [(task, state.outcomes.get(task.key)) for task in plan.tasks]
    return [
        BatchRowResult(
            *(task.line, task.prompt, known, task.id),
            is_earlier=known is not None and known == earlier.get(task.key),
        )
        for task, known in found
    ]


def _begin_report(context: Context, file: Path, data: bytes) -> Path:
    """Write the report over an earlier one, and over no other file; return where. Raises `ImgcliError`."""
    with process.shielded():
        on_exists = OnExists.REPLACE if is_report(_beginning(file)) else OnExists.NUMBER
        written = write_file(file, data, on_exists)
    if written != file:
        context.warn([f"{file} exists and is not a report of a batch; the report is {written}"])
    return written


def _end_report(context: Context, file: Path, data: bytes) -> None:
    """Write the report again, with what came of the tasks; what goes wrong is a note."""
    try:
        with process.shielded():
            write_file(file, data, OnExists.REPLACE)
    except ImgcliError as error:
        context.warn([f"the report could not be written: {error.problem.what}"])


def _beginning(file: Path) -> bytes:
    """Return a file's first bytes, none where it cannot be read."""
    with suppress(OSError, ValueError, UnfitFileError), open_regular(file) as opened:
        return opened.read(1000)
    return b""


def _exit_code(rows: Sequence[BatchRowResult], run: BatchRun, outcome: Outcome) -> ExitCode:
    saved = [row.status is RowStatus.SAVED for row in rows]
    if all(saved):
        return ExitCode.ELSEWHERE if outcome.exit_code is ExitCode.ELSEWHERE else ExitCode.OK
    if any(saved):
        return ExitCode.PARTIAL
    codes = [row.outcome.exit_code for row in rows if row.outcome and row.outcome.exit_code]
    codes += [ExitCode.BUSY] if any(row.status is RowStatus.SUBMITTED for row in rows) else []
    known = [code for code in ExitCode if code in codes]
    return most_severe([*known, *run.refusals]) or ExitCode.UNKNOWN


class BatchRun:
    """One run of a batch; its methods are called in the main thread, unless they say otherwise."""

    def __init__(self, context: Context, plan: BatchPlan, options: BatchOptions, state: BatchState) -> None:
        self._context, self._plan, self._options, self._state = context, plan, options, state
        self._models = context.models
        server, cap = plan.kinds[0].server, plan.kinds[0].budget.run
        host = None if server.demo else server.host(context.env)
        self._price = pricing(self._models, host, is_demo=server.demo)
        self._budget = BatchBudget(None if server.is_free else cap, state.spent)
        self._bounds = TaskBounds(context, plan, self._models)
        self._over = threading.Event()
        self._pacer = Pacer(context.monotonic, self._over, options.rate)
        self._waiting = deque(task for task in plan.tasks if self._is_to_be_sent(task))
        self._running: dict[str, tuple[BatchTask, _TaskSink]] = {}
        self._tasks: dict[str, BatchTask] = {}  # by their jobs, whose events may be shown after their end
        self._alike: Counter[ExitCode] = Counter()
        self._pool: JobPool | None = None
        self._began = context.monotonic()
        self.is_drained = False
        self._refusals: list[Problem] = []
        self._is_hopeless = False

    def check_key(self) -> None:
        """Raise `ImgcliError` where something is to be sent without a key: once, and not for each task."""
        if self._waiting:
            find_credentials(self._context, self._plan.kinds[0])

    def run(self) -> Outcome:
        """Run what is to be sent, and return what all of it came to."""
        if not self._waiting:
            self._context.warn(["there is nothing to send"] if self._plan.has_notes else [])
            return pipeline.Outcome()
        if self._plan.kinds[0].display.format is OutputFormat.PEOPLE:
            again = self._options.retry_unknown
            preview = BatchPreview(self._context, self._plan, self._state.outcomes, retry_unknown=again)
            preview.print_plan()
            self._context.warn(unfinished_notices(self._context))
        stop = process.Stop()
        reporter = Reporter(self._context, self._plan.kinds[0], self._models)
        display = reporter.batch_sinks(self._task, len(self._waiting))
        with display as sinks, stop.calling(self._over.set):
            pool = self._pool = JobPool(sinks, self._options.concurrency, stop, self._pacer.sleep)
            with process.draining(self._drain):
                pool.run(self._next, self._note)
        self._context.write_lines(pool.deferred())
        for problem in self._refusals:
            refuse(self._context, problem, self._plan.kinds[0].display.format)
        self._context.warn([_STOPPED] if self._is_hopeless else [])
        return pool.outcome

    @property
    def refusals(self) -> list[ExitCode]:
        """The exit codes of what ended the batch early, apart from its tasks."""
        return [problem.exit_code for problem in self._refusals]

    def write_summary(self, rows: Sequence[BatchRowResult]) -> None:
        """Print the summary for people on standard error."""
        from imgcli.output.tables.batch import summary_lines
        from imgcli.output.terminal.hyperlinks import Hyperlinks

        if self._plan.kinds[0].display.format is OutputFormat.PEOPLE:
            seconds = self._context.monotonic() - self._began
            columns, is_kept = self._context.size().columns, self._options.file is not None
            links = Hyperlinks.on(self._context.env, self._context.stderr)
            self._context.write_lines(summary_lines(rows, seconds, columns, links, is_kept=is_kept))

    def _is_to_be_sent(self, task: BatchTask) -> bool:
        outcome = self._state.outcomes.get(task.key)
        match outcome.status if outcome else TaskStatus.FAILED_FREE:
            case TaskStatus.FAILED_FREE:
                return True
            case TaskStatus.FAILED_CHARGED | TaskStatus.UNKNOWN:
                return self._options.retry_unknown
            case _:
                return False

    def _drain(self) -> None:
        """Begin nothing more, because the user pressed Ctrl-C; what runs is finished."""
        self.is_drained = True
        self._over.set()
        if self._pool:
            self._pool.wake(STOPPING)

    def _halt(self, problem: Problem | None = None) -> None:
        """Begin nothing more, for a reason that is reported when the display is closed, or was already."""
        self._waiting.clear()
        self._refusals.extend([problem] if problem else [])

    def _next(self) -> Task | float | None:
        """Return the next task where the limits have room for it and it is its turn."""
        if self._over.is_set() or not self._waiting or self._is_in_vain():
            return None
        task = self._waiting[0]
        bound = self._bounds.of(task)
        dollars = bound.dollars if bound else None
        if not self._budget.reserve(task.key, dollars):
            if self._budget.is_idle:
                # Without the sentence that nothing was sent: others were.
                self._halt(Problem(ExitCode.USAGE, self._budget.refusal(dollars), Charged.NO, is_local=True))
            return None
        if pause := self._pacer.ask_turn():
            return pause
        self._waiting.popleft()
        job_id = new_job_id(self._context)
        sink = _TaskSink(self._state, task.key, self._price, self._context.monotonic)
        self._running[job_id], self._tasks[job_id] = (task, sink), task
        return Task(job_id, partial(self._prepare, task, job_id, sink, dollars), sink)

    def _prepare(self, task: BatchTask, job_id: str, sink: _TaskSink, bound: Decimal | None) -> Job:
        """Prepare a task's job; runs in its thread."""
        options = self._plan.options(task)
        budget = replace(options.budget, run=None, estimate=False)  # which hold for the whole batch
        output = replace(options.output, is_series=True)
        job = prepare_one(self._context, replace(options, budget=budget, output=output), job_id)
        sink.artifacts = job.artifacts
        hooks = JobHooks(partial(self._state.sent, task.key, job_id, bound), self._pacer.note, _BUSY)
        return replace(job, hooks=hooks)

    def _note(self, result: JobResult) -> None:
        """Settle what a task has cost, and stop where the others would end alike."""
        task, sink = self._running.pop(result.task.id)
        outcome = result.outcome
        self._budget.settle(task.key, sink.note(result.task.id, outcome))
        code = outcome.exit_code
        about = {name for problem in outcome.problems for name in problem.parameters}
        if code in _ALIKE_PERHAPS:
            self._alike[code] += 1
        else:
            self._alike.clear()
        # A line that breaks ends all that run as unknown, which says nothing of the next.
        most = 2 * max(_IN_A_ROW, self._options.concurrency) if code is ExitCode.UNKNOWN else _IN_A_ROW
        is_own = code is ExitCode.UNWRITABLE and _OUTPUT in about  # other rows may have another output
        if (code in _ALIKE and not is_own) or _CAP in about or self._alike[code] >= most:
            self._is_hopeless |= bool(self._waiting)
            self._halt()

    def _is_in_vain(self) -> bool:
        """Return whether further images would be paid for and reach nobody."""
        return bool(self._pool and self._pool.outcome.broken) and not self._plan.kinds[0].output.save

    def _task(self, job_id: str) -> BatchTask:
        """Return the task of a job."""
        return self._tasks[job_id]


def _is_uncharged(outcome: Outcome) -> bool:
    """Return whether a task failed in a way that certainly cost nothing."""
    return (
        bool(outcome.problems)
        and not outcome.saved
        and all(problem.charged is Charged.NO for problem in outcome.problems)
    )


class _TaskSink:
    """Follows one task in its job's thread, and writes down what becomes of it.

    It does so as soon as the last event comes: after that the run log goes, which would tell of it otherwise.
    """

    def __init__(self, state: BatchState, key: str, price: Price, clock: Callable[[], float]) -> None:
        self.artifacts: RunArtifacts | None = None
        self._state, self._key, self._price = state, key, price
        self._summary = RunSummary(clock)
        self._outcome = pipeline.Outcome()
        self._cost: Decimal | None = None
        self._is_noted = False

    def handle(self, event: Event) -> None:
        """Take note of an event."""
        self._summary.note(event)
        self._outcome.record(event)
        match event:
            case Waiting(job=job):
                self._state.held(self._key, job)
            case Completed(job=job):
                self._end(job, event)
            case Failed(job=job, ended=ended):
                self._end(job, ended)
            case _:
                pass

    def close(self) -> None:
        """Do nothing: the state stays open."""

    def note(self, job: str, outcome: Outcome) -> Decimal | None:
        """Write down how the job ended, unless that is done; return what it has cost, None for unknown."""
        if not self._is_noted:
            self._is_noted = True
            is_free = self.artifacts is not None and self.artifacts.is_free
            self._cost = Decimal(0) if is_free or _is_uncharged(outcome) else self._cost
            note_outcome(self._state, self._key, job, outcome, self._cost, self._summary.elapsed)
        return self._cost

    def _end(self, job: str, completed: Completed | None) -> None:
        made = self._summary.bill(completed, self._price)
        self._cost = made.total if made else None
        self.note(job, self._outcome)
