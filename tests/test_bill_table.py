"""The bill as people see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from imgcli.core.billing.bill import Bill, Part, Row
from imgcli.output.tables.bill import bill_lines, compact_lines, one_line, rich_bill_lines, screen_lines
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from imgcli.output.text import cell_width
from showing import BILL, ESCAPES, HOSTILE, Window
from tables import each

DATED = replace(BILL, prices_date=date(2026, 11, 20), notes=("The cached price is a guess.",))


USUAL = replace(
    DATED,
    rows=(
        replace(BILL.rows[0], cost_in=Decimal("0.0003")),
        replace(BILL.rows[1], model="gpt-image-2.6-sunburst", partials=3, cost_in=Decimal(0)),
    ),
    prices_date=date(2026, 8, 21),
    notes=(),
)
"""What most people get: the default models, watched on a terminal."""


def drawn(bill: Bill, columns: int = 100, depth: ColorDepth = ColorDepth.TRUECOLOR) -> list[str]:
    """Draw a bill for a terminal, and take the colours away again."""
    lines = rich_bill_lines(bill, Window().terminal(depth), columns)
    return [ESCAPES.sub("", line).rstrip() for line in lines]


def test_plain() -> None:
    """Without colours: a row for each model, one total, then the table's date and what is in doubt."""
    assert [
        "                                     tokens in   cached    out  dollars",
        "text model gpt-4o-mini                   2,941        0    249  $0.0005",
        "image model gpt-image-2, 2 partials         40  unknown  2,060  $0.0620",
        "total                                    2,981  unknown  2,309  $0.0625",
        "prices as of 2026-11-20",
        "The cached price is a guess.",
    ] == bill_lines(DATED)


def test_rich_says_the_same() -> None:
    """On a terminal the table has the same cells, in the same order."""
    words = [line.split() for line in drawn(DATED) if line.strip(" ─━")]
    assert [line.split() for line in bill_lines(DATED)] == words


def test_unknown() -> None:
    """What the API or the catalog is silent about is called unknown; what is known is not thrown away."""
    silent = Bill((BILL.rows[0], Row(Part.IMAGE, None)), None)
    assert [
        "                        tokens in   cached      out           dollars",
        "text model gpt-4o-mini      2,941        0      249           $0.0005",
        "image model unknown       unknown  unknown  unknown           unknown",
        "total                     unknown  unknown  unknown  at least $0.0005",
    ] == bill_lines(silent)


def test_nothing_known() -> None:
    """A bill without any number is unknown, never zero."""
    lines = bill_lines(Bill((Row(Part.IMAGE, "m"),), None))
    assert ["total", "unknown", "unknown", "unknown", "unknown"] == lines[-1].split()


def test_one_partial() -> None:
    """One partial is one partial; none is not mentioned."""
    row = BILL.rows[1]
    assert "gpt-image-2, 1 partial  " in bill_lines(Bill((replace(row, partials=1),), None))[1]
    assert "partial" not in bill_lines(Bill((replace(row, partials=0),), None))[1]


@pytest.mark.parametrize("depth", [ColorDepth.MONO, ColorDepth.ANSI_16, ColorDepth.ANSI_256])
def test_every_depth(depth: ColorDepth) -> None:
    """The table is the same in every depth of colour."""
    assert drawn(DATED) == drawn(DATED, depth=depth)


@each("columns", [1, 5, 19, 20, 30, 50, 53, 54, 80, 200])
def test_every_width(columns: int) -> None:
    """A narrow window folds names and leaves numbers out, but breaks none; a very narrow one has text."""
    lines = drawn(DATED, columns)
    assert columns < 20 or max(map(cell_width, lines)) <= columns
    words = " ".join(lines).split()
    assert [word for word in words if word.startswith("$")] == ["$0.0005", "$0.0620", "$0.0625"]
    assert [word for word in words if word == "2,060"] == ["2,060"] * (columns < 20 or columns >= 54)


def test_the_least_that_is_known_fits_a_narrow_window() -> None:
    """Also the longest of totals is told whole."""
    lines = drawn(Bill((BILL.rows[0], Row(Part.IMAGE, None)), None), 30)
    assert "at least $0.0005" in lines[-1]


def test_ascii_terminal() -> None:
    """A terminal without box-drawing characters gets the plain table."""
    terminal = Terminal(Window().size, ColorDepth.ANSI_16, unicode=False)
    assert bill_lines(DATED) == rich_bill_lines(DATED, terminal, 100)


def test_foreign_text_is_text() -> None:
    """A model's name and a note are never obeyed, neither as escape codes nor as markup."""
    hostile = Bill((Row(Part.TEXT, HOSTILE, 1, 1, 1, None, Decimal(1), Decimal(1)),), None, (HOSTILE,))
    for line in (*bill_lines(hostile), *drawn(hostile, 200)):
        assert line.isprintable()
    assert "[/x][bold]" in "".join(drawn(hostile, 200))


def test_wide_names_are_aligned() -> None:
    """Names in wide characters keep the columns straight."""
    row = replace(BILL.rows[0], model="모델")
    lines = bill_lines(Bill((row,), None))
    assert 1 == len(set(map(cell_width, lines)))


def test_width_of_the_process_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table depends on what it is given, not on the environment."""
    expected = drawn(DATED)
    for name, value in {"NO_COLOR": "1", "COLUMNS": "7", "TERM": "dumb", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert expected == drawn(DATED)


class TestCompact:
    """The bill after a run: at most five lines, of which none wraps."""

    def test_usual_terminal(self) -> None:
        """At 80 columns both models have their whole names, and every number stands there."""
        assert [
            "                                          tokens in   cached    out  dollars",
            "text gpt-4o-mini                              2,941        0    249  $0.0004",
            "image gpt-image-2.6-sunburst, 3 partials         40  unknown  2,060  $0.0618",
            "total, prices as of 2026-08-21                2,981  unknown  2,309  $0.0622",
        ] == compact_lines(USUAL, 80)

    def test_narrow_terminal(self) -> None:
        """At 40 columns the dollars stay, and a name is cut before it wraps."""
        long = replace(USUAL.rows[1], model="gpt-image-2.6-sunburst-2026-09-22")
        assert [
            "                                 dollars",
            "text gpt-4o-mini                 $0.0004",
            "image gpt-image-2.…, 3 partials  $0.0618",
            "total, prices as of 2026-08-21   $0.0622",
        ] == compact_lines(replace(USUAL, rows=(USUAL.rows[0], long)), 40)

    @each("columns", [20, 30, 40, 50, 63, 64, 80, 200, None])
    @each("made", [DATED, USUAL, replace(DATED, notes=("x " * 99, "y"), is_demo=True)])
    def test_every_width(self, made: Bill, columns: int | None) -> None:
        """Never more than five lines, never one that wraps, never a dollar missing."""
        lines = compact_lines(made, columns)
        assert 5 >= len(lines)
        assert columns is None or columns >= max(map(cell_width, lines))
        assert 3 == sum(word.startswith("$") for word in " ".join(lines).split())

    def test_remarks_have_one_line(self) -> None:
        """The first remark is there, and how many more there are; --bill has them all."""
        lines = compact_lines(replace(DATED, notes=("One.", "Two.", "Three.")), 80)
        assert "One. (and 2 more)" == lines[-1]

    def test_least_that_is_known(self) -> None:
        """What is unknown is called so, and the total says at least how much it is."""
        silent = Bill((USUAL.rows[0], Row(Part.IMAGE, None)), USUAL.prices_date)
        assert "total as of 2026-08-21  at least $0.0004" == compact_lines(silent, 40)[-1]
        assert "at least $0.0004  image unknown + text $0.0004" == one_line(silent, 50)

    def test_demo_says_so(self) -> None:
        """A demo's bill, which nobody pays, cannot be taken for another, in any of its forms."""
        demo = replace(USUAL, is_demo=True)
        assert compact_lines(demo)[0].startswith("demo: nothing charged  ")
        assert bill_lines(demo)[0].startswith("demo: nothing charged  ")
        assert drawn(demo)[0].startswith("demo: nothing charged  ")
        assert one_line(demo, 80).startswith("demo $0.0622  image")

    @pytest.mark.parametrize(
        ("columns", "line"),
        [
            (80, "$0.0622  image $0.0618 + text $0.0004, 3 partials, prices as of 2026-08-21"),
            (70, "$0.0622  image $0.0618 + text $0.0004, prices as of 2026-08-21"),
            (40, "$0.0622  image $0.0618 + text $0.0004"),
            (35, "$0.0622  prices as of 2026-08-21"),
            (10, "$0.0622"),
        ],
    )
    def test_low_terminal(self, columns: int, line: str) -> None:
        """Below 20 rows the bill is one line, which leaves out details rather than wrap."""
        assert [line] == screen_lines(USUAL, columns, 19)
        assert 4 == len(screen_lines(USUAL, columns, 20))


def test_a_remark_is_a_whole_sentence() -> None:
    """In 50 columns the remark about a doubtful price goes without its source, and is not cut."""
    source = "release notes of codexometer 0.18.4, 22 September 2026"
    sentence = "The price of gpt-6-luna is a third party's figure."
    bill = replace(USUAL, notes=(f"{sentence[:-1]} ({source}).",))
    assert sentence == compact_lines(bill, 50)[-1]
    assert bill.notes[0] == compact_lines(bill)[-1]
