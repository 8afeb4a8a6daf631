"""A pattern that is compiled when it is first used."""

from __future__ import annotations

import re

import pytest

from imgcli.regex import regex


def test_it_is_a_pattern() -> None:
    """A pattern finds, replaces and tells its own text as the standard library's does, time after time."""
    late, usual = regex(r"(a)b", re.IGNORECASE), re.compile(r"(a)b", re.IGNORECASE)
    for _ in range(2):
        assert late.sub(r"\1", "xAB") == usual.sub(r"\1", "xAB") == "xA"
        assert [found.span() for found in late.finditer("ab ab")] == [(0, 2), (3, 5)]
        assert (late.fullmatch("abc"), late.pattern, late.flags) == (None, usual.pattern, usual.flags)
    assert regex(rb"a+").findall(b"aab a") == [b"aa", b"a"]


def test_a_wrong_pattern_or_method_is_an_error() -> None:
    """What is no pattern, and a method that patterns do not have, fail as usual once they are used."""
    with pytest.raises(re.error, match="unterminated"):
        regex("(a").search("a")
    with pytest.raises(AttributeError, match="seek"):
        getattr(regex("a"), "seek")  # noqa: B009 - mypy knows that it is not there
