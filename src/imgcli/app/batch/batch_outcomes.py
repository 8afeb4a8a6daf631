"""Outcomes of tasks: recorded when a job ends, reconstructed if a run was killed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.batch_result import TaskStatus
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, most_severe
from imgcli.core.events import Saved
from imgcli.store.submitted_batch import is_recorded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from imgcli.app.background.detached_run import ServerInquiry
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.app.unfinished_run import UnfinishedRun
    from imgcli.core.batch_result import TaskOutcome
    from imgcli.core.events import Event
    from imgcli.core.history import HistoryEntry
    from imgcli.core.pipeline import Outcome
    from imgcli.store.batch_state import BatchState


_AS_ASKED = frozenset({ExitCode.OK, ExitCode.ELSEWHERE})
"""Ends with a whole image that is on disk, or was shown where none was to be saved."""
_NOBODY_KNOWS = frozenset({ExitCode.UNKNOWN.kind, "interrupted"})
_CODES = {code.kind: code for code in ExitCode}
_LEAST_FREE = (Charged.YES, Charged.MAYBE, Charged.NO)


def note_outcome(
    state: BatchState,
    task: str,
    job: str,
    outcome: Outcome,
    cost: Decimal | None = None,
    seconds: float | None = None,
) -> None:
    """Write into the state how a task's job ended; `cost` is None where it is unknown.

    Of a job that a signal ended nothing is known yet: the next run finds out with `resolve_unknown`.
    """
    paths = [saved.path.absolute() for saved in outcome.saved]
    if outcome.exit_code in _AS_ASKED and outcome.images:
        state.saved(task, job, paths, cost, seconds)
    elif outcome.problems:
        state.failed(task, job, _worst(outcome.problems), cost, seconds, paths)


def _worst(problems: Collection[Problem]) -> Problem:
    """Return the problem that names the outcome, as charged as the most expensive of them."""
    code = most_severe(problem.exit_code for problem in problems)
    named = min(problems, key=lambda problem: (problem.signal is None, problem.exit_code is not code))
    return replace(named, charged=min((problem.charged for problem in problems), key=_LEAST_FREE.index))


class Resolved(NamedTuple):
    """A task of unknown outcome, and what was found: None where it was not sent after all."""

    task: str
    outcome: TaskOutcome | None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows it still, so that it is not sent again unasked."""
        return self.outcome is not None and self.outcome.status is TaskStatus.UNKNOWN


def resolve_unknown(
    context: Context, state: BatchState, server: ServerOptions | None = None
) -> list[Resolved]:
    """Find out what became of the tasks of unknown outcome, and write it into the state.

    The history knows the runs that ended; a run log that holds an image is finished as `imgcli recover` does
    it, which costs nothing; `server` is asked about those that it went on with in the background. Those in a
    batch of which this machine has no record become unknown: no command can collect them. Raises
    `ImgcliError` where the run logs cannot be read: they may hold the only copy of an image.
    """
    state.lose_batches(partial(is_recorded, context.env))
    unknown = {
        task: outcome.job
        for task, outcome in state.outcomes.items()
        if outcome.status is TaskStatus.UNKNOWN and outcome.job
    }
    if not unknown:
        return []
    from imgcli.app.background.detached_run import ServerInquiry

    inquiry = ServerInquiry(server) if server else None
    jobs = frozenset(unknown.values())
    known, logs = _from_history(context, jobs), _run_logs(context, jobs)
    for task, job in unknown.items():
        entry = known.get(job)
        if (entry is None or _is_open(entry)) and job in logs:
            _recover(context, state, task, logs[job], inquiry)
        elif entry:
            _note_entry(state, task, entry)
    return [Resolved(task, state.outcomes.get(task)) for task in unknown]


def _from_history(context: Context, jobs: Collection[str]) -> Mapping[str, HistoryEntry]:
    """Return what the history knows of these jobs; nothing where it cannot be read."""
    from imgcli.app import lookup

    try:
        with lookup.open_history(context, context.history_wait) as history:
            found = [history.find_id(job) for job in jobs]
    except ImgcliError as error:
        context.warn([error.problem.what])
        return {}
    except OSError as error:
        context.warn([lookup.unusable(context, error).problem.what])
        return {}
    return {entry.job: entry for entry in found if entry and entry.job in jobs}


def _run_logs(context: Context, jobs: Collection[str]) -> Mapping[str, UnfinishedRun]:
    """Return the run logs of these jobs that no live process is writing. Raises `ImgcliError` (usage)."""
    from imgcli.app.unfinished_run import choose

    return {record.job: record for record in choose(context, (), None) if record.job in jobs}


def _is_open(entry: HistoryEntry) -> bool:
    """Return whether the history knows no more than that the run may have been charged."""
    return entry.outcome in _NOBODY_KNOWS and entry.charged is not Charged.NO and not entry.saved


def _note_entry(state: BatchState, task: str, entry: HistoryEntry) -> None:
    """Write what the history knows of a run; what it does not know stays unknown."""
    if _is_open(entry):
        return
    code = _CODES.get(entry.outcome, ExitCode.UNKNOWN)
    cost = Decimal(0) if entry.is_free else entry.cost
    seconds = (entry.ended - entry.started).total_seconds()
    paths = [image.path for image in entry.saved if image.path]
    if entry.images and (code in _AS_ASKED or (entry.outcome in _NOBODY_KNOWS and paths)):
        state.saved(task, entry.job, paths, cost, seconds)
        return
    charged = Charged.NO if entry.is_free else entry.charged
    problem = Problem(code, entry.message or f"The run ended: {entry.outcome}.", charged)
    state.failed(task, entry.job, problem, cost, seconds, paths)


def _recover(
    context: Context, state: BatchState, task: str, record: UnfinishedRun, inquiry: ServerInquiry | None
) -> None:
    """Finish a run from its log; the paths of its images are not printed: they are the batch's to tell."""
    from imgcli.app import recover
    from imgcli.app.unfinished_run import is_free

    folders: list[Path] = []
    shown = _FoundSink(context)
    found = recover.finish(replace(context, stdout=StringIO()), record, folders, shown, inquiry)
    if not found.has_begun:
        state.held(task, record.job)
        return
    outcome = found.outcome
    if outcome is None or _is_unexplained(outcome):
        return
    cost = Decimal(0) if is_free(record) else _cost(context, record.job)
    note_outcome(state, task, record.job, outcome, cost)


class _FoundSink:
    """Says which images of earlier runs were found; what nobody knows is in the summary of the batch."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def handle(self, event: Event) -> None:
        """Say where an image is."""
        if isinstance(event, Saved):
            self._context.warn([f"the image of an earlier request is saved as {event.path}"])

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _is_unexplained(outcome: Outcome) -> bool:
    """Return whether a run log told no more than that the request had been sent."""
    if outcome.saved or not outcome.problems:
        return False
    worst = _worst(outcome.problems)
    return worst.exit_code is ExitCode.UNKNOWN and worst.charged is not Charged.NO


def _cost(context: Context, job: str) -> Decimal | None:
    """Return what a run that was just recovered has cost, as the history has it now."""
    entry = _from_history(context, {job}).get(job)
    return entry.cost if entry else None
