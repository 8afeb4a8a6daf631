"""Finishing interrupted runs: a run log is read as a source like any other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from imgcli.api.client import Clock
from imgcli.api.download import LinkedImages
from imgcli.api.stream.reader import read_events
from imgcli.api.stream.salvage import salvaged
from imgcli.app import desktop, history_log, lookup, process, unfinished_run
from imgcli.app.artifacts import embedding, logged_parameters
from imgcli.app.background import detached_run
from imgcli.app.context import all_secrets
from imgcli.app.reporting import exit_status, pricing, refuse
from imgcli.app.unfinished_run import offer
from imgcli.core import pipeline
from imgcli.core.errors import Cause, Charged, ExitCode, most_severe
from imgcli.core.events import Completed, Failed, Notice, Started
from imgcli.core.json_fields import text
from imgcli.core.messages import recovering_line
from imgcli.core.option import option
from imgcli.core.pipeline import mark_uncharged, uncharged
from imgcli.core.secrets import redact_events
from imgcli.dataclass import dataclass
from imgcli.output.sinks.lines import LinesSink, LinesStyle, PathsSink
from imgcli.output.sinks.queued import QueuedSink
from imgcli.output.terminal.capabilities import has_color
from imgcli.store.paths import FallbackFolders, state_folder
from imgcli.store.publish.existing import ExistingPublisher
from imgcli.store.publish.stage import SavingStage
from imgcli.store.runlog.reader import leftovers, remove_leftovers
from imgcli.store.runlog.writer import TIER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from imgcli.api.stream.salvage import RecordContent as Content
    from imgcli.app.background.detached_run import ServerInquiry
    from imgcli.app.context import Context
    from imgcli.app.unfinished_run import UnfinishedRun
    from imgcli.core.billing.bill import Bill
    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink


_FREE_NOTICE = "this run was free; the bill is what it would cost"


def recover_runs(
    context: Context, records: Sequence[UnfinishedRun], inquiry: ServerInquiry, *, notifies: bool = False
) -> ExitCode:
    """Finish these unfinished runs, and end with the most severe exit code.

    `inquiry` is about those that the server went on with.
    """
    lookup.add_pending(context)
    folders: list[Path] = []
    ended = [finish(context, record, folders, inquiry=inquiry) for record in records]
    if notifies and records:
        desktop.notify(context, [one.outcome for one in ended if one.outcome])
    if not records:
        context.warn(["there is nothing to recover"])
    unexplained = "is a temporary file that belongs to no known run; check it before you delete it"
    context.warn([f"{path} {unexplained}" for path in leftovers(folders)])
    offer(context, records)
    return most_severe(one.exit_code for one in ended)


class Recovered(NamedTuple):
    """How finishing a run ended; `outcome` is None where nothing was sent, or nothing could be done now."""

    exit_code: ExitCode
    outcome: pipeline.Outcome | None = None
    has_begun: bool = True


def finish(
    context: Context,
    record: UnfinishedRun,
    folders: list[Path],
    display: Sink | None = None,
    inquiry: ServerInquiry | None = None,
) -> Recovered:
    """Finish one run, unless another process has it; a fault of ours must not cost the runs after it.

    Add the folders in which it may have left something to `folders`. `display` shows it in place of plain
    lines.
    """
    from imgcli.app.crash import report_crash

    with record.run.claim() as is_ours:
        if not is_ours:
            return Recovered(ExitCode.OK)
        try:
            problem = detached_run.fetch(context, record, inquiry)
            if problem and not record.progress.images["final"]:
                is_free = unfinished_run.is_free(record)
                return Recovered(refuse(context, uncharged(problem) if is_free else problem))
            context.warn([problem.what] if problem else [])
            recovery = _Recovery(context, record, display)
            folders.extend(recovery.folders)
            return recovery.finish()
        except Exception as error:  # noqa: BLE001 - as in `main`: one sentence, never a traceback
            return Recovered(refuse(context, report_crash(error, context, Charged.MAYBE)))


@dataclass
class _Recovery:
    """One run that is being finished. `is_kept` is set when its record may be worth another look."""

    context: Context
    record: UnfinishedRun
    display: Sink | None = None
    is_kept: bool = False

    def __post_init__(self) -> None:
        state = state_folder(self.context.env)
        rescue = FallbackFolders(state, self.context.env, self._keep)
        self._publisher = ExistingPublisher(self.record.target(state), rescue)
        self._saving = SavingStage(self._publisher, process.shielded)

    @property
    def folders(self) -> list[Path]:
        """The folders in which this run may have left something."""
        return self._publisher.folders

    def finish(self) -> Recovered:
        """Publish what the record holds, and remove it when nothing more can come of it."""
        if not self.record.has_begun:
            unfinished_run.release_reservation(self.context, self.record.job)
            self._discard()
            return Recovered(ExitCode.OK, has_begun=False)
        outcome = self._run()
        self._saving.keep_last_partial()  # of a second image that never came
        self.is_kept |= _may_hold_more(outcome)
        self._settle()
        code = exit_status(self.context, outcome, self.record.job, is_free=self._is_free)
        return Recovered(code, outcome)

    def _run(self) -> pipeline.Outcome:
        with self.record.mapped() as content:
            return self._run_with(content)

    def _run_with(self, content: Content) -> pipeline.Outcome:
        job = self.record.job
        links = LinkedImages.of_recorded(unfinished_run.recorded_server(self.record), Clock())
        events = read_events(self.record.chunks(), job, inputs=content.inputs, links=links)
        found = salvaged(events, content, job)
        redacted = redact_events(found, *all_secrets(self.context))
        source = chain(self._started(), _at_tier(self.record, redacted))
        embedded = embedding(logged_parameters(self.record.run.header))
        events = self._saving(self._explained(embedded(pipeline.enforce_grammar(job, source))))
        events = mark_uncharged(events) if self._is_free else events
        models = self.context.models
        clock = self.context.monotonic
        price = pricing(models, unfinished_run.recorded_server(self.record))
        in_color = has_color(self.context.env, self.context.stderr)
        style = LinesStyle(lambda _: self._opening, write_bill=self._bill_lines, in_color=in_color)
        lines = LinesSink(self.context.stderr, price, clock, style)
        recorders = history_log.record_recovered(self.context, self.record, models)
        with (
            recorders as history,
            closing(self.display or QueuedSink(lines)) as show,
            closing(PathsSink(self.context.stdout, links=self.context.links)) as paths,
        ):
            return pipeline.run(events, [show, paths, *history])

    def _bill_lines(self, bill: Bill) -> list[str]:
        from imgcli.output.tables.bill import compact_lines

        return compact_lines(bill, self.context.size().columns if self.context.stderr.isatty() else None)

    @property
    def _is_free(self) -> bool:
        return unfinished_run.is_free(self.record)

    @property
    def _opening(self) -> str:
        return recovering_line(self.record.when, self.record.prompt)

    def _started(self) -> Iterator[Event]:
        if self.record.run.header:
            yield Started(self.record.job, self.record.run.header.request)
            if self._is_free:
                yield Notice(self.record.job, _FREE_NOTICE)

    def _explained(self, events: Iterator[Event]) -> Iterator[Event]:
        """Name the request in a bad end, so that its owner, and OpenAI, can find it."""
        for event in events:
            if isinstance(event, Failed):
                what = f"{event.problem.what} {self.record.name}"
                yield replace(event, problem=replace(event.problem, what=what))
            else:
                yield event

    def _keep(self) -> Path:
        self.is_kept = True
        return self.record.run.path

    def _settle(self) -> None:
        """Tidy up after dead processes first: without the record nobody would know where."""
        remove_leftovers(self.folders, self._publisher.paths)
        self._publisher.remove_empty_folders()
        if self.is_kept:
            run = self.record.run
            discard = option("discard", run.id)
            stays = f"the run log stays at {run.path}; `imgcli recover {discard}` removes it"
            self.context.warn([stays])
        else:
            self._discard()

    def _discard(self) -> None:
        try:
            self.record.run.discard()
        except OSError as error:
            self.context.warn([f"{self.record.run.path} could not be removed ({error.strerror})"])


def _at_tier(record: UnfinishedRun, events: Iterator[Event]) -> Iterator[Event]:
    """Add the service tier that a run was sent at, where the answer does not say it."""
    tier = text(record.extra.get(TIER))
    for event in events:
        yield replace(event, service_tier=tier) if tier and isinstance(event, Completed) else event


def _may_hold_more(outcome: pipeline.Outcome) -> bool:
    """Return whether somebody may find more in a record: data that we cannot read, paid for all the same."""
    if any(problem.cause is Cause.UNREADABLE_IMAGE for problem in outcome.problems):
        return True
    problems = [problem for problem in outcome.problems if problem.charged is Charged.YES]
    codes = {problem.exit_code for problem in problems}
    return ExitCode.DAMAGED in codes or (ExitCode.UNKNOWN in codes and not outcome.saved)
