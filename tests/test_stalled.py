"""Readers that take nothing: a terminal after Ctrl-S, a pipe that nobody empties."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, running, wait_for
from streams import RED, completed, created, image_item, item_done, partial, png, stream, whole_run
from substitutes import waits
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

LARGE = png(width=1) + os.urandom(100_000)
"""More than a pipe holds, for a partial that nobody has to decode."""
HASTY = waits(
    **{"output.sinks.queued._PATIENCE": 0.2, "app.reporting._PATIENCE": 0.2, "cli.app._FLUSH_TIMEOUT": 0.2}
)
"""Three seconds in all for a reader that takes nothing, when a run is broken off, are less here."""


@pytest.mark.parametrize("signum", [None, signal.SIGTERM], ids=["waits", "term"])
def test_a_jsonl_reader_that_sleeps(
    signum: signal.Signals | None, server: Server, world: dict[str, str], folder: Path
) -> None:
    """A reader that takes no lines holds up neither the saving nor the end by a signal, and misses none."""
    body = stream(created(), *(partial(index, LARGE) for index in range(3)), item_done(image_item()))
    whole = body + stream(completed(image_item()))
    reply = Reply(body, end=End.STALL) if signum else Reply(whole)
    with running(server(reply), world | HASTY, folder, "--jsonl", stderr=subprocess.DEVNULL) as process:
        wait_for((folder / "a-cat.png").exists)
        if signum:
            process.send_signal(signum)
            assert -signum == process.wait(PATIENCE)
        else:
            stdout, _ = process.communicate(timeout=PATIENCE)
            assert (0, 4) == (process.returncode, len(stdout.splitlines()))
    assert RED == (folder / "a-cat.png").read_bytes()


def read(master: int) -> bytes:
    """Read from a terminal; empty when the last process has left it."""
    try:
        return os.read(master, 65_536)
    except OSError:
        return b""


@pytest.mark.parametrize("preview", ["off", "blocks"])
def test_a_stopped_terminal(preview: str, server: Server, world: dict[str, str], folder: Path) -> None:
    """After Ctrl-S the image is saved all the same; after Ctrl-Q everything is shown."""
    head = stream(created(), partial(0))
    wire = server(Reply(head + whole_run(), holds=(len(head),)))
    master, slave = pty.openpty()
    told = world | {"TERM": "xterm-256color"}
    args = ["--preview", preview]
    with running(wire, told, folder, *args, stdout=subprocess.DEVNULL, stderr=slave) as process:
        wait_for(lambda: wire.requests)
        termios.tcflow(slave, termios.TCOOFF)
        wire.go_on()
        wait_for((folder / "a-cat.png").exists)
        termios.tcflow(slave, termios.TCOON)
        os.close(slave)
        shown = b"".join(iter(lambda: read(master), b""))
        assert 0 == process.wait(PATIENCE)
    os.close(master)
    assert (RED, True) == ((folder / "a-cat.png").read_bytes(), b"a-cat.png" in shown)
