"""What runs cost, read out of the history by the hundred thousand."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.core.history import ModelCost, RunCost
from imgcli.core.params import DEMO
from imgcli.store.history.rows import date_of, dollars_of, time_of, utc_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime


Cells: TypeAlias = tuple[Any, ...]
"""A run's number, time, endpoint, cost, prices' date, and whether it is billed; then its bill's row."""

_QUERY = (
    "SELECT id, started, endpoint, cost, prices_date, billed, part, charges.model, cost_in, cost_out"
    " FROM runs LEFT JOIN charges ON charges.run = id WHERE started >= ? ORDER BY started, id, position"
)
_NOTHING = Decimal(0)


def read_expenses(connection: sqlite3.Connection, since: datetime | None) -> list[Cells]:
    """Read the rows, those of one run one after the other, the oldest run first."""
    return connection.execute(_QUERY, [utc_text(since) if since else ""]).fetchall()


def expenses(rows: Iterable[Cells]) -> Iterator[RunCost]:
    """Make a value of every run's rows."""
    dollars, day = lru_cache(4096)(dollars_of), lru_cache(64)(date_of)  # amounts repeat themselves

    def share(model: object, cost_in: object, cost_out: object) -> ModelCost:
        parts = dollars(cost_in), dollars(cost_out)
        known = sum((part for part in parts if part is not None), _NOTHING)
        return ModelCost(model if isinstance(model, str) else None, None if None in parts else known, known)

    for (number, started, endpoint, cost, priced, billed), bill in groupby(rows, key=itemgetter(*range(6))):
        shares = tuple(share(*cells[7:]) for cells in bill if cells[6] is not None)
        is_free, priced_on = endpoint == DEMO or billed == 0, day(priced)
        yield RunCost(number, time_of(started), is_free, dollars(cost), shares, priced_on, endpoint)
