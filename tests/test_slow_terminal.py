"""Signals while an image is painted on a slow terminal: what it is left with, how soon, and what is said."""

from __future__ import annotations

import os
import re
import signal
import sys
from itertools import product
from typing import TYPE_CHECKING

import pyte
import pytest

from images import noise
from streams import created, partial, stream
from substitutes import waits
from terminal import SlowRun, outside_strings, through_tmux
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
PROTOCOLS = ["kitty", "iterm2", "sixel", "blocks"]
IMAGE = noise(600)
"""A megabyte, which takes four seconds."""
INSIDE = 40_000
"""Bytes after which any of the painters is in the middle of it."""
TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
MONEY = "You may have been charged"
SOON = 2.0
"""Seconds, for a terminal that takes anything at all."""


HASTY = waits(**{"output.terminal.probe._LATE": 0.4})
"""A second for late answers is part of the two that an end may take: all of it in `test_the_key_ctrl_c`."""


@pytest.fixture
def painting(server: Server, world: dict[str, str], folder: Path) -> Callable[..., SlowRun]:
    """Run a command that paints an image which takes seconds; `gen` then waits for the next one."""
    wire = server(Reply(stream(created(), partial(0, IMAGE)), end=End.STALL))
    env = world | TRUECOLOR | HASTY | {"OPENAI_BASE_URL": wire.base_url}
    (folder / "noise.png").write_bytes(IMAGE)
    named = {"gen": ["gen", "a cat"], "view": ["view", "noise.png"]}

    def run(command: str, protocol: str, **terminal: object) -> SlowRun:
        told = env | terminal.pop("env", {})  # type: ignore[operator]
        args = [] if "program" in terminal else [*named[command], "--preview", protocol]
        return SlowRun(args, told, folder, columns=120, rows=40, **terminal)  # type: ignore[arg-type]

    return run


def check_usable(run: SlowRun) -> None:
    """Fail unless the terminal is as a shell wants it."""
    assert b"" == run.open_string[:80]
    assert (True, True) == (run.cursor_visible, run.echoes)
    assert pyte.modes.DECAWM in run.screen.mode
    assert 0 == run.screen.cursor.x
    assert "default" == run.screen.cursor.attrs.bg
    assert run.raw.rfind(b"\x1b[?2026h") <= run.raw.rfind(b"\x1b[?2026l")


EVERYDAY = {
    *(("gen", protocol, signal.SIGTERM) for protocol in PROTOCOLS),
    ("gen", "blocks", signal.SIGINT),
    ("gen", "kitty", signal.SIGHUP),
    ("view", "kitty", signal.SIGTERM),
}


@pytest.mark.parametrize(
    ("command", "protocol", "signum"),
    [
        pytest.param(*one, marks=[] if one in EVERYDAY else [pytest.mark.slow])
        for one in product(["gen", "view"], PROTOCOLS, SIGNALS)
    ],
)
def test_a_signal_in_the_middle_of_an_image(
    command: str, protocol: str, signum: signal.Signals, painting: Callable[..., SlowRun]
) -> None:
    """The string is closed, cursor, wrap and echo are back, the sentence is there: within two seconds."""
    with painting(command, protocol) as run:
        took = run.break_off(lambda seen: seen.kill(signum), INSIDE)
        assert -signum == run.exit_code
        check_usable(run)
    assert len(IMAGE) > len(run.raw)
    assert (
        protocol != "kitty" or b"0" == re.findall(rb",m=([01]);", run.raw)[-1]
    )  # it waits for no more chunks
    assert (command == "gen") == (MONEY in run.text)
    assert took < SOON


@pytest.mark.parametrize(
    ("command", "protocol"),
    [
        ("gen", "iterm2"),
        *(
            pytest.param("gen", protocol, marks=pytest.mark.slow)
            for protocol in PROTOCOLS
            if protocol != "iterm2"
        ),
        pytest.param("view", "iterm2", marks=pytest.mark.slow),
    ],
)
def test_a_terminal_that_does_not_block(
    command: str, protocol: str, painting: Callable[..., SlowRun]
) -> None:
    """With O_NONBLOCK on the terminal, images are painted all the same, and a signal leaves it as usable."""
    with painting(command, protocol, blocks=False) as run:
        took = run.break_off(lambda seen: seen.kill(signal.SIGTERM), INSIDE)
        assert -signal.SIGTERM == run.exit_code
        check_usable(run)
    assert (command == "gen") == (MONEY in run.text)
    assert took < SOON


@pytest.mark.parametrize(
    "protocol",
    [
        "kitty",
        *(pytest.param(protocol, marks=pytest.mark.slow) for protocol in PROTOCOLS if protocol != "kitty"),
    ],
)
def test_the_key_ctrl_c(protocol: str, painting: Callable[..., SlowRun]) -> None:
    """Typed at the terminal, which then forgets what it was sent last, Ctrl-C leaves it as usable."""
    with painting("gen", protocol, env=waits()) as run:
        took = run.break_off(lambda seen: seen.type(b"\x03"), INSIDE)
        assert -signal.SIGINT == run.exit_code
        check_usable(run)
    assert MONEY in run.text
    assert took < SOON


@pytest.mark.parametrize("rate", [20_000, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_very_slow_terminal(rate: int, painting: Callable[..., SlowRun]) -> None:
    """However slow it is, the terminal gets the end and the sentence at once, before what is on its way."""
    with painting("gen", "kitty") as run:
        run.wait_for(lambda seen: len(seen.raw) >= INSIDE)
        run.rate = rate
        took = run.break_off(lambda seen: seen.kill(signal.SIGTERM), INSIDE)
        check_usable(run)
    assert MONEY in run.text
    assert took < SOON


def test_between_two_images(painting: Callable[..., SlowRun]) -> None:
    """What is painted over a `^C` on a terminal that has become slow does not hold up the end."""
    with painting("gen", "iterm2", rate=1e8) as run:
        run.wait_for(lambda seen: b"partial 1 of 3" in seen.raw[-2000:])
        run.rate = 250_000
        took = run.break_off(lambda seen: seen.type(b"\x03"), 0)
        check_usable(run)
    assert MONEY in run.text
    assert took < SOON


@pytest.mark.parametrize("command", ["gen", pytest.param("view", marks=pytest.mark.slow)])
def test_a_terminal_that_takes_nothing(command: str, painting: Callable[..., SlowRun]) -> None:
    """After Ctrl-S in the middle of an image a signal still ends it soon, and echo is back."""
    with painting(command, "iterm2") as run:
        took = run.break_off(stop_and_terminate, INSIDE)
        assert (-signal.SIGTERM, True) == (run.exit_code, run.echoes)
    assert took < 2 * SOON


def stop_and_terminate(run: SlowRun) -> None:
    """Stop the terminal as Ctrl-S does, then let a signal come."""
    run.type(b"\x13")
    while run.read():
        pass
    run.kill(signal.SIGTERM)


def test_both_strings_are_closed_in_tmux(painting: Callable[..., SlowRun], tmp_path: Path) -> None:
    """In tmux the string for the terminal outside is closed too, and the envelope around it."""
    tmux = tmp_path / "tmux"
    tmux.write_text("#!/bin/sh\nprintf 'on\\tkitty(0.40.0)\\txterm-kitty\\n'\n")
    tmux.chmod(0o755)
    env = {"TERM": "tmux-256color", "TMUX": "x,1,0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with painting("gen", "kitty", env=env) as run:
        run.break_off(lambda seen: seen.kill(signal.SIGTERM), INSIDE)
        check_usable(run)
    assert b"" == outside_strings(through_tmux(run.raw))[1][:80]
    assert MONEY in run.text


def test_ctrl_z_in_the_middle_of_an_image(painting: Callable[..., SlowRun]) -> None:
    """The shell gets a usable terminal from Ctrl-Z too: what it prints is seen."""
    shell = ("bash", "--norc", "--noprofile", "-i")
    with painting("gen", "iterm2", program=shell, env={"PS1": "$ ", "OPENAI_API_KEY": "sk-x"}) as run:
        run.type(f"{sys.executable} -m imgcli gen 'a cat' --preview iterm2\n".encode())
        run.wait_for(lambda seen: len(seen.raw) >= INSIDE)
        run.type(b"\x1a")
        run.wait_for(lambda seen: b"Stopped" in seen.raw)
        run.settle()
        assert (b"", True) == (run.open_string[:80], run.cursor_visible)  # readline turns the echo off itself
        assert "Stopped" in run.text
        run.type(b"kill -9 %1; exec true\n")
        run.finish()
