"""kill -9 at random moments of a run, and of the recovery after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.harness import play
from faults.invariants import violations
from faults.kills import killed

if TYPE_CHECKING:
    from pathlib import Path

EVERYDAY = 3


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_killed_at_random(seed: int, tmp_path: Path) -> None:
    """Killing -9 at any moment, of a run or of its recovery, loses nothing that had arrived."""
    assert [] == violations(play(killed(seed), tmp_path / "room"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(EVERYDAY, 225))
def test_killed_at_random_again(seed: int, tmp_path: Path) -> None:
    """Killing -9, two hundred times more, loses nothing either."""
    assert [] == violations(play(killed(seed), tmp_path / "room"))
