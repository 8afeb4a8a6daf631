"""A demo costs nothing, and never says that it may have."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import zygote
from beside import PATIENCE
from imgcli.core.demo import uncharged_events
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.events import Failed, Notice, Saved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Cli
    from imgcli.core.events import Event

PAID = Problem(ExitCode.DAMAGED, "It is damaged.", Charged.YES, "Look at it.")
PERHAPS = Problem(ExitCode.UNKNOWN, "It broke off.", Charged.MAYBE, CHECK_USAGE)


def test_every_problem_is_free() -> None:
    """Whatever becomes of a demo, nothing was charged; advice stays, but for the advice to look at a bill."""
    saved, notice = Saved("j", 0, Path("a"), None), Notice("j", "odd")
    told: list[Event] = [notice, saved, replace(saved, problem=PAID), Failed("j", PERHAPS)]
    free = Problem(ExitCode.DAMAGED, "It is damaged.", Charged.NO, "Look at it.")
    gone = Problem(ExitCode.UNKNOWN, "It broke off.", Charged.NO)
    assert [notice, saved, replace(saved, problem=free), Failed("j", gone)] == list(uncharged_events(told))


def test_a_standard_output_that_is_full(imgcli: Cli, folder: Path) -> None:
    """Where the path cannot be told, the picture is there, and it cost nothing."""
    with Path("/dev/full").open("wb") as full:
        done = imgcli("gen", "a cat", "--demo", "-q", stdout=full)
    assert (10, True) == (done.exit_code, (folder / "a-cat.png").exists())
    assert "Nothing was charged." in done.stderr
    assert "You" not in done.stderr


@contextmanager
def painting(world: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a demo, and go on once its first partial is there."""
    command = [*zygote.IMGCLI, "gen", "a cat", "--demo", "--partials", "3"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = zygote.start(command, env=world, cwd=folder, **streams)
    try:
        assert process.stderr
        for line in process.stderr:
            if b"partial 1" in line:
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_broken_off(world: dict[str, str], folder: Path, imgcli: Cli) -> None:
    """A demo that Ctrl-C ends keeps its last partial, says so, and leaves nothing that is perhaps owed."""
    with painting(world, folder) as run:
        run.send_signal(signal.SIGINT)
        told = run.communicate(timeout=PATIENCE)[1].decode()
    assert -signal.SIGINT == run.returncode
    assert f"The last partial image is kept as {folder / 'a-cat.partial.png'}." in told
    assert "Nothing was charged." in told
    assert "note: there is nothing to recover\n" == imgcli("recover").stderr


def test_killed(world: dict[str, str], folder: Path, imgcli: Cli) -> None:
    """What a killed demo left is recovered without a word about a bill."""
    with painting(world, folder) as run:
        run.kill()
    told = imgcli("recover").stderr
    assert "Nothing was charged." in told
    assert "You may" not in told
    assert "usage page" not in told
