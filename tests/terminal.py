"""The real command on a real pty, its screen emulated by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pyte

import zygote
from beside import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


# What a terminal takes in without showing anything, and pyte does not know: control strings and questions.
_UNSEEN = re.compile(
    rb"\x1b[P\]_^X][^\x07\x1b]*(?:\x1b\x1b[^\x07\x1b]*)*(?:\x07|\x1b\\)|\x1b\[[>?]?[0-9;]*[qtS]|\x1b\[>c"
)
_UNFINISHED = re.compile(rb"\x1b(?:[P\]_^X][^\x07]*|\[[0-9;?>]*)?\Z")
_QUESTION = b"\x1b[c"


@dataclass
class PtyRun:
    """A command whose terminal is ours; use as a context manager.

    `raw` is every byte that it wrote; `screen` what a person would see now.
    """

    args: Sequence[str]
    env: dict[str, str]
    cwd: Path
    columns: int = 80
    rows: int = 24
    before: bytes = b""
    """What is on the screen already, so that a test can see that it stays."""
    answers: bytes = b"\x1b[?62;22c"
    """What the terminal says when it is asked what it can; nothing for one that never answers."""
    cell: tuple[int, int] = (0, 0)
    """A cell's width and height in pixels, where the terminal tells them."""
    blocks: bool = True
    """Whether a write waits for room, as it does unless some program before us has set O_NONBLOCK."""
    program: Sequence[str] = zygote.IMGCLI
    raw: bytes = b""
    exit_code: int | None = None
    _held: bytes = b""
    _moments: list[tuple[float, int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the command on a new pseudo-terminal."""
        self.screen = pyte.Screen(self.columns, self.rows)
        self._stream = pyte.ByteStream(self.screen)
        self._stream.feed(self.before)
        self.started = time.monotonic()
        if zygote.may_fork([*self.program, *self.args], {"env": self.env}):
            self._fork()
        else:
            self._spawn()
        return self

    def _fork(self) -> None:
        self._fd, inside = os.openpty()
        self.resize(self.columns, self.rows)
        os.set_blocking(inside, self.blocks)
        self.pid = zygote.fork(self.args, self.env, self.cwd, [inside] * 3, session=True)
        os.close(inside)

    def _spawn(self) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            self._exec()
        self.resize(self.columns, self.rows)

    def _exec(self) -> None:
        os.chdir(self.cwd)
        time.sleep(0.05)  # until the parent has told the window's size
        os.execvpe(self.program[0], [*self.program, *self.args], self.env)

    def __exit__(self, *_: object) -> None:
        """End what still runs, by its own process id."""
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size, as a person dragging its corner does."""
        pixels = columns * self.cell[0], rows * self.cell[1]
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, *pixels))
        self.screen.resize(rows, columns)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def kill(self, signum: int) -> None:
        """Send the command a signal."""
        os.kill(self.pid, signum)

    def read(self, seconds: float = 0.1) -> bytes:
        """Take what was written within a moment; empty when nothing was."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return b""
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # the last writer has gone
            return b""
        self.raw += data
        self._moments.append((time.monotonic(), len(self.raw)))
        self._show(data)
        return data

    def _show(self, data: bytes) -> None:
        """Be the terminal: show text, take in what is no text, answer when asked."""
        text = _UNSEEN.sub(b"", self._held + data)
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished[0] if unfinished else b""
        self._stream.feed(text.removesuffix(self._held).replace(_QUESTION, b""))
        if _QUESTION in text and self.answers:
            self.type(self.answers)

    def wait_for(self, seen: Callable[[Self], bool], seconds: float = PATIENCE) -> None:
        """Read until something can be seen; fails the test when it does not come."""
        deadline = time.monotonic() + seconds
        while not seen(self):
            assert time.monotonic() < deadline, f"never seen; the screen:\n{self.text}"
            self.read()

    def finish(self, seconds: float = PATIENCE) -> int:
        """Read to the end and give the exit code, negative for death by a signal."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            data = self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid and not data:
                self.exit_code = os.waitstatus_to_exitcode(status)
                return self.exit_code
            if pid:
                while self.read():
                    pass
                self.exit_code = os.waitstatus_to_exitcode(status)
                return self.exit_code
        msg = f"still running; the screen:\n{self.text}"
        raise AssertionError(msg)

    @property
    def lines(self) -> list[str]:
        """The screen's lines, without trailing blanks."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    @property
    def cursor_visible(self) -> bool:
        """Whether the cursor is shown."""
        return not self.screen.cursor.hidden

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._fd)[3] & termios.ECHO)


@dataclass
class SlowRun(PtyRun):
    """A command on a terminal that takes `rate` bytes a second, as over ssh; `screen` follows `settle`."""

    rate: float = 250_000
    answers: bytes = b""
    open_string: bytes = b""
    """What a control string that nobody closed has swallowed."""

    def read(self, seconds: float = 0.1) -> bytes:
        """Take what a slow line takes in a hundredth of a second."""
        due = time.monotonic() + 0.01
        ready, _, _ = select.select([self._fd], [], [], seconds)
        data = b""
        if ready:
            with suppress(OSError):  # the last writer has gone
                data = os.read(self._fd, max(int(self.rate / 100), 1))
        self.raw += data
        time.sleep(max(due - time.monotonic(), 0))
        return data

    def break_off(self, end: Callable[[Self], None], after: int) -> float:
        """End the command when that many bytes have come, read on, and return how long it took to die."""
        self.wait_for(lambda seen: len(seen.raw) >= after)
        began = time.monotonic()
        took = 0.0
        end(self)
        while True:
            data = self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG) if self.exit_code is None else (0, 0)
            if pid:
                took = time.monotonic() - began
                self.exit_code = os.waitstatus_to_exitcode(status)
            if self.exit_code is not None and not data:
                break
            assert time.monotonic() < began + PATIENCE, "still running"
        self.settle()
        return took

    def settle(self) -> None:
        """Show on the screen all that has come."""
        text, self.open_string = outside_strings(self.raw)
        self._stream.feed(_UNSEEN.sub(b"", text))


_STRING = re.compile(rb"\x1b([P\]_^X])")


def outside_strings(raw: bytes) -> tuple[bytes, bytes]:
    """Take control strings out of an output; the second value is one that is open at the end.

    Strict as kitty is: nothing but its terminator ends a string, and BEL an OSC.
    """
    text = b""
    while found := _STRING.search(raw):
        text += raw[: found.start()]
        bel = b"|\x07" if found[1] == b"]" else b""
        end = re.compile(rb"\x1b\\" + bel).search(raw, found.end())
        if not end:
            return text, raw[found.start() :]
        raw = raw[end.end() :]
    return text + raw, b""


def through_tmux(raw: bytes) -> bytes:
    """Return what tmux lets through to the terminal outside: what its envelopes hold, whole or not."""
    outside = b""
    for envelope in re.finditer(rb"\x1bPtmux;((?:[^\x1b]|\x1b[^\\])*)(\x1b\\)?", raw):
        outside += re.sub(rb"\x1b(.)", rb"\1", envelope[1], flags=re.DOTALL)
    return outside
