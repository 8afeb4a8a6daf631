"""`imgcli recover`: whatever killed a run, what had come is found again, once, and for nothing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, running, wait_for
from images import noise
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from imgcli.core.text import file_size
from imgcli.store.publish.atomic import OnExists
from imgcli.store.runlog.reader import answer_starts, may_be_running, process_identity
from imgcli.store.runlog.writer import MAGIC, RunLog, RunLogHeader
from streams import (
    BLUE,
    GREEN,
    RED,
    b64,
    completed,
    created,
    image_item,
    item_done,
    partial,
    stream,
    whole_run,
)
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Record = Callable[..., Path]

JOB = "20261122-150000-abcd1234"
REQUEST = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, size="48x32", partials=3)
PARTIALS = stream(created(), partial(0, GREEN), partial(1, BLUE))
FINAL = stream(created(), partial(0), item_done(image_item()))


@pytest.fixture
def runs(world: dict[str, str]) -> Path:
    """The folder of records."""
    return Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"


@pytest.fixture
def record(runs: Path, folder: Path) -> Record:
    """Leave the record of a dead run that was asked for in the folder `here`."""

    def leave(
        body: bytes,
        prompt: str = "a cat",
        output: str | None = None,
        clash: OnExists = OnExists.NUMBER,
        **extra: object,
    ) -> Path:
        request = replace(REQUEST, prompt=prompt)
        header = RunLogHeader(JOB, "2026-11-22T15:00:00+00:00", request, str(folder), output, clash, extra)
        before = set(records(runs))
        spool = RunLog.begin(runs, header)
        list(spool.tee([body]))
        spool.close()
        (path,) = set(records(runs)) - before
        return path

    return leave


def records(runs: Path) -> list[Path]:
    """List the records."""
    return sorted(runs.glob("*")) if runs.exists() else []


def files(folder: Path) -> dict[str, bytes]:
    """List what is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def hold(runs: Path, body: bytes) -> bool:
    """Tell whether a record holds these bytes."""
    return any(path.read_bytes().endswith(body) for path in records(runs))


@pytest.mark.parametrize("body", [FINAL, whole_run()], ids=["final", "completed"])
def test_killed_with_the_image_on_disk(
    body: bytes, server: Server, world: dict[str, str], folder: Path, runs: Path, imgcli: Cli
) -> None:
    """Kill -9 once the image's last byte came: recover brings one copy, however often it is called."""
    wire = server(Reply(body, end=End.STALL))
    with running(wire, world, folder, "-q") as process:
        wait_for(lambda: hold(runs, body) or (folder / "a-cat.png").exists())
        process.kill()
    first, second = imgcli("recover"), imgcli("recover")
    assert (0, 0, b"") == (first.exit_code, second.exit_code, second.stdout), first.stderr
    assert ({"a-cat.png": RED}, [], 1) == (files(folder), records(runs), wire.posts)


@pytest.mark.parametrize("extra", [{"endpoint": "demo"}, {"billed": False}, {}])
def test_a_free_run(extra: dict[str, object], record: Record, imgcli: Cli) -> None:
    """The bill of a run that cost nothing, as at a demo server, says so, and no other does."""
    record(whole_run(), **extra)
    told = imgcli("recover").stderr
    assert "total" in told
    assert bool(extra) == ("note: this run was free; the bill is what it would cost" in told)


def test_killed_after_publishing(
    server: Server, world: dict[str, str], folder: Path, runs: Path, imgcli: Cli
) -> None:
    """Kill -9 between the image's name and the record's removal: no second copy, and the path is told."""
    (folder / "a-cat.png").write_bytes(BLUE)
    wire = server(Reply(FINAL, end=End.STALL))
    with running(wire, world, folder, "-q") as process:
        wait_for((folder / "a-cat-2.png").exists)
        process.kill()
    result = imgcli("recover")
    assert (0, [str(folder / "a-cat-2.png")]) == (result.exit_code, result.lines), result.stderr
    assert ({"a-cat.png": BLUE, "a-cat-2.png": RED}, []) == (files(folder), records(runs))


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_only_partials_came(
    signum: signal.Signals, server: Server, world: dict[str, str], folder: Path, runs: Path, imgcli: Cli
) -> None:
    """Without a final image the last partial is kept once, the request is named, and 9: perhaps paid."""
    # SIGTERM may come when the second of two is recorded, but not yet read.
    sent = PARTIALS if signum is signal.SIGKILL else stream(created(), partial(0, BLUE))
    wire = server(Reply(sent, end=End.STALL))
    with running(wire, world, folder, "-q") as process:
        wait_for(lambda: hold(runs, sent))
        process.send_signal(signum)
        process.wait(PATIENCE)
    first, second = imgcli("recover"), imgcli("recover")
    assert (9, [], 0) == (first.exit_code, first.lines, second.exit_code)
    for told in (wire.requests[0].headers["x-client-request-id"], "a cat", "may have been charged"):
        assert told in first.stderr
    assert ({"a-cat.partial.png": BLUE}, []) == (files(folder), records(runs))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("flush", ["when=1", pytest.param("when=2", marks=pytest.mark.slow)])
def test_broken_off_before_anything_was_sent(
    flush: str, server: Server, world: dict[str, str], folder: Path, runs: Path
) -> None:
    """Ctrl-C while the record is begun leaves nothing to recover: nothing was sent."""
    wire = server(Reply(whole_run()))
    tracing = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=fsync"]
    tracing += ["-e", f"inject=fsync:signal=SIGINT:{flush}"]
    done = subprocess.run(
        [*tracing, sys.executable, "-m", "imgcli", "gen", "a cat"],
        cwd=folder,
        env=world | {"OPENAI_BASE_URL": wire.base_url},
        timeout=PATIENCE,
        capture_output=True,
        check=False,
    )
    assert (-signal.SIGINT, 0) == (done.returncode, wire.posts), done.stderr
    assert ({}, []) == (files(folder), records(runs))


def test_nothing_came(record: Record, runs: Path, folder: Path, imgcli: Cli) -> None:
    """A run that was killed before any answer is told once, with what it may have cost, and forgotten."""
    record(b"")
    first, second = imgcli("recover"), imgcli("recover")
    assert (9, 0, {}, []) == (first.exit_code, second.exit_code, files(folder), records(runs))
    assert JOB in first.stderr
    assert "may have been charged" in first.stderr
    assert "nothing to recover" in second.stderr


def test_the_bill(record: Record, imgcli: Cli) -> None:
    """When the whole answer is there, its bill is shown, from the same words as ever; no key is needed."""
    record(whole_run())
    result = imgcli("recover")
    assert 0 == result.exit_code
    assert "total" in result.stderr.lower()
    assert "recovering the run of 2026-11-22 15:00: a cat" in result.stderr.splitlines()[0]


def test_a_file_in_the_folders_place(record: Record, runs: Path, folder: Path, imgcli: Cli) -> None:
    """An image whose folder is a file by now is saved elsewhere, the code and the path say so; once."""
    (folder / "gone").touch()
    record(whole_run(), output="gone/")
    first, second = imgcli("recover"), imgcli("recover")
    (path,) = first.lines
    assert (10, RED, 0, []) == (first.exit_code, Path(path).read_bytes(), second.exit_code, records(runs))
    assert path in first.stderr
    assert "/rescued/" in path


def test_rescued_already(record: Record, world: dict[str, str], folder: Path, imgcli: Cli) -> None:
    """An image that was rescued before the kill is found where it was rescued to."""
    rescued = Path(world["XDG_STATE_HOME"]) / "imgcli" / "rescued"
    rescued.mkdir(parents=True)
    (rescued / "a-cat.png").write_bytes(RED)
    record(whole_run())
    result = imgcli("recover")
    assert (10, [str(rescued / "a-cat.png")], {}) == (result.exit_code, result.lines, files(folder))


def test_damaged(record: Record, runs: Path, folder: Path, imgcli: Cli) -> None:
    """Damaged data is kept beside, once; the run log stays, for it was paid for."""
    path = record(whole_run(RED[:60]))
    first, second = imgcli("recover"), imgcli("recover")
    assert (11, 11, [], []) == (first.exit_code, second.exit_code, first.lines, second.lines)
    assert ({"a-cat.damaged.png": RED[:60]}, [path]) == (files(folder), records(runs))
    assert str(path) in first.stderr


@pytest.mark.parametrize(
    "first_line", [b"", b": imgcli {garbage\n\n", b': imgcli {"version": 1, "job": 7}\n\n', b": hello\n"]
)
def test_unreadable_header(first_line: bytes, runs: Path, folder: Path, imgcli: Cli) -> None:
    """A record that lost its header still gives its image, into the current folder."""
    runs.mkdir(parents=True)
    (runs / "x.sse").write_bytes(first_line + whole_run())
    assert 0 == imgcli("recover").exit_code
    assert ({"recovered-image.png": RED}, []) == (files(folder), records(runs))


@pytest.mark.parametrize(
    "odd",
    [
        {"time": "0001-01-01T00:00:00+14:00"},
        {"time": "9999-12-31T23:59:59-14:00"},
        {"time": 1e308},
        {"extra": {"parents": [{"sha256": "ab", "role": ["mask"]}], "endpoint": 7, "recipe": {"recipe": 1}}},
        {"request": {**REQUEST.to_json(), "size": [1], "references": [{"size": [1]}]}},
        {"clash": ["replace"], "job": None},
    ],
)
def test_an_odd_field_of_the_header(
    odd: dict[str, object], record: Record, runs: Path, folder: Path, imgcli: Cli
) -> None:
    """One odd field of a record costs neither the image nor its place, and listing and history go on."""
    path = record(whole_run(), output="sub.png")
    first, _, rest = path.read_bytes().partition(b"\n")
    told = json.loads(first.removeprefix(MAGIC)) | odd
    path.write_bytes(MAGIC + json.dumps(told).encode() + b"\n" + rest)
    assert 0 == imgcli("recover", "--list").exit_code
    result = imgcli("recover", cwd=folder.parent)
    assert (0, {"sub.png": RED}, []) == (result.exit_code, files(folder), records(runs)), result.stderr
    assert b"a cat" in imgcli("history").stdout


@pytest.mark.parametrize("line", [b"", b": imgcli {", b': imgcli {"version": 1}\n'])
def test_never_sent(line: bytes, runs: Path, folder: Path, imgcli: Cli) -> None:
    """A record whose own beginning was cut was never sent: it is no reason to worry anybody."""
    runs.mkdir(parents=True)
    (runs / "x.sse").write_bytes(line)
    result = imgcli("recover")
    assert (0, {}, []) == (result.exit_code, files(folder), records(runs))
    assert "charged" not in result.stderr


def test_a_live_run_is_left_alone(
    server: Server, world: dict[str, str], folder: Path, runs: Path, imgcli: Cli
) -> None:
    """A run that is still going on is neither listed nor touched."""
    with running(server(Reply(PARTIALS, end=End.STALL)), world, folder, "-q"):
        wait_for(lambda: hold(runs, PARTIALS))
        listed, result = imgcli("recover", "--list"), imgcli("recover")
        assert (b"", 0, {}, 1) == (listed.stdout, result.exit_code, files(folder), len(records(runs)))


def test_list(record: Record, runs: Path, folder: Path, imgcli: Cli) -> None:
    """--list shows a line a run, with nothing in it that a terminal would obey, and changes nothing."""
    paths = [record(whole_run(), "a \x1b]0;evil\x07 cat"), record(PARTIALS, "two"), record(b"", "three")]
    result = imgcli("recover", "--list")
    assert 0 == result.exit_code
    assert b"\x1b" not in result.stdout
    told = {cells[6]: cells for line in result.lines if (cells := line.split("  "))}
    expected = ["final image", "2 partial images", "nothing"]
    assert dict(zip(map(str, paths), expected, strict=True)) == {path: told[path][4] for path in told}
    assert {path.stem[-6:] for path in paths} == {cells[0] for cells in told.values()}
    for path in paths:
        assert re.fullmatch(r"[0-9]+ (d|h|min)", told[str(path)][2])
        assert file_size(path.stat().st_size) == told[str(path)][3]
    assert ({}, sorted(paths)) == (files(folder), records(runs))


def test_several_runs(record: Record, runs: Path, folder: Path, imgcli: Cli) -> None:
    """All runs are finished, the gravest code is the exit code, and what is paid for is not mixed up."""
    record(b"", "nothing")
    record(whole_run(), "red")
    record(whole_run(GREEN), "red")
    record(whole_run(RED[:60]), "broken")
    result = imgcli("recover")
    assert (11, 1) == (result.exit_code, len(records(runs)))
    saved = {Path(path).name: Path(path).read_bytes() for path in result.lines}
    assert {RED, GREEN} == set(saved.values())
    assert {"red.png", "red-2.png"} == set(saved)
    assert saved | {"broken.damaged.png": RED[:60]} == files(folder)


def test_never_over_another_file(record: Record, folder: Path, imgcli: Cli) -> None:
    """What was asked for with --force replaces nothing later: that file may be another image by now."""
    (folder / "x.png").write_bytes(BLUE)
    record(whole_run(), output="x.png", clash=OnExists.REPLACE)
    assert 0 == imgcli("recover").exit_code
    assert {"x.png": BLUE, "x-2.png": RED} == files(folder)


def test_damage_that_was_not_seen_before(record: Record, folder: Path, runs: Path, imgcli: Cli) -> None:
    """A damaged image that was saved under its own name by an earlier version is called damaged."""
    (folder / "a-cat.png").write_bytes(RED[:60])
    record(whole_run(RED[:60]))
    result = imgcli("recover")
    assert (11, {"a-cat.png": RED[:60]}, 1) == (result.exit_code, files(folder), len(records(runs)))


def test_what_was_meant_for_standard_output(record: Record, folder: Path, imgcli: Cli) -> None:
    """The bytes of a run with `-o -` become a file: a terminal is no place for them."""
    record(whole_run(), output="-")
    result = imgcli("recover")
    assert ([str(folder / "a-cat.png")], {"a-cat.png": RED}) == (result.lines, files(folder))


def test_a_folder_stays_a_folder(server: Server, gen: Gen, folder: Path, runs: Path, imgcli: Cli) -> None:
    """A run that was meant for a folder is saved in a folder of that name, also when that has gone."""
    target = folder / "pictures"
    target.mkdir()
    gen(server(Reply(stream(created()))), "a cat", "-o", "pictures")
    (path,) = records(runs)
    path.write_bytes(path.read_bytes() + FINAL)
    target.rmdir()
    result = imgcli("recover")
    assert (0, [str(target / "a-cat.png")]) == (result.exit_code, result.lines), result.stderr
    assert {"a-cat.png": RED} == files(target)


def test_temporary_files(record: Record, folder: Path, imgcli: Cli) -> None:
    """Leftovers of a kill are swept; a live process's file stays, and so does what may be the only copy."""
    leftover = {name: folder / f".imgcli-{name}.part" for name in ("torn", "whole", "empty", "live", "other")}
    for name, data in {"torn": RED[:50], "whole": RED, "empty": b"", "live": RED, "other": GREEN}.items():
        leftover[name].write_bytes(data)
    record(whole_run())
    with leftover["live"].open("rb") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        first, _ = imgcli("recover"), imgcli("recover")
    assert {"a-cat.png": RED, ".imgcli-live.part": RED, ".imgcli-other.part": GREEN} == files(folder)
    assert (True, False) == ("other.part" in first.stderr, "live.part" in first.stderr)


def test_the_next_run_tells(record: Record, server: Server, gen: Gen, runs: Path) -> None:
    """The next `gen` says in one line that a run is unfinished, and leaves it alone."""
    record(whole_run())
    wire = server(Reply(whole_run()))
    one = gen(wire, "a dog")
    record(whole_run())
    two = gen(wire, "a dog")
    assert [1, 1] == [result.stderr.count("imgcli recover") for result in (one, two)]
    assert ("1 unfinished run;", "2 unfinished runs;") == tuple(
        " ".join(line.split()[1:4])
        for result in (one, two)
        for line in result.stderr.splitlines()
        if "recover" in line
    )
    assert 2 == len(records(runs))


def test_nobody_reads_the_paths(record: Record, runs: Path, folder: Path, world: dict[str, str]) -> None:
    """`imgcli recover | true` and a full standard output lose nothing."""
    record(whole_run())
    script = f"{sys.executable} -m imgcli recover > /dev/full; echo $?"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=world, capture_output=True, text=True, check=True
    )
    assert ("10\n", {"a-cat.png": RED}, []) == (done.stdout, files(folder), records(runs))
    assert str(folder / "a-cat.png") in done.stderr


def test_a_link_in_place_of_the_image(record: Record, runs: Path, imgcli: Cli) -> None:
    """An answer that was paid for and that we cannot turn into a file is not thrown away."""
    item = image_item(result="https://example.com/" + "x" * 500)
    path = record(stream(created(), item_done(item), completed(item)))
    assert (9, 9) == (imgcli("recover").exit_code, imgcli("recover").exit_code)
    assert [path] == records(runs)


def test_a_record_that_cannot_be_removed(record: Record, runs: Path, folder: Path, mortal: Cli) -> None:
    """When the record cannot be removed, the image is not copied again by every call."""
    record(whole_run())
    runs.chmod(0o500)
    first, second = mortal("recover"), mortal("recover")
    runs.chmod(0o700)
    assert (0, first.lines) == (first.exit_code, second.lines)
    assert {"a-cat.png": RED} == files(folder)


@pytest.fixture
def lockless(folder: Path, world: dict[str, str]) -> dict[str, str]:
    """An environment in which the file system has no locks, as some over a network have none."""
    place = folder.parent / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        "import fcntl\ndef none(*_):\n    raise OSError(95, 'Operation not supported')\nfcntl.flock = none\n"
    )
    return world | {"PYTHONPATH": str(place)}


@pytest.mark.slow
def test_a_live_run_without_locks(
    lockless: dict[str, str], server: Server, runs: Path, folder: Path, imgcli: Cli
) -> None:
    """Where no lock says that a run lives, its process does; when that is gone, what came is saved."""
    wire = server(Reply(PARTIALS, end=End.STALL))
    with running(wire, lockless, folder) as process:
        wait_for(lambda: hold(runs, PARTIALS[-40:]))
        early = imgcli("recover", env=lockless)
        assert (0, {}, 1) == (early.exit_code, files(folder), len(records(runs))), early.stderr
        process.kill()
    late = imgcli("recover", env=lockless)
    assert (9, {"a-cat.partial.png": BLUE}) == (late.exit_code, files(folder)), late.stderr


def test_a_run_elsewhere_without_locks(
    lockless: dict[str, str], record: Record, folder: Path, imgcli: Cli
) -> None:
    """A run that another machine may be writing is left alone for a day after its last byte, then saved."""
    path = record(whole_run())
    early = imgcli("recover", env=lockless)
    assert (0, {}, True) == (early.exit_code, files(folder), path.exists()), early.stderr
    os.utime(path, (0, path.stat().st_mtime - 90_000))
    late = imgcli("recover", env=lockless)
    assert (0, {"a-cat.png": RED}) == (late.exit_code, files(folder)), late.stderr


def test_a_number_that_another_process_got(record: Record) -> None:
    """A process with the number of a run's that began at another time is not that run's."""
    info = record(whole_run()).stat()
    assert may_be_running(process_identity(), info)
    assert not may_be_running(process_identity() | {"began": "1"}, info)


WHOLE_PREVIEW = stream(created(), partial(0, BLUE))
CUT_PREVIEW = WHOLE_PREVIEW[: WHOLE_PREVIEW.index(b64(BLUE).encode()) + 80]


@pytest.mark.parametrize(
    ("bodies", "told"),
    [
        ([b""], None),
        ([stream(created())], None),
        ([CUT_PREVIEW], None),
        ([PARTIALS], "1 unfinished run; run `imgcli recover` to salvage it"),
        ([FINAL[:-80], b"", FINAL], "2 unfinished runs; run `imgcli recover` to salvage them"),
        ([stream(created(), partial(0, noise(400)))], "1 unfinished run; run `imgcli recover` to salvage it"),
    ],
    ids=["no answer", "no image", "a torn preview", "a preview", "a torn image", "a large preview"],
)
def test_the_next_run_tells_of_what_can_be_salvaged(
    bodies: list[bytes], told: str | None, record: Record, imgcli: Cli
) -> None:
    """The note about unfinished runs comes only where an image or a preview is in one of them."""
    for body in bodies:
        record(body)
    result = imgcli("gen", "a cat", "--demo")
    notes = [line for line in result.stderr.splitlines() if "unfinished" in line]
    assert [f"note: {told}"] * (told is not None) == notes


def test_a_large_record_is_not_read_at_every_start(record: Record, runs: Path) -> None:
    """However much an unfinished run left, the next start reads a quarter of a megabyte of it."""
    path = record(FINAL)
    with path.open("ab") as file:
        file.truncate(200_000_000)
    (found,) = answer_starts(runs)
    assert not found.is_whole
    assert len(found.answer) < 300_000


def test_a_beginning_that_may_mean_several_runs_discards_none(
    record: Record, runs: Path, imgcli: Cli
) -> None:
    """`recover --discard 2026-11`, with which every record's name begins, throws nothing away."""
    stems = {record(PARTIALS).stem for _ in range(2)}
    result = imgcli("recover", "--discard", "2026-11")
    assert (2, stems) == (result.exit_code, {path.stem for path in records(runs)}), result.stderr
    assert "matches 2 runs" in result.stderr
