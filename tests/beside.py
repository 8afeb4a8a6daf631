"""Running the command beside a test, and waiting for what it does."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zygote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wire import ScriptedServer

PATIENCE = 120
"""Seconds after which something is taken to hang: a busy machine is no defect."""


@contextmanager
def running(
    server: ScriptedServer,
    world: dict[str, str],
    folder: Path,
    *args: str,
    command: tuple[str, ...] = ("gen", "a cat"),
    **streams: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that asks this server; its output is piped unless told otherwise.

    If it still runs at the end, it is killed.
    """
    kept = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    env = world | {"OPENAI_BASE_URL": server.base_url}
    process = zygote.start([*zygote.IMGCLI, *command, *args], env=env, cwd=folder, **kept)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(seen: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so; fails the test when it never is."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
