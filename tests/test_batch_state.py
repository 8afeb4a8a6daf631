"""The state of a batch: nothing is paid for twice, whatever killed the run before."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.batch_result import BatchRowResult, RowStatus, TaskStatus
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.store.batch_state import BatchState, read_state, state_path

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "prompts.txt"
REFUSED = Problem(ExitCode.REFUSED, "Refused: 고양이 \ud800.", Charged.NO)
LOST = Problem(ExitCode.UNKNOWN, "The connection broke.", Charged.MAYBE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state is kept."""
    return state_path(tmp_path / NAME)


def filled(path: Path) -> bytes:
    """Write a state with one line of every kind."""
    with BatchState.open(path, NAME) as state:
        for number, task in enumerate("abcdefg"):
            state.sent(task, f"job-{number}", Decimal("0.19"))
        state.saved(
            "a", "job-0", [Path("/home/a cat.png"), Path("/home/\udcff.png")], Decimal("0.0421"), 21.25
        )
        state.failed("b", "job-1", REFUSED, Decimal(0), 1.0)
        state.failed("c", "job-2", LOST, paths=[Path("/half.png")])
        state.held("d", "job-3")
        state.submitted("e", "batch_1", Decimal("0.1"))
        state.failed("f", "job-5", REFUSED)
        state.sent("f", "job-7", None)
    return path.read_bytes()


def refused(path: Path, source: str = NAME) -> Problem:
    """Return why a state cannot be opened, after making sure that nothing was changed."""
    before = path.read_bytes()
    with pytest.raises(ImgcliError) as opening:
        BatchState.open(path, source)
    with pytest.raises(ImgcliError):
        read_state(path, source)
    assert (before, Charged.NO) == (path.read_bytes(), opening.value.problem.charged)
    return opening.value.problem


@contextmanager
def full_disk(path: Path, room: int = 0) -> Iterator[None]:
    """Let files grow by only so many bytes beyond this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_round_trip(path: Path) -> None:
    """What a run learned about each task is what the next one knows."""
    filled(path)
    with BatchState.open(path, NAME) as state:
        outcomes = dict(state.outcomes)
    assert read_state(path, NAME).outcomes == outcomes
    assert {
        "a": TaskStatus.SAVED,
        "b": TaskStatus.FAILED_FREE,
        "c": TaskStatus.FAILED_CHARGED,
        "e": TaskStatus.SUBMITTED,
        "f": TaskStatus.UNKNOWN,
        "g": TaskStatus.UNKNOWN,
    } == {task: outcome.status for task, outcome in outcomes.items()}
    saved, failed = outcomes["a"], outcomes["b"]
    assert ("job-0", ("/home/a cat.png", "/home/\udcff.png")) == (saved.job, saved.paths)
    assert (Decimal("0.0421"), 21.25) == (saved.cost, saved.seconds)
    assert ("refused", 5, Charged.NO, REFUSED.what) == failed[6:10]
    assert ((), ("/half.png",)) == (failed.paths, outcomes["c"].paths)
    assert ("batch_1", Decimal("0.1")) == (outcomes["e"].batch, outcomes["e"].bound)


def test_what_it_has_cost(path: Path) -> None:
    """A budget counts what earlier runs cost, and what they may have cost at its bound."""
    filled(path)
    with BatchState.open(path, NAME) as state:
        unknown = 3 * Decimal("0.19")  # c failed, e was sent before it was submitted, g never ended
        assert Decimal("0.0421") + unknown + Decimal("0.1") == state.spent
        assert 1 == state.unpriced  # the second run of f has no bound
        state.saved("e", "response-9", [], Decimal("0.02"))
        assert Decimal("0.0421") + unknown + Decimal("0.02") == state.spent


def test_lines_are_the_documented_ones(path: Path) -> None:
    """Other programs can read the file: a header, then an object a line."""
    header, first, *_ = map(json.loads, filled(path).splitlines())
    assert {"imgcli_batch": 1, "input": NAME} == header
    assert {"task": "a", "status": "sent", "job": "job-0", "bound_usd": "0.19"} == first


def test_private(path: Path) -> None:
    """Nobody else can read what I asked for."""
    filled(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_two_runs_of_a_batch(path: Path) -> None:
    """The second of two runs of a batch is refused, so that nothing is paid for twice."""
    filled(path)
    with BatchState.open(path, NAME), pytest.raises(ImgcliError) as second:
        BatchState.open(path, NAME)
    assert ExitCode.USAGE is second.value.problem.exit_code
    assert "Another imgcli is running this batch" in second.value.problem.what
    BatchState.open(path, NAME).close()


@given(st.data())
def test_torn_anywhere_at_the_end(data: st.DataObject) -> None:
    """Kill -9 in the middle of a line costs that line alone, and the file stays readable."""
    with TemporaryDirectory() as folder:
        path = state_path(Path(folder) / NAME)
        whole = filled(path)
        cut = data.draw(st.integers(0, len(whole)))
        tail = data.draw(st.sampled_from([b"", b"\0" * 7]))
        path.write_bytes(whole[:cut] + tail)
        with BatchState.open(path, NAME) as state:
            known = dict(state.outcomes)
            state.sent("new", "job-9", None)
        text = path.read_bytes()
        kept = whole[:cut].rpartition(b"\n")[0]
        assert text.startswith(kept)
        assert text.endswith(b"\n")
        assert all(json.loads(line) for line in text.splitlines())
        assert {"new", *known} == read_state(path, NAME).outcomes.keys()


def test_a_last_line_without_its_line_break_counts(path: Path) -> None:
    """An editor that takes the last line break does not make a sent request one that may be sent again."""
    path.write_bytes(filled(path).removesuffix(b"\n"))
    with BatchState.open(path, NAME) as state:
        assert "job-7" == state.outcomes["f"].job
        state.sent("new", "job-9", None)
    assert {"f", "new"} <= read_state(path, NAME).outcomes.keys()


HELD = b'{"task": "a", "status": "held", "job": "j"}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"task": "a", "status": "sent", "jo',
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b'{"task": "a"}',
        b'{"task": "a", "status": "frozen", "job": "j"}',
        b'{"task": "a", "status": "sent", "job": "j"}',
        b'{"task": "", "status": "held", "job": "j"}',
        b'{"task": "a", "status": "held", "job": 7}',
        b'{"task": "a", "status": "saved", "job": "j", "paths": [7]}',
        b'{"task": "a", "status": "failed", "job": "j", "charged": ["no"]}',
        b'{"task": "a", "status": ["sent"], "job": "j", "bound_usd": null}',
        b'{"imgcli_batch": 1, "input": "prompts.txt"}',
        b"[" * 100_000,
        HELD + b", " + HELD,
        HELD[:-1] + b', "x": [{}\n{}]}\n' + HELD + b", " + HELD,
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_wrong_line_in_the_middle(path: Path, line: bytes) -> None:
    """A line that says nothing stops the batch, with its number; nothing is sent and nothing overwritten."""
    header, first, *rest = filled(path).splitlines(keepends=True)
    path.write_bytes(b"".join([header, first, line + b"\n", *rest]))
    problem = refused(path)
    assert f"Line 3 of {path}: This is not a line of a batch's state." in problem.what
    assert "The file is unchanged." in problem.what


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"imgcli_batch": 2, "input": "prompts.txt"}\n{"task": 7}\n', "The state is of version 2"),
        (b'{"imgcli_batch": 2, "input": "prompts.txt"}', "The state is of version 2"),
        (b'{"imgcli_batch": 1, "input": "other\x1b.txt"}\n', "is not the state"),
        (b'{"imgcli_batch": 1, "input": "other.txt"}\n', "another batch: of other.txt, not of prompts.txt"),
        (b'{"imgcli_batch": true, "input": "prompts.txt"}\n', "is not the state"),
        (b'{"imgcli_batch"\n', "is not the state"),
        (b"a cat\na dog\n", "is not the state"),
        (b"a cat", "is not the state"),
        (b'{"prompt": "a cat"}\n', "is not the state"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not the state"),
    ],
)
def test_a_file_that_is_not_this_batchs_state(path: Path, content: bytes, told: str) -> None:
    """A file of another version, of another input, or of something else stays as it is."""
    path.write_bytes(content)
    assert told in refused(path).what


def test_what_is_no_file(path: Path, tmp_path: Path) -> None:
    """A folder, a pipe and a link in the state's place are refused; a link's target is not touched."""
    other = tmp_path / "other"
    for make in (Path.mkdir, os.mkfifo, lambda link: link.symlink_to(other)):
        make(path)
        with pytest.raises(ImgcliError):
            BatchState.open(path, NAME)
        path.rmdir() if path.is_dir() else path.unlink()
    assert not other.exists()


def test_a_full_disk_before_sending(path: Path) -> None:
    """A request whose line does not fit on the disk is not sent, and half of the line does not stay."""
    before = filled(path)
    with BatchState.open(path, NAME) as state:
        with full_disk(path, 20), pytest.raises(ImgcliError) as caught:
            state.sent("new", "job-9", None)
        assert (ExitCode.UNWRITABLE, Charged.NO) == (
            caught.value.problem.exit_code,
            caught.value.problem.charged,
        )
        assert (before, False) == (path.read_bytes(), "new" in state.outcomes)
        state.sent("new", "job-9", None)
    assert "new" in read_state(path, NAME).outcomes


def test_a_full_disk_after_sending(path: Path) -> None:
    """An image that came costs no error: this run knows it, and a sentence says what the file lacks."""
    before = filled(path)
    with BatchState.open(path, NAME) as state:
        with full_disk(path, 20):
            state.saved("g", "job-6", [Path("/g.png")])
        assert TaskStatus.SAVED is state.outcomes["g"].status
        assert "cannot be written (File too large)" in str(state.trouble)
    assert before == path.read_bytes()


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_file_that_somebody_changes(path: Path, change: str) -> None:
    """Nothing more is sent once the state is not the one that we know."""
    filled(path)
    with BatchState.open(path, NAME) as state:
        if change == "removed":
            path.unlink()
        else:
            with path.open("ab") as file:
                file.write(b"\n")
        with pytest.raises(ImgcliError) as caught:
            state.sent("new", "job-9", None)
    assert change in caught.value.problem.what


def test_no_file_at_all() -> None:
    """A batch from standard input knows what it does, as long as it runs."""
    with BatchState.unsaved() as state:
        state.sent("a", "job-0", Decimal("0.1"))
        state.saved("a", "job-0", [], Decimal("0.04"))
    assert (TaskStatus.SAVED, Decimal("0.04")) == (state.outcomes["a"].status, state.spent)


def test_threads_share_a_state(path: Path) -> None:
    """Workers that end at the same time do not write into each other's lines."""
    tasks = [f"task-{number}" for number in range(100)]
    with BatchState.open(path, NAME) as state, ThreadPoolExecutor(8) as pool:

        def work(task: str) -> None:
            state.sent(task, f"job-{task}", Decimal("0.1"))
            state.saved(task, f"job-{task}", [Path(f"/{task}.png")], Decimal("0.04"))
            assert state.spent

        list(pool.map(work, tasks))
        assert Decimal(4) == state.spent
    assert dict.fromkeys(tasks, TaskStatus.SAVED) == {
        task: outcome.status for task, outcome in read_state(path, NAME).outcomes.items()
    }


def test_rows_say_what_became_of_their_task(path: Path) -> None:
    """Every outcome is a word for people; what was not sent is left."""
    filled(path)
    outcomes = read_state(path, NAME).outcomes
    rows = [BatchRowResult(1, "a cat", outcomes.get(task)).status for task in "abceg"]
    assert ["saved", "failed", "failed", "submitted", "unknown"] == rows
    assert RowStatus.LEFT is BatchRowResult(1, "a cat", outcomes.get("d")).status


WORKER = textwrap.dedent("""
    import os, sys, threading
    from pathlib import Path
    from imgcli.store.batch_state import BatchState
    state = BatchState.open(Path(sys.argv[1]), "prompts.txt")
    def work(thread):
        for number in range(10_000):
            task = f"{sys.argv[2]}-{thread}-{number}"
            state.sent(task, f"job-{task}", None)
            os.write(1, f"sent {task}\\n".encode())
            state.saved(task, f"job-{task}", [Path("/x.png")])
            os.write(1, f"saved {task}\\n".encode())
    for thread in range(4):
        threading.Thread(target=work, args=(thread,)).start()
""")


def kill_and_look(path: Path, run: int, after: int, told: dict[str, str]) -> None:
    """Kill a process that appends after so many lines of its own, and compare what it told with the file."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(path), str(run)], stdout=subprocess.PIPE)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(after)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    reports = [line.decode().split() for line in lines if line.endswith(b"\n")]
    told |= {task: status for status, task in reports}
    known = {task: outcome.status for task, outcome in read_state(path, NAME).outcomes.items()}
    for task, status in told.items():
        assert known[task] == "saved" if status == "saved" else known[task] in ("saved", "unknown")


def test_killed_while_appending(path: Path) -> None:
    """Kill -9 while threads append: what they relied upon is on disk, and the next run goes on."""
    told: dict[str, str] = {}
    for run, after in enumerate((1, 30)):
        kill_and_look(path, run, after, told)
    BatchState.open(path, NAME).close()


@pytest.mark.slow
def test_killed_fifty_times(path: Path) -> None:
    """However often a batch is killed and continued, no line that was relied upon is lost."""
    chance, told = random.Random(7), dict[str, str]()
    for run in range(50):
        kill_and_look(path, run, chance.randrange(1, 120), told)
