"""`imgcli history`: every run is remembered, and none is worse off for it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE, running, wait_for
from faults import disks
from streams import (
    RED,
    TOOL_USAGE,
    USAGE,
    completed,
    created,
    image_item,
    item_done,
    partial,
    stream,
    whole_run,
)
from substitutes import waits
from terminal import PtyRun
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Look = Callable[..., list[dict[str, Any]]]

FINAL = stream(created(), partial(0), item_done(image_item()))


@pytest.fixture
def file(world: dict[str, str]) -> Path:
    """The history's file."""
    return Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3"


@pytest.fixture
def look(imgcli: Cli) -> Look:
    """Read the history as a program does."""

    def read(*args: str, **env: str) -> list[dict[str, Any]]:
        result = imgcli("history", "--json", *args, env=env)
        assert 0 == result.exit_code, result.stderr
        assert result.stdout.isascii()
        return [json.loads(line) for line in result.lines]

    return read


def test_a_run_is_remembered(server: Server, gen: Gen, look: Look, folder: Path) -> None:
    """Prompt, request, answer, usage, cost, file: all of it, under a short number."""
    wire = server(Reply(whole_run()))
    told = json.loads(gen(wire, "a cat", "--jsonl", "--jsonl-images", "none").lines[-1])
    (run,) = look()
    expected = {
        "id": 1,
        "job": told["job"],
        "outcome": "ok",
        "message": None,
        "charged": "yes",
        "cost_usd": told["cost_usd"],
        "prompt": "a cat",
        "model": "gpt-4o-mini-2024-07-18",
        "image_model": "gpt-image-2.6-sunburst",
        "endpoint": wire.base_url.split("/")[2],
        "response_id": "resp_1",
        "parents": [],
        "usage": USAGE,
        "tool_usage": TOOL_USAGE,
    }
    assert expected == {key: run[key] for key in expected}
    (image,) = run["pictures"]
    assert {
        "image": 0,
        "path": str(folder / "a-cat.png"),
        "sha256": hashlib.sha256(RED).hexdigest(),
        "format": "png",
        "bytes": len(RED),
        "width": 48,
        "height": 32,
        "revised_prompt": "A red rectangle",
    } == image
    assert ("a cat", "1024x1024") == (run["request"]["prompt"], run["request"]["size"])
    assert run["started"] < run["ended"]


def test_a_failure_is_remembered(server: Server, gen: Gen, look: Look) -> None:
    """A refused run is remembered with its reason, and that it cost nothing."""
    wire = server(error_reply(400, "Your request was rejected.", "moderation_blocked"))
    assert 5 == gen(wire, "a cat").exit_code
    (run,) = look()
    assert ("refused", 0, []) == (run["outcome"], run["cost_usd"], run["pictures"])
    assert "rejected" in run["message"]


def test_what_was_never_sent_is_no_run(imgcli: Cli, look: Look) -> None:
    """A wrong option, a missing key and --dry-run leave nothing behind."""
    assert 2 == imgcli("gen", "a cat", "--demo", "--size", "1x1").exit_code
    assert 4 == imgcli("gen", "a cat").exit_code
    assert 0 == imgcli("gen", "a cat", "--dry-run").exit_code
    assert [] == look()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL], ids=["int", "kill"])
def test_broken_off_and_recovered(
    signum: signal.Signals, server: Server, world: dict[str, str], folder: Path, imgcli: Cli, look: Look
) -> None:
    """A run that a signal broke off is remembered as that; recovered, it is the same run, and not twice."""
    wire = server(Reply(stream(created(), partial(0)), end=End.STALL))
    with running(wire, world, folder) as process:
        assert wire.sent.wait(PATIENCE)
        records = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
        wait_for(lambda: any(b"partial_image_b64" in path.read_bytes() for path in records.glob("*.sse")))
        process.send_signal(signum)
        process.wait(PATIENCE)
    before = look()
    if signum == signal.SIGINT:
        assert [("interrupted", None, "maybe")] == [
            (run["outcome"], run["cost_usd"], run["charged"]) for run in before
        ]
    (record,) = records.glob("*.sse")
    record.write_bytes(
        record.read_bytes() + FINAL[len(stream(created(), partial(0))) :] + stream(completed())
    )
    assert 0 == imgcli("recover").exit_code
    (run,) = look()
    assert (1, "ok", "a cat", wire.base_url.split("/")[2]) == (
        run["id"],
        run["outcome"],
        run["prompt"],
        run["endpoint"],
    )
    assert str(folder / "a-cat.png") == run["pictures"][0]["path"]
    assert before == [] or before[0]["started"] == run["started"]


def test_no_history(server: Server, world: dict[str, str], folder: Path, imgcli: Cli, look: Look) -> None:
    """With --no-history nothing is remembered, not even when the run had to be recovered."""
    wire = server(Reply(FINAL, end=End.STALL))
    with running(wire, world, folder, "--no-history") as process:
        wait_for((folder / "a-cat.png").exists)
        process.kill()
        process.wait(PATIENCE)
    assert 0 == imgcli("recover").exit_code
    assert [] == look()


@pytest.mark.slow
def test_six_at_once(server: Server, world: dict[str, str], folder: Path, look: Look) -> None:
    """Runs that end at the same time are all remembered."""
    wire = server(Reply(whole_run()))
    with ExitStack() as stack:
        processes = [stack.enter_context(running(wire, world, folder)) for _ in range(6)]
        paths = {process.communicate(timeout=PATIENCE)[0].decode().strip() for process in processes}
    assert [0] * 6 == [process.returncode for process in processes]
    runs = look()
    assert {1, 2, 3, 4, 5, 6} == {run["id"] for run in runs}
    assert paths == {run["pictures"][0]["path"] for run in runs}


@pytest.fixture
def gen_once(server: Server, gen: Gen, folder: Path) -> Callable[[], Result]:
    """Run `imgcli gen` well."""

    def run() -> Result:
        result = gen(server(Reply(whole_run())), "a cat")
        assert (0, RED) == (result.exit_code, (folder / "a-cat.png").read_bytes()), result.stderr
        return result

    return run


def damage(file: Path) -> None:
    """Leave something that is no database."""
    file.write_bytes(b"SQLite format 3\0" + os.urandom(9000))


def age(file: Path) -> None:
    """Leave the history of a newer imgcli."""
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("PRAGMA user_version = 7")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (damage, "history.damaged-1.sqlite3"),
        (age, "history.newer-1.sqlite3"),
        (Path.mkdir, "not a regular file"),
        (lambda file: file.symlink_to("/dev/full"), "not a regular file"),
        (lambda file: (file.parent.rmdir(), file.parent.write_text("")), "Not a directory"),
    ],
    ids=["damaged", "newer", "folder", "device", "no folder"],
)
def test_trouble_is_a_note(
    trouble: Callable[[Path], object],
    words: str,
    gen_once: Callable[[], Result],
    imgcli: Cli,
    file: Path,
) -> None:
    """Whatever is wrong with the history, the image is saved, the exit code 0, and one line says it."""
    file.parent.mkdir(parents=True)
    trouble(file)
    result = gen_once()
    (line,) = (line for line in result.stderr.splitlines() if "history" in line)
    assert line.startswith("note: ")
    assert words in line
    listed = imgcli("history")
    is_remembered = words.endswith(".sqlite3")
    assert ((0, 1) if is_remembered else (2, 0)) == (listed.exit_code, len(listed.lines)), listed.stderr


def test_locked(server: Server, gen: Gen, file: Path, folder: Path, look: Look) -> None:
    """A history that somebody keeps locked costs a note, and what was in it can still be read."""
    wire = server(Reply(whole_run()))
    gen(wire, "a cat")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = gen(wire, "a dog", env=waits(history_wait=0.2))
        assert 1 == len(look(**waits(history_wait=0.2)))
    assert (0, RED) == (result.exit_code, (folder / "a-dog.png").read_bytes())
    assert 1 == result.stderr.count("this run is not in the history yet (another program keeps it locked)")


@pytest.mark.parametrize("command", ["history", "recover", "gen"])
def test_a_row_that_waits(
    command: str, server: Server, gen: Gen, imgcli: Cli, world: dict[str, str], look: Look
) -> None:
    """What a locked history did not take in a second is written later, also where the image has moved."""
    wire, file = server(Reply(whole_run())), Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3"
    gen(wire, "a cat")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        (path,) = gen(wire, "a dog", "-q", env=waits(history_wait=0.2)).lines
    Path(path).rename(Path(path).with_name("moved.png"))
    (waiting,) = (Path(world["XDG_STATE_HOME"]) / "imgcli" / "rows").iterdir()
    assert 0o600 == waiting.stat().st_mode & 0o777
    env = {"OPENAI_BASE_URL": wire.base_url}
    done = imgcli(command, *["a bird"] * (command == "gen"), env=env)
    assert (0, False) == (done.exit_code, waiting.exists()), done.stderr
    told = {run["prompt"]: run for run in look()}
    assert ([path], "ok") == ([one["path"] for one in told["a dog"]["pictures"]], told["a dog"]["outcome"])
    assert told["a cat"]["cost_usd"] == told["a dog"]["cost_usd"]


@pytest.mark.parametrize("junk", [b"", b"{}", b"[1]", b"\xff", b'{"run": [], "pictures": 1}'])
def test_a_row_that_cannot_be_read(junk: bytes, imgcli: Cli, world: dict[str, str]) -> None:
    """It harms nobody."""
    rows = Path(world["XDG_STATE_HOME"]) / "imgcli" / "rows"
    rows.mkdir(parents=True, mode=0o700)
    (rows / "odd.json").write_bytes(junk)
    assert (0, b"") == (imgcli("history").exit_code, imgcli("history").stdout)


def test_ctrl_c_under_a_lock(
    server: Server, gen: Gen, world: dict[str, str], folder: Path, file: Path
) -> None:
    """A run that is broken off while the history is locked ends at once, and its row waits."""
    gen(server(Reply(whole_run())), "a cat")
    runs = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
    wire = server(Reply(stream(created()), end=End.STALL))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running(wire, world, folder) as process:
            wait_for(lambda: any(b"created" in path.read_bytes() for path in runs.glob("*.sse")))
            process.send_signal(signal.SIGINT)
            assert -signal.SIGINT == process.wait(3)
    assert 1 == len(list((Path(world["XDG_STATE_HOME"]) / "imgcli" / "rows").iterdir()))


@pytest.mark.skipif(not disks.permitted(), reason="no mounts here")
@pytest.mark.parametrize("closed", ["folder", "file", "both"])
def test_a_history_that_cannot_be_written(
    closed: str, server: Server, gen: Gen, mortal: Cli, world: dict[str, str], folder: Path
) -> None:
    """A backup, or a disk that is mounted for reading, can be read; a new run is a note, and is saved."""
    assert 0 == gen(server(Reply(whole_run())), "a cat").exit_code
    place = Path(world["XDG_DATA_HOME"]) / "imgcli"
    for path in place.iterdir() if closed != "folder" else ():
        path.chmod(0o400)
    place.chmod(0o700 if closed == "file" else 0o500)
    for command in ("history", "cost", "tree", "info"):
        done = mortal(command, *["1"] * (command in {"tree", "info"}))
        assert 0 == done.exit_code, done.stderr
    assert "a-cat.png" in mortal("info", "a-cat.png").stdout.decode()
    done = mortal("gen", "a dog", env={"OPENAI_BASE_URL": server(Reply(whole_run())).base_url})
    assert (0, True) == (done.exit_code, (folder / "a-dog.png").exists()), done.stderr
    assert "this run is not in the history yet (it cannot be written)" in done.stderr
    place.chmod(0o700)


@pytest.mark.slow  # every day a history that others own, or that is locked, holds what is said of it
def test_full_and_read_only(server: Server, world: dict[str, str], folder: Path, tmp_path: Path) -> None:
    """On a full disk the image comes first; a history on a disk that cannot be written is still read."""
    wire = server(Reply(whole_run()))
    data = tmp_path / "disk"
    data.mkdir()
    imgcli = f"'{sys.executable}' -m imgcli"
    script = (
        f"set -e; cd '{folder}'; {imgcli} gen one;"
        f" cat /dev/zero > {data}/fill 2>&- || true; {imgcli} gen two; rm {data}/fill;"
        f" mount -o remount,ro {data}; {imgcli} gen three; {imgcli} history"
    )
    with disks.small(data, "size=1m") as (_, enter):
        done = subprocess.run(
            [*enter, str(data), "sh", "-c", script],
            env=world | {"XDG_DATA_HOME": str(data), "OPENAI_BASE_URL": wire.base_url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert 0 == done.returncode, done.stderr
    *saved, listed = done.stdout.splitlines()
    assert [str(folder / f"{name}.png") for name in ("one", "two", "three")] == saved
    assert ["1", "one"] == [listed.split("  ")[index] for index in (0, 3)]
    notes = [line for line in done.stderr.splitlines() if "not in the history" in line]
    assert ["the disk is full", "it cannot be written"] == [
        line.partition("(")[2].partition(")")[0].removesuffix(" or failing") for line in notes
    ]


def test_foreign_text(server: Server, gen: Gen, imgcli: Cli, folder: Path) -> None:
    """Nothing in a prompt, an answer or a folder's name is obeyed by a terminal."""
    item = image_item(revised_prompt="\x1b]0;evil\x07")
    wire = server(Reply(stream(created(), item_done(item), completed(item))))
    odd = folder / "\x1b[5m"
    odd.mkdir()
    prompt = "\x1b[31mred\u202e \u009b 貓"
    gen(wire, prompt, cwd=odd)
    shown, told = imgcli("history"), imgcli("history", "--json")
    assert [] == [c for c in shown.stdout.decode() if not c.isprintable() and c != "\n"]
    assert "貓" in shown.stdout.decode()
    assert told.stdout.isascii()
    (run,) = map(json.loads, told.lines)
    assert (prompt, str(odd)) == (run["prompt"], str(Path(run["pictures"][0]["path"]).parent))


def test_on_a_terminal(server: Server, gen: Gen, world: dict[str, str], folder: Path) -> None:
    """Lines fit the terminal's width, whatever the letters; --preview shows what is still there."""
    wire = server(Reply(whole_run()))
    for prompt in ("a cat on a very long wall " * 9, "貓" * 60, "gone"):
        gen(wire, prompt, "--partials", "0")
    (folder / "gone.png").write_bytes(b"another")
    env = world | {"TERM": "xterm-256color"}
    for columns in (60, 30):
        with PtyRun(["history"], env, folder, columns=columns) as run:
            assert 0 == run.finish()
            assert ["3", "2", "1"] == [line.split()[0] for line in run.lines if line]
    with PtyRun(["history", "--preview", "half"], env, folder, rows=60) as run:
        assert 0 == run.finish()
    captions = next(row for row, line in enumerate(run.lines) if line.startswith("2  貓"))
    assert "1  a-cat-on" in run.lines[captions]
    assert captions > 3
    assert ["3", "2", "1"] == [line.split()[0] for line in run.lines[captions + 2 :] if line]


def test_forget_asks(server: Server, gen: Gen, world: dict[str, str], folder: Path, file: Path) -> None:
    """--forget asks on a terminal; yes means that nothing is left but the images."""
    gen(server(Reply(whole_run())), "a wall", "-o", "x.png")
    for key, is_left in ((b"n\n", True), (b"y\n", False)):
        with PtyRun(["history", "--forget"], world, folder) as run:
            run.wait_for(lambda run: "[y/N]" in run.text)
            run.type(key)
            assert 0 == run.finish()
        data = b"".join(path.read_bytes() for path in file.parent.iterdir())
        assert is_left == (b"a wall" in data)
    assert RED == (folder / "x.png").read_bytes()


def test_forget_some(server: Server, gen: Gen, imgcli: Cli, look: Look) -> None:
    """--search names what is forgotten; where nobody can be asked, --yes is needed."""
    wire = server(Reply(whole_run()))
    for prompt in ("a cat", "a dog", "a fog"):
        gen(wire, prompt)
    refused = imgcli("history", "--forget", "--search", "og")
    assert 2 == refused.exit_code
    assert "2 runs" in refused.stderr
    assert 0 == imgcli("history", "--forget", "--search", "OG", "--yes").exit_code
    assert ["a cat"] == [run["prompt"] for run in look()]
    assert ["a cat"] == [run["prompt"] for run in look("--search", "CAT", "--limit", "1")]


@pytest.mark.parametrize("which", [(), ("--search", "DOG")], ids=["all", "some"])
def test_forget_what_did_not_end_well(
    which: tuple[str, ...], server: Server, gen: Gen, imgcli: Cli, world: dict[str, str], look: Look
) -> None:
    """What may hold a paid image is not destroyed: you are told where it is, and what to do."""
    damaged = stream(created(), item_done(image_item(RED[:-20])), completed(image_item(RED[:-20])))
    assert 11 == gen(server(Reply(damaged)), "a dog").exit_code
    gen(server(Reply(whole_run())), "a cat")
    (record,) = (Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs").iterdir()
    told = f"note: {record} still has the prompt of an unfinished run, and possibly its image"
    for _ in range(2):  # the second time no run of the history is left to be named
        done = imgcli("history", "--forget", *which, "--yes")
        assert (0, True) == (done.exit_code, told in done.stderr), done.stderr
    assert (len(which) // 2, True) == (len(look()), record.exists())
    record.unlink()
    assert "unfinished run" not in imgcli("history", "--forget", *which, "--yes").stderr


def test_forget_leaves_other_records_unsaid(server: Server, gen: Gen, imgcli: Cli) -> None:
    """Of a record that belongs to no forgotten run nothing is told."""
    damaged = stream(created(), item_done(image_item(RED[:-20])), completed(image_item(RED[:-20])))
    gen(server(Reply(damaged)), "a dog")
    gen(server(Reply(whole_run())), "a cat")
    done = imgcli("history", "--forget", "--limit", "1", "--yes")
    assert "note: 1 run removed from the history; image files are kept\n" == done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--limit", "0"],
        ["--search", " "],
        ["--yes"],
        ["--forget", "--json"],
        ["--forget", "--preview", "auto"],
        ["--json", "--preview", "half"],
        ["--forget", "--search", "", "--yes"],
    ],
    ids=" ".join,
)
def test_wrong_options(args: list[str], imgcli: Cli) -> None:
    """Options that make no sense together are refused."""
    assert 2 == imgcli("history", *args).exit_code


def test_nothing_yet(imgcli: Cli) -> None:
    """An empty history is one friendly sentence, beside the result."""
    for command in ("history", "cost"):
        result = imgcli(command)
        assert (0, b"", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines()))


def test_completions(server: Server, gen: Gen, world: dict[str, str]) -> None:
    """A Tab offers ids with their prompts, without loading what it can do without, and never an error."""
    gen(server(Reply(whole_run())), "a \x1b[31m cat")
    code = (
        "import sys\nfrom imgcli.cli.completion import history_ids\n"
        "print(*history_ids(''), *history_ids('2'), sep='\\n')\nprint(*sys.modules, file=sys.stderr)"
    )
    bare = {name: value for name, value in world.items() if not name.startswith("COVERAGE")}
    for env, offered in (
        (bare, "('1', 'a 31m cat')\n\n"),
        (bare | {"XDG_DATA_HOME": "/gone"}, "\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert offered.rstrip() == done.stdout.rstrip()
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert set() == loaded & {"openai", "PIL", "rich", "typer", "decimal", "pydantic"}


@pytest.mark.parametrize("args", [["history"], ["history", "--search", "cat"], ["cost"]], ids=" ".join)
def test_light(args: list[str], world: dict[str, str]) -> None:
    """Looking back loads none of the packages that cost more than the looking."""
    code = (
        "import sys, os\n"
        f"sys.argv = ['imgcli', *{args!r}]\n"
        "os._exit = lambda code: (print(*sys.modules), sys.exit(code))\n"
        "from imgcli.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=world, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert set() == loaded & {"openai", "httpx2", "PIL", "rich", "rich_pixels", "pydantic"}
