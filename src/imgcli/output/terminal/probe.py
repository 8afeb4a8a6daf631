"""Asks the terminal for its capabilities: late, briefly, and without a trace."""

from __future__ import annotations

import os
import select
import struct
import time
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.dataclass import dataclass
from imgcli.output.terminal.answers import KITTY, QUESTIONS, SILENCE, is_complete, parse, typed
from imgcli.output.terminal.database import QueryPolicy, name_by_revision, query_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from imgcli.output.terminal.answers import Answers


_LATE = 1.0
"""Seconds after the question in which an answer may still come, over ssh for instance."""


def is_ours(stream: TextIO) -> bool:
    """Return whether a stream leads to the terminal that we were started on, and nobody else uses that now.

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
    """Return whether a stream leads to our own terminal while another job has it."""
    try:
        return os.tcgetpgrp(stream.fileno()) != os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no such terminal, no such call, no such stream
        return False


@dataclass
class EchoOff:
    """A terminal whose echo is off from `begin`, before it is asked, until all its answers are in.

    A signal in between finds who waits for the answers and turns the echo on again: `close`.
    """

    fd: int
    env: Mapping[str, str]
    before: list[Any]
    question: bytes = b""
    """What is asked at the end: everything comes before the answer to it."""
    owed: int = 0
    """How many questions were asked before whose last answer has not come."""
    _began: float = field(default_factory=time.monotonic, init=False)

    @classmethod
    def over(cls, stream: TextIO, env: Mapping[str, str]) -> Self | None:
        """Read how the terminal is set; return None where it is none."""
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
        """Drop answers that are late, but no keys, and turn the echo on again.

        Waits for them while they may still come: a shell that is given the terminal takes them for keys.
        """
        with suppress(OSError, ValueError):
            if os.tcgetpgrp(self.fd) == os.getpgrp():
                left = _LATE if self.question else max(self._began + _LATE - time.monotonic(), 0)
                drain(self.env, left, self.question, self.owed + bool(self.question))
        self.end()

    def end(self) -> None:
        """Turn the echo on again; not in the background, where touching the terminal would stop us."""
        import termios

        with suppress(OSError, ValueError, termios.error):
            if os.tcgetpgrp(self.fd) == os.getpgrp():
                termios.tcsetattr(self.fd, termios.TCSANOW, self.before)


LAST_QUESTION = b"\x1b[c"
"""DA1, which every terminal answers, and in turn."""
BUDGET = 0.2
"""Seconds that all answers together may take."""

_TERMINAL = "/dev/tty"
_READ = 4096
_ENOUGH = 1 << 16  # bytes; somebody is pasting a book


def query(env: Mapping[str, str], budget: float = BUDGET, first: bytes = b"") -> Answers:
    """Ask the terminal that we were started on; SILENCE where it is not ours to ask or does not answer.

    `first` is what else to ask, before everything that every terminal is asked.

    Call it once, when an image is wanted, and while nobody reads from the terminal: answers come as input.
    Standard input itself is never read, so it may be a pipe. Keys pressed meanwhile are given back where the
    kernel lets us; where not (Linux since 6.2, unless root or dev.tty.legacy_tiocsti), they are lost.
    """
    questions = questions_for(env)
    if not questions:
        return SILENCE
    with suppress(OSError), _terminal() as fd:
        answers = parse(ask(fd, first + questions, budget))
        return _with_cell(replace(answers, name=answers.name or name_by_revision(env, answers.revision)), fd)
    return SILENCE


def drain(env: Mapping[str, str], budget: float = 0, question: bytes = b"", owed: int = 1) -> None:
    """Read answers that come too late, before a shell gets to see them; keys are put back.

    Waits at most `budget` seconds for the last of `owed` answers to DA1, one of which may be that to a
    question of its own.
    """
    if questions_for(env):
        with suppress(OSError), _terminal() as fd:
            ask(fd, question, budget, owed)


def questions_for(env: Mapping[str, str]) -> bytes:
    """Return what this terminal may be asked; nothing where that would only litter its screen."""
    return {QueryPolicy.ASK: KITTY + QUESTIONS, QueryPolicy.NO_APC: QUESTIONS, QueryPolicy.NEVER: b""}[
        query_policy(env)
    ]


def ask(fd: int, questions: bytes, budget: float, owed: int = 1) -> bytes:
    """Send questions to a terminal opened with O_NONBLOCK, and take its input until all is in that is `owed`.

    That is an answer to DA1, or several where earlier ones have not come.

    Waits at most `budget` seconds. Raises OSError when the terminal has gone; otherwise its settings are as
    they were, whatever happens.
    """
    with _without_echo(fd):
        raw = _converse(fd, questions, time.monotonic() + budget, owed)
    _put_back(fd, typed(raw))
    return raw


@contextmanager
def _terminal() -> Iterator[int]:
    """Open a way of our own to the terminal: one that does not block, unlike the one that others share.

    Raises OSError when there is none, or when it belongs to somebody else now: in the background, touching
    its settings would stop us (SIGTTOU).
    """
    if os.name != "posix":
        raise OSError("no terminal that we know to ask")
    fd = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.tcgetpgrp(fd) != os.getpgrp():
            raise OSError("in the background")
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _without_echo(fd: int) -> Iterator[None]:
    """Turn off echo and line editing for a while; Ctrl-C keeps its meaning."""
    import termios

    try:
        before = termios.tcgetattr(fd)
    except termios.error as error:
        raise OSError(*error.args) from error
    quiet = [*before]
    quiet[3] = before[3] & ~(termios.ICANON | termios.ECHO)
    try:
        termios.tcsetattr(fd, termios.TCSANOW, quiet)
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, before)


def _converse(fd: int, questions: bytes, deadline: float, owed: int) -> bytes:
    """Collect the input up to the last answer that is owed, or to the deadline on time.monotonic()."""
    raw = b""
    with suppress(BlockingIOError):  # Ctrl-S: nobody is going to answer
        _put(fd, questions, deadline)
        while not is_complete(raw, owed) and len(raw) < _ENOUGH:
            ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(fd, _READ) if ready else b""
            if not data:
                break
            raw += data
    return raw


def _put(fd: int, questions: bytes, deadline: float) -> None:
    """Write questions whole, also where there is little room; half of one leaves a control string open."""
    while questions:
        _, has_room, _ = select.select([], [fd], [], max(deadline - time.monotonic(), 0))
        if not has_room:
            raise BlockingIOError
        questions = questions[os.write(fd, questions) :]


def _put_back(fd: int, keys: bytes) -> None:
    """Put keys back into the terminal's input, as far as that is permitted."""
    import fcntl
    import termios

    with suppress(OSError, AttributeError):
        for key in keys:
            fcntl.ioctl(fd, termios.TIOCSTI, bytes([key]))


def _with_cell(answers: Answers, fd: int) -> Answers:
    """Fill in a cell's size, where it was not told, from the window's."""
    import fcntl
    import termios

    rows, columns, *pixels = struct.unpack("4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    width, height = answers.window or pixels
    if answers.cell or not (rows and columns and width >= columns and height >= rows):
        return answers
    return replace(answers, cell=(width // columns, height // rows))
