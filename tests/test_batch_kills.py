"""A batch that is killed again and again: every row saved once, nothing paid for twice; the real command.

All in the slow tier; `test_batch_run.py` has the everyday kills.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from beside import running, wait_for
from imgcli.core.batch_result import TaskStatus
from imgcli.store.batch_state import read_state, state_path
from streams import RED, completed, created, image_item, item_done, partial, png, stream
from wire import End, Reply, Request, ScriptedServer, error_reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Cli

KINDS = ("good", "busy", "good", "slow", "refused", "good", "damaged", "good", "cut", "good")
"""What the request of a row comes to."""
BUSY = error_reply(429, "Slow down.", "rate_limit_exceeded", headers=(("retry-after-ms", "20"),))
REFUSED = error_reply(400, "Rejected.", "moderation_blocked", "image_generation_user_error")
NO_IMAGE = ("refused", "damaged", "cut")
NAME = re.compile(rb"(good|busy|slow|refused|damaged|cut) [0-9]+")


def names(rows: int) -> list[str]:
    """List the prompts of a batch."""
    return [f"{KINDS[number % len(KINDS)]} {number}" for number in range(rows)]


def image(name: str) -> bytes:
    """Make the one image of a row."""
    number = int(name.split()[1])
    return png(number, 255 - number)


def reply(name: str) -> Reply:
    """Make the answer to a row whose request the server works on."""
    kind, data = name.split(maxsplit=1)[0], image(name)
    if kind == "cut":
        return Reply(stream(created(), partial(0, RED)), end=End.RST)
    item = image_item(data[:60] if kind == "damaged" else data)
    body = stream(created(), partial(0, RED), item_done(item), completed(item))
    pause = 0.1 if kind == "slow" else 0.01
    return Reply(body, pauses=((len(body) // 3, pause), (len(body) * 2 // 3, pause), (len(body) - 1, pause)))


@dataclass
class BatchServer(ScriptedServer):
    """Answers by the prompt.

    `asked` counts the whole requests of each, `paid` those that it works on, `steps` whatever it does.
    """

    asked: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply_to(self, request: Request, turn: int) -> Reply:  # noqa: ARG002
        """Choose the answer; a request that broke off is none."""
        found = NAME.search(request.body)
        if not found or len(request.body) < int(request.headers.get("content-length", 0)):
            raise ConnectionError
        name = found[0].decode()
        with self._lock:
            self.steps += 1
            self.asked[name] += 1
            if name.startswith("refused"):
                return REFUSED
            if name.startswith("busy") and self.asked[name] % 2:
                return BUSY
            self.paid[name] += 1
        return reply(name)

    def _passed(self, connection: socket.socket, offset: int) -> None:  # noqa: ARG002
        with self._lock:
            self.steps += 1


@pytest.fixture
def wire() -> Iterator[BatchServer]:
    """Run the server as long as the test."""
    with BatchServer([Reply()]) as running_server:
        yield running_server


@dataclass
class KilledBatch:
    """A batch of so many rows that is run, killed, and run again."""

    wire: BatchServer
    world: dict[str, str]
    folder: Path
    rows: int
    chance: random.Random
    options: tuple[str, ...] = ()
    settled: dict[str, int] = field(default_factory=dict)
    """How often each row had been asked when it was known to be saved."""

    def __post_init__(self) -> None:
        self.file = self.folder / "prompts.txt"
        self.file.write_text("".join(f"{name}\n" for name in names(self.rows)))

    def run_and_kill(self, *options: str, steps: int) -> None:
        """Kill -9 at a random moment within so many steps of the server."""
        target = self.wire.steps + self.chance.randrange(steps)
        command = ("batch", self.file.name, "--concurrency=4", *self.options, *options)
        with running(self.wire, self.world, self.folder, command=command) as process:
            wait_for(lambda: self.wire.steps >= target or process.poll() is not None)
            if self.chance.random() < 0.5:  # also between two steps
                threading.Event().wait(self.chance.random() / 20)
            process.kill()
        self.check()

    @property
    def good(self) -> set[str]:
        """The rows that have an image in the end."""
        return {name for name in names(self.rows) if not name.startswith(NO_IMAGE)}

    def check(self) -> None:
        """Make sure that what is called saved is on the disk, once, and is never asked for again."""
        outcomes = read_state(state_path(self.file), self.file.name).outcomes
        files = {str(path): path.read_bytes() for path in self.folder.glob("*.png")}
        row_of = {image(name): name for name in names(self.rows)}
        saved = [outcome.paths for outcome in outcomes.values() if outcome.status is TaskStatus.SAVED]
        known = [row_of[files[path]] for (path,) in saved]
        assert len(set(known)) == len(known)
        assert {1} >= set(Counter(data for data in files.values() if data in row_of).values())
        for name, asked in self.settled.items():
            assert name in known
            assert asked == self.wire.asked[name], name
        self.settled = {name: self.wire.asked[name] for name in known}


def run_to_the_end(batch: KilledBatch, imgcli: Cli, *options: str) -> None:
    """Run a batch without killing it."""
    env = {"OPENAI_BASE_URL": batch.wire.base_url}
    done = imgcli("batch", batch.file.name, "--concurrency=4", *batch.options, *options, env=env)
    assert 3 == done.exit_code, done.stderr
    batch.check()


def kill_and_finish(batch: KilledBatch, imgcli: Cli, kills: int, steps: int) -> None:
    """Kill a batch so many times, and let it end; then send again, as asked, what nobody knows."""
    for _ in range(kills):
        batch.run_and_kill(steps=steps)
    run_to_the_end(batch, imgcli)
    assert {1} == set(batch.wire.paid.values()), batch.wire.paid
    saved = set(batch.settled)
    run_to_the_end(batch, imgcli, "--retry-unknown")
    assert batch.good == batch.settled.keys()
    assert {1} == {batch.wire.paid[name] for name in saved}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--no-history",)], ids=["history", "no history"])
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times(
    seed: int, options: tuple[str, ...], wire: BatchServer, world: dict[str, str], folder: Path, imgcli: Cli
) -> None:
    """Thirty rows with failures of every kind, killed ten times: the rest is as if it had been let alone."""
    batch = KilledBatch(wire, world, folder, 30, random.Random(seed), options)
    kill_and_finish(batch, imgcli, kills=10, steps=25)


@pytest.mark.slow
def test_killed_fifty_times(wire: BatchServer, world: dict[str, str], folder: Path, imgcli: Cli) -> None:
    """A batch that may repeat what is unknown, killed fifty times, never asks again for what it has."""
    batch = KilledBatch(wire, world, folder, 30, random.Random(7))
    for _ in range(50):
        batch.run_and_kill("--retry-unknown", steps=12)
    run_to_the_end(batch, imgcli, "--retry-unknown")
    assert batch.good == batch.settled.keys()
