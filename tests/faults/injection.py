"""Failing, or dying in, every single system call that touches our files, one after the other."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from faults.harness import launch
from faults.rows import Answer, Row
from faults.runner import IMGCLI
from faults.stage import staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = ("write", "fsync", "link", "unlink", "openat")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
RARE_FAULTS = ("error=EDQUOT", "error=EPERM", "error=EROFS", "error=EXDEV")
_FOLDER = re.compile(r"/here\"|^\d+<[^>]*/here>\)")
_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)")
ROW = Row(
    name="X8-sweep",
    promise="No system call that fails, and no death in one, loses what had arrived.",
    replies=(Answer(pauses=(("after:partial:0", 0.3),), chunk=400_000),),
    final="NOISE",
)


@dataclass(frozen=True)
class Point:
    """One system call of a run: its name, and which of its kind it is in the main thread."""

    call: str
    number: int
    about: str = ""

    @property
    def flushes_folder(self) -> bool:
        """Whether it is about the target's folder itself, after the image got its name."""
        return self.about == "folder"

    def fault(self, how: str, *, lasting: bool = False) -> str:
        """Say it as strace says it."""
        return f"{self.call}:{how}:when={self.number}{'+' if lasting else ''}"


def trace(root: Path, row: Row = ROW) -> list[str]:
    """Watch a run once: its system calls that touch files, a line each."""
    log = root.parent / "calls"
    with staged(row, root) as stage:
        tracing = ["strace", "-f", "-qq", "-y", "-s", "200", "--seccomp-bpf", "-o", str(log)]
        ended, _ = launch(stage, [*tracing, "-e", f"trace={','.join(CALLS)}", *IMGCLI])
    assert ended.exit_code == 0, ended.stderr.decode()
    return log.read_text(errors="replace").splitlines()


def points(lines: list[str], room: str) -> list[Point]:
    """List the calls that touch a room's files after the image began to arrive."""
    return list(_relevant(lines, room))


def _relevant(lines: list[str], room: str) -> Iterator[Point]:
    """Number the calls by thread, and choose those of the thread that writes the record, from then on."""
    calls = [found for line in lines if (found := _LINE.match(line))]
    records = [at for at, found in enumerate(calls) if found["call"] == "write" and ".sse>" in found["rest"]]
    assert len(records) > 2, "an ordinary run is not recorded"  # the header, the preview, then the image
    main, start = calls[records[0]]["pid"], records[2]
    seen: Counter[tuple[str, str]] = Counter()
    for at, found in enumerate(calls):
        seen[found["pid"], found["call"]] += 1
        is_output = found["call"] == "write" and found["rest"].startswith(("1<", "2<"))
        touches = room in found["rest"].partition("= ")[0].replace(f"AT_FDCWD<{room}/here>", "")
        if at >= start and found["pid"] == main and (touches or is_output):
            about = "folder" if _FOLDER.search(found["rest"]) else ""
            yield Point(found["call"], seen[found["pid"], found["call"]], about)


def sample(chosen: list[Point], most: int) -> list[Point]:
    """Choose a few, spread out: the first and the last among them."""
    places = sorted({round(at * (len(chosen) - 1) / (most - 1)) for at in range(most)})
    return [chosen[at] for at in places] if chosen else []


def injected(point: Point, how: str, *, lasting: bool = False) -> Row:
    """Make the scenario in which this call fails, or is the last one.

    A folder that cannot be flushed may lose the name: a second copy elsewhere is right then.
    """
    return replace(
        ROW, strace=point.fault(how, lasting=lasting), most_copies=2 if point.flushes_folder else 0
    )


def recovery_dies(naming: Point, call: str, number: int) -> Row:
    """Kill a run at the moment of naming its image, then its recovery in one of its calls."""
    steps = 60 if call == "openat" else 1  # most of them are imports
    dying = Point(call, number * steps).fault("signal=SIGKILL")
    return replace(ROW, strace=naming.fault("signal=SIGKILL"), recover_faults=(dying,))


def strace_works() -> bool:
    """Tell whether this machine lets us trace our own processes."""
    try:
        return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False
