"""JSON of servers, files and old versions: any field may be missing, odd or far too large."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from imgcli.core import json_fields
from imgcli.core.json_fields import parse_json, parse_object
from imgcli.core.params import Quality

MANY = 1000
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def most_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow few values, so that too many of them are soon made."""
    monkeypatch.setattr(json_fields, "_MOST_VALUES", MANY)


@pytest.mark.parametrize(
    "text",
    ["[" + "0," * MANY + "0]", '["a"' + ',"a"' * MANY + "]", '["' + "," * MANY + '"', "[" * 100_000, "{", ""],
    ids=["numbers", "strings", "cut text", "deep", "cut", "empty"],
)
def test_what_would_take_all_memory_is_not_read(text: str) -> None:
    """An answer of more values than any real one has, nested too deep, or cut, is nothing, and no crash."""
    assert parse_json(text) is None


def test_a_long_text_is_one_value() -> None:
    """A text may hold as many commas and brackets as it likes: it is read."""
    long = "[,{" * MANY
    assert {"text": long, "n": 1} == parse_object(f'{{"text": "{long}", "n": 1}}')


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 301])
def test_a_number_that_is_none_costs_nothing_else(number: str) -> None:
    """A number beyond all numbers becomes nothing; the image next to it is still there."""
    assert {"seed": None, "image": "a\n"} == parse_object(f'{{"seed": {number}, "image": "a\n"}}')


@pytest.mark.parametrize(
    ("read", "good", "expected", "odd"),
    [
        ("as_code", 429, "429", [None, True, 0, "", 0.5, []]),
        ("text", "a", "a", [None, 1, b"a"]),
        ("name", "a.png", "a.png", [None, 1, "a\0.png"]),
        ("size", [3, 2], (3, 2), [None, 3, [3], [0, 2], ["3", "2"], [3, -2], [3, 2, 1], "32"]),
        (
            "timestamp",
            "2026-11-29T12:00:00",
            NOON,
            [None, 1, "noon", "1969-12-31", "9999-12-31", b"2026-11-29"],
        ),
        ("timestamp", "2026-11-29T13:00:00+01:00", NOON, []),
        ("dollars", "0.05", Decimal("0.05"), [None, True, "much", "NaN", -1, "1e12", "1e-30", [1]]),
        ("json_object", b'{"a": 1}', {"a": 1}, [None, 1, b"\xff", b"[]", "{", {"a": 1}]),
        ("json_object", '{"a": 1}', {"a": 1}, []),
    ],
)
def test_fields_of_another_type_are_nothing(
    read: str, good: object, expected: object, odd: list[Any]
) -> None:
    """A field is read where it is what it should be, and anything else in its place is nothing."""
    reader: Any = getattr(json_fields, read)
    assert (expected, []) == (reader(good), [value for value in odd if reader(value) is not None])


def test_a_choice_of_a_later_version_is_none() -> None:
    """A value that only a later version knows, or one of another type, is no choice."""
    assert [Quality.HIGH, None, None, None] == [
        json_fields.choice(Quality, value) for value in ("high", "holographic", 3, None)
    ]
