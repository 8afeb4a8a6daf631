"""Plain lines: what stands in a log file, and what `--quiet` leaves of it."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from beside import wait_for
from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.output.sinks.group_lines import GroupLinesSink
from imgcli.output.sinks.lines import ErrorsSink, LinesSink, LinesStyle
from showing import (
    BETTER,
    FINE,
    HOSTILE,
    REQUEST,
    ROUGH,
    WHOLE_RUN,
    FakeClock,
    completed,
    failed,
    feed,
    final,
    notice,
    partial,
    price,
    saved,
    started,
    waiting,
)
from streams import RED, whole_run
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result
    from imgcli.core.events import Event
    from wire import ScriptedServer


def plain(*events: Event) -> list[str]:
    """Show a run in plain lines, a tenth of a second between its events."""
    stream, clock = io.StringIO(), FakeClock()
    sink = LinesSink(stream, price, clock)
    for event in events:
        sink.handle(event)
        clock.now += 0.1
    sink.close()
    return stream.getvalue().splitlines()


def test_one_line_per_change() -> None:
    """A run is told in one line per change, then the bill, aligned."""
    assert [
        "asking gpt-4o-mini, 1024x1024, medium quality",
        "partial 1 of 3 after 0.1 s",
        "partial 2 of 3 after 0.2 s",
        f"saved /pictures/a-cat.png, 64x64, {len(FINE.data)} bytes, 0.4 s",
        "                                     tokens in   cached    out  dollars",
        "text model gpt-4o-mini                   2,941        0    249  $0.0005",
        "image model gpt-image-2, 2 partials         40  unknown  2,060  $0.0620",
        "total                                    2,981  unknown  2,309  $0.0625",
    ] == plain(*WHOLE_RUN)


def test_waiting_and_notices() -> None:
    """Waiting and oddities have a line each."""
    assert [
        "asking gpt-4o-mini, 1024x1024, medium quality",
        "retrying in 12.0 s: rate limited",
        "note: a partial was damaged",
    ] == plain(started(), waiting(12, "rate limited"), notice("a partial was damaged"))


def test_failure() -> None:
    """A failure says what happened, what it means for the money, what to do."""
    lines = plain(started(), failed())[1:]
    assert [
        "error: The stream ended with no image.",
        "You may have been charged.",
        "Look at your usage page.",
    ] == lines


def test_partials_are_counted_for_each_image() -> None:
    """The second image of a job begins again at its first partial."""
    lines = plain(started(), partial(0, ROUGH, 0), final(), partial(0, BETTER, 1))
    assert ["partial 1 of 3 after 0.1 s", "partial 1 of 3 after 0.3 s"] == lines[1:]


def test_unsaved() -> None:
    """With --no-save the line says that there is no file."""
    assert f"not saved, 64x64, {len(FINE.data)} bytes" in plain(started(), final(), completed())


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([started()], "waiting for the image ("),
        ([started(), partial(0, ROUGH, 0)], "waiting for the image ("),
        ([started(), final()], "waiting for the end of the answer ("),
        ([started(), final(), completed()], None),
        ([started(), failed()], None),
    ],
    ids=["no image yet", "a partial", "the image", "completed", "failed"],
)
def test_a_long_wait_is_told(events: list[Event], told: str | None) -> None:
    """Whoever reads a log sees that a run goes on, again and again until it ends, in plain lines."""
    stream, beat = io.StringIO(), 0.03
    sink = LinesSink(stream, price, time.monotonic).open(beat)
    for event in events:
        sink.handle(event)
    if told:
        wait_for(lambda: stream.getvalue().count(told) > 1)
    time.sleep(3 * beat)
    sink.close()
    assert bool(told) == ("\nwaiting for " in stream.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "lines"), [([], ["waiting for the image (15 s)"]), (["--quiet"], []), (["--jsonl"], [])]
)
def test_fifteen_seconds(
    args: list[str], lines: list[str], gen: Callable[..., Result], server: Callable[..., ScriptedServer]
) -> None:
    """After fifteen silent seconds a log has a line, and --quiet and --jsonl have none."""
    slow = server(Reply(whole_run(RED), pauses=((0, 16.5),)))
    done = gen(slow, "a cat", *args)
    assert 0 == done.exit_code, done.stderr
    assert lines == [line for line in done.stderr.splitlines() if line.startswith("waiting")]


def test_no_escape_code_whatever_comes() -> None:
    """Not one control character reaches the stream, whatever the server says."""
    problem = Problem(ExitCode.ELSEWHERE, HOSTILE, Charged.YES, HOSTILE)
    name = HOSTILE.replace("/", "")
    lines = plain(
        started(replace(REQUEST, model=HOSTILE, size=HOSTILE, image_model=HOSTILE)),
        waiting(3, HOSTILE),
        notice(HOSTILE),
        final(prompt=HOSTILE),
        saved(name, problem=problem),
        failed(HOSTILE, advice=HOSTILE),
    )
    assert [] == [line for line in lines if not line.isprintable()]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_narrow_minded_stream(encoding: str) -> None:
    """A stderr that is not UTF-8 gets question marks, never an exception."""
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding=encoding, errors="strict")
    feed(
        LinesSink(stream, price, FakeClock()),
        (started(replace(REQUEST, model="모델")), failed("고양이 failed")),
    )
    assert b"error: ??? failed" in data.getvalue()


def test_several_jobs() -> None:
    """Lines of several jobs begin with the job's number; one bill for all comes when the last has ended."""
    stream = io.StringIO()
    sink = GroupLinesSink(stream, price, FakeClock(), {"a": "1", "b": "2", "c": "gpt-image-2"}, LinesStyle())
    for event in WHOLE_RUN[:-1]:
        for job in ("a", "b", "c"):
            sink.handle(replace(event, job=job))
    for job, end in (("b", completed()), ("c", failed()), ("a", completed())):
        assert "total" not in stream.getvalue()
        sink.handle(replace(end, job=job))
    sink.close()
    lines = stream.getvalue().splitlines()
    starts = [line.split()[0] for line in lines]
    assert (4, 4, 7) == tuple(starts.count(start) for start in ("[1/3]", "[2/3]", "[gpt-image-2]"))
    assert "[gpt-image-2] error: The stream ended with no image." in lines
    assert ["$0.1250"] == [line.split()[-1] for line in lines if line.startswith("total")]


def test_several_jobs_broken_off() -> None:
    """Where some jobs never end, those that have are billed when the display is closed, once."""
    stream = io.StringIO()
    sink = GroupLinesSink(stream, price, FakeClock(), {"a": "1", "b": "2"}, LinesStyle())
    for event in WHOLE_RUN:
        sink.handle(replace(event, job="a"))
    sink.close()
    sink.close()
    assert 1 == stream.getvalue().count("$0.0625")


def test_only_errors() -> None:
    """--quiet and --jsonl leave errors on stderr, and nothing else."""
    stream = io.StringIO()
    problem = Problem(ExitCode.ELSEWHERE, "Saved elsewhere.", Charged.YES)
    sink = ErrorsSink(stream)
    feed(sink, (*WHOLE_RUN, notice("odd"), saved(problem=problem), failed(advice="")))
    assert [
        "error: Saved elsewhere.",
        "You were charged for this image.",
        "error: The stream ended with no image.",
        "You may have been charged.",
    ] == stream.getvalue().splitlines()
