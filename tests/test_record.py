"""Keeping a run for replay: `imgcli gen --record`."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.events import Notice
from imgcli.store.runlog.writer import RunLog, RunLogHeader, replayed
from showing import REQUEST, completed
from streams import BLUE, RED, b64, whole_run
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

MARK = re.compile(rb": \+([0-9]+\.[0-9]{3})\n")
HEADER = RunLogHeader("j1", "2026-01-01T00:00:00+00:00", REQUEST, "")


def body_of(file: Path) -> bytes:
    """What the server sent, out of a recording."""
    return MARK.sub(b"", file.read_bytes().partition(b"\n\n")[2])


def test_the_run_is_kept_as_it_came(server: Server, gen: Gen, folder: Path) -> None:
    """The recording holds every byte of the server's, when it came, what was asked for, and no key."""
    done = gen(server(Reply(whole_run())), "a cat", "--record", "run.sse")
    kept = (folder / "run.sse").read_bytes()
    assert 0 == done.exit_code
    assert whole_run() == body_of(folder / "run.sse")
    assert kept.startswith(b": imgcli {")
    assert b'"prompt": "a cat"' in kept.splitlines()[0]
    assert b"canary" not in kept
    assert str(folder).encode() not in kept
    times = [float(time) for time in MARK.findall(kept)]
    assert whole_run().count(b"\n\n") == len(times)
    assert sorted(times) == times


def test_nothing_is_overwritten(server: Server, gen: Gen, folder: Path) -> None:
    """A name that is taken is numbered, and that is said."""
    (folder / "run.sse").write_text("mine")
    done = gen(server(Reply(whole_run())), "a cat", "--record", "run.sse")
    assert "run.sse already exists; this run is recorded as run-2.sse" in done.stderr
    assert "mine" == (folder / "run.sse").read_text()
    assert whole_run() == body_of(folder / "run-2.sse")


@pytest.mark.parametrize(("name", "code"), [("file/run.sse", 12), (".", 2)])
def test_a_recording_that_cannot_be_is_found_out_before_paying(
    name: str, code: int, server: Server, gen: Gen, folder: Path
) -> None:
    """Where no recording can be made, nothing is sent."""
    (folder / "file").touch()
    wire = server(Reply(whole_run()))
    assert code == gen(wire, "a cat", "--record", name).exit_code
    assert 0 == wire.posts


@pytest.mark.parametrize("name", ["-", "/dev/null", "pipe"])
def test_a_recording_is_a_file(name: str, server: Server, gen: Gen, folder: Path) -> None:
    """A device, a pipe or standard output is refused while it is free, and no file appears beside it."""
    os.mkfifo(folder / "pipe")
    wire = server(Reply(whole_run()))
    result = gen(wire, "a cat", "--record", name)
    assert (2, 0, ["pipe"]) == (result.exit_code, wire.posts, [path.name for path in folder.iterdir()])
    assert f"--record must be a file, but {name} is not one." in result.stderr
    assert not Path("/dev/null-2").exists()


def test_a_run_that_never_began_leaves_no_recording(server: Server, gen: Gen, folder: Path) -> None:
    """A refused request leaves no empty file behind, nor a folder."""
    done = gen(
        server(error_reply(401, "No such key.", "invalid_api_key")), "a cat", "--record", "new/run.sse"
    )
    assert 4 == done.exit_code
    assert [] == list(folder.iterdir())


def test_a_image_that_is_only_recorded_is_kept_enough(server: Server, gen: Gen, folder: Path) -> None:
    """With --no-save the recording alone is worth the money, and the image can be got out of it."""
    done = gen(server(Reply(whole_run())), "a cat", "--no-save", "--record", "run.sse")
    assert 0 == done.exit_code
    assert ["run.sse"] == [path.name for path in folder.iterdir()]


def recorded(path: Path, chunks: list[bytes]) -> tuple[bytes, bytes]:
    """Record chunks that come a second apart; gives what was passed on, and what is in the file."""
    seconds = iter(range(10_000))
    recording = RunLog.record(path, HEADER, lambda: next(seconds))
    passed = b"".join(recording.tee(chunks))
    recording.discard()
    kept = path.read_bytes()
    path.unlink()
    return passed, kept.removeprefix(HEADER.line())


PIECES = [b"data: 1\n", b"\n", b"\r\n", b"\r", b": x\n", b"event: a\n\n", b"", b"{", b"y"]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_every_stream_survives_recording(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """In whatever pieces and with whatever line ends a stream comes, it is the same without the times."""
    path = tmp_path_factory.getbasetemp() / f"{os.getpid()}.sse"
    if not b"".join(pieces):
        return
    passed, kept = recorded(path, pieces)
    assert b"".join(pieces) == passed == MARK.sub(b"", kept)


def test_an_answer_that_is_no_stream_is_not_touched(tmp_path: Path) -> None:
    """A plain JSON answer stays readable JSON."""
    answer = b'{\n\n"data": []}\n\n'
    assert (answer, answer) == recorded(tmp_path / "run.sse", [answer[:3], answer[3:]])


def test_a_replay_gives_every_event_at_its_time() -> None:
    """What was recorded comes back in the order and at the times in which it came."""
    waits: list[float] = []
    given_back: list[bytes] = []

    def wait(seconds: float) -> None:
        """Note the time, when the event before it has not been told to be whole."""
        waits.append(seconds)
        assert b"".join(given_back).endswith(b"data: a" if seconds < 2 else b"data: b")

    kept = b": imgcli {}\n\ndata: a\n\n: +1.500\ndata: b\n\n: +2.000\ndata: cut"
    for size in (1, 7, 1000):
        waits.clear()
        pieces = [kept[at : at + size] for at in range(0, len(kept), size)]
        given_back.clear()
        for piece in replayed(pieces, wait):
            given_back.append(piece)  # noqa: PERF402 - `wait` looks at what was given so far
        assert kept == b"".join(given_back)
        assert [1.5, 2.0] == waits


def test_a_full_disk_costs_the_recording_only(tmp_path: Path) -> None:
    """When the disk fills up the run goes on, and it is said once that the recording is not whole."""
    recording = RunLog.record(tmp_path / "run.sse", HEADER, lambda: 0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        assert [b"data: a\n\n" * 100] == list(recording.tee([b"data: a\n\n" * 100]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = list(recording.reporting("j1", [completed(), completed()]))
    recording.discard()
    assert [Notice, type(completed()), type(completed())] == [type(event) for event in told]
    assert "ends early (File too large)" in str(told[0])


def test_a_taken_name_is_never_followed(tmp_path: Path) -> None:
    """A link that lies in wait under the recording's name is left alone."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "run.sse").symlink_to(victim)
    recording = RunLog.record(tmp_path / "run.sse", HEADER, lambda: 0.0)
    recording.discard()
    assert "mine" == victim.read_text()
    assert tmp_path / "run-2.sse" == recording.path


def test_a_folder_without_room_is_refused_with_its_own_code() -> None:
    """A folder that cannot be written gets the exit code that says so."""
    with pytest.raises(ImgcliError) as caught:
        RunLog.record(Path("/proc/self/none/run.sse"), HEADER, lambda: 0.0)
    assert ExitCode.UNWRITABLE is caught.value.problem.exit_code


def test_replay_through_the_front_door(
    server: Server, gen: Gen, imgcli: Callable[..., Result], folder: Path
) -> None:
    """What was recorded is shown again, with its bill, and the image can be saved from it."""
    gen(server(Reply(whole_run(RED))), "a cat", "--record", "run.sse", "--no-save")
    done = imgcli("view", "run.sse", "--fast", "--save", ".")
    assert (0, [str(folder / "a-cat.png")]) == (done.exit_code, done.lines)
    assert RED == (folder / "a-cat.png").read_bytes()
    assert "gpt-image-2.6-sunburst" in done.stderr
    assert b64(BLUE) not in done.stderr
