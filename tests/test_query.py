from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beside import wait_for
from imgcli.output.terminal import probe
from imgcli.output.terminal.answers import KITTY, QUESTIONS, SILENCE, Answers, parse, typed
from streams import RED
from terminal import PtyRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Recorded from the real ones, under Xvfb.
KITTY_0_26 = (
    b"\x1b_Gi=4211;OK\x1b\\\x1bP>|kitty(0.26.5)\x1b\\\x1b[6;20;9t\x1b[4;720;972t"
    b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;c"
)
XTERM_VT340 = (
    b"\x1bP>|XTerm(379)\x1b\\\x1b[?1;0;1024S\x1b[?2;0;810;608S\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
    b"\x1b[?63;1;2;4;6;9;15;16;22;28c"
)
XTERM = (
    b"\x1bP>|XTerm(379)\x1b\\\x1b[?1;3S\x1b[?2;3S\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
    b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c"
)
TIOCGPTN = 0x80045430  # which the module `termios` lacks
TMUX = b"\x1bP>|tmux 3.3a\x1b\\\x1b[?1;2c"

RECORDED = {
    KITTY_0_26: Answers(
        is_complete=True,
        kitty=True,
        name="kitty(0.26.5)",
        cell=(9, 20),
        window=(972, 720),
        background=(0, 0, 0),
    ),
    XTERM_VT340: Answers(
        is_complete=True,
        sixel=True,
        name="XTerm(379)",
        background=(255, 255, 255),
        registers=1024,
        largest=(810, 608),
    ),
    XTERM: Answers(is_complete=True, name="XTerm(379)", background=(255, 255, 255)),
    TMUX: Answers(is_complete=True, name="tmux 3.3a"),
    b"": SILENCE,
}
ALL = KITTY + QUESTIONS


@pytest.mark.parametrize(
    ("raw", "expected"), RECORDED.items(), ids=["kitty", "vt340", "xterm", "tmux", "silence"]
)
def test_what_real_terminals_answer_is_understood(raw: bytes, expected: Answers) -> None:
    """Each terminal is taken for what it is, by its own words."""
    assert expected == parse(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b]11;rgb:1e/1e/2e\x07", (30, 30, 46)),
        (b"\x1b]11;rgb:f/8/0\x1b\\", (255, 136, 0)),
        (b"\x1b]11;rgba:ffff/0000/8080/ffff\x1b\\", (255, 0, 128)),
        (b"\x1b]11;rgb:ffff/ffff", None),
        (b"\x1b]11;#ffffff\x07", None),
    ],
)
def test_a_background_is_read_in_every_spelling(raw: bytes, expected: tuple[int, int, int] | None) -> None:
    """Transparent images get the terminal's own background, or a checkerboard, never a wrong colour."""
    assert expected == parse(raw).background


@pytest.mark.parametrize(
    "raw",
    [
        b"\x1b[6;0;0t\x1b[4;0;0t",
        b"\x1b[6;99999;99999t",
        b"\x1b[6;20t",
        b"\x1b[6;-1;5t",
        b"\x1b_Gi=4211;EINVAL:no\x1b\\",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b[>64;4;0c",
        b"\x1b[?4",
        b"\x1bP>|",
        b"^[[?4c",
    ],
)
def test_half_answers_and_nonsense_promise_nothing(raw: bytes) -> None:
    """A terminal that answers garbage gets the image that is safe everywhere."""
    assert parse(raw) == SILENCE


def test_a_terminals_name_cannot_do_harm() -> None:
    """Whatever a terminal calls itself, it is short, and harmless when it is printed."""
    name = parse(b"\x1bP>|evil\x9b2J\xff\x00" + b"x" * 500 + b"\x1b\\").name
    assert name.isprintable()
    assert len(name) <= 80


PIECES = [b"\x1b", b"[", b"?", b"62;4c", b"]11;rgb:", b"\x1b\\", b"P>|", b"\x07", b"ls\n", *RECORDED]


@given(st.lists(st.sampled_from(PIECES)))
def test_no_input_is_too_odd(pieces: list[bytes]) -> None:
    """Nothing that arrives on a terminal makes the preview fail."""
    raw = b"".join(pieces)
    assert isinstance(parse(raw), Answers)
    assert b"\x1b" not in typed(raw)


THEME = tuple((16 * n, 255 - n, n) for n in range(16))


@pytest.mark.parametrize("end", [b"\x07", b"\x1b\\"])
@pytest.mark.parametrize("digits", [2, 4])
@pytest.mark.parametrize("together", [False, True])
def test_sixteen_colours_are_told(end: bytes, digits: int, *, together: bool) -> None:
    """A terminal tells its colours one by one or together, in two or four digits, with either end."""
    told = [f"{n};rgb:" + "/".join(f"{v:02x}" * (digits // 2) for v in THEME[n]) for n in range(16)]
    raw = b"".join(b"\x1b]4;" + one.encode() + end for one in ([";".join(told)] if together else told))
    assert THEME == parse(raw + XTERM).palette
    assert b"" == typed(raw)
    assert parse(XTERM).background == parse(raw + XTERM).background


def test_fifteen_colours_are_none() -> None:
    """Half a theme is not mixed with somebody else's other half."""
    raw = b"".join(b"\x1b]4;%d;rgb:00/00/%02x\x07" % (n, n) for n in range(15))
    assert parse(raw + XTERM).palette is None


@pytest.mark.parametrize("raw", [KITTY_0_26, XTERM_VT340, XTERM, TMUX])
def test_keys_between_answers_are_told_from_them(raw: bytes) -> None:
    """What a person types ahead is not mixed up with what the terminal says."""
    middle = raw.index(b"\x1b\\") + 2
    mixed = b"l" + raw[:middle] + "é".encode() + raw[middle:] + b"\n"
    assert parse(raw) == parse(mixed)
    assert "lé\n".encode() == typed(mixed)


@pytest.mark.parametrize("cut", range(1, len(KITTY_0_26), 7))
def test_a_cut_answer_is_never_taken_for_keys(cut: int) -> None:
    """Nothing that a terminal says ends up in the shell as a command, however little of it came."""
    assert b"" == typed(KITTY_0_26[:cut])


@dataclass
class FakeTerminal:
    """A terminal of our own: once it is asked, it answers with its script, pauses (in seconds) included."""

    script: list[tuple[float, bytes]]
    asked: bytes = b""
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Open a pseudo-terminal; `fd` is the end that programs see."""
        self.master, self.fd = pty.openpty()
        os.set_blocking(self.fd, False)
        self.before = termios.tcgetattr(self.fd)
        thread = threading.Thread(target=self._answer)
        self._threads.append(thread)
        thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the script to end."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.fd, b"\x1b[c")  # in case nobody has asked
        for thread in self._threads:
            thread.join()
        os.close(self.master)
        os.close(self.fd)

    def _answer(self) -> None:
        while not self.asked.endswith(b"\x1b[c"):
            self.asked += os.read(self.master, 4096)
        for pause, answer in self.script:
            time.sleep(pause)
            os.write(self.master, answer)

    def is_untouched(self) -> bool:
        """Whether its settings are as they were."""
        return self.before == termios.tcgetattr(self.fd)

    def left(self) -> bytes:
        """What the next program would read, Enter pressed or not."""
        quiet = [*self.before]
        quiet[3] = self.before[3] & ~termios.ICANON
        termios.tcsetattr(self.fd, termios.TCSANOW, quiet)
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""
        finally:
            termios.tcsetattr(self.fd, termios.TCSANOW, self.before)


def gives_keys_back() -> bool:
    """Whether the kernel lets us: not on newer Linux, unless we are root."""
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSTI, b"x")
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("raw", [KITTY_0_26, XTERM_VT340, XTERM, TMUX])
def test_a_terminal_that_answers_costs_no_waiting(raw: bytes) -> None:
    """The last answer ends the asking: nobody waits for the budget to run out."""
    with FakeTerminal([(0, raw)]) as terminal:
        began = time.monotonic()
        assert raw == probe.ask(terminal.fd, ALL, 100)
        assert time.monotonic() - began < 50
        assert terminal.is_untouched()
        assert ALL == terminal.asked
        assert b"" == terminal.left()


def test_answers_may_trickle_in() -> None:
    """Answers that come byte by byte, through a slow connection, are put together."""
    with FakeTerminal([(0.002, bytes([byte])) for byte in TMUX]) as terminal:
        assert TMUX == probe.ask(terminal.fd, ALL, 10)
        assert terminal.is_untouched()


def test_a_terminal_that_never_answers_costs_the_budget() -> None:
    """A terminal that says nothing delays the image by the budget, and that is all."""
    with FakeTerminal([]) as terminal:
        began = time.monotonic()
        assert b"" == probe.ask(terminal.fd, ALL, 0.1)
        assert 0.1 <= time.monotonic() - began < 50
        assert terminal.is_untouched()


def test_answers_that_come_too_late_can_be_swallowed() -> None:
    """What a slow terminal answers after all does not end up in the shell."""
    with FakeTerminal([(0.2, KITTY_0_26)]) as terminal:
        assert b"" == probe.ask(terminal.fd, ALL, 0.02)
        time.sleep(0.4)
        probe.ask(terminal.fd, b"", 0)
        assert b"" == terminal.left()
        assert terminal.is_untouched()


def test_half_an_answer_is_not_waited_for_longer() -> None:
    """An answer that breaks off costs the budget, and is thrown away."""
    with FakeTerminal([(0, KITTY_0_26[:-3])]) as terminal:
        answers = parse(probe.ask(terminal.fd, ALL, 0.1))
        assert (True, False) == (answers.kitty, answers.is_complete)
        assert b"" == terminal.left()


def test_a_flood_does_not_hold_us_up() -> None:
    """A book being pasted, or noise on the line, does not keep the image waiting for its end."""
    with FakeTerminal([(0, b"\x1b[5~" * 700)] * 30) as terminal:
        began = time.monotonic()
        probe.ask(terminal.fd, ALL, 0.3)
        assert time.monotonic() - began < 50
        assert terminal.is_untouched()
        while select.select([terminal.fd], [], [], 0.2)[0]:
            probe.ask(terminal.fd, b"", 0)


def test_keys_that_were_typed_meanwhile_are_given_back() -> None:
    """What is typed ahead while the terminal is asked arrives in the shell, where the kernel permits it."""
    with FakeTerminal([(0, b"l" + XTERM[:20]), (0.01, XTERM[20:])]) as terminal:
        assert parse(XTERM) == parse(probe.ask(terminal.fd, ALL, 10))
        assert (b"l" if gives_keys_back() else b"") == terminal.left()


def test_a_terminal_that_is_stopped_is_not_waited_for() -> None:
    """After Ctrl-S nothing can be asked; the image goes on without."""
    with FakeTerminal([(0, XTERM)]) as terminal:
        termios.tcflow(terminal.fd, termios.TCOOFF)
        began = time.monotonic()
        assert b"" == probe.ask(terminal.fd, ALL, 0.1)
        assert time.monotonic() - began < 50
        termios.tcflow(terminal.fd, termios.TCOON)
        assert terminal.is_untouched()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, OSError])
def test_the_terminal_is_put_back_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """After Ctrl-C, or any failure in the middle of asking, the terminal echoes what is typed, as before."""
    seen = []

    def fail(*_: object) -> None:
        seen.append(terminal.is_untouched())
        raise error

    with FakeTerminal([(0, XTERM)]) as terminal:
        monkeypatch.setattr("select.select", fail)
        with pytest.raises(error):
            probe.ask(terminal.fd, ALL, 1)
        assert [False] == seen
        assert terminal.is_untouched()


def test_what_is_no_terminal_is_said_to_be_none() -> None:
    """Asking a pipe fails in the one way that callers expect."""
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="Inappropriate"):
        probe.ask(reader, ALL, 0)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"TERM": "xterm-256color"}, ALL),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, ALL),
        ({"TERM": "tmux-256color", "TMUX": "/run/x,1,0"}, QUESTIONS),
        ({"TERM": "screen-256color", "TMUX": "/run/x,1,0"}, QUESTIONS),
        ({"TERM": "screen-256color"}, b""),
        ({"TERM": "screen", "STY": "1.pts"}, b""),
        ({"TERM": "dumb"}, b""),
        ({"TERM": "linux"}, b""),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, b""),
        ({"TERM": "xterm-256color", "TERMINAL_EMULATOR": "JetBrains-JediTerm"}, b""),
        ({}, b""),
    ],
)
def test_a_terminal_that_would_print_the_questions_is_not_asked(
    env: Mapping[str, str], expected: bytes
) -> None:
    """No terminal shows our questions as litter, and tmux keeps its window's title."""
    assert expected == probe.questions_for(env)


_CHILD = """
import json, os, sys
from beside import wait_for
from imgcli.output.terminal import probe
if "background" in sys.argv:
    if child := os.fork():  # a shell, and its job
        os.waitpid(child, 0)
        sys.exit()
    os.setpgid(0, 0)
answers = probe.query(os.environ, 0.4)
os.write(3, json.dumps([answers.name, answers.cell, sys.stdin.read()]).encode())
"""


@contextlib.contextmanager
def started(*args: str) -> Iterator[tuple[int, int]]:
    """A program started on a terminal of ours, its standard input a pipe with `data` in it."""
    results, told = os.pipe()
    pid, master = pty.fork()
    if pid == 0:
        data, writer = os.pipe()
        os.write(writer, b"data")
        os.close(writer)
        os.dup2(data, 0)
        os.dup2(told, 3)
        env = {"TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
        os.execve(sys.executable, [sys.executable, "-c", _CHILD, *args], env)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 25, 100, 1000, 500))
    os.close(told)
    try:
        yield master, results
    finally:
        os.close(results)
        os.close(master)
        os.waitpid(pid, 0)


def asked(master: int, results: int, raw: bytes) -> tuple[bytes, Any]:
    """Be its terminal until it reports: what it wrote there, and its report."""
    seen, report = b"", b""
    while not report:
        ready, _, _ = select.select([master, results], [], [], 30)
        assert ready, "no report"
        if results in ready:
            report = os.read(results, 4096)
            assert report, "it died"
        elif master in ready:
            seen += os.read(master, 4096)
            if seen.endswith(b"\x1b[c"):
                os.write(master, raw)
    return seen, json.loads(report)


def test_a_program_that_reads_a_pipe_can_still_ask() -> None:
    """`curl ... | imgcli view -` gets the best image: only the terminal is asked, the data stays whole."""
    with started() as (master, results):
        seen, report = asked(master, results, XTERM)
    assert ALL in seen
    assert ["XTerm(379)", [10, 20], "data"] == report


def test_nothing_is_asked_from_the_background() -> None:
    """`imgcli gen ... &` neither stops nor touches the terminal that somebody else is using now."""
    with started("background") as (master, results):
        seen, report = asked(master, results, XTERM)
    assert (b"", ["", None, "data"]) == (seen, report)


def test_a_terminal_that_answers_although_told_not_to(world: dict[str, str], folder: Path) -> None:
    """VS Code answers every image of kitty's: the answer reaches neither the screen nor the shell."""
    (folder / "a.png").write_bytes(RED)
    env = world | {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "1.100.0"}
    with AnsweringRun(["view", "a.png", "--preview", "kitty"], env, folder) as run:
        assert 0 == run.finish()
        assert b"\x1b_Ga=T" in run.raw
        assert b"^[" not in run.raw
        assert b"" == run.left()


def test_a_slow_terminal_that_answers_although_told_not_to(world: dict[str, str], folder: Path) -> None:
    """VS Code far away answers everything late, and still nothing of it reaches the screen or the shell."""
    (folder / "a.png").write_bytes(RED)
    env = world | {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "1.100.0"}
    with SlowRun(["view", "a.png", "--preview", "kitty"], env, folder, answers=b"") as run:
        assert 0 == run.finish()
        assert b"\x1b_Ga=T" in run.raw
        assert b"^[" not in run.raw
        assert b"" == run.left()


DEVICE = b"\x1b[?62;22c"
SHOWN = b"\x1b_Gi=1;OK\x1b\\"


class AnsweringRun(PtyRun):
    """A terminal that says of every image of kitty's that it is there, and keeps what nobody has read."""

    answered = False

    def __enter__(self) -> Self:
        """Keep the terminal open, as a shell does."""
        super().__enter__()
        (number,) = struct.unpack("I", fcntl.ioctl(self._fd, TIOCGPTN, bytes(4)))
        self._shell = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        return self

    def _show(self, data: bytes) -> None:
        """Answer the first image as soon as it is there, before what is asked after it."""
        if b"\x1b_Ga=T" in self.raw and not self.answered:
            self.answered = True
            self.type(SHOWN)
        super()._show(data)

    def left(self) -> bytes:
        """Return what a shell would read now."""
        quiet = termios.tcgetattr(self._shell)
        assert quiet[3] & termios.ECHO
        quiet[3] &= ~termios.ICANON
        termios.tcsetattr(self._shell, termios.TCSANOW, quiet)
        with contextlib.suppress(BlockingIOError):
            return os.read(self._shell, 4096)
        return b""

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self._shell)
        super().__exit__()


class SlowRun(AnsweringRun):
    """The same, all of whose answers come late: the last when the program has read the others."""

    answered = True

    def _show(self, data: bytes) -> None:
        """Answer nothing before the program waits for its last answer."""
        if b"\x1b_Ga=T" in self.raw and self.raw.endswith(b"\x1b[c"):
            self.kill(signal.SIGSTOP)
            self.type(DEVICE + SHOWN)
            wait_for(self._unread)
            self.kill(signal.SIGCONT)
            wait_for(lambda: not self._unread())
            self.answers = DEVICE
        super()._show(data)

    def _unread(self) -> int:
        (count,) = struct.unpack("i", fcntl.ioctl(self._shell, termios.FIONREAD, bytes(4)))
        return int(count)
