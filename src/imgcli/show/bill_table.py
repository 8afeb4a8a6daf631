"""The bill as a table: drawn by rich on a terminal, padded with spaces anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.bill import dollars
from imgcli.core.text import shorten
from imgcli.show.columns import numbers_lined_up, widths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from imgcli.core.bill import Bill, Row
    from imgcli.show.terminal import Terminal

_HEADINGS = ("", "tokens in", "cached", "tokens out", "dollars")
_UNKNOWN = "unknown"
_MODEL_LENGTH = 60
_NOTE_LENGTH = 500
_NAME = 18
"""Columns in which a model's name, in several lines, can still be read."""
_PADDING = 3
_NARROWEST = 20  # columns; rich has nothing sensible to draw below


def plain_lines(bill: Bill) -> list[str]:
    """Write the bill as lines of plain text, without any escape code."""
    rows = [_HEADINGS, *map(_cells, bill.rows), _total(bill)]
    return [*numbers_lined_up(rows), *_remarks(bill)]


def rich_lines(bill: Bill, terminal: Terminal, columns: int) -> list[str]:
    """Draw the bill with rich for a terminal of so many columns, as lines of text and colour codes."""
    if columns < _NARROWEST or not terminal.unicode:
        return plain_lines(bill)
    from rich.text import Text

    from imgcli.show.memory_console import drawn

    remarks = [Text(remark, style="dim") for remark in _remarks(bill)]
    return drawn([_table(bill, columns), *remarks], terminal.depth, columns)


def _table(bill: Bill, columns: int) -> Table:
    """Lay the bill out; cells are `Text`, in which nothing is markup.

    A number is never broken: where there is no room for all of them, the dollars alone are told.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_footer=True, show_edge=False, pad_edge=False)
    rows = [_HEADINGS, *map(_cells, bill.rows), _total(bill)]
    name, *numbers = widths(rows)
    needed = min(name, _NAME) + sum(_PADDING + width for width in numbers)
    kept = range(len(_HEADINGS)) if needed <= columns else (0, len(_HEADINGS) - 1)
    for number in kept:
        table.add_column(
            Text(_HEADINGS[number]),
            footer=Text(rows[-1][number]),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number > 0,
            footer_style="bold",
        )
    for row in rows[1:-1]:
        table.add_row(*(Text(row[number]) for number in kept))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.tokens_in, row.cached, row.tokens_out)
    return (_label(row), *map(_count, counts), dollars(row.cost))


def _label(row: Row) -> str:
    """Name the model, and the partials that its tokens pay for."""
    name = f"{row.part} {shorten(row.model or _UNKNOWN, _MODEL_LENGTH)}"
    if not row.partials:
        return name
    return f"{name}, {row.partials} partial{'s' * (row.partials != 1)}"


def _total(bill: Bill) -> tuple[str, ...]:
    columns = zip(*((row.tokens_in, row.cached, row.tokens_out) for row in bill.rows), strict=True)
    counts = [_count(_sum(column)) for column in columns] or [_UNKNOWN] * 3
    return ("total", *counts, _total_dollars(bill))


def _total_dollars(bill: Bill) -> str:
    """Say at least what is known."""
    if bill.total is None and bill.known:
        return f"at least {dollars(bill.known)}"
    return dollars(bill.total)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _count(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"


def _remarks(bill: Bill) -> list[str]:
    dated = [f"prices of {bill.prices_date.isoformat()}"] if bill.prices_date else []
    return dated + [shorten(note, _NOTE_LENGTH) for note in bill.notes]
