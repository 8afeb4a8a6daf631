"""When a request may go out again."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.api.retry import Failure, Retry, plan_wait, retry_after
from imgcli.core.problem import ExitCode, Problem

PROBLEM = Problem(ExitCode.BUSY, "busy")
NOW = 1_795_000_000.0
BUDGET = 60.0
CHANCES = st.floats(0, 1, exclude_max=True)


def plan(retry: Retry, attempt: int = 1, elapsed: float = 0.0, after: float | None = None) -> float | None:
    """Plan with the least random spread."""
    return plan_wait(Failure(PROBLEM, retry, after), attempt, elapsed, BUDGET, 0.0)


@given(st.integers(1, 100), st.floats(0, 1e6), CHANCES)
def test_what_may_have_begun_is_never_sent_again(attempt: int, elapsed: float, chance: float) -> None:
    """No number of attempts, no time left and no luck sends a request twice that may cost twice."""
    assert plan_wait(Failure(PROBLEM), attempt, elapsed, BUDGET, chance) is None


def test_connecting_is_tried_three_times() -> None:
    """A server that is being restarted is found, and one that is gone is not waited for."""
    assert [0.5, 1.0, None] == [plan(Retry.CONNECT, attempt) for attempt in (1, 2, 3)]


@given(st.lists(st.tuples(st.floats(0, 10), CHANCES), min_size=5, max_size=5))
def test_connecting_takes_at_most_fifteen_seconds(tries: list[tuple[float, float]]) -> None:
    """However long each try takes, up to its ten seconds, the end comes within fifteen."""
    elapsed = 0.0
    for attempt, (spent, chance) in enumerate(tries, 1):
        elapsed += spent
        wait = plan_wait(Failure(PROBLEM, Retry.CONNECT), attempt, elapsed, BUDGET, chance)
        if wait is None:
            break
        elapsed += wait
    assert elapsed <= 15


@pytest.mark.parametrize(("after", "wait"), [(2.0, 2.0), (0.2, 1.0), (0.0, 1.0), (None, 1.0), (60.0, 60.0)])
def test_a_busy_server_is_asked_again_when_it_said(after: float | None, wait: float) -> None:
    """Never earlier than the server said, and never at once."""
    assert wait == plan(Retry.LATER, after=after)


@pytest.mark.parametrize("after", [60.1, 300.0, 1e9, math.inf])
def test_a_wait_beyond_the_budget_ends_at_once(after: float) -> None:
    """Nobody watches a countdown that ends in giving up."""
    assert plan(Retry.LATER, after=after) is None


def test_waits_grow_and_end() -> None:
    """A server that stays busy is asked less and less often, then no more."""
    waits: list[float] = []
    elapsed = 0.0
    while (wait := plan(Retry.LATER, len(waits) + 1, elapsed)) is not None:
        waits.append(wait)
        elapsed += wait
    assert [1, 2, 4, 8, 8, 8, 8, 8, 8] == waits


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 1e10) | st.none(), CHANCES)
def test_waiting_keeps_to_what_was_asked_and_to_the_budget(
    attempt: int, elapsed: float, after: float | None, chance: float
) -> None:
    """A wait is never shorter than asked for, and never ends beyond the budget."""
    wait = plan_wait(Failure(PROBLEM, Retry.LATER, after), attempt, elapsed, BUDGET, chance)
    assert wait is None or (after or 0) <= wait <= BUDGET - elapsed


def test_clients_spread_out() -> None:
    """Many clients that were refused together do not come back together."""
    waits = {plan_wait(Failure(PROBLEM, Retry.LATER, 5.0), 1, 0, BUDGET, chance / 4) for chance in range(4)}
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e9"}, 1e9),
        ({"retry-after": "9" * 400}, math.inf),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 253402300799.0 - NOW),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"x-should-retry": "true"}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds, a date or nonsense: each is read as what it is."""
    assert seconds == retry_after(headers, NOW)


@given(st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_none(value: str) -> None:
    """No header makes a negative wait or an error."""
    seconds = retry_after({"retry-after": value, "retry-after-ms": value}, NOW)
    assert seconds is None or seconds >= 0
