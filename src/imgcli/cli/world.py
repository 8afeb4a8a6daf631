"""The world a command runs in, as one value: streams, environment, clocks, terminal size."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGEST = 1_000
"""Columns or rows; no terminal has more, and COLUMNS can hold any number."""


@dataclass(frozen=True)
class World:
    """Everything outside the process that a command may read or write."""

    env: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    size: Callable[[], os.terminal_size]
    token: Callable[[], str]
    """A short random word that tells runs apart."""
    history_wait: float = 1.0
    """Seconds for which a run waits for a locked history."""
    reservation_wait: float = 10.0
    """Seconds for which a run under a daily cap does, which is not sent without it."""
    closed: frozenset[int] = frozenset()
    """The standard descriptors (0, 1, 2) that were closed at the start; what is written there is lost."""
    can_send: bool = False
    """Whether the command is one that sends requests, which may cost money."""

    @classmethod
    def of_this_process(cls, closed: frozenset[int], *, can_send: bool = False) -> World:
        """Take the real streams, clock and environment."""
        return cls(
            env=os.environ,
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            monotonic=time.monotonic,
            sleep=time.sleep,
            now=lambda: datetime.now(UTC).astimezone(),
            size=lambda: size_of(sys.stderr),
            token=lambda: os.urandom(4).hex(),
            closed=closed,
            can_send=can_send,
        )


def size_of(stream: TextIO) -> os.terminal_size:
    """Ask the terminal behind a stream for its columns and rows; COLUMNS and LINES fill in for none."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        if size.columns and size.lines:
            return size
    told = shutil.get_terminal_size()
    return os.terminal_size((min(told.columns, _LARGEST), min(told.lines, _LARGEST)))


def within(seconds: float, action: Callable[[], None]) -> None:
    """Do what may never end, such as writing to a stalled terminal, and wait only so long for it."""
    import threading

    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)


def forget_blank_variables() -> None:
    """Take a variable of ours, or of OpenAI's, that holds nothing but spaces for one that is not set.

    In the process's own environment, because Typer and the SDK read it without asking us.
    """
    for name, value in list(os.environ.items()):
        if name.startswith(("IMGCLI_", "OPENAI_")) and not value.strip():
            del os.environ[name]


def forbid_core_dumps() -> None:
    """Keep the key out of core files, which hold a process's whole memory."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def abandon(stream: TextIO) -> None:
    """Point a stream that takes nothing at /dev/null, so that what is left in its buffer harms nobody."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def open_standard_descriptors() -> frozenset[int]:
    """Open /dev/null on any of descriptors 0 to 2 that was closed at the start, and tell which were.

    Otherwise the next file we open, perhaps the picture itself, would become "standard output" and receive
    whatever is printed.
    """
    closed: set[int] = set()
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(os.open(os.devnull, flags))  # the lowest free number is this one
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    return frozenset(closed)
