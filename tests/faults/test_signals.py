"""What a signal leaves at every moment of a run: the terminal, the files, the words about money."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from faults.harness import judge
from faults.signals import EVERYDAY, MOMENTS, SIGNALS, stopped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("signum", "moment"),
    [
        pytest.param(*one, marks=[] if one in EVERYDAY else [pytest.mark.slow])
        for one in product(SIGNALS, MOMENTS)
    ],
)
def test_the_terminal_is_put_back(signum: str, moment: str, tmp_path: Path) -> None:
    """Whenever a signal comes, the terminal is usable, nothing that came is lost, and we die by it."""
    assert "" == "\n".join(judge(stopped(signum, moment), tmp_path / "room"))
