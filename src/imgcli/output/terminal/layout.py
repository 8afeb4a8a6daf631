"""How a terminal's rows are shared: what is printed under an image has its room first, the image the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from imgcli.output.text import cell_width

if TYPE_CHECKING:
    from collections.abc import Iterable


MOST_BILL_LINES = 5
_TABLE_FROM = 20  # rows of a terminal; with fewer the bill has one line
_IMAGE_GIVES_WAY_FROM = 12  # rows; in a lower window there is not much of an image to make smaller
_PROMPT_ROWS = 1
_STATUS_ROWS = 1  # which the line about the file takes over
_LONG_BILL_LINES = 9
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Footer(NamedTuple):
    """What the end of a run prints under the image, beside the line about its file and the bill."""

    path_columns: int = 0
    """About how long a saved path is, where it is printed on the same terminal; else 0."""
    has_long_bill: bool = False
    remarks: int = 0
    """Lines that are known to come, such as a comparison's."""


NO_FOOTER = Footer()


def has_room_for_table(rows: int) -> bool:
    """Whether a terminal has rows enough for a bill in several lines."""
    return rows >= _TABLE_FROM


def rows_of(lines: Iterable[str], columns: int) -> int:
    """Count the rows that lines take, colour codes apart, where a terminal wraps them."""
    return sum(max(-(-cell_width(_STYLE.sub("", line)) // columns), 1) for line in lines)


def expected_rows(footer: Footer, columns: int, rows: int) -> int:
    """Estimate the rows under an image when the run has ended, before it has."""
    bill = 1
    if has_room_for_table(rows):
        bill = _LONG_BILL_LINES if footer.has_long_bill else MOST_BILL_LINES
    path = -(-footer.path_columns // columns)
    return _STATUS_ROWS + footer.remarks + bill + path + _PROMPT_ROWS


def rows_below(lines: Iterable[str], columns: int) -> int:
    """Count the rows under an image that has these lines under it, the shell's prompt included."""
    return rows_of(lines, columns) + _PROMPT_ROWS


def image_rows(rows: int, below: int) -> int:
    """Return an image the rows that are left above so many."""
    if rows < _IMAGE_GIVES_WAY_FROM:
        return rows - _STATUS_ROWS
    return max(rows - below, 1)
