"""The bill: in at most five lines after a run; in full, with every note, where somebody asks for it."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, Literal, TypeAlias

from imgcli.core.billing.bill import dollars
from imgcli.core.text import shorten
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.screen import MOST_BILL_LINES, has_room_for_table
from imgcli.output.text import GAP, cell_width, cut_end, numbers_lined_up, widths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

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
_PADDING = 3
_SOURCE = re.compile(r" \([^()]*\)(?=\.$)")
"""What a note says in brackets before its end: where a price is from."""
_NARROWEST = 20  # columns; rich has nothing sensible to draw below


def compact_lines(bill: Bill, columns: int | None = None) -> list[str]:
    """Write the bill in at most five lines, none wider than so many columns: None for a file."""
    room = columns or _UNLIMITED
    lines = _compact_table(bill, room)
    return lines + _first_note(bill, room) if len(lines) < MOST_BILL_LINES else lines


def screen_lines(bill: Bill, columns: int, rows: int) -> list[str]:
    """Write the bill under an image: as a table, or in one line where a terminal has few rows."""
    if not has_room_for_table(rows):
        return [one_line(bill, columns)]
    *table, total = _compact_table(bill, columns)
    note = compact_lines(bill, columns)[len(table) + 1 :]
    return [*table, f"{_BOLD}{total}{_RESET}", *(f"{_FAINT}{line}{_RESET}" for line in note)]


def one_line(bill: Bill, columns: int) -> str:
    """Write the total, and of its details as many as fit into so many columns."""
    shares = [" + ".join(f"{_kind(row)} {dollars(row.cost)}" for row in reversed(bill.rows))]
    shares = shares if len(bill.rows) > 1 else []
    partials = [_partials(row) for row in bill.rows if row.partials]
    dated = [f"prices as of {bill.prices_date.isoformat()}"] if bill.prices_date else []
    total = f"demo {_total_dollars(bill)}" if bill.is_demo else _total_dollars(bill)
    choices = ([*shares, *partials, *dated], [*shares, *dated], shares, dated)
    lines = (GAP.join([total, ", ".join(details)]).rstrip() for details in choices)
    return next((line for line in lines if cell_width(line) <= columns), total)


def plain_lines(bill: Bill) -> list[str]:
    """Write the whole bill as lines of plain text, without any escape code."""
    rows = [_headings(bill), *map(_cells, bill.rows), _total(bill)]
    return [*numbers_lined_up(rows), *_notes(bill)]


def rich_lines(bill: Bill, terminal: Terminal, columns: int) -> list[str]:
    """Draw the whole bill with rich for a terminal of so many columns, as lines of text and colour codes."""
    if columns < _NARROWEST or not terminal.unicode:
        return plain_lines(bill)
    from rich.text import Text

    notes = [Text(note, style="dim") for note in _notes(bill)]
    return render_plain([_table(bill, columns), *notes], terminal.depth, columns)


def _table(bill: Bill, columns: int) -> Table:
    """Lay the bill out; cells are `Text`, in which nothing is markup.

    A number is never broken: where there is no room for all of them, the dollars alone are told.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_footer=True, show_edge=False, pad_edge=False)
    rows = [_headings(bill), *map(_cells, bill.rows), _total(bill)]
    name, *numbers = widths(rows)
    needed = min(name, _NAME) + sum(_PADDING + width for width in numbers)
    kept = range(len(rows[0])) if needed <= columns else (0, len(rows[0]) - 1)
    for number in kept:
        table.add_column(
            Text(rows[0][number]),
            footer=Text(rows[-1][number]),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number > 0,
            footer_style="bold",
        )
    for row in rows[1:-1]:
        table.add_row(*(Text(row[number]) for number in kept))
    return table


def _compact_table(bill: Bill, columns: int) -> list[str]:
    """Line up names and numbers; the dollars alone are told where a name would become unreadable."""
    rows = [_headings(bill), *map(_cells, bill.rows), _total(bill)]
    numbers = [row[1:] for row in rows]
    if columns - _width(numbers) < _SHORT_NAME:
        numbers = [row[-1:] for row in numbers]
    room = columns - _width(numbers)
    names = [cut_end(rows[0][0], room), *_labels(bill.rows, room), _total_label(bill, room)]
    return numbers_lined_up([(name, *row) for name, row in zip(names, numbers, strict=True)])


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
    """Name the total, with the prices' date where it fits."""
    if not bill.prices_date:
        return "total"
    date = bill.prices_date.isoformat()
    labels = (f"total, prices as of {date}", f"total as of {date}")
    return next((label for label in labels if len(label) <= room), "total")


def _first_note(bill: Bill, columns: int) -> list[str]:
    """Return the first note, without its source where that has no room, and how many more there are."""
    if not bill.notes:
        return []
    more = f" (and {len(bill.notes) - 1} more)" if len(bill.notes) > 1 else ""
    note, room = shorten(bill.notes[0], _NOTE_LENGTH), columns - len(more)
    if cell_width(note) > room:
        note = _SOURCE.sub("", note)
    return [cut_end(note, room) + more]


def _headings(bill: Bill) -> tuple[str, ...]:
    return (_DEMO if bill.is_demo else "", *_HEADINGS)


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
    """Say in one word what a row is for."""
    return row.part.partition(" ")[0]


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


def _notes(bill: Bill) -> list[str]:
    dated = [f"prices as of {bill.prices_date.isoformat()}"] if bill.prices_date else []
    return dated + [shorten(note, _NOTE_LENGTH) for note in bill.notes]


_NAME_LENGTH = 60


def cost_lines(spent: Spending) -> list[str]:
    """Write the sums as lines: the groups, the total, and what is to be known about it."""
    rows = [("", "runs", "dollars"), *map(_cost_cells, spent.groups), _cost_cells(spent.total)]
    table = numbers_lined_up(rows) if spent.total.runs else []
    return [*table, *_cost_notes(spent)]


def _cost_cells(group: Sum) -> tuple[str, str, str]:
    return shorten(group.name, _NAME_LENGTH), f"{group.runs:,}", _dollars(group)


def _dollars(group: Sum) -> str:
    """Say at least what is known."""
    if group.cost is None and group.known:
        return f"at least {dollars(group.known)}"
    return dollars(group.cost)


def _cost_notes(spent: Spending) -> list[str]:
    dated = [f"the oldest prices are of {spent.prices_date.isoformat()}"] if spent.prices_date else []
    return [*_about_unknown(spent.total.unknown), *dated, *_about_demo(spent.demo)]


def _about_unknown(count: int) -> list[str]:
    if not count:
        return []
    whose = "1 run's cost is" if count == 1 else f"{count:,} runs' costs are"
    return [f"{whose} not known, or not wholly; your usage page has the rest"]


def _about_demo(demo: Sum) -> list[str]:
    if not demo.runs:
        return []
    runs = "1 free run" if demo.runs == 1 else f"{demo.runs:,} free runs"
    return [f"{runs} not charged; the price would have been {_dollars(demo)}"]


_ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]


def render_plain(parts: Iterable[RenderableType], depth: ColorDepth, columns: int) -> list[str]:
    """Draw one thing under another for a terminal of so many columns, as lines of text and colour codes."""
    console = _console(depth, columns)
    for part in parts:
        console.print(part, highlight=False)
    text = console.file.getvalue() if isinstance(console.file, StringIO) else ""
    return [line.rstrip() for line in text.splitlines()]


def _console(depth: ColorDepth, columns: int) -> Console:
    """Make a console that writes to memory: on a broken pipe rich would redirect the process's own stdout."""
    from rich.console import Console

    systems: dict[ColorDepth, _ColorSystem] = {
        ColorDepth.TRUECOLOR: "truecolor",
        ColorDepth.ANSI_256: "256",
    }
    return Console(
        file=StringIO(),
        width=columns,
        force_terminal=True,
        color_system=systems.get(depth, "standard"),
        no_color=False,
        legacy_windows=False,
    )
