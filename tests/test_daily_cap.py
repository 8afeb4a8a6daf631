"""The daily cap: each run is reserved in the history before it is sent, through the real command."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE, running, wait_for
from earlier import REQUEST, history, remember, runs
from flatpaint import painted_flat
from imgcli.app.context import Context
from imgcli.app.generate import generate
from imgcli.app.options import (
    DisplayOptions,
    GenerateOptions,
    OutputFormat,
    OutputOptions,
    ServerOptions,
)
from imgcli.app.preview_options import PreviewOptions
from imgcli.core.billing.budget import Budget, Cap
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.params import DEMO, InlineImages
from imgcli.core.request import DraftRequest
from imgcli.demo.server import DemoServer
from imgcli.store.runlog.writer import RunLog, RunLogHeader
from streams import BLUE, ROUND_TOOL_USAGE, ROUND_USAGE, completed, created, image_item, item_done, stream
from wire import End, Reply, ScriptedServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from conftest import Cli, Result

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

WHOLE = stream(
    created(),
    item_done(image_item()),
    completed(image_item(), usage=ROUND_USAGE, tool_usage=ROUND_TOOL_USAGE),
)
"""A run that cost $0.0310; before it is sent it may cost $0.0964."""
PARTED = stream(created(), item_done(image_item()))
ONE, TWO, THREE = ("--daily-cap=0.15", "--daily-cap=0.20", "--daily-cap=0.30")
"""Room for so many images of unknown cost."""


@pytest.fixture
def data(world: dict[str, str]) -> Path:
    """Where the history is."""
    return Path(world["XDG_DATA_HOME"]) / "imgcli"


@pytest.fixture
def locked(world: dict[str, str], data: Path) -> Iterator[Path]:
    """A history that another program keeps locked."""
    with history(world) as book:
        book.record(remember(world, endpoint=DEMO))
    with closing(sqlite3.connect(data / "history.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield data


@dataclass
class Held(ScriptedServer):
    """Answers nobody before everybody has been heard or turned away."""

    go: threading.Event = field(default_factory=threading.Event)

    def _play(self, connection: socket.socket, reply: Reply) -> bool:
        self.go.wait(PATIENCE)
        return super()._play(connection, reply)


@pytest.mark.parametrize("home", ["new", pytest.param("old", marks=pytest.mark.slow)])
def test_twenty_at_once(home: str, world: dict[str, str], folder: Path) -> None:
    """Twenty processes with a cap for three images send three requests; the others are refused for free."""
    if home == "old":
        remember(world, endpoint="api.example", cost=Decimal(1))
    with ExitStack() as stack:
        wire = stack.enter_context(Held([Reply(WHOLE)]))
        processes = [
            stack.enter_context(running(wire, world, folder, "-q", "-o", f"{number}.png", THREE))
            for number in range(20)
        ]
        wait_for(lambda: sum(process.poll() is not None for process in processes) >= 17)
        wait_for(lambda: wire.posts >= 3)
        wire.go.set()
        codes = [process.wait(PATIENCE) for process in processes]
    assert ([0] * 3 + [2] * 17, 3) == (sorted(codes), wire.posts)
    assert 3 == len([path for path in folder.iterdir() if path.suffix == ".png"])
    with history(world) as book:
        assert [] == book.day(datetime.now(UTC) - timedelta(hours=1), lambda day, _: list(day.open))


def test_the_true_cost_counts(server: Server, gen: Gen) -> None:
    """A run that is over counts at what it cost, so that the next one has room."""
    wire = server(Reply(WHOLE))
    assert [0, 0, 2] == [gen(wire, "a cat", "-q", ONE).exit_code for _ in range(3)]
    assert 2 == wire.posts


@pytest.mark.parametrize("limit", [ONE, "--daily-cap=off"])
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_broke_off(
    signum: signal.Signals, limit: str, server: Server, gen: Gen, world: dict[str, str], folder: Path
) -> None:
    """It counts at its bound, while it goes on and afterwards, whether or not it had a cap itself."""
    wire = server(Reply(PARTED, end=End.STALL), Reply(WHOLE))
    with running(wire, world, folder, "-o", "broken.png", limit) as process:
        wait_for((folder / "broken.png").exists)
        refused = [gen(wire, "a dog", "-q", ONE)]
        process.send_signal(signum)
        process.wait(PATIENCE)
    refused.append(gen(wire, "a dog", "-q", ONE))
    assert ([2, 2], 1) == ([one.exit_code for one in refused], wire.posts), refused[1].stderr
    for one in refused:
        assert "Today's cost is $0.00 so far, up to $0.0964 more is reserved for 1 run" in one.stderr
    assert 0 == gen(wire, "a dog", "-q", TWO).exit_code


def test_what_recover_finds_counts(
    server: Server, gen: Gen, imgcli: Cli, world: dict[str, str], folder: Path
) -> None:
    """Where the record of a killed run tells what it cost, that counts in place of its bound."""
    body = WHOLE.rstrip(b"\n")
    wire = server(Reply(body, end=End.STALL), Reply(WHOLE))
    with running(wire, world, folder, ONE) as process:
        wait_for(lambda: any(path.read_bytes().endswith(body) for path in runs_of(world)), 30)
        process.kill()
    assert [2, 0] == [code.exit_code for code in (gen(wire, "a dog", "-q", ONE), imgcli("recover"))]
    assert 0 == gen(wire, "a dog", "-q", ONE).exit_code


def runs_of(world: dict[str, str]) -> list[Path]:
    """List the records."""
    return list((Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs").glob("*.sse"))


@pytest.mark.parametrize("end", ["recovered", "given up"])
def test_a_cost_that_nobody_tells(
    end: str, server: Server, gen: Gen, imgcli: Cli, world: dict[str, str], folder: Path
) -> None:
    """A run whose cost stays unknown counts at its bound until the day ends, or its owner gives up on it."""
    wire = server(Reply(PARTED, end=End.STALL), Reply(WHOLE))
    with running(wire, world, folder, "-o", "killed.png", ONE) as process:
        wait_for((folder / "killed.png").exists)
        process.kill()
    imgcli("recover")
    (run,) = runs(world)
    assert run.cost is None
    if end == "given up":
        with history(world) as book:
            book.release(run.job)
    assert {"recovered": 2, "given up": 0}[end] == gen(wire, "a dog", "-q", ONE).exit_code


@pytest.mark.parametrize(
    ("fields", "exit_code"),
    [
        ({"endpoint": "api.example"}, 2),
        ({"endpoint": None}, 2),
        ({"endpoint": "127.0.0.1:4000"}, 2),
        ({"endpoint": "localhost:4000", "billed": False}, 0),
        ({"endpoint": DEMO}, 0),
    ],
)
def test_whose_runs_count(
    fields: dict[str, Any], exit_code: int, server: Server, gen: Gen, world: dict[str, str], folder: Path
) -> None:
    """Everybody's who may have been paid: a gateway on this machine passes on what others charge."""
    began = datetime.now(UTC)
    told = {"cost": Decimal(9), "started": began, "ended": began, **fields}
    remember(world, (BLUE, folder / "other.png"), **told)
    result = gen(server(Reply(WHOLE)), "a cat", "-q", "--daily-cap", "1")
    assert exit_code == result.exit_code, result.stderr
    assert bool(exit_code) == ("Today's cost is $9.00 so far" in result.stderr)


@pytest.mark.parametrize(
    ("extra", "days", "exit_code"),
    [
        ({"endpoint": "api.example"}, 0, 2),
        ({"endpoint": None}, 0, 2),
        ({"endpoint": "127.0.0.1:9"}, 0, 2),
        ({"endpoint": "127.0.0.1:9", "billed": False}, 0, 0),
        ({"endpoint": "api.example"}, 2, 0),
        ({"endpoint": DEMO}, 0, 0),
    ],
)
def test_which_records_count(
    extra: dict[str, Any], days: int, exit_code: int, server: Server, gen: Gen, world: dict[str, str]
) -> None:
    """Those of today's runs that somebody may have been paid for."""
    began = datetime.now(UTC).astimezone() - timedelta(days=days)
    header = RunLogHeader("job-killed", began.isoformat(), REQUEST, "/", extra=extra)
    RunLog.begin(Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs", header).close()
    assert exit_code == gen(server(Reply(WHOLE)), "a cat", "-q", "--daily-cap", "0.1").exit_code


@pytest.mark.parametrize("way", ["unreachable", "no key", "unwritable"])
def test_what_was_not_sent_reserves_nothing(
    way: str, server: Server, gen: Gen, imgcli: Cli, folder: Path
) -> None:
    """A run that ended before it was sent leaves the day as it was."""
    args = ("gen", "a cat", "-q", ONE, *(["-o", "none/x.png"] if way == "unwritable" else []))
    nobody = {"OPENAI_BASE_URL": "https://127.0.0.2.example/v1"} if way == "no key" else {}
    (folder / "none").write_text("")
    done = imgcli(*args, env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"} | nobody)
    assert {"unreachable": 8, "no key": 4, "unwritable": 12}[way] == done.exit_code, done.stderr
    assert 0 == gen(server(Reply(WHOLE)), "a cat", "-q", ONE).exit_code


def test_a_locked_history(locked: Path, world: dict[str, str], server: Server, folder: Path) -> None:
    """What cannot be reserved in time is refused while it is free, with 12."""
    wire = server(Reply(WHOLE))
    here = Context.of_this_process(frozenset())
    assert 10 == here.reservation_wait
    options = GenerateOptions(
        DraftRequest("a cat"),
        OutputOptions(str(folder / "x.png")),
        DisplayOptions(OutputFormat.PATHS, InlineImages.NONE, PreviewOptions()),
        ServerOptions(wire.base_url, 9),
        Budget(day=Cap("daily-cap", Decimal(9))),
    )
    with pytest.raises(ImgcliError, match="another program keeps it locked") as caught:
        generate(replace(here, env=world, reservation_wait=0.3), [options])
    assert (ExitCode.UNWRITABLE, 0, []) == (
        caught.value.problem.exit_code,
        wire.posts,
        [*folder.iterdir(), *runs_of(world)],
    )
    assert locked.exists()


def test_ctrl_c_while_it_waits(locked: Path, world: dict[str, str], server: Server, folder: Path) -> None:
    """Nobody has to wait for a lock to be able to leave."""
    wire = server(Reply(WHOLE))
    with running(wire, world, folder, ONE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert -signal.SIGINT == process.wait(4)
    assert (0, True) == (wire.posts, locked.exists())


def test_a_history_that_cannot_be_written(
    server: Server, mortal: Cli, world: dict[str, str], data: Path
) -> None:
    """Then nothing is sent under a cap, and without one everything is as ever."""
    remember(world, endpoint=DEMO)
    wire = server(Reply(WHOLE))
    for path in data.iterdir():
        path.chmod(0o400)
    data.chmod(0o500)
    told = {"OPENAI_BASE_URL": wire.base_url}
    refused, sent = (mortal("gen", "a cat", "-q", f"--daily-cap={cap}", env=told) for cap in ("9", "off"))
    data.chmod(0o700)
    assert (12, 0, 1) == (refused.exit_code, sent.exit_code, wire.posts), refused.stderr
    assert "--daily-cap needs the history, which cannot be used: it cannot be written." in refused.stderr


def test_a_history_that_was_set_aside(server: Server, gen: Gen, data: Path) -> None:
    """Today's cost is unknown then, until its owner has looked and moved the file away."""
    wire = server(Reply(WHOLE))
    assert 0 == gen(wire, "a cat", "-q").exit_code
    (data / "history.sqlite3").write_bytes(b"no database" * 1000)
    first, lifted, second = (gen(wire, "a cat", "-q", "--daily-cap", cap) for cap in ("1", "off", "1"))
    assert (12, 0, 12, 2) == (first.exit_code, lifted.exit_code, second.exit_code, wire.posts), second.stderr
    for refused in (first, second):
        assert "Today's cost is unknown: a history was set aside as" in refused.stderr
    for path in data.glob("history.damaged-*"):
        path.unlink()
    assert 0 == gen(wire, "a cat", "-q", "--daily-cap", "1").exit_code


def test_the_mark_of_our_demo(server: Server, gen: Gen, imgcli: Cli, world: dict[str, str]) -> None:
    """Answers that bear it are free, of a server on this machine; without it the same answer counts."""
    with painted_flat(), DemoServer(pace=0) as demo:
        told = {"OPENAI_BASE_URL": demo.base_url}
        assert [0, 0] == [imgcli("gen", "a cat", "-q", ONE, env=told).exit_code for _ in range(2)]
    marked, unmarked = server(Reply(WHOLE, headers=(("X-ImgCLI-Demo", "1"),))), server(Reply(WHOLE))
    assert [0, 0] == [gen(wire, "a cat", "-q", ONE).exit_code for wire in (marked, unmarked)]
    assert [True, False, False, False] == [run.billed for run in runs(world)]
    assert "Today's cost is $0.0310 so far" in gen(unmarked, "a cat", "-q", "--daily-cap=0.1").stderr
    assert "3 free runs, not charged" in imgcli("cost").stdout.decode()


def test_a_killed_run_of_a_demo_server(server: Server, gen: Gen, world: dict[str, str], folder: Path) -> None:
    """Its record tells that nobody is charged, so that it counts no more."""
    wire = server(Reply(PARTED, headers=(("X-ImgCLI-Demo", "1"),), end=End.STALL), Reply(WHOLE))
    with running(wire, world, folder, "-o", "killed.png") as process:
        wait_for((folder / "killed.png").exists)
        process.kill()
    assert 0 == gen(wire, "a dog", "-q", ONE).exit_code


class TestAServerThatDoesNotBill:
    """A profile says so of its own server."""

    @pytest.fixture
    def wire(self, server: Server, world: dict[str, str]) -> ScriptedServer:
        """Serve the profile's server."""
        wire = server(Reply(WHOLE))
        place = Path(world["XDG_CONFIG_HOME"]) / "imgcli"
        place.mkdir(parents=True)
        text = f'[profile.own]\nbase-url = "{wire.base_url}"\nbilled = false\n'
        (place / "config.toml").write_text(text)
        return wire

    @pytest.mark.usefixtures("wire")
    def test_its_runs_are_free(self, imgcli: Cli, world: dict[str, str]) -> None:
        """No limit holds there, and nothing of it is in the day's sum."""
        own = ("gen", "a cat", "-q", "--profile", "own", "--max-cost", "0.001", "--daily-cap", "0.001")
        assert [0, 0] == [imgcli(*own).exit_code for _ in range(2)]
        assert [False, False] == [run.billed for run in runs(world)]
        assert ["free", "free"] == [line.split()[3] for line in imgcli("history").lines]

    def test_another_server_is_not_meant(self, wire: ScriptedServer, server: Server, gen: Gen) -> None:
        """The environment's address goes before the profile's, and its word is not about that one."""
        other = server(Reply(WHOLE))
        refused = gen(other, "a cat", "--profile", "own", "--daily-cap", "0.001")
        assert (2, 0, 0) == (refused.exit_code, other.posts, wire.posts), refused.stderr

    def test_it_is_shown(self, wire: ScriptedServer, imgcli: Cli) -> None:
        """`config show` tells it."""
        assert wire.base_url in imgcli("config", "show", "--profile", "own").stdout.decode()
        assert "billed         false" in imgcli("config", "show", "--profile", "own").stdout.decode()
