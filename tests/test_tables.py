"""The loop over a table fails as its rows do."""

from __future__ import annotations

import pytest

from tables import each


def test_each_row_that_fails_is_told() -> None:
    """Every row is played; those that fail are named with their values, whatever they raise."""
    played = []

    @each("number, word", [(1, "a"), (2, "b"), (3, "c")])
    def check(number: int, word: str) -> None:
        played.append(word)
        assert number != 1
        with pytest.raises(ValueError, match="c"):
            int("c" if number == 3 else "2")

    with pytest.raises(BaseExceptionGroup, match="2 of 3 rows") as caught:
        check()
    notes = [note for failure in caught.value.exceptions for note in failure.__notes__]
    assert ["in the row {'number': 1, 'word': 'a'}", "in the row {'number': 2, 'word': 'b'}"] == notes
    assert ["a", "b", "c"] == played


def test_a_row_is_never_skipped() -> None:
    """A row that skips would take the whole table along, so that it is an error."""

    @each("number", [1, 2])
    def check(number: int) -> None:
        if number == 1:
            pytest.skip("not here")

    with pytest.raises(AssertionError, match="cannot be skipped"):
        check()
