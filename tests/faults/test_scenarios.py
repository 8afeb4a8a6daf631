"""Every scenario of `scenarios/`, through the real command, and everything that must hold after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.harness import judge
from faults.rows import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from faults.rows import Row


def _parameter(row: Row) -> object:
    marks = [pytest.mark.slow] if row.slow else []
    if row.xfail:
        marks.append(pytest.mark.xfail(reason=row.xfail, strict=True))
    return pytest.param(row, id=row.name, marks=marks)


@pytest.mark.parametrize("row", [_parameter(row) for row in ROWS.values()])
def test_scenario(row: Row, tmp_path: Path) -> None:
    """Whatever server, disk, pipes and signals do: the row's promise, and every invariant, holds."""
    assert "" == "\n".join(judge(row, tmp_path / "room")), row.promise
