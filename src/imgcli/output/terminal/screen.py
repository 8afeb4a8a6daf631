"""Repainting in place on an ANSI terminal: a box of rows, and a status row below it.

Between writes the cursor rests at the box's top left corner, not on the status row: whatever a terminal does
to its rows when the window changes (cut, push, wrap them anew), that cell is still our first, and what
is above it is not ours to touch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from imgcli.output.images.protocol import NOTHING
from imgcli.output.text import cell_width, clip
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imgcli.output.images.protocol import Frame, Graphic


_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_BEGIN_UPDATE, _END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"
_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_DOWN_ONE = "\x1b[B"
_RESET = "\x1b[0m"
_NEXT = "\r\n"
_RESTORED = f"{_END_UPDATE}{_WRAP_ON}{_RESET}{_SHOW_CURSOR}"


class Screen:
    """Builds the strings that paint, and knows what they have put on the terminal.

    Every method returns text to be written at once and in order. `columns` is the terminal's width at that
    moment; a frame is at most that wide, and at least one row lower than the terminal is high.
    """

    def __init__(self) -> None:
        self._frame = NOTHING
        self._status = ""
        self._is_open = False
        self._below = 0
        self._written: set[str] = set()  # graphics that cannot be written again

    def reopen(self, frame: Frame, below: int) -> str:
        """Return to a frame that was left, above so many rows, which stay as they are."""
        self._frame, self._below, self._is_open = frame, below, True
        return f"{_HIDE_CURSOR}\r{_up(frame.rows + below)}{_SAVE_CURSOR}"

    def draw(self, frame: Frame, status: str, columns: int) -> str:
        """Paint the box and the status row, over what was there before."""
        return "".join([_BEGIN_UPDATE, *self._drawn(frame, status, columns), _END_UPDATE])

    def update(self, frame: Frame, status: str, columns: int) -> str:
        """Paint what differs from what is there; everything, where the box has another size."""
        before = self._frame
        if before.rows and before.layout != frame.layout:
            return self.redraw(frame, status, columns)
        if not self._is_open or (before.rows, before.columns) != (frame.rows, frame.columns):
            return self.draw(frame, status, columns)
        changed = "".join(self._changed(frame, columns))
        self._frame = frame
        ticked = self.tick(status, columns)
        return f"{_BEGIN_UPDATE}{changed}{ticked}{_END_UPDATE}" if changed else ticked

    def _changed(self, frame: Frame, columns: int) -> Iterator[str]:
        """Return the rows and graphics that are not on the screen yet."""
        graphics = [graphic for graphic in frame.graphics if graphic not in self._frame.graphics]
        rows = [row for row, line in enumerate(frame.lines) if line != self._frame.lines[row]]
        if not graphics and not rows:
            return
        yield f"{_WRAP_OFF}\r{_SAVE_CURSOR}"  # somebody may have typed something
        yield from (graphic.text for graphic in graphics if graphic.is_first)
        clear, at = _clear_beside(frame, columns), 0
        for row in rows:
            yield f"{_down(row - at)}{frame.lines[row]}{clear}\r"
            at = row
        yield _up(at)
        yield from self._drawn_over(graphics)
        yield _WRAP_ON

    def mend(self, columns: int) -> str:
        """Paint all of an open box once more, and nothing else, wherever the cursor is in it."""
        frame = self._frame
        self._frame = replace(frame, lines=("",) * frame.rows, graphics=())
        return _RESTORE_CURSOR + self.update(frame, self._status, columns) if frame.rows else ""

    def redraw(self, frame: Frame, status: str, columns: int) -> str:
        """Erase everything of ours and paint it, after a resize for instance."""
        erased = self.erase(columns)
        return "".join([_BEGIN_UPDATE, erased, *self._drawn(frame, status, columns), _END_UPDATE])

    def _drawn(self, frame: Frame, status: str, columns: int) -> Iterator[str]:
        """Return the pieces of a frame: one of them may have megabytes, and every copy of it costs time."""
        yield "" if self._is_open else _HIDE_CURSOR
        surplus = max(self._frame.rows - frame.rows, 0)
        wiped = self._without_status() if frame.rows > self._frame.rows else ""
        self._frame, self._status, self._is_open = frame, clip(status, columns - 1), True
        yield f"{_WRAP_OFF}\r{_SAVE_CURSOR}{wiped}"
        yield from (graphic.text for graphic in frame.graphics if graphic.is_first)
        clear = _clear_beside(frame, columns)
        for line in frame.lines:
            yield line
            yield clear + _NEXT
        yield f"{self._status}{_CLEAR_LINE}\r{_clear_under(surplus)}{_up(frame.rows)}"
        if frame.graphics:
            yield _SAVE_CURSOR  # once more: the screen may have scrolled
            yield from self._drawn_over(frame.graphics)
        yield _WRAP_ON

    def _drawn_over(self, graphics: Iterable[Graphic]) -> Iterator[str]:
        """Draw over rows that are all there, from the box's first cell, which is the saved one throughout."""
        for graphic in graphics:
            if not graphic.is_first:
                yield f"{_down(graphic.row)}{_right(graphic.column)}"
                yield graphic.again if graphic.text in self._written else graphic.text
                if graphic.again:
                    self._written.add(graphic.text)
                yield _RESTORE_CURSOR + _SAVE_CURSOR  # some emulators forget what they have restored

    def _without_status(self) -> str:
        """Clear the status row: pixels that come to lie over it may be transparent."""
        below = self._frame.rows
        return f"{_down(below)}{_CLEAR_LINE}{_up(below)}" if self._status else ""

    def tick(self, status: str, columns: int) -> str:
        """Rewrite the status row as far as it has changed; nothing at all when it has not."""
        before, self._status = self._status, clip(status, columns - 1)
        changed = _changed_part(before, self._status)
        if not changed:
            return ""
        return f"{_SAVE_CURSOR}{_down(self._frame.rows)}{changed}{_RESTORE_CURSOR}"

    def erase(self, columns: int) -> str:
        """Erase everything of ours, also after a resize to another number of columns."""
        if not self._is_open:
            return ""
        owned, self._frame = self._frame, NOTHING
        before, self._status = self._status, ""
        if max(owned.columns, cell_width(before)) > columns:  # wrapped anew, perhaps: rows cannot be counted
            return f"\r{_CLEAR_BELOW}"
        return f"\r{_SAVE_CURSOR}{_CLEAR_LINE}{(_DOWN_ONE + _CLEAR_LINE) * owned.rows}{_RESTORE_CURSOR}"

    def print_above(self, lines: Sequence[str], columns: int) -> str:
        """Print lines above the box, which moves down."""
        frame, status = self._frame, self._status
        above = [self.erase(columns), *(line + _NEXT for line in lines)]
        return "".join([_BEGIN_UPDATE, *above, *self._drawn(frame, status, columns), _END_UPDATE])

    def leave(self) -> str:
        """Keep the image, and go on writing in the place of the status row with the cursor shown.

        Safe at any time, also halfway through something else.
        """
        if not self._is_open:
            return ""
        rows = self._frame.rows + self._below
        self._frame, self._status, self._is_open, self._below = NOTHING, "", False, 0
        return f"{_RESTORED}\r{_down(rows)}{_CLEAR_LINE}"

    def break_off(self) -> str:
        """Leave after something was cut, with the cursor anywhere in the box or on the status row.

        The cursor that was saved last is the box's first cell, or was that before the screen scrolled; then
        the box ends at the bottom, where the way down ends too.
        """
        if not self._is_open:  # it was cut in what came after the image
            return f"{_RESTORED}{_NEXT}"
        return f"{_RESTORE_CURSOR}{self.leave()}{_CLEAR_BELOW}"


def _clear_beside(frame: Frame, columns: int) -> str:
    """Return what clears the rest of a frame's rows; a full row would lose its last cell."""
    return _CLEAR_LINE if frame.columns < columns else ""


def _changed_part(before: str, after: str) -> str:
    """Return the row from its start to the last difference: while only the clock moves, that is the clock."""
    keep = 0
    while keep < min(len(before), len(after)) and before[-1 - keep] == after[-1 - keep]:
        keep += 1
    old, new = before[: len(before) - keep], after[: len(after) - keep]
    return new if cell_width(old) == cell_width(new) else after + _CLEAR_LINE


def _up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows else ""


def _down(rows: int) -> str:
    return f"\x1b[{rows}B" if rows else ""


def _right(columns: int) -> str:
    return f"\x1b[{columns}C" if columns else ""


def _clear_under(rows: int) -> str:
    """Clear rows under the cursor and come back; they are ours, so the terminal has them."""
    return f"{(_DOWN_ONE + _CLEAR_LINE) * rows}{_up(rows)}"


# How a terminal's rows are shared: what is printed under an image has its room first, the image the rest.

MOST_BILL_LINES = 5
_TABLE_FROM = 20  # rows of a terminal; with fewer the bill has one line
_IMAGE_GIVES_WAY_FROM = 12  # rows; in a lower window there is not much of an image to make smaller
_LEAST_SHARE = 3  # a third of the rows, for images of which some may scroll away
_PROMPT_ROWS = 1
_STATUS_ROWS = 1  # which the line about the file takes over
_LONG_BILL_LINES = 9
_STYLE = regex(r"\x1b\[[0-9;]*m")


class Footer(NamedTuple):
    """What the end of a run prints under the image, beside the line about its file and the bill."""

    path_columns: int = 0
    """About how long a saved path is, where it is printed on the same terminal; else 0."""
    has_long_bill: bool = False
    remarks: int = 0
    """Lines that are known to come, such as a comparison's."""
    may_scroll: bool = False
    """Whether some of the image may scroll away, rather than be made very small: there are several."""


NO_FOOTER = Footer()


def has_room_for_table(rows: int) -> bool:
    """Return whether a terminal has rows enough for a bill in several lines."""
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


def image_rows(rows: int, below: int, footer: Footer = NO_FOOTER) -> int:
    """Return how many rows an image gets above so many others."""
    if rows < _IMAGE_GIVES_WAY_FROM:
        return rows - _STATUS_ROWS
    return max(rows - below, rows // _LEAST_SHARE if footer.may_scroll else 1)
