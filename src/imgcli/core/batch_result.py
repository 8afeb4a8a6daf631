"""Results of the tasks of a batch: in the state file, the summary and the report."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.errors import Charged
from imgcli.core.json_fields import choice, dollars, text

if TYPE_CHECKING:
    from collections.abc import Mapping


_KEYS = {
    "sent": {"job", "bound_usd"},
    "held": {"job"},
    "saved": {"job", "paths"},
    "failed": {"job", "charged"},
    "submitted": {"batch"},
}
"""The statuses in a state file, and the keys that a line with each must have beside its task."""
_ZERO = Decimal(0)


class TaskStatus(StrEnum):
    """What is known of a task that was sent. One that was not sent, or was held, has none."""

    SAVED = "saved"
    FAILED_FREE = "failed_free"  # may be sent again: it cost nothing
    FAILED_CHARGED = "failed_charged"  # may have cost something: sent again only if the user says so
    UNKNOWN = "unknown"  # sent, and the outcome is unknown: likewise
    SUBMITTED = "submitted"  # in a batch at OpenAI


class TaskOutcome(NamedTuple):
    """What is known of a task. Money is in US dollars: `cost` is None where it is unknown.

    `job` names the run, `batch` OpenAI's batch. `kind` and `message` are the problem of a failed task, which
    has `paths` too where a part of its images was saved.
    """

    status: TaskStatus
    job: str | None = None
    paths: tuple[str, ...] = ()
    cost: Decimal | None = None
    seconds: float | None = None
    bound: Decimal | None = None
    kind: str | None = None
    exit_code: int | None = None
    charged: Charged | None = None
    message: str | None = None
    batch: str | None = None


class StateLine(NamedTuple):
    """A line of a state file: the task's key, and its outcome from now on, None for one that was held."""

    task: str
    job: str
    outcome: TaskOutcome | None

    @property
    def spent(self) -> Decimal | None:
        """What the job has cost by this line; None where only the bound is known."""
        outcome = self.outcome
        if outcome is None or (outcome.status is TaskStatus.FAILED_FREE and outcome.cost is None):
            return _ZERO
        return outcome.cost


def state_line(fields: Mapping[str, Any]) -> StateLine | None:
    """Read a line of a state file; None for anything else.

    `fields` are parsed with `Decimal` for numbers with a point.
    """
    task, status = fields.get("task"), fields.get("status")
    needed = _KEYS.get(status) if isinstance(status, str) else None
    if not isinstance(task, str) or not task or needed is None or not needed <= fields.keys():
        return None
    job = fields.get("job", fields.get("batch"))
    if not isinstance(job, str):
        return None
    if status == "held":
        return StateLine(task, job, None)
    outcome = _outcome(status, job, fields)
    return StateLine(task, job, outcome) if outcome else None


def _outcome(status: str | None, job: str, fields: Mapping[str, Any]) -> TaskOutcome | None:
    match status:
        case "sent":
            return TaskOutcome(TaskStatus.UNKNOWN, job, bound=_amount(fields["bound_usd"]))
        case "submitted":
            bound = _amount(fields.get("bound_usd"))
            return TaskOutcome(TaskStatus.SUBMITTED, bound=bound, batch=job)
        case "saved":
            paths = _paths(fields["paths"])
            if paths is None:
                return None
            cost, seconds = _amount(fields.get("cost_usd")), _seconds(fields.get("seconds"))
            return TaskOutcome(TaskStatus.SAVED, job, paths, cost, seconds)
        case _:
            return _failure(job, fields)


def _failure(job: str, fields: Mapping[str, Any]) -> TaskOutcome | None:
    charged, code = choice(Charged, fields["charged"]), fields.get("exit_code")
    if charged is None:
        return None
    return TaskOutcome(
        TaskStatus.FAILED_FREE if charged is Charged.NO else TaskStatus.FAILED_CHARGED,
        job,
        _paths(fields.get("paths")) or (),
        cost=_amount(fields.get("cost_usd")),
        seconds=_seconds(fields.get("seconds")),
        kind=text(fields.get("kind")),
        exit_code=code if type(code) is int else None,
        charged=charged,
        message=text(fields.get("message")),
    )


def _amount(value: object) -> Decimal | None:
    return _dollars(value) if type(value) in _HASHABLE else None


_HASHABLE = {str, int, Decimal}
_dollars = lru_cache(maxsize=1_000, typed=True)(dollars)
"""The images of a batch cost much the same; without this, reading amounts is a tenth of reading the state."""


def _paths(value: object) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and {*map(type, value)} <= {str} else None


def _seconds(value: object) -> float | None:
    return float(value) if type(value) in (int, Decimal) else None  # type: ignore[arg-type]


class RowStatus(StrEnum):
    """What became of a row, for people and in a report."""

    SAVED = "saved"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUBMITTED = "submitted"
    LEFT = "left"  # not sent


_ROW_STATUS = {
    TaskStatus.SAVED: RowStatus.SAVED,
    TaskStatus.FAILED_FREE: RowStatus.FAILED,
    TaskStatus.FAILED_CHARGED: RowStatus.FAILED,
    TaskStatus.UNKNOWN: RowStatus.UNKNOWN,
    TaskStatus.SUBMITTED: RowStatus.SUBMITTED,
}


class BatchRowResult(NamedTuple):
    """What became of one task: a row of the report.

    `line` is the row's number in the input, from 1; tasks that variables make of one row share it. `outcome`
    is None for what was not sent. `is_earlier` says that it is from an earlier run of the batch.
    """

    line: int
    prompt: str
    outcome: TaskOutcome | None = None
    id: str | None = None
    is_earlier: bool = False

    @property
    def status(self) -> RowStatus:
        """What became of it, in a word."""
        return _ROW_STATUS[self.outcome.status] if self.outcome else RowStatus.LEFT
