"""Knows how pixels share the screen with text: laid over a box of rows, the cursor back where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.show.painting import Painting

if TYPE_CHECKING:
    from imgcli.show.painting import Box

_SAVE_CURSOR, _RESTORE_CURSOR = "\x1b7", "\x1b8"
_MAKE_ROOM = "\n\x1b[A"  # some terminals scroll at the end of a picture unless there is a row under it


def lay_over(box: Box, graphic: str) -> Painting:
    """Rows that leave what is on the screen alone, the last of them drawing a graphic over the whole box.

    Drawn last, when all of its rows exist and one more under them, it never scrolls the screen; where the
    graphic before it is not erased, it does not flicker. It may leave the cursor anywhere: terminals
    differ in that. What is saved is the box's first cell: see `Screen.break_off`.
    """
    skip, below = f"\x1b[{box.columns}C", box.rows - 1
    to_top, to_last = (f"\x1b[{below}A", f"\x1b[{below}B") if below else ("", "")
    last = f"{_MAKE_ROOM}\r{to_top}{_SAVE_CURSOR}{graphic}{_RESTORE_CURSOR}{to_last}{skip}"
    return Painting((*[skip] * (box.rows - 1), last), box.columns)
