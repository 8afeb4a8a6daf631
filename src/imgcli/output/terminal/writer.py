"""Text streams that never raise or block where they must not, and the raw terminal stream below them."""

from __future__ import annotations

import io
import os
import select
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from typing_extensions import Buffer


_GLANCE = 0.05  # seconds between two looks at the clock while the terminal takes nothing
_TERMINAL = "/dev/tty"


class TerminalWriter(io.RawIOBase):
    """The raw stream under a text stream that leads to a terminal.

    A slow terminal takes an image in seconds, and a write of it cannot be called back. So the terminal is
    opened once more, with O_NONBLOCK on a description of our own (the one that we were given is shared with
    the shell), and gets what it has room for. It makes no difference whether the shared one blocks.
    """

    def __init__(self, fd: int, door: int) -> None:
        super().__init__()
        self._fd = fd
        self._door = door
        self._deadline = inf
        self.has_dropped = False

    @classmethod
    def over(cls, fd: int) -> Self | None:
        """Return a writer for the terminal behind a descriptor, None where it cannot be opened again."""
        door = _opened_again(fd) if os.name == "posix" else None
        return None if door is None else cls(fd, door)

    @classmethod
    def under(cls, stream: TextIO) -> Self | None:
        """Return the writer under a text stream, None where there is none."""
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        return raw if isinstance(raw, cls) else None

    def fileno(self) -> int:
        """Return the descriptor that others know."""
        return self._fd

    def isatty(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write as much as there is room for, or drop it all once time is up. Raises OSError."""
        view = memoryview(data)
        while time.monotonic() < self._deadline:
            _, has_room, _ = select.select([], [self._door], [], _GLANCE)
            with suppress(BlockingIOError):  # somebody else was faster
                if has_room:
                    return os.write(self._door, view)
        self.has_dropped = self.has_dropped or bool(view)
        return len(view)

    def limit(self, seconds: float) -> None:
        """Drop what is not written `seconds` from now, of a text that is being written too."""
        self._deadline = time.monotonic() + seconds

    def flush_kernel(self) -> None:
        """Drop what the terminal has not taken from the kernel yet, which makes room for what matters."""
        import termios

        with suppress(OSError, termios.error):
            if os.tcgetpgrp(self._door) == os.getpgrp():  # in the background this would stop us
                termios.tcflush(self._door, termios.TCOFLUSH)


def _opened_again(fd: int) -> int | None:
    """Open a terminal by its name; by the name of our own where that is somebody else's file, after `su`."""
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError):
        return os.open(os.ttyname(fd), flags)
    with suppress(OSError):
        os.tcgetpgrp(fd)  # fails for a terminal that is not the one that /dev/tty stands for
        return os.open(_TERMINAL, flags)
    return None


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

    def flush(self) -> None:
        """Do nothing: every write is flushed."""

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
    def is_writing(self) -> bool:
        """Whether a write is under way, or was broken off by a signal."""
        return self._is_writing

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
