"""Keeps a terminal that answers late from littering: nothing is echoed, and at the end nothing is left."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_LATE = 1.0
"""Seconds after the question in which an answer may still come, over ssh for instance."""


def is_ours(stream: TextIO) -> bool:
    """Whether a stream leads to the terminal that we were started on, and nobody else uses that now.

    It is somebody else's while we are in the background, and when it is in another mode than a shell leaves
    it in: a pager, or whatever else reads key by key.
    """
    if os.name != "posix":
        return False
    import termios

    try:
        fd = stream.fileno()
        return os.tcgetpgrp(fd) == os.getpgrp() and bool(termios.tcgetattr(fd)[3] & termios.ICANON)
    except (OSError, ValueError, termios.error):
        return False


def is_in_background(stream: TextIO) -> bool:
    """Whether a stream leads to our own terminal while another job has it."""
    try:
        return os.tcgetpgrp(stream.fileno()) != os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no such terminal, no such call, no such stream
        return False


@dataclass
class Hush:
    """A terminal whose echo is off from `begin`, before it is asked, until all its answers are in.

    A signal in between finds who waits for the answers and turns the echo on again: `close`.
    """

    fd: int
    env: Mapping[str, str]
    before: list[Any]
    _began: float = field(default_factory=time.monotonic, init=False)

    @classmethod
    def over(cls, stream: TextIO, env: Mapping[str, str]) -> Self | None:
        """Look how the terminal is set; None where it is none."""
        import termios

        with suppress(OSError, ValueError, termios.error):
            fd = stream.fileno()
            return cls(fd, env, termios.tcgetattr(fd))
        return None

    def begin(self) -> None:
        """Turn the echo off."""
        import termios

        quiet = [*self.before]
        quiet[3] &= ~termios.ECHO
        with suppress(OSError, termios.error):
            termios.tcsetattr(self.fd, termios.TCSANOW, quiet)

    def close(self) -> None:
        """Swallow answers that are not in, keys excepted, and echo again.

        Waits for them while they may still come: a shell that is given the terminal takes them for keys.
        """
        from imgcli.show.query import swallow

        with suppress(OSError, ValueError):
            if os.tcgetpgrp(self.fd) == os.getpgrp():
                swallow(self.env, max(self._began + _LATE - time.monotonic(), 0))
        self.end()

    def end(self) -> None:
        """Echo again; in the background the terminal is left alone, for touching it would stop us."""
        import termios

        with suppress(OSError, ValueError, termios.error):
            if os.tcgetpgrp(self.fd) == os.getpgrp():
                termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
