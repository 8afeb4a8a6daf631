"""The way out to a terminal: nothing waits in the kernel, and what is left of an image can be dropped."""

from __future__ import annotations

import io
import os
import select
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
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
