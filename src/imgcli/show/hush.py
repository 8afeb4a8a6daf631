"""Keeps a terminal that answers late from littering: nothing is echoed, and at the end nothing is left."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


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
    """A terminal whose echo is off from `begin` to `close`: a signal in between finds who turns it on."""

    fd: int
    env: Mapping[str, str]
    before: list[Any]

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
        """Swallow what has come, keys excepted, and echo again."""
        import termios

        from imgcli.show.query import swallow

        with suppress(OSError, ValueError, termios.error):
            if os.tcgetpgrp(self.fd) == os.getpgrp():
                swallow(self.env)
                termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
