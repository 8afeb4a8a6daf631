"""The report of a batch: one row for each task, as CSV or JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from imgcli.core.batch_result import RowStatus, TaskStatus
from imgcli.core.errors import Charged, ExitCode, usage_error
from imgcli.core.option import option
from imgcli.core.text import clean, shorten
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.core.batch_result import BatchRowResult, TaskOutcome


_COLUMNS = (
    "line",
    "id",
    "prompt",
    "status",
    "path",
    "cost_usd",
    "seconds",
    "error_kind",
    "error_message",
    "charged",
)
"""The columns of a CSV; in JSON they are the keys of a row, beside `paths`."""
_FORMULA = regex(
    "[-=+@\t\r\n"
    "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]"
)
"""What makes a spreadsheet take a cell for a formula, which may send the table elsewhere."""
_LOST = "Sent, but what came of it is unknown."


class ReportFormat(StrEnum):
    """The format of a report, which is the ending of its name."""

    CSV = "csv"
    JSON = "json"


def report_format(name: str) -> ReportFormat:
    """Return the format that a report's name asks for; raises `ImgcliError` (usage) for any other."""
    ending = PurePath(name).suffix.lower().removeprefix(".")
    try:
        return ReportFormat(ending)
    except ValueError:
        shown = shorten(name, 100) or "an empty name"
        what = f"{option('report')} must be a file name that ends in .csv or .json, not {shown}."
        raise usage_error(what, "Choose one of these endings.", about=("report",)) from None


def report_bytes(rows: Iterable[BatchRowResult], form: ReportFormat) -> bytes:
    """Write a report: a row for each task, in their order.

    A CSV is in UTF-8 with a BOM, by which spreadsheets read every script, and its lines end as RFC 4180 says.
    A text that a spreadsheet would take for a formula gets an apostrophe in front. A JSON file holds a list
    of objects, in ASCII, with every prompt exactly as it was.
    """
    found = map(_fields, rows)
    if form is ReportFormat.JSON:
        return (json.dumps(list(found), indent=2) + "\n").encode("ascii")
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for fields in found:
        fields["path"] = "\n".join(fields["paths"])
        writer.writerow([_cell(fields[column]) for column in _COLUMNS])
    return out.getvalue().encode("utf-8-sig", "replace")


def is_report(start: bytes) -> bool:
    """Return whether a file that begins so is a report of ours, which a newer one may replace."""
    header = codecs.BOM_UTF8 + ",".join(_COLUMNS).encode("ascii")
    first = json.dumps([{"line": 0}], indent=2).partition("0")[0].encode("ascii")
    return start.startswith((header, first))


def _fields(row: BatchRowResult) -> dict[str, Any]:
    """Return a row's values; what does not apply to it, or is unknown, is null."""
    outcome = row.outcome
    paths = list(outcome.paths) if outcome else []
    is_lost = row.status is RowStatus.UNKNOWN
    kind = ExitCode.UNKNOWN.kind if is_lost else outcome and outcome.kind
    message = _LOST if is_lost else outcome and outcome.message
    charged = Charged.MAYBE if is_lost else outcome and outcome.charged
    return {
        "line": row.line,
        "id": row.id,
        "prompt": row.prompt,
        "status": row.status,
        "path": paths[0] if paths else None,
        "paths": paths,
        "cost_usd": outcome and _cost(outcome),
        "seconds": outcome and outcome.seconds,
        "error_kind": kind,
        "error_message": clean(message) if message else None,
        "charged": charged,
    }


def _cost(outcome: TaskOutcome) -> float | None:
    """Return what a task has cost; a failure that was not charged cost nothing."""
    if outcome.cost is None:
        return 0.0 if outcome.status is TaskStatus.FAILED_FREE else None
    return float(outcome.cost)


def _cell(value: object) -> object:
    """Return a cell that a spreadsheet shows and does not run; numbers are ours."""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
