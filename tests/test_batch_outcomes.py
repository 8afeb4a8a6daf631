"""What became of a killed batch's tasks is found out: nothing that was paid for is lost or paid for again."""

from __future__ import annotations

import io
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import running, wait_for
from imgcli.app.batch.batch_outcomes import Resolved, note_outcome, resolve_unknown
from imgcli.app.context import Context
from imgcli.core.batch_result import TaskStatus
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Saved
from imgcli.core.params import Api
from imgcli.core.pipeline import Outcome
from imgcli.core.request import ImageRequest
from imgcli.store.batch_state import BatchState, read_state, state_path
from imgcli.store.runlog.writer import BILLED, RunLog, RunLogHeader
from streams import BLUE, GREEN, RED, created, image_item, item_done, partial, stream, whole_run
from wire import End, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

BOUND = Decimal("0.19")
JOB = "20261122-150000-abcd1234"
PARTIALS = stream(created(), partial(0, GREEN), partial(1, BLUE))
FINAL = stream(created(), partial(0), item_done(image_item()))


@pytest.fixture
def context(world: dict[str, str]) -> Context:
    """What a batch would run in."""
    return Context(
        env=world,
        stdin=io.StringIO(),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        monotonic=time.monotonic,
        sleep=time.sleep,
        now=lambda: datetime.now(UTC),
        size=lambda: os.terminal_size((80, 24)),
        token=lambda: "word",
    )


@pytest.fixture
def runs(world: dict[str, str]) -> Path:
    """The folder of run logs."""
    return Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"


@contextmanager
def sent(folder: Path, *jobs: str) -> Iterator[BatchState]:
    """Open the state of a batch that was killed when it had sent these jobs, each of a task of its name."""
    with BatchState.open(state_path(folder / "prompts.txt"), "prompts.txt") as state:
        for job in jobs:
            state.sent(job, job, BOUND)
        yield state


def look(folder: Path, context: Context, job: str = JOB) -> Resolved:
    """Find out what became of one job, and make sure that the state says the same."""
    with sent(folder, job) as state:
        (found,) = resolve_unknown(context, state)
        assert state.outcomes.get(job) == found.outcome
    known = read_state(state_path(folder / "prompts.txt"), "prompts.txt").outcomes
    assert known.get(job) == found.outcome
    return found


def leave(runs: Path, folder: Path, body: bytes, **extra: object) -> Path:
    """Leave the run log of a dead run."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, size="48x32", partials=3)
    header = RunLogHeader(JOB, "2026-11-22T15:00:00+00:00", request, str(folder), extra=extra)
    log = RunLog.begin(runs, header)
    list(log.tee([body]))
    log.close()
    assert log.path
    return log.path


def images(folder: Path) -> dict[str, bytes]:
    """List the images in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def logged(runs: Path, body: bytes) -> bool:
    """Tell whether a run log holds these bytes."""
    return any(path.read_bytes().endswith(body) for path in runs.glob("*"))


def job_of(wire: ScriptedServer) -> str:
    """Return the job that the server was asked by."""
    return wire.requests[0].headers["x-client-request-id"]


@pytest.mark.parametrize("body", [FINAL, whole_run()], ids=["final", "completed"])
def test_killed_with_the_image_on_its_way(
    body: bytes, server: Server, world: dict[str, str], folder: Path, runs: Path, context: Context
) -> None:
    """Kill -9 once the image had come: the next run of the batch has it, once, and sends nothing."""
    wire = server(Reply(body, end=End.STALL))
    with running(wire, world, folder, "-q") as process:
        wait_for(lambda: logged(runs, body) or (folder / "a-cat.png").exists())
        process.kill()
    outcome = look(folder, context, job_of(wire)).outcome
    assert outcome
    assert (TaskStatus.SAVED, (str(folder / "a-cat.png"),)) == (outcome.status, outcome.paths)
    assert (body != FINAL, {"a-cat.png": RED}, 1) == (outcome.cost is not None, images(folder), wire.posts)
    assert "" == context.stdout.getvalue()  # type: ignore[attr-defined]
    assert [] == list(runs.glob("*"))


def test_killed_with_partials_only(
    server: Server, world: dict[str, str], folder: Path, runs: Path, context: Context
) -> None:
    """Kill -9 before the image came: nobody knows what it cost, now and at the next start."""
    wire = server(Reply(PARTIALS, end=End.STALL))
    with running(wire, world, folder, "-q") as process:
        wait_for(lambda: logged(runs, PARTIALS))
        process.kill()
    first = look(folder, context, job_of(wire))
    size = state_path(folder / "prompts.txt").stat().st_size
    with BatchState.open(state_path(folder / "prompts.txt"), "prompts.txt") as state:
        assert [first] == resolve_unknown(context, state)
        assert BOUND == state.spent
    assert (True, size) == (first.is_unknown, state_path(folder / "prompts.txt").stat().st_size)


def test_a_run_that_still_goes_on(
    server: Server, world: dict[str, str], folder: Path, runs: Path, context: Context
) -> None:
    """A job that another process has is left alone, and not sent again."""
    wire = server(Reply(PARTIALS, end=End.STALL))
    with running(wire, world, folder, "-q"):
        wait_for(lambda: logged(runs, PARTIALS))
        assert look(folder, context, job_of(wire)).is_unknown
        assert logged(runs, PARTIALS)


def test_what_the_history_knows(server: Server, gen: Gen, folder: Path, context: Context) -> None:
    """A run that ended before its line was written is known by the history, with its file and its cost."""
    wire = server(Reply(whole_run()))
    assert 0 == gen(wire, "a cat", "-q").exit_code
    outcome = look(folder, context, job_of(wire)).outcome
    assert outcome
    assert (TaskStatus.SAVED, (str(folder / "a-cat.png"),)) == (outcome.status, outcome.paths)
    assert outcome.cost
    assert outcome.seconds is not None


def test_a_refusal_was_free(server: Server, gen: Gen, folder: Path, context: Context) -> None:
    """A request that was refused before any work may be sent again by the next run."""
    wire = server(error_reply(400, "Your request was rejected.", "moderation_blocked"))
    assert 5 == gen(wire, "a cat", "-q").exit_code
    outcome = look(folder, context, job_of(wire)).outcome
    assert outcome
    assert (TaskStatus.FAILED_FREE, "refused", 5) == (outcome.status, outcome.kind, outcome.exit_code)
    assert "rejected" in str(outcome.message)


def test_damage_is_no_success(folder: Path, runs: Path, context: Context) -> None:
    """A damaged image was paid for: the task has failed, and is not sent again unasked."""
    leave(runs, folder, whole_run(RED[:60]))
    outcome = look(folder, context).outcome
    assert outcome
    told = (outcome.status, outcome.kind, outcome.charged)
    assert (TaskStatus.FAILED_CHARGED, "damaged", Charged.YES) == told
    assert (str(folder / "a-cat.damaged.png"),) == outcome.paths


def test_nothing_is_known(folder: Path, context: Context) -> None:
    """A job of which there is no trace stays unknown."""
    assert look(folder, context).is_unknown


def test_nothing_came(folder: Path, runs: Path, context: Context) -> None:
    """After a run log without an answer the task stays unknown; the summary counts it, once for all."""
    leave(runs, folder, b"")
    assert look(folder, context).is_unknown
    assert "" == context.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_demo_costs_nothing(folder: Path, runs: Path, context: Context) -> None:
    """A run that nobody is charged for may be sent again."""
    leave(runs, folder, PARTIALS, **{BILLED: False})
    outcome = look(folder, context).outcome
    assert outcome
    assert (TaskStatus.FAILED_FREE, Charged.NO) == (outcome.status, outcome.charged)


def test_without_a_history(
    server: Server, world: dict[str, str], folder: Path, runs: Path, context: Context, imgcli: Cli
) -> None:
    """Where no history is kept, the run log is enough."""
    body = whole_run()
    wire = server(Reply(body, end=End.STALL))
    with running(wire, world, folder, "-q", "--no-history") as process:
        wait_for(lambda: logged(runs, body) or (folder / "a-cat.png").exists())
        process.kill()
    outcome = look(folder, context, job_of(wire)).outcome
    assert outcome
    assert (TaskStatus.SAVED, None) == (outcome.status, outcome.cost)
    assert b"" == imgcli("history").stdout


def test_a_history_that_cannot_be_read(
    world: dict[str, str], folder: Path, runs: Path, context: Context
) -> None:
    """A broken history costs a note; what a run log holds is found without it."""
    data = Path(world["XDG_DATA_HOME"]) / "imgcli"
    data.parent.mkdir(parents=True)
    data.write_text("a file in the folder's place")
    leave(runs, folder, whole_run())
    outcome = look(folder, context).outcome
    assert outcome
    assert TaskStatus.SAVED is outcome.status
    assert "history" in context.stderr.getvalue()  # type: ignore[attr-defined]


def test_run_logs_that_cannot_be_read(folder: Path, runs: Path, context: Context) -> None:
    """Where run logs may be and cannot be read, nothing is decided, and nothing sent."""
    runs.parent.mkdir(parents=True)
    runs.symlink_to(runs)
    with sent(folder, JOB) as state, pytest.raises(ImgcliError) as caught:
        resolve_unknown(context, state)
    assert "cannot be read" in caught.value.problem.what


def test_nothing_to_find_out(folder: Path, context: Context) -> None:
    """A batch without unknown outcomes asks nobody."""
    with sent(folder) as state:
        assert [] == resolve_unknown(context, state)


BROKE = Problem(ExitCode.UNKNOWN, "It broke.", Charged.MAYBE)
FREE = Problem(ExitCode.REFUSED, "No.", Charged.NO)
ELSEWHERE = Problem(ExitCode.ELSEWHERE, "Saved elsewhere.", Charged.YES)


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        (Outcome(1, [Saved("j", 0, Path("/a.png"))]), TaskStatus.SAVED, None),
        (Outcome(1), TaskStatus.SAVED, None),  # shown, and not to be saved
        (Outcome(1, [Saved("j", 0, Path("/a.png"), ELSEWHERE)], [ELSEWHERE]), TaskStatus.SAVED, None),
        (Outcome(problems=[FREE]), TaskStatus.FAILED_FREE, "refused"),
        (Outcome(problems=[FREE, BROKE]), TaskStatus.FAILED_CHARGED, "unknown"),
        (Outcome(), TaskStatus.UNKNOWN, None),  # a signal came
    ],
)
def test_how_a_job_ended(folder: Path, outcome: Outcome, status: TaskStatus, kind: str | None) -> None:
    """A job's end is noted as what it means for the money and for the next run."""
    with sent(folder, "j") as state:
        note_outcome(state, "j", "j", outcome)
        known = state.outcomes["j"]
    assert (status, kind) == (known.status, known.kind)
