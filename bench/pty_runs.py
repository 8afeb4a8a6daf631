"""Runs programs on a terminal of their own that answers at once, and tells what they took."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CELL = 10, 20
"""Pixels of a cell, width and height."""
_QUESTION, _ANSWER = b"\x1b[c", b"\x1b[?62;4;22c"  # which kind of terminal: one with sixels and colours
_READ = 1 << 16


class Window(NamedTuple):
    """A window's columns and rows."""

    columns: int
    rows: int


class Run(NamedTuple):
    """One process: seconds from start to end, of the processor, and its peak memory in MB."""

    seconds: float
    cpu: float
    memory: float


def run(command: Sequence[str], window: Window, env: Mapping[str, str]) -> Run:
    """Run a program on a terminal until it ends; raises `SystemExit` when it fails."""
    main, side = pty.openpty()
    pixels = window.columns * CELL[0], window.rows * CELL[1]
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", window.rows, window.columns, *pixels))
    started = time.perf_counter()
    child = os.fork()
    if not child:
        _become(command, side, env)
    os.close(side)
    shown = _conversation(main)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    os.close(main)
    if status:
        raise SystemExit(f"{command} ended with {status}: {shown[-500:]!r}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _become(command: Sequence[str], side: int, env: Mapping[str, str]) -> None:
    """Run the program in this process, which leads a session on the terminal."""
    try:
        os.setsid()
        fcntl.ioctl(side, termios.TIOCSCTTY, 0)
        for standard in range(3):
            os.dup2(side, standard)
        os.closerange(3, side + 1)
        os.execve(command[0], list(command), dict(env))  # noqa: S606 - as this process
    finally:
        os._exit(127)


def _conversation(main: int) -> bytes:
    """Answer a program's question until it ends; return the last that it wrote."""
    shown = b""
    while True:
        try:
            data = os.read(main, _READ)
        except OSError:  # nobody has the other side any more
            return shown
        if _QUESTION in data:
            os.write(main, _ANSWER)
        shown = data or shown
