"""Ctrl-C, TERM and HUP: stop at once, tidy up, and die by the signal itself."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(BaseException):
    """A signal asked us to end. Not an `Exception`: nothing but the top may swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    @property
    def name(self) -> str:
        """The signal's name, as `kill -l` spells it."""
        return signal.Signals(self.signum).name


def install() -> None:
    """Turn the ending signals into `Interrupted`; one that was ignored at the start (nohup) stays ignored."""
    for signum in _ENDING:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _raise_interrupted)


def _raise_interrupted(signum: int, _frame: FrameType | None) -> NoReturn:
    ignore()
    raise Interrupted(signum)


def ignore() -> None:
    """From the first signal on we are ending anyway: a second one must not break the tidying up."""
    for signum in _ENDING:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def shielded() -> Iterator[None]:
    """Let signals wait while a picture is being published; they arrive when it is safe."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_by(signum: int) -> NoReturn:
    """End the process by a signal, so that a shell's loop stops too, as it would for any program.

    A plain `exit(130)` does not stop `for p in ...; do imgcli gen "$p"; done`: bash goes on, and pays.
    """
    signal.signal(signum, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signum])
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)
