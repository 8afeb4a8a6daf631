"""What a shell does to its jobs: stop them, put them into the background, leave them unread."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE, wait_for
from faults.images import image
from faults.room import Room
from faults.runner import IMGCLI, kill_quietly
from streams import created, image_item, item_done, partial, stream, whole_run
from terminal import PtyRun
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """Give a clean place to run in."""
    return Room.furnish(tmp_path / "room", {})


def test_a_reader_that_sleeps(server: Server, room: Room) -> None:
    """A program that does not read its lines holds up the lines, not the saving."""
    wire = server(Reply(whole_run(image("NOISE"))))
    running = zygote.start(
        [*IMGCLI, "gen", "a cat", "--jsonl"],
        env=room.env | {"OPENAI_BASE_URL": wire.base_url},
        cwd=room.root / "here",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        saved = room.root / "here/a-cat.png"
        wait_for(saved.exists)
        assert running.poll() is None
        stdout, stderr = running.communicate(timeout=PATIENCE)
        assert (0, b"") == (running.returncode, stderr)
        assert stdout.endswith(b"}\n")
        assert image("NOISE") == saved.read_bytes()
    finally:
        kill_quietly(running)


@pytest.mark.slow  # every day `test_front_screen.py` holds it in a shell
def test_ctrl_z(server: Server, room: Room) -> None:
    """Ctrl-Z leaves a usable terminal in the shell's hands; fg goes on, and the image is saved."""
    opening = stream(created(), partial(0, image("BLUE")))
    item = image_item(image("NOISE"))
    wire = server(Reply(opening + stream(item_done(item)), holds=(len(opening),)))
    env = room.env | TERMINAL | {"OPENAI_BASE_URL": wire.base_url}
    script = (
        f'set -m; {" ".join(IMGCLI)} gen "a cat"; echo "stopped with $?"; sleep 0.3; fg; echo "ended with $?"'
    )
    with PtyRun(["-c", script], env, room.root / "here", program=("bash",), rows=40) as run:
        run.wait_for(lambda seen: "partial" in seen.text)
        run.type(b"\x1a")
        run.wait_for(lambda seen: "stopped with" in seen.text)
        wire.go_on()
        stopped = run.cursor_visible, run.screen.cursor.attrs.bg
        run.wait_for(lambda seen: "ended with" in seen.text)
        assert "ended with 0" in run.text, run.text
        run.finish()
        assert run.cursor_visible
    assert image("NOISE") == (room.root / "here/a-cat.png").read_bytes()
    assert (True, "default") == stopped


@pytest.mark.slow
def test_a_job_in_the_background(server: Server, room: Room) -> None:
    """`imgcli gen ... &` at a terminal runs to its end, and does not fight for the terminal."""
    wire = server(Reply(whole_run()))
    env = room.env | TERMINAL | {"OPENAI_BASE_URL": wire.base_url}
    script = f'set -m; {" ".join(IMGCLI)} gen "a cat" & wait $!; echo "ended with $?"'
    with PtyRun(["-c", script], env, room.root / "here", program=("bash",)) as run:
        run.wait_for(lambda seen: "ended with" in seen.text, 30)
        assert "ended with 0" in run.text, run.text
        run.finish()
    assert image("RED") == (room.root / "here/a-cat.png").read_bytes()


def test_a_terminal_that_goes_away(server: Server, room: Room) -> None:
    """A terminal that is closed under it ends it by SIGHUP, and the preview is kept."""
    wire = server(Reply(stream(created(), partial(0, image("BLUE"))), end=End.STALL))
    env = room.env | TERMINAL | {"OPENAI_BASE_URL": wire.base_url}
    run = PtyRun(["gen", "a cat"], env, room.root / "here").__enter__()
    run.wait_for(lambda seen: "partial" in seen.text)
    os.close(run._fd)  # noqa: SLF001 - the terminal's other end
    _, status = os.waitpid(run.pid, 0)
    assert -signal.SIGHUP == os.waitstatus_to_exitcode(status)
    assert image("BLUE") == (room.root / "here/a-cat.partial.png").read_bytes()
