"""Writing text to a stream that may be narrow-minded about characters."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from imgcli.show.terminal_writer import TerminalWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

ENVELOPE = "\x1bPtmux;"
"""What begins a control string that holds another one, with every ESC in it doubled: see `tmux.wrap`."""

_CLOSE = "\x1b\\"
"""String terminator, ST: ends any control string; does nothing where none is open."""
_CLOSE_BOTH = f"\x1b\x1b\\\x1b\\{ENVELOPE}\x1b\x1b\\\x1b\\"
"""Ends the string inside and the envelope; then, in an envelope of its own, the string once more.

The first two may have met a cut between the two halves of a doubled ESC, and end the envelope alone.
"""
_PATIENCE = 0.5  # seconds that a terminal which takes nothing may cost at the end


class Output:
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


class Patient(Output):
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
