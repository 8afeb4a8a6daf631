"""What every test may use: the real command as a process, in a clean world of its own."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

import substitutes
import zygote
from beside import PATIENCE
from browser import CHROMIUM, Browser
from earlier import AT
from wire import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

sys.dont_write_bytecode = False  # rewriting the assertions of all test files anew takes a tenth of a run

CANARY_KEY = "sk-canary-0123456789abcdef"


def pytest_configure() -> None:
    """Hear Ctrl-C again where a script started the suite with `&`: every command inherits what we ignore.

    Where `nohup` has us ignore hang-ups, a handler that does nothing takes over: children do not inherit it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    _choose_examples()


def pytest_xdist_auto_num_workers() -> int | None:
    """Run three workers on two cores: a third of the time is waiting, for a command or for what it waits for.

    Where xdist's own variable names a number, that is taken.
    """
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores + cores // 2


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """End the suite where the first command shows that a module cannot be imported."""
    if zygote.is_broken():
        item.session.shouldfail = "a module of imgcli cannot be imported"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a table whose rows each run a command, play the first and the last every day; the rest is slow."""
    tables = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        name, has_rows, _ = item.nodeid.partition("[")
        if has_rows and "world" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("slow"):
            tables[name].append(item)
    for rows in tables.values():
        for row in rows[1:-1]:
            row.add_marker(pytest.mark.slow)


def pytest_sessionfinish() -> None:
    """Save what a worker has covered: xdist kills one that takes more than ten seconds to end."""
    if zygote.MEASURING:
        from coverage import Coverage

        if measured := Coverage.current():
            measured.save()


def pytest_collection_finish() -> None:
    """Keep what five thousand collected tests hold out of every garbage collection."""
    gc.collect()
    gc.freeze()


def _choose_examples() -> None:
    from hypothesis import settings  # only now may its bytecode be kept: pytest rewrites it too

    settings.register_profile("everyday", max_examples=25, deadline=None)  # a busy machine is no defect
    settings.register_profile("gate", max_examples=100, deadline=None)
    settings.load_profile(
        os.environ.get("HYPOTHESIS_PROFILE", "gate" if os.environ.get("CI") else "everyday")
    )


@dataclass(frozen=True)
class Result:
    """How a process ended: its exit code (negative: died by that signal) and what it wrote."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Standard output, a line each."""
        return self.stdout.decode().splitlines()


class Cli(Protocol):
    """Runs the real command and waits for it."""

    def __call__(self, *args: str, env: dict[str, str] | None = None, **popen: Any) -> Result:
        """Keywords go to `subprocess.run`."""
        ...


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    """An environment that holds nothing of the machine's: no key, no proxy, an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        **zygote.MEASURING,
        substitutes.FLAT: "1",
        substitutes.PACE: "0",
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "default",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The empty folder in which commands run."""
    path = tmp_path / "here"
    path.mkdir()
    return path


def _cli(world: dict[str, str], folder: Path, before: list[str]) -> Cli:
    def run(*args: str, env: dict[str, str] | None = None, **popen: Any) -> Result:
        popen.setdefault("stdin", subprocess.DEVNULL if "input" not in popen else None)
        if popen["stdin"] is None:
            del popen["stdin"]
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        popen.setdefault("cwd", folder)
        command = [*before, *zygote.IMGCLI, *args]
        done = zygote.run(command, timeout=PATIENCE, env=world | (env or {}), **popen)
        return Result(done.returncode, done.stdout or b"", (done.stderr or b"").decode())

    return run


@pytest.fixture
def imgcli(world: dict[str, str], folder: Path) -> Cli:
    """Run `imgcli ARGS...` in an empty folder; keywords go to `subprocess.run`."""
    return _cli(world, folder, [])


@pytest.fixture
def mortal(world: dict[str, str], folder: Path) -> Cli:
    """Run it like `imgcli`, as somebody to whom the modes of files apply, which they do not to root."""
    if zygote.may_fork(zygote.IMGCLI, {"env": world}):
        return _cli(world | {substitutes.MORTAL: "1"}, folder, [])
    rights = "-dac_override,-dac_read_search,-fowner"
    lowered = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    return _cli(world, folder, lowered if os.geteuid() == 0 else [])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run one browser for the tests of a file; where CI can install it, its absence is a failure."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing; .ci/run installs it")
        pytest.skip("chromium is not installed")
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def server() -> Iterator[Callable[..., ScriptedServer]]:
    """Start scripted servers: `server(Reply(...), ...)`; they stop with the test."""
    running: list[ScriptedServer] = []

    def start(*replies: Reply) -> ScriptedServer:
        running.append(ScriptedServer(replies).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__()


@pytest.fixture
def gen(imgcli: Cli) -> Callable[..., Result]:
    """Run `imgcli gen ARGS...` against a scripted server, with a key that must never show up anywhere."""

    def run(server: ScriptedServer, *args: str, env: dict[str, str] | None = None, **popen: Any) -> Result:
        told = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": CANARY_KEY}
        result = imgcli("gen", *args, env=told | (env or {}), **popen)
        assert CANARY_KEY not in result.stdout.decode(errors="replace") + result.stderr
        return result

    return run


@pytest.fixture
def asked(imgcli: Cli) -> Callable[..., dict[str, Any]]:
    """Give the request that a command would send, and what is told about it as `told`."""

    def dry(*args: str, **env: str) -> dict[str, Any]:
        done = imgcli(args[0], *AT, *args[1:], env=env)
        assert 0 == done.exit_code, done.stderr
        return {**json.loads(done.stdout), "told": done.stderr}

    return dry


@pytest.fixture
def refused(imgcli: Cli) -> Callable[..., str]:
    """Give what a command that sends nothing says, with its exit code 2."""

    def run(*args: str, **env: str) -> str:
        done = imgcli(args[0], *AT, *args[1:], env=env)
        assert (2, b"") == (done.exit_code, done.stdout), done.stderr
        return done.stderr

    return run
