"""The bill as people see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from imgcli.core.bill import Bill, Part, Row
from imgcli.show.bill_table import plain_lines, rich_lines
from imgcli.show.cellwidth import cell_width
from imgcli.show.terminal import ColorDepth, Terminal
from showing import BILL, ESCAPES, HOSTILE, Window

DATED = replace(BILL, prices_date=date(2026, 11, 20), notes=("The cached price is a guess.",))


def drawn(bill: Bill, columns: int = 100, depth: ColorDepth = ColorDepth.TRUECOLOR) -> list[str]:
    """Draw a bill for a terminal, and take the colours away again."""
    lines = rich_lines(bill, Window().terminal(depth), columns)
    return [ESCAPES.sub("", line).rstrip() for line in lines]


def test_plain() -> None:
    """Without colours: a row for each model, one total, then the table's date and what is in doubt."""
    assert [
        "                                     tokens in   cached  tokens out  dollars",
        "text model gpt-4o-mini                   2,941        0         249  $0.0005",
        "image model gpt-image-2, 2 partials         40  unknown       2,060  $0.0620",
        "total                                    2,981  unknown       2,309  $0.0625",
        "prices of 2026-11-20",
        "The cached price is a guess.",
    ] == plain_lines(DATED)


def test_rich_says_the_same() -> None:
    """On a terminal the table has the same cells, in the same order."""
    words = [line.split() for line in drawn(DATED) if line.strip(" ─━")]
    assert [line.split() for line in plain_lines(DATED)] == words


def test_unknown() -> None:
    """What the API or the catalog is silent about is called unknown; what is known is not thrown away."""
    silent = Bill((BILL.rows[0], Row(Part.IMAGE, None)), None)
    assert [
        "                        tokens in   cached  tokens out           dollars",
        "text model gpt-4o-mini      2,941        0         249           $0.0005",
        "image model unknown       unknown  unknown     unknown           unknown",
        "total                     unknown  unknown     unknown  at least $0.0005",
    ] == plain_lines(silent)


def test_nothing_known() -> None:
    """A bill without any number is unknown, never zero."""
    lines = plain_lines(Bill((Row(Part.IMAGE, "m"),), None))
    assert ["total", "unknown", "unknown", "unknown", "unknown"] == lines[-1].split()


def test_one_partial() -> None:
    """One partial is one partial; none is not mentioned."""
    row = BILL.rows[1]
    assert "gpt-image-2, 1 partial  " in plain_lines(Bill((replace(row, partials=1),), None))[1]
    assert "partial" not in plain_lines(Bill((replace(row, partials=0),), None))[1]


@pytest.mark.parametrize("depth", [ColorDepth.MONO, ColorDepth.ANSI_16, ColorDepth.ANSI_256])
def test_every_depth(depth: ColorDepth) -> None:
    """The table is the same in every depth of colour."""
    assert drawn(DATED) == drawn(DATED, depth=depth)


@pytest.mark.parametrize("columns", [1, 5, 19, 20, 30, 50, 62, 63, 80, 200])
def test_every_width(columns: int) -> None:
    """A narrow window folds names and leaves numbers out, but breaks none; a very narrow one has text."""
    lines = drawn(DATED, columns)
    assert columns < 20 or max(map(cell_width, lines)) <= columns
    words = " ".join(lines).split()
    assert [word for word in words if word.startswith("$")] == ["$0.0005", "$0.0620", "$0.0625"]
    assert [word for word in words if word == "2,060"] == ["2,060"] * (columns < 20 or columns >= 63)


def test_the_least_that_is_known_fits_a_narrow_window() -> None:
    """Also the longest of totals is told whole."""
    lines = drawn(Bill((BILL.rows[0], Row(Part.IMAGE, None)), None), 30)
    assert "at least $0.0005" in lines[-1]


def test_ascii_terminal() -> None:
    """A terminal without box-drawing characters gets the plain table."""
    terminal = Terminal(Window().size, ColorDepth.ANSI_16, unicode=False)
    assert plain_lines(DATED) == rich_lines(DATED, terminal, 100)


def test_foreign_text_is_text() -> None:
    """A model's name and a note are never obeyed, neither as escape codes nor as markup."""
    hostile = Bill((Row(Part.TEXT, HOSTILE, 1, 1, 1, None, Decimal(1), Decimal(1)),), None, (HOSTILE,))
    for line in (*plain_lines(hostile), *drawn(hostile, 200)):
        assert line.isprintable()
    assert "[/x][bold]" in "".join(drawn(hostile, 200))


def test_wide_names_are_aligned() -> None:
    """Names in wide characters keep the columns straight."""
    row = replace(BILL.rows[0], model="모델")
    lines = plain_lines(Bill((row,), None))
    assert 1 == len(set(map(cell_width, lines)))


def test_width_of_the_process_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table depends on what it is given, not on the environment."""
    expected = drawn(DATED)
    for name, value in {"NO_COLOR": "1", "COLUMNS": "7", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert expected == drawn(DATED)
