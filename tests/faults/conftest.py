"""The harness is a longer run for now: `pytest -m long tests/faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, until its time was measured on a machine that does nothing else."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.long)
