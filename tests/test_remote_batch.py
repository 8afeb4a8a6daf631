"""What a server says of a batch: read field by field, and never believed further than it makes sense."""

from __future__ import annotations

import pytest

from imgcli.core.remote_batch import BatchAnswer, BatchStatus, RemoteBatch


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"line": 3, "message": "no such model"}, "line 3: no such model"),
        ({"line": "3", "code": "invalid"}, "invalid"),
        ({}, "?"),
        ("odd", "?"),
    ],
)
def test_why_a_batch_failed(error: object, told: str) -> None:
    """A refused batch names the line of its input and the reason, as far as the server told them."""
    batch = RemoteBatch.from_json({"id": "batch_1", "status": "failed", "errors": {"data": [error]}})
    assert batch
    assert (BatchStatus.FAILED, True) == (batch.status, told in batch.faults)


@pytest.mark.parametrize("odd", [{}, {"id": 7}, {"id": ""}, {"custom_id": None}])
def test_what_is_no_batch(odd: dict[str, object]) -> None:
    """Without a name there is no batch, and no answer either."""
    assert (None, None) == (RemoteBatch.from_json(odd), BatchAnswer.from_json(odd))
