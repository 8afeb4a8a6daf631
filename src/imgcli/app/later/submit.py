"""Submitting rows to OpenAI's Batch API: half price, within a day."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import field, replace
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from imgcli.app import history_log
from imgcli.app.artifacts import check_embedding, header_for_later
from imgcli.app.batch.batch_outcomes import resolve_unknown
from imgcli.app.batch.task_bounds import TaskBounds
from imgcli.app.later.submissions import batch_client, drop, find_created, note_created, prune, settle_all
from imgcli.app.money import budget, reservation
from imgcli.app.options import OutputFormat
from imgcli.core.batch_result import TaskStatus
from imgcli.core.billing.bill import dollars
from imgcli.core.billing.bound import batch_bound, image_model_name
from imgcli.core.billing.budget import check_run
from imgcli.core.billing.rates import BATCH, HALF
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.text import file_size, shorten
from imgcli.core.validate import validate
from imgcli.dataclass import dataclass
from imgcli.output.json import to_json
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.batch_state import BatchState, state_path
from imgcli.store.paths import private_folder, state_folder
from imgcli.store.publish.atomic import reason
from imgcli.store.runlog.writer import TIER
from imgcli.store.submitted_batch import FOLDER, BatchFacts, SubmittedBatch, SubmittedRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from imgcli.api.batches import BatchClient
    from imgcli.app.batch.batch_plan import BatchOptions, BatchPlan, BatchTask
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.request import ImageRequest


_NAME_LENGTH = 60
_PAUSES = (1.0, 3.0, 10.0)
"""Seconds before each look for a batch whose creation was not confirmed."""
_NO_PARTIALS = "the Batch API makes no partial images; the requests go without them"


@dataclass
class _Draft:
    """One batch that is to be submitted: a file of requests of one model for one endpoint."""

    endpoint: str
    model: str
    file: BinaryIO
    rows: list[SubmittedRow] = field(default_factory=list)
    bounds: list[Bound | None] = field(default_factory=list)
    size: int = 0

    @property
    def bound(self) -> Bound | None:
        """The most that it costs, None where any of it is unknown."""
        known = [bound for bound in self.bounds if bound]
        return batch_bound(known) if len(known) == len(self.bounds) else None


def submit_batch(context: Context, plan: BatchPlan, options: BatchOptions) -> ExitCode:
    """Submit the tasks of a batch that are not done and not submitted yet. Raises `ImgcliError`."""
    base = plan.kinds[0] if plan.kinds else None
    if base is None:
        return ExitCode.OK
    if base.server.demo:
        raise usage_error(
            "A batch needs a server that goes on when this command has ended, and the demo ends with it.",
            "Start `imgcli demo-server` in another terminal, and use its address.",
            about=("later", "demo"),
        )
    if options.report:
        what = "A report says what became of the rows, and that is not known yet."
        raise usage_error(
            what, "Leave it out; write it when the batch is collected.", about=("report", "later")
        )
    client = batch_client(context, base.server)
    settle_all(context, client, base.server)
    file = options.file
    with BatchState.open(state_path(file), file.name) if file else BatchState.unsaved() as state:
        resolve_unknown(context, state)
        again = _FREE | _PERHAPS_PAID if options.retry_unknown else _FREE
        known = {task: outcome.status for task, outcome in state.outcomes.items()}
        tasks = [task for task in plan.tasks if known.get(task.key, TaskStatus.FAILED_FREE) in again]
        context.warn(plan.notices if plan.has_notes else ())
        context.warn(_left_out(plan, tasks, known))
        return submit(context, plan, tasks, base, client, state) if tasks else ExitCode.OK


_FREE = frozenset({TaskStatus.FAILED_FREE})
_PERHAPS_PAID = frozenset({TaskStatus.FAILED_CHARGED, TaskStatus.UNKNOWN})


def _left_out(plan: BatchPlan, tasks: Sequence[BatchTask], known: Mapping[str, TaskStatus]) -> Iterator[str]:
    """Say why tasks are not submitted."""
    left = {task.key for task in plan.tasks} - {task.key for task in tasks}
    counts = Counter(known[key] for key in left)
    again = f"may have been paid for; {option('retry-unknown')} sends them again"
    submitted = "already submitted; `imgcli batch status` shows where they stand"
    as_wanted = ((counts[TaskStatus.SAVED], "saved already"), (counts[TaskStatus.SUBMITTED], submitted))
    told = (*(as_wanted if plan.has_notes else ()), (sum(counts[status] for status in _PERHAPS_PAID), again))
    return (f"{count} row{'s' * (count != 1)} {why}" for count, why in told if count)


def submit(
    context: Context,
    plan: BatchPlan,
    tasks: Iterable[BatchTask],
    options: GenerateOptions,
    client: BatchClient,
    state: BatchState,
) -> ExitCode:
    """Submit tasks, and print the ids of the batches that they are in.

    Every row is checked and written to disk before anything is sent. `options` are the command line's: the
    server, and the limits for the whole. Raises `ImgcliError`; `state` then says which tasks were submitted.
    """
    is_json = options.display.format is OutputFormat.JSON_LINES
    with ExitStack() as stack:
        drafts = _Drafts(context, plan, options, stack)
        for task in tasks:
            drafts.add(task)
        context.warn(drafts.notices() if plan.has_notes else ())
        is_free = True
        drafts.check_limit(state.spent)
        for number, draft in enumerate(drafts.all):
            try:
                record = _Submission(context, options, client, draft, state, drafts.begun).run(plan.name)
            except ImgcliError as error:
                raise _told(error, number, len(drafts.all)) from None
            line = to_json({"batch": record.name, "rows": len(draft.rows)}) if is_json else record.name
            is_free = is_free and record.is_free
            SafeWriter(context.stdout).lines([line])
    prune(context)
    how = f"`imgcli batch collect {option('wait')}` saves the images when they are ready"
    context.warn([f"submitted {drafts.summary(is_free=is_free)}; {how}"] if plan.has_notes else [])
    return ExitCode.OK


def _told(error: ImgcliError, done: int, total: int) -> ImgcliError:
    """Add how many batches were submitted before one was not."""
    if not done:
        return error
    what = f"{done} of {total} batches {'was' if done == 1 else 'were'} submitted. {error.problem.what}"
    return ImgcliError(replace(error.problem, what=what))


def _check_size(length: int, most: int) -> None:
    if length > most:
        what = f"The request has {file_size(length)}; a batch takes at most {file_size(most)}."
        raise usage_error(what, "Send smaller images.")


class _Drafts:
    """The batches that rows are sorted into: one a model and endpoint, and another where one is full."""

    def __init__(self, context: Context, plan: BatchPlan, options: GenerateOptions, stack: ExitStack) -> None:
        self.all: list[_Draft] = []
        self._context, self._plan, self._options, self._stack = context, plan, options, stack
        self._models = context.models
        self._today = context.now().date()
        self.begun = context.now()
        self._jobs = f"{self.begun:%Y%m%d-%H%M%S}-{context.token()}"
        self._open: dict[tuple[str, str], _Draft] = {}
        self._bounds = TaskBounds(context, plan, self._models)
        self._has_partials = False
        self._unconfirmed: dict[str, None] = {}
        self._count = 0

    def add(self, task: BatchTask) -> None:
        """Write a task's request into a file. Raises `ImgcliError`."""
        from imgcli.api.batches import LARGEST_FILE, MOST_REQUESTS, endpoint_of, request_line

        try:
            options = self._plan.options(task)
            request, bound = self._request(options), self._bound(task)
            job = f"{self._jobs}-{self._count + 1}"
            extra = {**history_log.for_recovery(self._context, options), TIER: BATCH}
            header = header_for_later(self._context, options, request, job, extra)
            line = b"".join(request_line(task.key, request))
            _check_size(len(line), LARGEST_FILE)
        except ImgcliError as error:
            what = f"Line {task.line}: {error.problem.what}"
            raise ImgcliError(replace(error.problem, what=what)) from None
        group = endpoint_of(request), request.model
        draft = self._open.get(group)
        if draft is None or draft.size + len(line) > LARGEST_FILE or len(draft.rows) >= MOST_REQUESTS:
            draft = self._open[group] = _Draft(*group, self._new_file())
            self.all.append(draft)
        try:
            draft.file.write(line)
        except OSError as error:
            raise _unwritable(error) from None
        draft.size += len(line)
        draft.rows.append(SubmittedRow(task.key, task.line, task.id, header))
        draft.bounds.append(bound)
        self._count += 1

    def _request(self, options: GenerateOptions) -> ImageRequest:
        """Return what is sent, whole and without streaming; the plan has shown what there is to notice."""
        self._has_partials |= bool(options.draft.partials)
        if options.draft.markup:  # in OpenAI's specification (SDK 3.57.0) a form has it, and JSON does not
            what = f"The Batch API does not support {option('markup')}: it needs a multipart form."
            raise usage_error(what, f"Leave {option('later')} out for this row.", about=("markup", "later"))
        if options.draft.detach:
            what = f"{option('later')} runs in the background anyway; it does not need {option('detach')}."
            raise usage_error(what, "Leave it out.", about=("detach", "later"))
        draft = replace(options.draft, stream=False, partials=None, watched_partials=0)
        request = validate(draft, self._models, self._today).request
        check_embedding(options.output, request)
        self._check_served(request)
        return request

    def _check_served(self, request: ImageRequest) -> None:
        """Raise `ImgcliError` (usage) for a model that is certainly not served; remember doubts."""
        name = image_model_name(request, self._models)
        known = self._models.find(name)
        if known and known.batch:
            return
        if known is None or known.batch is None:
            self._unconfirmed[shorten(name, _NAME_LENGTH)] = None
            return
        raise usage_error(f"The Batch API does not serve {known.name}.", f"Use {self._served('or')} instead.")

    def _served(self, word: str) -> str:
        *names, last = [model.name for model in self._models.models if model.batch]
        return f"{', '.join(names)} {word} {last}"

    def _bound(self, task: BatchTask) -> Bound | None:
        """Return the most that a task costs; raises `ImgcliError` where that is unknown and a limit holds."""
        bound, budgets, server = self._bounds.of(task), self._options.budget, self._options.server
        if bound is None and (budgets.run or budgets.day) and not server.is_free:
            host = server.host(self._context.env)
            bound = budget.bound_of(self._context, self._plan.request(task), self._models, host)
        return bound

    def _new_file(self) -> BinaryIO:
        """Create a file without a name, which no killed process leaves behind. Raises `ImgcliError`."""
        try:
            folder = private_folder(state_folder(self._context.env) / FOLDER)
            return self._stack.enter_context(TemporaryFile(dir=folder))
        except OSError as error:
            raise _unwritable(error) from None

    def notices(self) -> list[str]:
        """List what is to be known before anything is sent."""
        names = ", ".join(self._unconfirmed)
        doubt = f"it is not confirmed that the Batch API serves {names}; it does serve {self._served('and')}"
        return [*([_NO_PARTIALS] if self._has_partials else []), *([doubt] if names else [])]

    def check_limit(self, spent: Decimal) -> None:
        """Raise `ImgcliError` (usage) where all of it, and what was spent before, may exceed the limit."""
        cap = self._options.budget.run
        if cap and not self._options.server.is_free:
            bound = batch_bound(bound for draft in self.all for bound in draft.bounds if bound)
            check_run([replace(bound, dollars=bound.dollars + spent)], cap)

    def summary(self, *, is_free: bool) -> str:
        """Format what was submitted, and the most that it costs."""
        rows = f"{self._count} row{'s' * (self._count != 1)}"
        batches = f"{len(self.all)} batch{'es' * (len(self.all) != 1)}"
        bounds = [draft.bound for draft in self.all]
        known = [bound.dollars for bound in bounds if bound]
        most = f", at most {dollars(sum(known[1:], known[0]))}" if known and len(known) == len(bounds) else ""
        return f"{rows} in {batches}{', free' if is_free else most}"


@dataclass
class _Submission:
    """One draft on its way."""

    context: Context
    options: GenerateOptions
    client: BatchClient
    draft: _Draft
    state: BatchState
    begun: datetime

    def run(self, source: str) -> SubmittedBatch:
        """Record, upload and create one batch, and return its record. Raises `ImgcliError`.

        The record is whole before the server is asked: whatever happens from then on, the batch is found.
        """
        record = self._recorded(source)
        with record.lock():
            bound = self.draft.bound
            try:
                if bound:
                    reservation.reserve_batch(self.context, self.options, record.facts.key, bound)
                file = self.client.upload(self.draft.file)
                self._note_tasks(record)
                record.note("asked", file=file)
            except OSError as error:
                drop(self.context, record, self.state)
                raise _unwritable(error) from None
            except ImgcliError:
                drop(self.context, record, self.state)
                raise
            self._create(record, file)
            return record

    def _recorded(self, source: str) -> SubmittedBatch:
        draft, bound = self.draft, self.draft.bound
        facts = BatchFacts(
            f"{self.begun:%Y%m%d-%H%M%S}-{self.context.token()}",
            self.begun.isoformat(),
            self.options.server.host(self.context.env),
            draft.endpoint,
            draft.model,
            len(draft.rows),
            source,
            str(self.state.path.absolute()) if self.state.path else None,
            str(bound.dollars) if bound else None,
        )
        try:
            return SubmittedBatch.write(state_folder(self.context.env), facts, draft.rows)
        except OSError as error:
            raise _unwritable(error) from None

    def _note_tasks(self, record: SubmittedBatch) -> None:
        """Note in the batch's state file that its tasks are on their way, under our own key.

        Raises `ImgcliError` (unwritable): then the next run would not know, and submit them again.
        """
        for row, bound in zip(self.draft.rows, self.draft.bounds, strict=True):
            self.state.submitted(row.task, record.facts.key, bound.dollars * HALF if bound else None)
        if self.state.trouble:
            raise ImgcliError(Problem(ExitCode.UNWRITABLE, f"{self.state.trouble} Nothing was submitted."))

    def _create(self, record: SubmittedBatch, file: str) -> None:
        try:
            batch = self.client.create(file, self.draft.endpoint, record.facts.key)
        except ImgcliError as error:
            if error.problem.exit_code is not ExitCode.UNKNOWN:
                drop(self.context, record, self.state)
                raise
            self._find(record, error.problem)
        else:
            note_created(record, batch)

    def _find(self, record: SubmittedBatch, problem: Problem) -> None:
        """Look for a batch of which nobody knows whether it was created: it must not be created twice."""
        for pause in _PAUSES:
            self.context.sleep(pause)
            with suppress(ImgcliError):
                if find_created(self.client, record):
                    return
        what = f"{problem.what} It is not known whether batch {record.facts.key} was created."
        advice = (
            "Run `imgcli batch status` in a few minutes to find out. Do not submit the rows again before."
        )
        raise ImgcliError(replace(problem, what=what, charged=Charged.MAYBE, advice=advice))


def _unwritable(error: OSError) -> ImgcliError:
    what = f"The batch cannot be recorded on this machine ({reason(error)}), so it was not submitted."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what))
