"""Products that are too long for every day: each cut in each framing, and mutations by the thousand."""

from __future__ import annotations

import pytest

from faults.products import CHUNKS, NEWLINES, cuts, mutations, read, refuted

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("newline", NEWLINES, ids=["LF", "CR", "CRLF"])
def test_every_cut(newline: str, chunk: int) -> None:
    """An answer that was cut anywhere brings its image when it had come, and is no success otherwise."""
    assert [] == [said for whole, body in cuts(newline) for said in refuted(whole, body, chunk)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_mutations(seed: int) -> None:
    """An answer with damage of any kind ends once, in one way."""
    assert all(len(read(body, 700)[1]) == 1 for body in mutations(seed, 500))


def test_a_sample_of_cuts() -> None:
    """The same, for one cut in forty, every day."""
    assert [] == [
        said
        for newline in NEWLINES
        for whole, body in cuts(newline, 40)
        for said in refuted(whole, body, 700)
    ]
