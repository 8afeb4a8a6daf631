"""Costs of runs, read by the hundred thousand, and reservations for runs of unknown cost."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from imgcli.core.history import ModelCost, RunCost
from imgcli.core.json_fields import dollars
from imgcli.core.params import DEMO
from imgcli.regex import regex
from imgcli.store.history.rows import date_of, request_of, time_of, utc_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from imgcli.core.history import HistoryEntry
    from imgcli.core.request import ImageRequest


Cells: TypeAlias = tuple[Any, ...]
"""A run's number, time, endpoint, cost, prices' date, and whether it is billed; then its bill's row."""

_QUERY = (
    "SELECT id, started, endpoint, cost, prices_date, billed, part, charges.model, cost_in, cost_out"
    " FROM runs LEFT JOIN charges ON charges.run = id WHERE started >= ?{} ORDER BY started, id, position"
)
_SUMS = (
    "SELECT endpoint, billed, min(started), min(prices_date), count(*), group_concat(cost, ' ')"
    " FROM runs WHERE started >= ? AND cost IS NOT NULL GROUP BY endpoint, billed"
)
_ZERO = Decimal(0)
_PLAIN = regex(r"[0-9. ]*")


def read_cost_rows(connection: sqlite3.Connection, since: datetime | None, where: str = "") -> list[Cells]:
    """Read the rows, those of one run one after the other, the oldest run first."""
    return connection.execute(_QUERY.format(where), [utc_text(since) if since else ""]).fetchall()


def read_sums(connection: sqlite3.Connection, since: datetime | None) -> list[RunCost]:
    """Read what all runs cost together: one sum for those of known cost at each endpoint, then the others.

    A row for each of 100,000 runs would take a second.
    """
    sums = list[RunCost]()
    rows = connection.execute(_SUMS, [utc_text(since) if since else ""])
    for endpoint, billed, started, priced, count, amounts in rows:
        cost = _sum(amounts, count)
        if cost is None:  # others have written to it
            return [*run_costs(read_cost_rows(connection, since))]
        is_free = endpoint == DEMO or billed == 0
        sums.append(RunCost(0, time_of(started), is_free, cost, (), date_of(priced), endpoint, count))
    return [*sums, *run_costs(read_cost_rows(connection, since, " AND cost IS NULL"))]


def _sum(amounts: str, count: int) -> Decimal | None:
    """Add up so many amounts with blanks between them; None unless all are amounts."""
    if not _PLAIN.fullmatch(amounts):
        return None
    try:
        costs = [*map(Decimal, amounts.split())]
    except ArithmeticError:
        return None
    return sum(costs, _ZERO) if len(costs) == count and dollars(max(costs)) is not None else None


def run_costs(rows: Iterable[Cells]) -> Iterator[RunCost]:
    """Yield the cost of every run, from its rows."""
    amount, day = lru_cache(4096)(dollars), lru_cache(64)(date_of)  # amounts repeat themselves

    def share(model: object, cost_in: object, cost_out: object) -> ModelCost:
        parts = amount(cost_in), amount(cost_out)
        known = sum((part for part in parts if part is not None), _ZERO)
        return ModelCost(model if isinstance(model, str) else None, None if None in parts else known, known)

    for (number, started, endpoint, cost, priced, billed), bill in groupby(rows, key=itemgetter(*range(6))):
        shares = tuple(share(*cells[7:]) for cells in bill if cells[6] is not None)
        is_free, priced_on = endpoint == DEMO or billed == 0, day(priced)
        yield RunCost(number, time_of(started), is_free, amount(cost), shares, priced_on, endpoint)


class OpenRun(NamedTuple):
    """A run of unknown cost: it is in progress, it broke off, or the server did not count.

    `known` is what it cost at least; `reserved` is None for a run that began without a daily cap.
    """

    job: str
    known: Decimal
    reserved: Decimal | None = None
    request: ImageRequest | None = None
    endpoint: str | None = None


class DayCosts(NamedTuple):
    """What the history knows of a day: the dollars spent, the open runs, and the name of every run."""

    known: Decimal
    open: tuple[OpenRun, ...]
    jobs: frozenset[str]


def read_day(connection: sqlite3.Connection, since: datetime) -> DayCosts:
    """Read what was spent and reserved since a moment; free runs are left out."""
    begun = [utc_text(since)]
    amounts = connection.execute("SELECT job, amount FROM reservations WHERE started >= ?", begun)
    reserved = {job: dollars(amount) for job, amount in amounts}
    told = connection.execute("SELECT id, job, request FROM runs WHERE started >= ?", begun)
    runs = {number: (job, request) for number, job, request in told}
    known, open_runs = _ZERO, []
    for expense in run_costs(read_cost_rows(connection, since)):
        job, request = runs[expense.number]
        if expense.is_free:
            continue
        if expense.cost is not None:
            known += expense.cost
        else:
            open_runs.append(
                OpenRun(job, expense.known, reserved.get(job), request_of(request), expense.endpoint)
            )
    jobs = frozenset(job for job, _ in runs.values())
    open_runs += [OpenRun(job, _ZERO, amount) for job, amount in reserved.items() if job not in jobs]
    return DayCosts(known, tuple(open_runs), jobs | reserved.keys())


def reserve(
    connection: sqlite3.Connection,
    job: str,
    days: tuple[datetime, datetime],
    decide: Callable[[DayCosts], Decimal],
) -> None:
    """Reserve what `decide` says once it has seen the day; whatever it raises reserves nothing.

    `days` are the moment at which the day began and the one at which the run does. What was reserved on
    earlier days is forgotten.
    """
    since, now = days
    amount = decide(read_day(connection, since))
    connection.execute("DELETE FROM reservations WHERE started < ?", [utc_text(since)])
    connection.execute("INSERT INTO reservations VALUES (?, ?, ?)", [job, utc_text(now), format(amount, "f")])


def clear_reservation(connection: sqlite3.Connection, entry: HistoryEntry) -> None:
    """Delete a run's reservation once its cost is known."""
    if entry.cost is not None or entry.is_free:
        connection.execute("DELETE FROM reservations WHERE job = ?", [entry.job])


def release(connection: sqlite3.Connection, job: str) -> None:
    """Release what is reserved for a run that was not sent, or that its owner has given up on."""
    connection.execute("DELETE FROM reservations WHERE job = ?", [job])
    connection.execute(
        "INSERT INTO reservations SELECT job, started, '0' FROM runs WHERE job = ? AND cost IS NULL", [job]
    )


def forget_reservations(connection: sqlite3.Connection, numbers: list[tuple[int]]) -> None:
    """Remove what is reserved for runs, by their numbers."""
    connection.executemany(
        "DELETE FROM reservations WHERE job = (SELECT job FROM runs WHERE id = ?)", numbers
    )
