"""A demo costs nothing, and never says that it may have."""

from __future__ import annotations

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE
from earlier import runs
from flatpaint import painted_flat
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.events import Failed, Notice, Saved
from imgcli.core.pipeline import mark_uncharged
from imgcli.demo.server import DemoServer
from streams import whole_run
from substitutes import PACE
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Cli, Result
    from imgcli.core.events import Event
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

PAID = Problem(ExitCode.DAMAGED, "It is damaged.", Charged.YES, "Look at it.")
PERHAPS = Problem(ExitCode.UNKNOWN, "It broke off.", Charged.MAYBE, CHECK_USAGE)


def test_every_problem_is_free() -> None:
    """Whatever becomes of a demo, nothing was charged; advice stays, but for the advice to look at a bill."""
    saved, notice = Saved("j", 0, Path("a"), None), Notice("j", "odd")
    told: list[Event] = [notice, saved, replace(saved, problem=PAID), Failed("j", PERHAPS)]
    free = Problem(ExitCode.DAMAGED, "It is damaged.", Charged.NO, "Look at it.")
    gone = Problem(ExitCode.UNKNOWN, "It broke off.", Charged.NO)
    assert [notice, saved, replace(saved, problem=free), Failed("j", gone)] == list(mark_uncharged(told))


def test_a_standard_output_that_is_full(imgcli: Cli, folder: Path) -> None:
    """Where the path cannot be told, the image is there, and it cost nothing."""
    with Path("/dev/full").open("wb") as full:
        done = imgcli("gen", "a cat", "--demo", "-q", stdout=full)
    assert (10, True) == (done.exit_code, (folder / "a-cat.png").exists())
    assert "Nothing was charged." in done.stderr
    assert "You" not in done.stderr


SEEDED = ("--demo", "--seed", "7", "-q")


@pytest.mark.slow  # every day `test_demo_server.py` holds it, without commands
def test_a_seed_repeats_an_image(imgcli: Cli, folder: Path) -> None:
    """A demo's image comes again with its seed, by gen, again and edit; without one it is another."""
    asked = {
        "a": ("gen", "a cat", *SEEDED),
        "b": ("gen", "a cat", "--demo", "-q"),
        "c": ("again", "first.png", *SEEDED),
        "d": ("again", "first.png", "--demo", "-q"),
        "e": ("edit", "first.png", "at night", *SEEDED),
        "f": ("edit", "first.png", "at night", *SEEDED),
    }
    assert 0 == imgcli("gen", "a cat", *SEEDED, "-o", "first.png").exit_code
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda name: imgcli(*asked[name], "-o", f"{name}.png"), asked)
    assert [0] * len(asked) == [one.exit_code for one in done]
    first, a, b, c, d, e, f = ((folder / f"{name}.png").read_bytes() for name in ("first", *asked))
    assert (first, first, e) == (a, c, f)
    assert 4 == len({first, b, d, e})


@pytest.mark.parametrize("model", ["gpt-4o-mini", pytest.param("gpt-image-2", marks=pytest.mark.slow)])
def test_runs_with_equal_images(model: str, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """Of two runs whose images are equal, info, edit, again and tree mean the one that saved the file."""
    with painted_flat(), DemoServer(pace=0, seed=7) as demo:
        env = {"OPENAI_BASE_URL": demo.base_url}
        for words in (
            ["gen", "a cat", "-m", model],
            ["gen", "a cat", "-m", model],
            ["edit", "a-cat.png", "x"],
        ):
            assert 0 == imgcli(*words, "-q", env=env).exit_code
        assert 0 == imgcli("again", "a-cat-edit.png", "-q", env=env).exit_code
    assert (folder / "a-cat.png").read_bytes() == (folder / "a-cat-2.png").read_bytes()
    told = [json.loads(line) for line in imgcli("info", "--json", "a-cat.png", "a-cat-2.png").lines]
    assert [(1, [3, 4]), (2, [])] == [(one["run"]["id"], one["children"]) for one in told]
    trees = [json.loads(line) for line in imgcli("tree", "--json", "a-cat-edit.png").lines]
    assert [1, 3] == [one["id"] for one in trees]
    assert [2] == [json.loads(line)["id"] for line in imgcli("tree", "--json", "a-cat-2.png").lines]
    again, edit, _, first = runs(world)
    assert again.request
    assert edit.request
    if edit.request.previous_response_id:
        told_of = [one.previous_response_id for one in (edit.request, again.request)]
        assert [first.response_id] * 2 == told_of


def test_a_demo_server_with_a_seed(world: dict[str, str], imgcli: Cli, folder: Path) -> None:
    """`demo-server --seed` gives the same image for the same request."""
    command = [*zygote.IMGCLI, "demo-server", "--seed", "7"]
    process = zygote.start(command, env=world, cwd=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        env = {"OPENAI_BASE_URL": process.stdout.readline().decode().strip().partition("=")[2]}
        wish = ("gen", "a cat", "-m", "gpt-image-2", "--no-stream", "-q")
        assert [0, 0] == [imgcli(*wish, env=env).exit_code for _ in range(2)]
    finally:
        process.kill()
        process.communicate()
    assert (folder / "a-cat.png").read_bytes() == (folder / "a-cat-2.png").read_bytes()


@pytest.mark.parametrize("words", [("gen", "a cat"), ("edit", "a.png", "a cat"), ("again", "a.png")])
def test_a_seed_for_a_model(words: tuple[str, ...], gen: Gen, server: Server, imgcli: Cli) -> None:
    """A seed that no model takes is refused before anything is sent."""
    wire = server(Reply(whole_run()))
    assert 0 == gen(wire, "a cat", "-o", "a.png").exit_code
    told = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": "sk-test"}
    done = imgcli(*words, "--seed", "7", env=told)
    assert (2, b"", 1) == (done.exit_code, done.stdout, len(wire.requests))
    assert done.stderr.startswith("error: The models take no seed;")
    assert "add --demo" in done.stderr


def test_a_seed_is_no_part_of_the_request(imgcli: Cli) -> None:
    """--dry-run shows what OpenAI would get, with a seed or without."""
    shown = [imgcli("gen", "a cat", "--demo", *seed, "--dry-run") for seed in ((), ("--seed", "7"))]
    assert [0, 0] == [one.exit_code for one in shown]
    assert shown[0].stdout == shown[1].stdout


@contextmanager
def painting(world: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a demo, and go on once its first partial is there."""
    command = [*zygote.IMGCLI, "gen", "a cat", "--demo", "--partials", "3"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = zygote.start(command, env=world | {PACE: "1"}, cwd=folder, **streams)
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
