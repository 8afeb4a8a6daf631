"""The bill: at most five lines after a run; in full, with all notes, on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars
from imgcli.core.text import shorten
from imgcli.output.tables.table import Table, can_draw, rendered_lines
from imgcli.output.terminal.screen import MOST_BILL_LINES, has_room_for_table
from imgcli.output.text import GAP, align_columns, cell_width, cut_end, widths
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from imgcli.core.billing.bill import Bill, Row
    from imgcli.core.billing.spending import Spending, Sum
    from imgcli.output.terminal.capabilities import Terminal


_HEADINGS = ("tokens in", "cached", "out", "dollars")
_DEMO = "demo: nothing charged"
_UNKNOWN = "unknown"
_MODEL_LENGTH = 60
_NOTE_LENGTH = 500
_NAME = 18
"""Columns in which a model's name, in several lines, can still be read."""
_SHORT_NAME = 28
"""Columns in which it can be read in one line, beside what it is for and how many partials came."""
_SHORTEST_NAME = 8
_UNLIMITED = 10_000  # columns, of a file for instance
_BOLD, _FAINT, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_SOURCE = regex(r" \([^()]*\)(?=\.$)")
"""What a note says in brackets before its end: where a price is from."""


def compact_lines(bill: Bill, columns: int | None = None) -> list[str]:
    """Format the bill in at most five lines, none wider than so many columns: None for a file."""
    room = columns or _UNLIMITED
    lines = _compact_table(bill, room)
    return lines + _first_note(bill, room) if len(lines) < MOST_BILL_LINES else lines


def screen_lines(bill: Bill, columns: int, rows: int) -> list[str]:
    """Format the bill under an image: as a table, or in one line where a terminal has few rows."""
    if not has_room_for_table(rows):
        return [one_line(bill, columns)]
    *table, total = _compact_table(bill, columns)
    note = compact_lines(bill, columns)[len(table) + 1 :]
    return [*table, f"{_BOLD}{total}{_RESET}", *(f"{_FAINT}{line}{_RESET}" for line in note)]


def one_line(bill: Bill, columns: int) -> str:
    """Format the total, and of its details as many as fit into so many columns."""
    shares = [" + ".join(f"{_kind(row)} {dollars(row.cost)}" for row in reversed(bill.rows))]
    shares = shares if len(bill.rows) > 1 else []
    partials = [_partials(row) for row in bill.rows if row.partials]
    dated = [f"prices as of {bill.dated}"] if bill.dated else []
    total = total_words(bill)
    choices = ([*shares, *partials, *dated], [*shares, *dated], shares, dated)
    lines = (GAP.join([total, ", ".join(details)]).rstrip() for details in choices)
    return next((line for line in lines if cell_width(line) <= columns), total)


def total_words(bill: Bill) -> str:
    """Format the total alone."""
    total = _dollars(bill.total, bill.known)
    return f"demo {total}" if bill.is_demo else total


def bill_lines(bill: Bill, columns: int | None = None) -> list[str]:
    """Format the whole bill as lines of plain text, without any escape code.

    Where its table is wider than so many columns, names and numbers give way.
    """
    table, dated = _table(bill), _notes(bill)
    if columns is None or table.width <= columns:
        return [*table.lines, *dated]
    return [*_compact_table(bill, columns), *dated[len(dated) - len(bill.notes) :]]


def bill_cells(bill: Bill) -> tuple[tuple[str, ...], ...]:
    """Format the whole bill as cells: headings, a row for each model, and the total."""
    table = _table(bill)
    return (table.headings, *table.rows, _total(bill))


def rich_bill_lines(bill: Bill, terminal: Terminal, columns: int) -> list[str]:
    """Draw the whole bill for a terminal of so many columns, as lines of text and colour codes.

    A number is never broken: where there is no room for all of them, only the dollars are there.
    """
    if not can_draw(terminal, columns):
        return bill_lines(bill)
    from rich.text import Text

    table = _table(bill)
    name, *numbers = table.widths
    if min(name, _NAME) + sum(len(GAP) + width for width in numbers) > columns:
        for heading in _HEADINGS[:-1]:
            table = table.without(heading)
    notes = [Text(note, style="dim") for note in _notes(bill)]
    return rendered_lines([table.drawing(), *notes], terminal.depth, columns)


def _table(bill: Bill) -> Table:
    headings = (_DEMO if bill.is_demo else "", *_HEADINGS)
    return Table(headings, tuple(map(_cells, bill.rows)), _total(bill))


def _compact_table(bill: Bill, columns: int) -> list[str]:
    """Format names and numbers; only the dollars are there where a name would become unreadable."""
    table = _table(bill)
    numbers = [row[1:] for row in (table.headings, *table.rows, _total(bill))]
    if columns - _width(numbers) < _SHORT_NAME:
        numbers = [row[-1:] for row in numbers]
    room = columns - _width(numbers)
    names = [cut_end(table.headings[0], room), *_labels(bill.rows, room), _total_label(bill, room)]
    return [
        line.rstrip()
        for line in align_columns([(name, *row) for name, row in zip(names, numbers, strict=True)])
    ]


def _width(numbers: Sequence[Sequence[str]]) -> int:
    return sum(len(GAP) + width for width in widths(numbers))


def _labels(rows: Sequence[Row], room: int) -> list[str]:
    """Name every row in so many columns, in the same way."""
    labels = [_label(row) for row in rows]
    if max(map(cell_width, labels), default=0) <= room:
        return labels
    return [_short_label(row, room) for row in rows]


def _short_label(row: Row, room: int) -> str:
    name = shorten(row.model or _UNKNOWN, _MODEL_LENGTH)
    partials = f", {_partials(row)}" if row.partials else ""
    left = room - cell_width(f"{_kind(row)} {partials}")
    if left < min(_SHORTEST_NAME, cell_width(name)):
        return cut_end(f"{_kind(row)} {name}", room)
    return f"{_kind(row)} {cut_end(name, left)}{partials}"


def _total_label(bill: Bill, room: int) -> str:
    """Name the total, with the prices' date where it fits, and the beginning of their table's name."""
    if not bill.prices_date:
        return "total"
    date = bill.prices_date.isoformat()
    labels = [f"total, prices as of {bill.dated}", f"total as of {bill.dated}"]
    if bill.prices_from and room >= len(f"total as of {date}, from ") + _SHORTEST_NAME:
        labels.append(cut_end(labels[-1], room))
    labels += [f"total, prices as of {date}", f"total as of {date}"]
    return next((label for label in labels if cell_width(label) <= room), "total")


def _first_note(bill: Bill, columns: int) -> list[str]:
    """Return the first note, without its source where that has no room, and how many more there are."""
    if not bill.notes:
        return []
    more = f" (and {len(bill.notes) - 1} more)" if len(bill.notes) > 1 else ""
    note, room = shorten(bill.notes[0], _NOTE_LENGTH), columns - len(more)
    if cell_width(note) > room:
        note = _SOURCE.sub("", note)
    return [cut_end(note, room) + more]


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.tokens_in, row.cached, row.tokens_out)
    return (_label(row), *map(_count, counts), dollars(row.cost))


def _label(row: Row) -> str:
    """Name the model, and the partials that its tokens pay for."""
    name = f"{row.part} {shorten(row.model or _UNKNOWN, _MODEL_LENGTH)}"
    return f"{name}, {_partials(row)}" if row.partials else name


def _partials(row: Row) -> str:
    return f"{row.partials} partial{'s' * (row.partials != 1)}"


def _kind(row: Row) -> str:
    """Return in one word what a row is for."""
    return row.part.partition(" ")[0]


def _total(bill: Bill) -> tuple[str, ...]:
    columns = zip(*((row.tokens_in, row.cached, row.tokens_out) for row in bill.rows), strict=True)
    counts = [_count(_sum(column)) for column in columns] or [_UNKNOWN] * 3
    return ("total", *counts, _dollars(bill.total, bill.known))


def _dollars(amount: Decimal | None, known: Decimal) -> str:
    """Format an amount, or the least that it is."""
    return f"at least {dollars(known)}" if amount is None and known else dollars(amount)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _count(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"


def _notes(bill: Bill) -> list[str]:
    dated = [f"prices as of {bill.dated}"] if bill.dated else []
    return dated + [shorten(note, _NOTE_LENGTH) for note in bill.notes]


def cost_lines(spent: Spending) -> list[str]:
    """Format the sums as lines: the groups, the total, and what there is to know about it."""
    table = Table(("", "runs", "dollars"), tuple(map(_cost_cells, spent.groups)), _cost_cells(spent.total))
    return [*(table.lines if spent.total.runs else []), *_cost_notes(spent)]


def _cost_cells(group: Sum) -> tuple[str, str, str]:
    return shorten(group.name, _MODEL_LENGTH), f"{group.runs:,}", _dollars(group.cost, group.known)


def _cost_notes(spent: Spending) -> Iterator[str]:
    if unknown := spent.total.unknown:
        runs = "1 run" if unknown == 1 else f"{unknown:,} runs"
        yield f"the cost of {runs} is unknown or incomplete; see your usage page"
    if spent.prices_date:
        yield f"oldest prices as of {spent.prices_date.isoformat()}"
    if spent.demo.runs:
        runs = "1 free run" if spent.demo.runs == 1 else f"{spent.demo.runs:,} free runs"
        yield f"{runs}, not charged; the price would have been {_dollars(spent.demo.cost, spent.demo.known)}"
