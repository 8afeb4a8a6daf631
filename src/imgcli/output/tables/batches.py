"""Submitted batches as a table, and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.messages import age
from imgcli.core.text import shorten
from imgcli.output.json import to_json
from imgcli.output.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


_LONGEST = 60
_HEADINGS = ("batch", "state", "done", "age", "expires", "failed", "file")
_FEWEST = 3


class BatchFigures(NamedTuple):
    """What is shown of one batch: `status` is the server's word or ours; times are None where unknown.

    With `is_known`, `completed` and `failed` are the server's own counts; `is_lost`: it does not have it.
    """

    id: str
    key: str
    status: str
    total: int
    completed: int
    failed: int
    collected: int
    created: datetime | None
    expires: datetime | None
    source: str
    server: str | None
    endpoint: str
    model: str
    bound: str | None
    is_known: bool = True
    is_lost: bool = False

    @property
    def done(self) -> str:
        """How many rows are done; those that were collected are, whatever the server says."""
        done = self.completed + self.failed if self.is_known else self.collected
        return f"{done if done or self.is_known else '?'}/{self.total}"


def batch_lines(batches: Iterable[BatchFigures], now: datetime, columns: int | None) -> list[str]:
    """Format batches as lines of a table, as many columns as fit; none for no batch."""
    rows = [_cells(one, now) for one in batches]
    for count in range(len(_HEADINGS), 0, -1):
        shown = tuple(row[:count] for row in rows)
        table = Table(_HEADINGS[:count], shown, words=frozenset(["state", "file"]))
        if rows and (columns is None or table.width <= columns or count == _FEWEST):
            return table.lines
    return []


def _cells(one: BatchFigures, now: datetime) -> tuple[str, ...]:
    begun = age((now - one.created).total_seconds()) if one.created else "-"
    left = age((one.expires - now).total_seconds()) if one.expires else "-"
    failed = str(one.failed) if one.is_known else "-"
    cells = (one.id, one.status.replace("_", " "), one.done, begun, left, failed, one.source)
    return tuple(shorten(cell, _LONGEST) for cell in cells)


def batches_json(batches: Iterable[BatchFigures]) -> str:
    """Format batches for programs; the keys are a contract."""
    return to_json({"batches": [_fields(one) for one in batches]})


def _fields(one: BatchFigures) -> dict[str, Any]:
    times = {f"{name}_at": _utc(getattr(one, name)) for name in ("created", "expires")}
    bound = float(one.bound) if one.bound else None
    kept = {name: getattr(one, name) for name in _KEPT}
    return {**kept, **times, "max_cost_usd": bound}


_KEPT = (
    "id",
    "key",
    "status",
    "total",
    "completed",
    "failed",
    "collected",
    "source",
    "server",
    "endpoint",
    "model",
)


def _utc(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None
