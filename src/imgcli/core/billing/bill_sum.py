"""The bill of several runs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.billing.bill import Bill, Part, Row, sum_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable


def sum_bills(bills: Iterable[Bill]) -> Bill | None:
    """Return the bill of several runs, None for none: rows of the same model added up.

    Rows whose cost is unknown are not added to those whose cost is known, which would hide the least that it
    is. It is the demo's where nobody pays any of it.
    """
    bills = tuple(bills)
    if not bills:
        return None
    rows: dict[tuple[Part, str | None, bool], list[Row]] = {}
    for one in bills:
        for row in one.rows:
            rows.setdefault((row.part, row.model, row.cost is None), []).append(row)
    dates = [one.prices_date for one in bills if one.prices_date]
    notes = dict.fromkeys(note for one in bills for note in one.notes)
    summed = tuple(_sum_rows(alike) for alike in rows.values())
    tables = tuple(dict.fromkeys(table for one in bills for table in one.tables))
    is_demo = all(one.is_demo for one in bills)
    return Bill(summed, min(dates, default=None), tuple(notes), is_demo, tables)


def _sum_rows(rows: list[Row]) -> Row:
    """Return rows of one model as one."""
    return Row(
        rows[0].part,
        rows[0].model,
        _total(row.tokens_in for row in rows),
        _total(row.cached for row in rows),
        _total(row.tokens_out for row in rows),
        _total(row.partials for row in rows),
        sum_or_none(row.cost_in for row in rows),
        sum_or_none(row.cost_out for row in rows),
    )


def _total(counts: Iterable[int | None]) -> int | None:
    """Return the sum, None if any part is unknown."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
