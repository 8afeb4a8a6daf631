"""A batch that runs: what is sent, what is saved, and how it goes on after any end; the real command."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from beside import PATIENCE, running, wait_for
from conftest import CANARY_KEY
from earlier import runs
from streams import completed, created, image_item, item_done, partial, png, stream
from wire import End, Reply, ScriptedServer, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Cli, Result
    from wire import Request

    Batch = Callable[..., Result]


def whole(prompt: str, seconds: float = 0.0) -> Reply:
    """Build a complete answer, with an image that belongs to this prompt alone."""
    shade = sum(prompt.encode()) % 200
    item = image_item(png(shade, len(prompt) % 200, hash(prompt) % 200))
    body = stream(created(), partial(0, png(9)), item_done(item), completed(item))
    return Reply(body, pauses=((len(body) // 2, seconds),) if seconds else ())


TORN = image_item(png(9)[:-40])
FAILURES = {
    "moderated": error_reply(400, "Rejected.", code="moderation_blocked", kind="image_generation_user_error"),
    "cut": Reply(stream(created(), partial(0, png(9))), end=End.FIN),
    "broken": Reply(stream(created(), item_done(TORN), completed(TORN))),
    "failing": error_reply(500, "Oops.", kind="server_error"),
    "words": Reply(stream(created(), completed())),
    "wrong": error_reply(400, "No such size.", code="invalid_value"),
}
"""Answers that bring no image, by the first word of the prompt."""


@dataclass
class PromptServer(ScriptedServer):
    """Answers by the first word of the prompt, and counts what it was asked, whole requests alone."""

    seconds: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)
    failures: dict[str, Reply] = field(default_factory=lambda: dict(FAILURES))

    def reply_to(self, request: Request, turn: int) -> Reply:  # noqa: ARG002
        """Choose the answer."""
        try:
            prompt = str(request.json["input"])
        except ValueError:
            raise ConnectionError from None  # its client was killed
        with self.guard:
            self.asked[prompt] += 1
        return self.failures.get(prompt.split(maxsplit=1)[0]) or whole(prompt, self.seconds)


@pytest.fixture
def wire() -> Iterator[PromptServer]:
    """Serve on loopback."""
    with PromptServer(()) as server:
        yield server


@pytest.fixture
def batch(imgcli: Cli, wire: PromptServer, folder: Path) -> Batch:
    """Run `imgcli batch p.txt ARGS...` with these prompts against the server."""

    def run(prompts: list[str], *args: str, **popen: Any) -> Result:
        (folder / "p.txt").write_text("".join(f"{prompt}\n" for prompt in prompts))
        env = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": CANARY_KEY}
        return imgcli("batch", "p.txt", "-o", "out/", *args, env=env, **popen)

    return run


def saved(folder: Path) -> list[str]:
    """List the images in the output folder, also one that was found in the log of a killed run."""
    rough = (".partial.png", ".damaged.png", ".torn.png")
    return sorted(path.name for path in (folder / "out").glob("*.png") if not path.name.endswith(rough))


THREE = ["a cat", "a dog", "a cat"]


def test_every_row_once(batch: Batch, wire: PromptServer, folder: Path, world: dict[str, str]) -> None:
    """Every row is an image, equal ones too; the same command again sends nothing, and a new row alone."""
    done = batch(THREE)
    assert (0, ["a-cat-2.png", "a-cat.png", "a-dog.png"]) == (done.exit_code, saved(folder))
    assert {str(folder / "out" / name) for name in saved(folder)} == set(done.lines)
    assert (0, 3) == (batch(THREE).exit_code, wire.posts)
    assert (0, 4) == (batch(["a bird", *THREE]).exit_code, wire.posts)
    assert 4 == len(runs(world))


def test_failures_of_every_kind(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """Each failure stands in its row; again, only what cost nothing is sent, the rest where it is wished."""
    prompts = ["a cat", *(f"{name} thing" for name in FAILURES)]
    done = batch(prompts, "--report", "r.csv")
    rows = list(csv.DictReader((folder / "r.csv").read_text("utf-8-sig").splitlines()))
    assert 3 == done.exit_code
    assert [1, 2, 3, 4, 5, 6, 7] == [int(row["line"]) for row in rows]
    charged = {row["prompt"].split()[0]: row["charged"] for row in rows}
    free = {name for name, money in charged.items() if money == "no"}
    assert {"moderated", "wrong"} <= free
    assert {"cut", "broken"}.isdisjoint(free)
    before = wire.asked.copy()
    assert 3 == batch(prompts).exit_code
    assert {f"{name} thing" for name in free} == set(wire.asked - before)
    before = wire.asked.copy()
    wire.failures.clear()
    assert (0, 7) == (batch(prompts, "--retry-unknown").exit_code, len(saved(folder)))
    assert 1 == before["a cat"] == wire.asked["a cat"]


def test_nothing_saved(batch: Batch) -> None:
    """Where no image is saved, the exit code is the gravest of them."""
    assert 5 == batch(["moderated a", "wrong b"]).exit_code


def test_a_wrong_key_stops_all(batch: Batch, wire: PromptServer) -> None:
    """What every other row would get too is not asked a hundred times."""
    wire.failures["row"] = error_reply(401, "Incorrect API key.", code="invalid_api_key")
    done = batch([f"row {number}" for number in range(100)])
    assert (4, True) == (done.exit_code, wire.posts <= 8)


def test_a_server_that_puts_off_for_hours(batch: Batch, wire: PromptServer) -> None:
    """A server that wants to be left alone for hours is not asked for every row."""
    headers = (("retry-after", "7200"),)
    wire.failures["row"] = error_reply(429, "Slow down.", code="rate_limit_exceeded", headers=headers)
    done = batch([f"row {number}" for number in range(30)], "--concurrency", "2")
    assert (6, True) == (done.exit_code, 5 <= wire.posts <= 7)


def test_a_server_that_only_fails(batch: Batch, wire: PromptServer) -> None:
    """After ten requests in a row of unknown outcome no more are risked, and the batch says why it stops."""
    wire.failures["row"] = FAILURES["failing"]
    done = batch([f"row {number}" for number in range(30)], "--concurrency", "2")
    assert (9, True) == (done.exit_code, 10 <= wire.posts <= 12)
    assert "note: stopped, because the other images would end the same way" in done.stderr


def test_a_budget_for_all(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """--max-cost holds for the whole batch and over all its runs; what was not sent is left for another."""
    prompts = [f"cat {number}" for number in range(6)]
    done = batch(prompts, "--max-cost", "0.30", "--concurrency", "2")
    assert 3 == done.exit_code
    assert "--max-cost allows $0.3000 for the whole batch" in done.stderr
    assert "Nothing was sent" not in done.stderr
    assert 0 < wire.posts < 6
    sent = wire.posts
    assert (3, sent) == (batch(prompts, "--max-cost", "0.30").exit_code, wire.posts)
    assert (0, 6) == (batch(prompts).exit_code, len(saved(folder)))
    assert 6 == wire.posts


def test_json_lines(batch: Batch) -> None:
    """Every job ends with one completed or error line."""
    done = batch(["a cat", "moderated b"], "--jsonl", "--jsonl-images", "none")
    ends = [line for line in map(json.loads, done.lines) if line["status"] != "partial"]
    assert ["completed", "error"] == sorted(line["status"] for line in ends)
    assert 2 == len({line["job"] for line in ends})
    assert {(1, None, "completed"), (2, None, "error")} == {
        (line["row"], line["id"], line["status"]) for line in ends
    }


def test_a_busy_server_pauses_all(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """A server that asks for patience gets it from all requests, and every image comes in the end."""
    busy = [error_reply(429, "Slow down.", code="rate_limit_exceeded", headers=(("retry-after", "1"),))] * 2
    whole_reply = wire.reply_to

    def reply_to(request: Request, turn: int) -> Reply:
        return busy.pop() if busy else whole_reply(request, turn)

    wire.reply_to = reply_to  # type: ignore[method-assign]
    assert (0, 3) == (batch(["a", "b", "c"]).exit_code, len(saved(folder)))
    assert 5 == wire.posts


def test_ctrl_c_once_finishes_what_runs(
    wire: PromptServer, world: dict[str, str], folder: Path, batch: Batch
) -> None:
    """The first Ctrl-C begins nothing more, saves what runs, and ends by SIGINT; the next run goes on."""
    prompts = [f"cat {number}" for number in range(8)]
    (folder / "p.txt").write_text("\n".join(prompts))
    wire.seconds = 1.5
    args = ("--concurrency", "2")
    command = ("batch", "p.txt", "-o", "out/")
    with running(wire, world, folder, *args, command=command) as process:
        wait_for(lambda: wire.posts == 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (-signal.SIGINT, 2) == (process.returncode, wire.posts), err
    assert 2 == len(saved(folder))
    wire.seconds = 0
    assert (0, 8, 8) == (batch(prompts).exit_code, wire.posts, len(saved(folder)))


def test_ctrl_c_twice_stops_at_once(wire: PromptServer, world: dict[str, str], folder: Path) -> None:
    """The second Ctrl-C ends what runs, too; it is not sent again, unless the user says so."""
    (folder / "p.txt").write_text("a cat\na dog\n")
    wire.failures = {"a": Reply(stream(created(), partial(0, png(9))), end=End.STALL)}
    with running(wire, world, folder, command=("batch", "p.txt", "-o", "out/")) as process:
        wait_for(lambda: wire.posts == 2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert -signal.SIGINT == process.returncode, err
    wire.failures.clear()
    with running(wire, world, folder, command=("batch", "p.txt", "-o", "out/")) as process:
        _, err = process.communicate(timeout=60)
    assert 2 == wire.posts
    assert b"2 requests may have been charged without an image" in err
    assert b"this run" not in err


def kills(wire: PromptServer, world: dict[str, str], folder: Path, count: int, seed: int) -> None:
    """Run a batch with failures of every kind, and kill it again and again; then let it end."""
    chance = random.Random(seed)
    names = [*FAILURES, *(f"cat {number}" for number in range(24))]
    (folder / "p.txt").write_text("".join(f"{name} {index}\n" for index, name in enumerate(names)))
    wire.seconds = 0.05
    command = ("batch", "p.txt", "-o", "out/")
    for _ in range(count):
        with running(wire, world, folder, command=command) as process:
            time.sleep(chance.uniform(0.05, 0.8))
            process.kill()
            process.communicate()
    known = {name for name, times in wire.asked.items() if times > 1 and name.split()[0] not in FAILURES}
    assert set() == known, "sent twice without being asked to"
    wire.failures.clear()
    with running(wire, world, folder, "--retry-unknown", command=command) as process:
        _, err = process.communicate(timeout=120)
    assert 0 == process.returncode, err


def check_all_saved_once(folder: Path) -> None:
    """Hold that every row has exactly one saved image."""
    lines = [json.loads(line) for line in (folder / "p.txt.imgcli.jsonl").read_text().splitlines()[1:]]
    paths = {line["task"]: line["paths"] for line in lines if line["status"] == "saved"}
    assert 30 == len(paths) == len({path for found in paths.values() for path in found})
    assert {path.rpartition("/")[2] for found in paths.values() for path in found} <= set(saved(folder))


@pytest.mark.slow  # every day `test_batch_kills` kills one
def test_killed_and_continued(wire: PromptServer, world: dict[str, str], folder: Path) -> None:
    """After kill -9 at any point, every row is saved exactly once, and nothing is sent twice unasked."""
    kills(wire, world, folder, 4, seed=4)
    check_all_saved_once(folder)


def test_a_report_replaces_reports_alone(batch: Batch, folder: Path) -> None:
    """A report takes the place of an earlier one; any other file of that name stays as it is."""
    (folder / "r.json").write_text("[1]")
    for name, kept in (("r.csv", ["r.csv"]), ("r.json", ["r-2.json", "r.json"]), ("r.csv", ["r.csv"])):
        done = batch(THREE, "--report", name)
        assert 0 == done.exit_code
        assert kept == sorted(path.name for path in folder.glob(f"r*{name[1:]}"))
        assert (len(kept) > 1) == ("is not a report of a batch; the report is" in done.stderr)
    assert "[1]" == (folder / "r.json").read_text()


def test_ctrl_c_ends_a_pause(wire: PromptServer, world: dict[str, str], folder: Path) -> None:
    """One Ctrl-C while nothing but the rate is waited for ends the batch at once."""
    (folder / "p.txt").write_text("a cat\na dog\n")
    command = ("batch", "p.txt", "-o", "out/", "--rate", "1/h")
    with running(wire, world, folder, command=command) as process:
        wait_for(lambda: saved(folder))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (-signal.SIGINT, 1) == (process.returncode, wire.posts), err


def test_a_signal_tells_of_every_row(wire: PromptServer, world: dict[str, str], folder: Path) -> None:
    """Whatever breaks a batch off, each row that was on its way says what that may have cost."""
    (folder / "p.txt").write_text("a cat\na dog\n")
    wire.failures = {"a": Reply(stream(created(), partial(0, png(9))), end=End.STALL)}
    with running(wire, world, folder, command=("batch", "p.txt", "-o", "out/")) as process:
        wait_for(lambda: wire.posts == 2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert -signal.SIGTERM == process.returncode
    assert b"note: finishing; Ctrl-C again stops at once" in err
    assert {1, 2} == {row for row in (1, 2) if f"line {row}: error: Interrupted by SIGTERM".encode() in err}


@pytest.mark.parametrize("spoil", ["unlink", "write"])
def test_a_state_that_is_spoiled(wire: PromptServer, world: dict[str, str], folder: Path, spoil: str) -> None:
    """Where the state can no longer be written, nothing more is sent, nothing more is called charged."""
    prompts = [f"cat {number}" for number in range(4)]
    (folder / "p.txt").write_text("\n".join(prompts))
    state = folder / "p.txt.imgcli.jsonl"
    wire.seconds = 1.5
    with running(
        wire, world, folder, "--concurrency", "1", command=("batch", "p.txt", "-o", "out/")
    ) as process:
        wait_for(lambda: wire.posts == 1)
        state.unlink() if spoil == "unlink" else state.write_text(state.read_text() + "\n")
        _, err = process.communicate(timeout=60)
    assert (3, 1, ["cat-0.png"]) == (process.returncode, wire.asked.total(), saved(folder)), err
    assert 1 == err.count(b": error: The state of the batch, p.txt.imgcli.jsonl, cannot be written")
    assert b"charged for" not in err
    assert b"may have been charged" not in err


def test_a_row_with_a_wrong_output(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """A row whose own place cannot be written to keeps none of the others from being saved."""
    rows = [{"prompt": "a cat", "output": "/proc/none/a.png"}, {"prompt": "a dog"}, {"prompt": "a fox"}]
    done = batch([json.dumps(row) for row in rows], "--concurrency", "1")
    assert (3, 2, ["a-dog.png", "a-fox.png"]) == (done.exit_code, wire.posts, saved(folder))


def test_saved_elsewhere(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """Images that could not be saved where they were wanted make exit code 10; five stop the batch."""
    (folder / "out").mkdir()
    whole_reply = wire.reply_to

    def reply_to(request: Request, turn: int) -> Reply:
        if (folder / "out").is_dir():
            (folder / "out").rmdir()
            (folder / "out").write_text("in the way")
        return whole_reply(request, turn)

    wire.reply_to = reply_to  # type: ignore[method-assign]
    assert 10 == batch(["a cat"]).exit_code
    (folder / "out").unlink()
    done = batch(["a cat", *(f"a dog {number}" for number in range(20))], "--concurrency", "1")
    assert (3, 2) == (done.exit_code, wire.posts)
    assert 5 == done.stderr.count("is a file, not a folder")


def test_a_reader_that_leaves(wire: PromptServer, world: dict[str, str], folder: Path) -> None:
    """Where images go to a reader alone, and it has left, no more of them are paid for."""
    (folder / "p.txt").write_text("".join(f"cat {number}\n" for number in range(9)))
    wire.seconds = 0.2
    args = ("--no-save", "--jsonl", "--concurrency", "1")
    with running(wire, world, folder, *args, command=("batch", "p.txt")) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        process.communicate(timeout=60)
    assert -signal.SIGPIPE == process.returncode
    assert wire.posts <= 3


def test_unfinished_runs_are_told_once(batch: Batch) -> None:
    """A batch says once how many runs are unfinished, not again for each that fails meanwhile."""
    prompts = [f"{kind} {number}" for number in range(4) for kind in ("broken", "cat")]
    for count in (0, 1):
        done = batch(prompts, "--concurrency", "1", *(["--retry-unknown"] if count else []))
        assert count == done.stderr.count("unfinished run")


def test_standard_input_is_not_remembered(imgcli: Cli, wire: PromptServer) -> None:
    """After a batch from standard input nobody is told to run it again, which would pay for all of it."""
    env = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": CANARY_KEY}
    done = imgcli("batch", "-", "-o", "out/", env=env, input=b"a cat\nmoderated b\ncut c\n")
    assert 3 == done.exit_code
    assert "run the same command again" not in done.stderr
    assert "--retry-unknown" not in done.stderr
    assert "Rows of a pipe are not remembered" in done.stderr


def test_a_report_that_cannot_be_written(batch: Batch, wire: PromptServer, folder: Path) -> None:
    """A report that has no place is found out before anything is sent; one that is foreign stays."""
    (folder / "file").write_text("mine")
    done = batch(THREE, "--report", "file/r.csv")
    assert (12, 0) == (done.exit_code, wire.posts)
    assert "Nothing was sent" in done.stderr
    (folder / "r.csv").write_text("mine")
    assert 0 == batch(THREE, "--report", "r.csv").exit_code
    assert {"r.csv", "r-2.csv"} == {path.name for path in folder.glob("r*.csv")}
    assert 3 == (folder / "r-2.csv").read_text("utf-8-sig").count(",saved,")


def test_the_next_request_does_not_wait_for_the_disk(
    wire: PromptServer, world: dict[str, str], folder: Path
) -> None:
    """While an image waits to be written, the next request goes out: a slow disk does not hold it up."""
    os.mkfifo(folder / "pipe.png")
    rows = [{"prompt": "a cat", "output": "pipe.png"}, {"prompt": "a dog"}]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    args = ("--concurrency", "1")
    with running(wire, world, folder, *args, command=("batch", "p.jsonl")) as process:
        wait_for((folder / "a-dog.png").exists)
        image = (folder / "pipe.png").read_bytes()
        assert 0 == process.wait(PATIENCE)
    assert image.startswith(b"\x89PNG")
