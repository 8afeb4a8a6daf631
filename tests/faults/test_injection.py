"""A deterministic sweep: every system call that touches our files fails once, and is once the last one."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from faults.harness import play
from faults.injection import (
    CALLS,
    FAULTS,
    RARE_FAULTS,
    Point,
    injected,
    points,
    recovery_dies,
    sample,
    strace_works,
    trace,
)
from faults.invariants import violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    """Give the system calls of an ordinary run, and the folder of its room."""
    if not strace_works():
        assert not os.environ.get("CI"), "strace does not work here; .ci/run installs it"
        pytest.skip("strace does not work here")
    room = tmp_path_factory.mktemp("dry") / "room"
    return trace(room), str(room)


@pytest.fixture(scope="module")
def swept(traced: tuple[list[str], str]) -> list[Point]:
    """List the calls of an ordinary run that touch its files."""
    return points(*traced)


def _trouble(call: str, how: str, swept: list[Point], folder: Path) -> Iterator[str]:
    """Inject one fault into each call of one kind, and say what did not hold."""
    assert any(point.call == call for point in swept), f"an ordinary run makes no {call}"
    for point in (point for point in swept if point.call == call):
        row = injected(point, how)
        for said in violations(play(row, folder / f"{point.number}" / "room")):
            yield f"{row.strace}: {said}"


@pytest.mark.parametrize(
    ("call", "how"),
    [("link", "signal=SIGKILL"), pytest.param("fsync", "error=ENOSPC", marks=pytest.mark.slow)],
)
def test_sweep(call: str, how: str, swept: list[Point], tmp_path: Path) -> None:
    """Wherever a disk fails or the process dies, what had arrived is there after `imgcli recover`."""
    some = sample([point for point in swept if point.call == call], 2)
    assert [] == list(_trouble(call, how, some, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_whole_sweep(call: str, how: str, swept: list[Point], tmp_path: Path) -> None:
    """The same for every single call."""
    assert [] == list(_trouble(call, how, swept, tmp_path))


@pytest.mark.slow
def test_a_folder_that_cannot_be_flushed(swept: list[Point], tmp_path: Path) -> None:
    """A folder that cannot be flushed leaves one copy of the image, not two."""
    [flush] = [point for point in swept if point.call == "fsync" and point.flushes_folder]
    row = replace(injected(flush, "error=EIO"), most_copies=0)
    assert [] == violations(play(row, tmp_path / "room"))


def test_order(traced: tuple[list[str], str]) -> None:
    """The answer is recorded before it is read; the image is flushed, named, its folder flushed, told."""
    steps = {
        "record": r"write\(\d+<[^>]*\.sse>, .*",
        "draft": r"openat\(.*\.part\", .*O_EXCL",
        "flush": r"fsync\(\d+<[^>]*\.part>\)",
        "name": r"link\(\"[^\"]*\.part\", \"[^\"]*/a-cat\.png\"",
        "folder": r"fsync\(\d+<[^>]*/here>\)",
        "path": r"write\(1<.*a-cat\.png",
    }
    text = "\n".join(traced[0])
    found = {name: [match.start() for match in re.finditer(step, text)] for name, step in steps.items()}
    assert [] == [name for name in steps if not found[name]]
    places = [found[name][-1] for name in steps if name != "record"]
    assert sorted(places) == places
    assert found["record"][1] < found["draft"][-1]


@pytest.mark.slow
@pytest.mark.parametrize("how", RARE_FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_other_errors(call: str, how: str, swept: list[Point], tmp_path: Path) -> None:
    """Quotas, missing rights and read-only disks lose nothing either."""
    assert [] == list(_trouble(call, how, swept, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_recovery_that_dies(call: str, swept: list[Point], tmp_path: Path) -> None:
    """A recovery that is killed in any of its calls is finished by the next one."""
    naming = next(point for point in swept if point.call == "link")
    for number in range(1, 9):
        row = recovery_dies(naming, call, number)
        assert [] == violations(play(row, tmp_path / str(number) / "room")), row
