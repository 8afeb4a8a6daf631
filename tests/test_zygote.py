"""The forks that stand in for new interpreters do what those do."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import zygote
from beside import PATIENCE, running
from streams import BLUE, RED, whole_run
from substitutes import waits
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

needs_forks = pytest.mark.skipif(
    not zygote.may_fork(zygote.IMGCLI, {"env": zygote.ENV}), reason="commands are not forked here"
)


@needs_forks
@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["gen", "--help"],
        ["gen"],
        ["gen", "a cat", "--size", "1x1"],
        ["gen", "猫 \udcff", "--dry-run"],
        ["gen", "-", "--dry-run"],
        ["nonsense"],
        ["history", "--json"],
        ["view", "missing.png"],
    ],
    ids=" ".join,
)
def test_no_difference(args: list[str], world: dict[str, str], folder: Path) -> None:
    """Exit code and every byte are those of the command from scratch."""
    streams = {"input": "a cat\u2028".encode(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    fork = zygote.run([*zygote.IMGCLI, *args], PATIENCE, env=world, cwd=folder, **streams)
    scratch = zygote.run(["env", *zygote.IMGCLI, *args], PATIENCE, env=world, cwd=folder, **streams)
    assert (scratch.returncode, scratch.stdout, scratch.stderr) == (fork.returncode, fork.stdout, fork.stderr)


@needs_forks
def test_each_is_a_process_of_its_own(
    server: Callable[..., ScriptedServer], world: dict[str, str], folder: Path
) -> None:
    """Each run has the environment, the folder and the arguments that it was started with, and no other's."""
    wires = [server(Reply(whole_run(data))) for data in (RED, BLUE)]
    for number, wire in enumerate(wires):
        (folder / str(number)).mkdir()
        with running(wire, world, folder / str(number), "-o", f"{number}.png") as process:
            told = process.communicate(timeout=PATIENCE)
        assert (0, 1) == (process.returncode, wire.posts), told
    assert RED == (folder / "0" / "0.png").read_bytes()
    assert BLUE == (folder / "1" / "1.png").read_bytes()


@pytest.mark.parametrize(
    "world_of_its_own",
    [{"PYTHONPATH": "."}, {"LC_ALL": "C"}, {"LANG": "de_DE.UTF-8"}, {"PYTHONWARNINGS": "error"}],
    ids=str,
)
def test_what_an_interpreter_reads_at_its_start(world_of_its_own: dict[str, str]) -> None:
    """A command whose interpreter would start in another way has an interpreter of its own."""
    assert not zygote.may_fork(zygote.IMGCLI, {"env": zygote.ENV | world_of_its_own})


@pytest.mark.parametrize("odd", [{"preexec_fn": print}, {"pass_fds": [5]}, {"shell": True}], ids=str)
def test_what_a_fork_cannot_be_told(odd: dict[str, Any]) -> None:
    """Nor is a fork taken where something is asked for that it does not know."""
    assert not zygote.may_fork(zygote.IMGCLI, {"env": zygote.ENV, **odd})


@needs_forks
def test_a_waiting_time_that_the_program_does_not_have(world: dict[str, str], folder: Path) -> None:
    """A test that shortens a time by a name that has gone fails, and does not wait in silence."""
    env = world | waits(**{"app.lookup._FORMER_PATIENCE": 1.0})
    done = zygote.run([*zygote.IMGCLI, "history"], PATIENCE, env=env, cwd=folder, stderr=subprocess.PIPE)
    assert (1, True) == (done.returncode, b"_FORMER_PATIENCE" in done.stderr)
