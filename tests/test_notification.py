"""Notifications for whoever walked away: by the terminal, else the desktop, else the bell."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from imgcli.output.desktop import notifiers
from imgcli.output.terminal.notification import notification
from terminal import PtyRun

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli

DEMO = ("gen", "a cat", "--demo", "--seed", "1", "--preview", "off", "--notify")
NOBODY = {"PATH": "/nowhere"}
KITTY, ITERM2 = {"TERM": "xterm-kitty"}, {"TERM_PROGRAM": "iTerm.app"}
FOOT = {"TERM": "foot"}


def b64(text: str) -> str:
    """Return text in base64."""
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("env", "written"),
    [
        (ITERM2, "\x1b]9;imgcli: a; b\x1b\\"),
        (FOOT, "\x1b]777;notify;imgcli;a, b\x1b\\"),
        (
            KITTY,
            "".join(
                f"\x1b]99;i=imgcli:o=unfocused:e=1:{key};{b64(text)}\x1b\\"
                for key, text in (("d=0", "imgcli"), ("p=body", "a; b"))
            ),
        ),
        ({"TERM": "xterm"}, None),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7900"}, None),
    ],
)
def test_each_terminal_in_its_language(env: dict[str, str], written: str | None) -> None:
    """A terminal gets the sequence that it takes for a notification, others get none."""
    assert written == notification("a; b", env)


def test_text_from_outside() -> None:
    """A name or an error cannot end the sequence, nor begin another one, nor become markup."""
    assert "\x1b]9;imgcli: a\ufffd\ufffd9 b\x1b\\" == notification("a\x07\x1b9\nb", ITERM2)
    assert "--" == notifiers("-x", "linux")[0].command[2]
    assert 'a"; do shell script' not in notifiers('a"; do shell script', "darwin")[0].command[2]


def test_a_run_notifies(world: dict[str, str], folder: Path) -> None:
    """With --notify the end of a run is told; without it, it is not."""
    for options, is_told in ((DEMO, True), (DEMO[:-1], False)):
        with PtyRun(options, world | {"TERM": "foot"} | NOBODY, folder) as run:
            assert 0 == run.finish()
        assert is_told == (b"\x1b]777;notify;imgcli;saved a-cat" in run.raw)


def test_a_failure_notifies(world: dict[str, str], folder: Path) -> None:
    """So does a failure, in the words of its error."""
    env = world | {"TERM": "foot", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"} | NOBODY
    with PtyRun(("gen", "a cat", "--preview", "off", "--notify"), env, folder) as run:
        run.finish()
    assert b"\x1b]777;notify;imgcli;" in run.raw


def test_a_batch_notifies(world: dict[str, str], folder: Path) -> None:
    """A batch tells once how many images it came to."""
    (folder / "rows.txt").write_text("a cat\na dog\n")
    args = ("batch", "rows.txt", "--demo", "--preview", "off", "--notify")
    with PtyRun(args, world | {"TERM": "foot"} | NOBODY, folder) as run:
        assert 0 == run.finish()
    assert 1 == run.raw.count(b"\x1b]777;notify;imgcli;batch: 2 saved\x1b\\")


def test_the_desktop_where_the_terminal_cannot(imgcli: Cli, folder: Path) -> None:
    """In a pipe, and in a terminal without notifications, the desktop's program shows it."""
    tool, told = folder / "bin" / "notify-send", folder / "told"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {told}\n")
    tool.chmod(0o755)
    assert 0 == imgcli(*DEMO, env={"PATH": str(tool.parent)}).exit_code
    assert ["--app-name=imgcli", "--", "imgcli: saved a-cat.png"] == told.read_text().splitlines()


def test_the_bell_at_last(world: dict[str, str], folder: Path) -> None:
    """Over ssh, where the desktop is another one, a terminal without notifications rings its bell."""
    with PtyRun(DEMO, world | {"TERM": "xterm", "SSH_TTY": "/dev/pts/9"} | NOBODY, folder) as run:
        assert 0 == run.finish()
    assert run.raw.rstrip(b"\r\n").endswith(b"\a")
