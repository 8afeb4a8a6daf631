"""That the harness covers what it claims, and bites."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from faults.harness import judge
from faults.rows import HERE, ROWS
from imgcli.core.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

OTHER_IDS = {
    "F10": "test_injection.py: test_order",
    "K8": "invariants.py: secrets_stay_secret looks at the modes of what a run leaves",
    "P15": "invariants.py: images_are_whole",
    "T10": "test_jobs.py: test_a_job_in_the_background",
    "X7": "test_jobs.py: test_ctrl_z",
    "X8": "test_kills.py and test_injection.py",
    "X14": "test_jobs.py: test_a_reader_that_sleeps",
}
BITES = {
    "N4": "N4-never-answers",
    "N9": "N9-close-delimited-in-the-image",
    "S3": "S3-keep-alives-that-break-others",
    "F11": "F11-dangling-link",
    "X11": "X11-nobody-reads-stderr",
    "K1": "K1-carriage-return-inside",
}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def _known() -> set[str]:
    themes = _read("ids.toml")["themes"]
    return {f"{theme}{number}" for theme, count in themes.items() for number in range(1, count + 1)}


def _covered() -> set[str]:
    return {one for row in ROWS.values() for one in (row.id, *row.also)} | set(OTHER_IDS)


def test_every_known_fault_is_covered_or_waived() -> None:
    """No fault that we know of is forgotten: it has a scenario, a test elsewhere, or a reason."""
    notes = _read("waived.toml")
    excused = set(notes["elsewhere"]) | set(notes["waived"])
    assert (set(), set()) == (_known() - _covered() - excused, (_covered() | excused) - _known())
    assert set() == _covered() & excused


def test_tests_elsewhere_exist() -> None:
    """A fault that is proved elsewhere is proved by a test that exists."""
    root = HERE.parent.parent
    for place in _read("waived.toml")["elsewhere"].values():
        name, _, function = place.partition("::")
        assert f"def {function}(" in (root / name).read_text(encoding="utf-8"), place


def test_every_exit_code_has_a_scenario() -> None:
    """Every exit code of a run can be met, and the scenarios know no other; two are those of `verify`."""
    ends = {row.exit for row in ROWS.values()}
    codes = {end for end in ends if isinstance(end, int)}
    assert {int(code) for code in ExitCode} == codes | {ExitCode.ALTERED, ExitCode.NO_EVIDENCE}
    assert codes.isdisjoint({ExitCode.ALTERED, ExitCode.NO_EVIDENCE})
    assert {"SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGQUIT", "SIGKILL"} == ends - codes


def test_there_are_enough_scenarios() -> None:
    """At least 90 scenarios are played every day, and 250 in both tiers."""
    assert 90 <= sum(not row.slow for row in ROWS.values())
    assert 250 <= len(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("fault", BITES)
def test_a_naive_client_is_caught(fault: str, tmp_path: Path) -> None:
    """The harness bites: the client that everybody writes first fails it."""
    from faults.runner import NAIVE

    assert [] != judge(ROWS[BITES[fault]], tmp_path / "room", NAIVE)
