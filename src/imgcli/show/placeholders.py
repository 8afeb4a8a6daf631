"""Knows the text that stands for a kitty image, which tmux can move about like any other.

https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from imgcli.show.painting import Painting

if TYPE_CHECKING:
    from imgcli.show.painting import Box

_PLACEHOLDER = "\U0010eeee"
# rowcolumn-diacritics.txt of the protocol: the nth of these code points stands for the number n.
_DIACRITICS = (
    "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 "
    "5AB-5AC 5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D "
    "73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 "
    "135D-135F 17DD 193A 1A17 1A75-1A7C 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 "
    "1DCB-1DCC 1DD1-1DE6 1DFE 20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F "
    "A67C-A67D A6F0-A6F1 A8E0-A8F1 AAB0 AAB2-AAB3 AAB7-AAB8 AABE-AABF AAC1 FE20-FE26 10A0F 10A38 1D185-1D189 "
    "1D1AA-1D1AD 1D242-1D244"
)
LIMIT = 297
"""As many rows, or columns, as there are diacritics to number them."""


@cache
def diacritics() -> str:
    """The characters that say 0, 1, 2 and so on."""
    return "".join(map(_expand, _DIACRITICS.split()))


def placeholders(image_id: int, box: Box, before: str, after: str) -> Painting:
    """Rows of text that show a virtually placed image in a box of at most LIMIT cells a side.

    Each cell says all there is to know of itself, so that it can be redrawn alone. `before` and `after` are
    written around them.
    """
    number = diacritics()
    high = number[image_id >> 24]
    colour = f"\x1b[38;5;{image_id & 0xFF}m"
    tails = [number[column] + high for column in range(box.columns)]
    lines = [
        colour + "".join(_PLACEHOLDER + number[row] + tail for tail in tails) + "\x1b[39m"
        for row in range(box.rows)
    ]
    lines[0], lines[-1] = before + lines[0], lines[-1] + after
    return Painting(tuple(lines), box.columns)


def _expand(span: str) -> str:
    first, _, last = span.partition("-")
    return "".join(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
