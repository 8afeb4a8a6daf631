"""Plain text in columns that line up, whatever the letters are."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

from imgcli.output.terminal.writer import TerminalWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO


def cell_width(text: str) -> int:
    """Count the cells of a text that `core.text.clean` has made safe."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """Cut a text to at most so many cells."""
    if len(text) <= columns and text.isascii():
        return text
    room = columns
    for index, character in enumerate(text):
        room -= _width(character)
        if room < 0:
            return text[:index]
    return text


GAP = "  "


def widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Measure the widest cell of each column."""
    return [max(map(cell_width, column)) for column in zip(*rows, strict=True)]


def left(text: str, width: int) -> str:
    """Fill up on the right."""
    return text + " " * (width - cell_width(text))


def right(text: str, width: int) -> str:
    """Fill up on the left, as numbers want it."""
    return " " * (width - cell_width(text)) + text


def numbers_lined_up(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the first column left and the others, numbers, right."""
    wide = widths(rows)
    return [GAP.join([left(row[0], wide[0]), *map(right, row[1:], wide[1:])]).rstrip() for row in rows]


def cut_end(text: str, columns: int) -> str:
    """Cut to at most so many cells, an ellipsis where something is missing at the end."""
    if cell_width(text) <= columns:
        return text
    return clip(text, max(columns - 1, 0)).rstrip() + "…" if columns > 0 else ""


def cut_start(text: str, columns: int) -> str:
    """Cut to at most so many cells, keeping the end, which of a path tells most."""
    if cell_width(text) <= columns:
        return text
    kept = text
    while kept and cell_width(kept) > columns - 1:
        kept = kept[1:]
    return f"…{kept}" if columns > 0 else ""


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text into lines of at most so many cells, at spaces where there are any."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= columns:
            line = longer
            continue
        lines += [line] if line else []
        *pieces, line = _pieces(word, columns)
        lines += pieces
    return [*lines, line]


def _pieces(word: str, columns: int) -> list[str]:
    """Cut a word that is longer than a line."""
    pieces = list[str]()
    while cell_width(word) > columns and (piece := clip(word, columns)):
        pieces.append(piece)
        word = word[len(piece) :]
    return [*pieces, word]


ENVELOPE = "\x1bPtmux;"
"""What begins a control string that holds another one, with every ESC in it doubled: see `answers.wrap`."""

_CLOSE = "\x1b\\"
"""String terminator, ST: ends any control string; does nothing where none is open."""
_CLOSE_BOTH = f"\x1b\x1b\\\x1b\\{ENVELOPE}\x1b\x1b\\\x1b\\"
"""Ends the string inside and the envelope; then, in an envelope of its own, the string once more.

The first two may have met a cut between the two halves of a doubled ESC, and end the envelope alone.
"""
_PATIENCE = 0.5  # seconds that a terminal which takes nothing may cost at the end


class SafeWriter:
    """A text stream on which nothing raises `UnicodeError`, and every write is flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> None:
        """Write and flush; raises `OSError` when the reader has gone or the disk is full."""
        if text:
            self._stream.write(self._encodable(text))
            self._stream.flush()

    def lines(self, lines: Iterable[str]) -> None:
        """Write whole lines, in one go."""
        self.write("".join(f"{line}\n" for line in lines))

    def _encodable(self, text: str) -> str:
        """Replace what the stream's encoding lacks by question marks."""
        return text if text.isascii() else text.encode(self._encoding, "replace").decode(self._encoding)


class BrokenPipeWriter(SafeWriter):
    """The show's output: it goes quiet for good when its terminal has gone away, and can be broken off."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._terminal = TerminalWriter.under(stream)
        self._is_gone = False
        self._is_writing = False
        self._has_envelopes = False

    def write(self, text: str) -> None:
        """Write and flush, or do nothing."""
        if self._is_gone:
            return
        self._is_writing, self._has_envelopes = True, self._has_envelopes or ENVELOPE in text
        try:
            super().write(text)
        except (OSError, ValueError):  # ValueError: somebody closed the stream
            self._is_gone = True
        self._is_writing = False  # stays True when a signal breaks in

    @property
    def never_waits(self) -> bool:
        """Whether a terminal that takes nothing cannot hold us up."""
        return self._terminal is not None

    @property
    def is_cut(self) -> bool:
        """Whether something was not written to its end."""
        return self._is_writing or bool(self._terminal and self._terminal.has_dropped)

    def limit(self, seconds: float) -> None:
        """Drop what is not written `seconds` from now, also the rest of a text; see `recover`."""
        if self._terminal:
            self._terminal.limit(seconds)

    def recover(self, codes: str = "") -> None:
        """Close whatever control string is open, then write codes that put the terminal right.

        A string may be open even if it was written whole: for Ctrl-C, the kernel drops what the terminal has
        not taken yet. A terminal that does not even take this gets nothing any more, until the next `limit`.
        """
        if self._terminal:
            self._terminal.limit(0)
            with suppress(OSError, ValueError):
                self._stream.flush()  # the rest of a text that a signal broke into
            if self.is_cut:
                self._terminal.flush_kernel()
            self._terminal.limit(_PATIENCE)
            self._terminal.has_dropped = False
        self.write((_CLOSE_BOTH if self._has_envelopes else _CLOSE) + codes)
        if self._terminal and not self._terminal.has_dropped:
            self._terminal.limit(inf)

    def close(self) -> None:
        """Write nothing more, whoever wants to."""
        self._is_gone = True
