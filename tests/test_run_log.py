from __future__ import annotations

import errno
import json
import os
import resource
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from imgcli.core.events import Completed, Notice
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from imgcli.store.publish.atomic import OnExists
from imgcli.store.runlog.reader import RunLogFile, unfinished
from imgcli.store.runlog.writer import MAGIC, RunLog, RunLogHeader
from streams import whole_run

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = ImageRequest(
    "고양이 \u2028 \ud800", "gpt-4o-mini", Api.RESPONSES, format=ImageFormat.PNG, partials=3
)
HEADER = RunLogHeader(
    "job/../7", "2027-01-14T15:30:12+00:00", REQUEST, "/home/me", "x.png", OnExists.REPLACE, {"origin": "api"}
)
CHUNKS = [b": a comment\r\n\r\n", b"data: {}\n", b"", b"\n\xff\x00", bytes(100_000)]


def logged(folder: Path, chunks: list[bytes] | None = None) -> RunLog:
    """Record a run that is still going on."""
    log = RunLog.begin(folder, HEADER)
    assert (chunks or CHUNKS) == list(log.tee(chunks or CHUNKS))
    return log


def test_round_trip(tmp_path: Path) -> None:
    """A record gives back the request and every byte as it came."""
    logged(tmp_path).close()
    (run,) = unfinished(tmp_path)
    assert (HEADER, b"".join(CHUNKS)) == (run.header, b"".join(run.chunks()))


def test_written_before_it_is_interpreted(tmp_path: Path) -> None:
    """A byte is in the record before anybody else sees it."""
    log = RunLog.begin(tmp_path, HEADER)
    (path,) = tmp_path.iterdir()
    seen = b""
    for chunk in log.tee(CHUNKS):
        seen += chunk
        assert path.read_bytes().endswith(b"\n\n" + seen)
    log.discard()


def test_a_record_is_an_event_stream(tmp_path: Path) -> None:
    """A record is itself an event stream: a comment line in ASCII, a blank line, then the stream."""
    logged(tmp_path, [whole_run()]).close()
    (path,) = tmp_path.iterdir()
    first, blank, rest = path.read_bytes().split(b"\n", 2)
    assert (True, b"", whole_run()) == (first.startswith(b": imgcli {") and first.isascii(), blank, rest)


def test_private(tmp_path: Path) -> None:
    """Nobody else can read what I asked for and got."""
    folder = tmp_path / "state" / "runs"
    RunLog.begin(folder, HEADER)
    (path,) = folder.iterdir()
    assert [0o700, 0o600] == [stat.S_IMODE(item.stat().st_mode) for item in (folder, path)]


def test_a_good_end_leaves_nothing(tmp_path: Path) -> None:
    """The record of a run that ended well is removed."""
    log = logged(tmp_path)
    log.discard()
    log.discard()
    assert [] == list(tmp_path.iterdir())


def test_a_promised_record_stays(tmp_path: Path) -> None:
    """A record that somebody was told about stays, whatever the end."""
    log = logged(tmp_path)
    promised = log.keep()
    log.discard()
    assert [promised] == list(tmp_path.iterdir())


DYING = """
    import os, sys
    from pathlib import Path
    from imgcli.core.request import Api, ImageRequest
    from imgcli.store.runlog.writer import RunLog, RunLogHeader
    request = ImageRequest("a cat", "m", Api.RESPONSES)
    log = RunLog.begin(Path(sys.argv[1]), RunLogHeader("j", "2027", request, "/"))
    for _ in log.tee([b"data: 1"]):
        print("written", flush=True)
        sys.stdin.read()
"""


def test_live_and_dead_runs(tmp_path: Path) -> None:
    """A run that is still going on is nobody's to recover; once it was killed, it is."""
    dying = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DYING), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with dying:
        assert dying.stdout
        assert b"written\n" == dying.stdout.readline()
        assert [] == unfinished(tmp_path)
        dying.kill()
    (run,) = unfinished(tmp_path)
    assert [b"data: 1"] == list(run.chunks())


def test_one_recovery_at_a_time(tmp_path: Path) -> None:
    """Two recoveries do not work on one run, and one that is done is not done again."""
    logged(tmp_path).close()
    (run,) = unfinished(tmp_path)
    with run.claim() as first, run.claim() as second:
        assert (True, False) == (first, second)
        run.discard()
    with run.claim() as late:
        assert not late
    run.discard()


def test_oldest_first(tmp_path: Path) -> None:
    """Runs are listed in the order in which they began."""
    for day in (3, 1, 2):
        RunLog.begin(tmp_path, RunLogHeader("j", f"2027-01-0{day}", REQUEST, "/")).close()
    assert ["2027-01-01", "2027-01-02", "2027-01-03"] == [
        run.header.time for run in unfinished(tmp_path) if run.header
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b": imgcli",
        b": imgcli {",
        b": imgcli []\n",
        b": imgcli " + b"[" * 100_000 + b"\n",
        b': imgcli {"version": 2}\n',
        b': imgcli {"version": 1, "request": {"api": 3}}\n',
        b': imgcli {"version": 1, "request": {"prompt": 7}}\n',
        b': imgcli {"version": 1, "request": null, "clash": "number"}\n',
    ],
)
def test_unreadable_header(tmp_path: Path, line: bytes) -> None:
    """A header that is torn, altered or from another version costs the header, not the run."""
    path = tmp_path / "x.sse"
    path.write_bytes(line + b"\ndata: 1\n\n")
    run = RunLogFile.read(path)
    assert (None, True) == (run.header, b"data: 1\n\n".endswith(b"".join(run.chunks())[-9:]))


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"job": 7}, {"job": ""}),
        ({"time": [1], "clash": {}}, {"time": "", "clash": OnExists.NUMBER}),
        ({"folder": None, "output": 3, "extra": []}, {"folder": "", "output": None, "extra": {}}),
        ({"folder": "/a\0b"}, {"folder": ""}),
        ({"hologram": 1}, {}),
        ({"request": {**REQUEST.to_json(), "size": [1]}}, {"request": replace(REQUEST, size=None)}),
    ],
)
def test_an_odd_field_of_a_header(odd: dict[str, object], expected: dict[str, Any]) -> None:
    """One odd field of a header costs that field: prompt, folder and name of the run are still known."""
    header = RunLogHeader("j", "2027-01-01", REQUEST, "/here", "a.png", OnExists.REPLACE, {"a": 1})
    told = json.loads(header.line().removeprefix(MAGIC))
    line = MAGIC + json.dumps(told | odd).encode() + b"\n"
    assert replace(header, **expected) == RunLogHeader.parse(line)


def test_foreign_file(tmp_path: Path) -> None:
    """A plain recording without our header is read from its first byte."""
    (tmp_path / "x.sse").write_bytes(whole_run())
    assert whole_run() == b"".join(RunLogFile.read(tmp_path / "x.sse").chunks())


def test_planted_files(tmp_path: Path) -> None:
    """Links, pipes and folders among the records are passed over."""
    (tmp_path / "real").write_bytes(b": imgcli {}\n\n")
    (tmp_path / "a.sse").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "b.sse")
    (tmp_path / "c.sse").mkdir()
    assert ([], []) == (unfinished(tmp_path), unfinished(tmp_path / "missing"))


def test_no_folder_for_records(tmp_path: Path) -> None:
    """When no record can be begun the stream passes through, and one sentence says what that means."""
    (tmp_path / "file").touch()
    log = logged(tmp_path / "file")
    end = Completed("j", None)
    told = "no complete run log for `imgcli recover` (File exists); the image is saved as usual"
    assert [Notice("j", told), end, end] == list(log.reporting("j", [end, end]))
    log.sync()
    log.close()
    assert None is log.keep()


def test_full_disk(tmp_path: Path) -> None:
    """A disk that fills up costs the record, not the stream; what is left of it is the image's."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = RunLog.begin(tmp_path, HEADER)
    (path,) = tmp_path.iterdir()
    begun = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        assert CHUNKS == list(log.tee(CHUNKS))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (True, None, begun) == (bool(log.trouble), log.keep(), path.stat().st_size)
    log.discard()


def test_broken_off_at_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks off a run while its record is begun, nothing was sent, and no record says otherwise."""

    def broken_off(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", broken_off)
    with pytest.raises(KeyboardInterrupt):
        RunLog.begin(tmp_path, HEADER)
    assert [] == list(tmp_path.iterdir())


def test_failed_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that cannot flush the record of a failed run does not take its bytes away."""
    log = logged(tmp_path)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    log.close()
    (run,) = unfinished(tmp_path)
    assert b"".join(CHUNKS) == b"".join(run.chunks())


def test_full_disk_after_a_promise(tmp_path: Path) -> None:
    """What a promised record holds is not given up for anything."""
    log = RunLog.begin(tmp_path, HEADER)
    promised = log.keep()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        assert CHUNKS == list(log.tee(CHUNKS))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.discard()
    assert promised
    assert b"".join(CHUNKS[:-1]) in promised.read_bytes()


def test_disk_full_from_the_start(tmp_path: Path) -> None:
    """A record whose header does not fit leaves nothing behind."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        log = RunLog.begin(tmp_path, HEADER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (True, []) == (bool(log.trouble), list(tmp_path.iterdir()))
