"""How fast a batch sends, and how much it may spend: never a stampede, never beyond the limit."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from imgcli.api.auth import Credentials
from imgcli.api.client import Clock, send
from imgcli.api.retry import RateLimit, RateLimits, parse_duration, rate_limits
from imgcli.app.batch.batch_budget import BatchBudget
from imgcli.app.batch.pacer import Pacer, Rate, parse_rate
from imgcli.core.billing.budget import Cap
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from wire import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire import ScriptedServer

REQUEST = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
UNWRITABLE = Problem(ExitCode.UNWRITABLE, "The state of the batch cannot be written.")


@dataclass
class FakeTime:
    """A clock that only waiting moves, and a stop that is set at a moment."""

    now: float = 1000.0
    ends: float = 1e12

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def is_set(self) -> bool:
        """Return whether it is time to stop."""
        return self.now >= self.ends

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        self.now = min(self.now + (timeout or 0.0), self.ends)
        return self.is_set()


def turns(pacer: Pacer, times: FakeTime, count: int) -> list[float]:
    """Take turns one after the other, and return when each came, from the first."""
    taken: list[float] = []
    for _ in range(count):
        assert pacer.wait_turn()
        taken.append(times.now)
    return [round(moment - taken[0], 6) for moment in taken]


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("30/min", 2.0),
        ("30/m", 2.0),
        (" 30 / minute ", 2.0),
        ("2/s", 0.5),
        ("0.5/SEC", 2.0),
        ("100/h", 36.0),
        ("1000/s", 0.001),
    ],
)
def test_rates(text: str, interval: float) -> None:
    """A rate is a number of requests a second, minute or hour."""
    assert parse_rate(text) == Rate(interval)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "30/",
        "/min",
        "-1/min",
        "1e3/min",
        "30/day",
        "30/min/s",
        "0/min",
        "1001/s",
        "0.001/h",
        "٣/min",
    ],
)
def test_rates_that_are_none(text: str) -> None:
    """What is no rate is refused with a sentence that shows one; nothing is sent."""
    with pytest.raises(ImgcliError) as caught:
        parse_rate(text)
    problem = caught.value.problem
    assert (ExitCode.USAGE, Charged.NO, True) == (
        problem.exit_code,
        problem.charged,
        "--rate" in problem.what,
    )


def test_no_rate() -> None:
    """Without a rate and without a busy server nobody waits."""
    times = FakeTime()
    assert parse_rate(None) is None
    assert [0.0] * 20 == turns(Pacer(times.clock, times), times, 20)


def test_a_rate_is_smooth() -> None:
    """With 30/min a request goes out every two seconds, and time that was not used is no credit."""
    times = FakeTime()
    pacer = Pacer(times.clock, times, parse_rate("30/min"))
    assert [0, 2, 4, 6] == turns(pacer, times, 4)
    times.now += 60
    assert [0, 2, 4] == turns(pacer, times, 3)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=30))
def test_a_rate_holds_however_the_requests_come(gaps: list[float]) -> None:
    """Two requests are never closer than nine tenths of the interval; a late one does not slow the rest."""
    times = FakeTime()
    pacer = Pacer(times.clock, times, Rate(2.0))
    taken: list[float] = []
    for gap in gaps:
        times.now += gap
        assert pacer.wait_turn()
        taken.append(times.now)
    assert all(later - earlier > 1.8 - 1e-6 for earlier, later in itertools.pairwise(taken))
    assert taken[-1] <= 1000 + sum(gaps) + 2.0 * len(gaps)


def test_one_pause_for_all() -> None:
    """A server that asks for ten seconds gets them from everybody, and then one request after the other."""
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    assert pacer.pause(10)
    assert 1010 == times.now
    after = turns(pacer, times, 30)
    gaps = [later - earlier for earlier, later in itertools.pairwise(after)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(gaps))
    assert (0.4, 0.0) == (round(gaps[0], 6), gaps[-1])


def test_a_server_that_stays_busy_is_asked_more_slowly() -> None:
    """With every new pause the requests after it are further apart, up to eight seconds."""
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    gaps = []
    for _ in range(20):
        assert pacer.pause(1)
        before = times.now
        assert pacer.wait_turn()
        gaps.append(times.now - before)
    assert gaps == sorted(gaps)
    assert pytest.approx(8.0) == gaps[-1]


def test_no_stampede_of_threads() -> None:
    """Eight workers that the server sends away at once come back one by one, not at the same moment."""
    event, began, speed = threading.Event(), time.monotonic(), 20
    scaled = FakeTime()
    scaled.is_set = event.is_set  # type: ignore[method-assign]
    scaled.wait = lambda timeout=None: event.wait((timeout or 0) / speed)  # type: ignore[method-assign]

    def clock() -> float:
        return (time.monotonic() - began) * speed

    pacer = Pacer(clock, scaled)

    def work(_: int) -> float:
        assert pacer.pause(4)
        return clock()

    with ThreadPoolExecutor(8) as pool:
        back = sorted(pool.map(work, range(8)))
    assert back[0] >= 4
    assert 0.5 + 0.4 + 0.32 <= back[-1] - back[0]


def test_a_stop_ends_every_wait() -> None:
    """Ctrl-C is not waited for: pauses and turns end at once, and nothing goes out."""
    event = threading.Event()
    pacer = Pacer(time.monotonic, event, Rate(3600.0))
    assert pacer.wait_turn()
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(pacer.wait_turn), pool.submit(pacer.pause, 1000), pool.submit(pacer.wait_turn)]
        event.set()
        assert [False] * 3 == [wait.result(60) for wait in waits]
    with pytest.raises(ImgcliError) as caught:
        pacer.sleep(1000)
    assert (ExitCode.BUSY, Charged.NO) == (caught.value.problem.exit_code, caught.value.problem.charged)


def test_a_used_up_limit_is_waited_for() -> None:
    """After "0 left, 6 s" nobody sends for six seconds; with something left nobody waits."""
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    for free in (None, RateLimits(), RateLimits(RateLimit(1, 60.0)), RateLimits(tokens=RateLimit(0))):
        pacer.note(free)
        assert (0.0, [0.0] * 3) == (pacer.paused, turns(pacer, times, 3))
    pacer.note(RateLimits(RateLimit(5, 60.0), RateLimit(0, 6.0)))
    assert 6.0 == pacer.paused
    assert pacer.wait_turn()
    assert 1006 == times.now


def test_a_limit_is_no_overload() -> None:
    """Limits that are used up again and again do not make the requests after them slower and slower."""
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    for _ in range(20):
        pacer.note(RateLimits(RateLimit(0, 6.0)))
        assert pacer.wait_turn()
    assert 1120 == times.now
    assert [0.0, 0.4] == turns(pacer, times, 2)


def test_a_reset_after_days_is_not_waited_for() -> None:
    """A server that speaks of days is asked again after five minutes."""
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    pacer.note(RateLimits(RateLimit(0, 1e9)))
    assert 300.0 == pacer.paused


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("7.66s", 7.66),
        ("0s", 0.0),
        ("12", 12.0),
        (" 0.5 ", 0.5),
        ("80µs", 8e-5),
    ],
)
def test_durations(value: str, seconds: float) -> None:
    """The server's durations are read as Go writes them, and as plain seconds."""
    assert pytest.approx(seconds) == parse_duration(value)


@pytest.mark.parametrize(
    "value", ["", "s", "-1s", "1d", "1s ago", "nan", "inf", "1e9", "٣s", "1" * 400, "6m 0s"]
)
def test_durations_that_are_none(value: str) -> None:
    """Nonsense is no duration."""
    assert parse_duration(value) is None


def test_limits_in_headers() -> None:
    """Requests, images and tokens have limits of their own; what is nonsense is as good as missing."""
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m12s",
        "x-ratelimit-remaining-images": "many",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6ms",
    }
    limits = rate_limits(headers)
    assert RateLimits(RateLimit(0, 72.0), None, RateLimit(149_984, 0.006)) == limits
    assert limits
    assert 72.0 == limits.wait
    assert rate_limits({"x-ratelimit-reset-requests": "1s", "content-type": "text/plain"}) is None


def test_an_answer_brings_its_limits(server: Callable[..., ScriptedServer]) -> None:
    """What the server says about further requests comes with its answer."""
    told = (("x-ratelimit-remaining-images", "0"), ("X-RateLimit-Reset-Images", "12s"))
    wire = server(Reply(streams.whole_run(), headers=told))
    answer = next_answer(wire)
    assert RateLimits(images=RateLimit(0, 12.0)) == answer


def next_answer(wire: ScriptedServer, clock: Clock | None = None) -> RateLimits | None:
    """Send until there is an answer, and return its limits."""
    sending = send(REQUEST, "job", Credentials("sk-x", wire.base_url), clock=clock or Clock())
    while True:
        try:
            next(sending)
        except StopIteration as end:
            end.value.close()
            return end.value.limits  # type: ignore[no-any-return]


def test_a_busy_server_pauses_the_others(server: Callable[..., ScriptedServer]) -> None:
    """What one job waits for the server, no other sends."""
    wire = server(
        error_reply(429, code="rate_limit_exceeded", headers=(("retry-after", "7"),)),
        Reply(streams.whole_run()),
    )
    times = FakeTime()
    pacer = Pacer(times.clock, times)
    next_answer(wire, Clock(times.clock, sleep=pacer.sleep, chance=lambda: 0.0))
    assert (2, 1007.0) == (wire.posts, times.now)
    assert pacer.wait_turn()
    assert 1007.5 == times.now


def test_a_stopped_batch_does_not_ask_again(server: Callable[..., ScriptedServer]) -> None:
    """A job that waits for a busy server when the batch is stopped ends, and has cost nothing."""
    wire = server(error_reply(429, code="rate_limit_exceeded", headers=(("retry-after", "7"),)))
    times = FakeTime(ends=1003.0)
    with pytest.raises(ImgcliError) as caught:
        next_answer(wire, Clock(times.clock, sleep=Pacer(times.clock, times).sleep))
    assert (1, Charged.NO) == (wire.posts, caught.value.problem.charged)


def test_a_request_that_cannot_be_noted_is_not_sent(server: Callable[..., ScriptedServer]) -> None:
    """Where the state cannot be written, the last piece of the request does not go out, and it is free."""

    def sent() -> None:
        raise ImgcliError(UNWRITABLE)

    wire = server(Reply(streams.whole_run()))
    with pytest.raises(ImgcliError) as caught:
        next(send(REQUEST, "job", Credentials("sk-x", wire.base_url), sent=sent))
    assert UNWRITABLE == caught.value.problem
    assert [b""] == [request.body for request in wire.requests] or not wire.requests


CAP = Cap("max-cost", Decimal("1.00"))


def test_a_budget_holds_whatever_comes() -> None:
    """Tasks on their way count at their bound, earlier runs at what they cost."""
    budget = BatchBudget(CAP, Decimal("0.50"))
    assert [True, True, False] == [budget.reserve(task, Decimal("0.25")) for task in "abc"]
    assert "has cost up to $0.5000 so far, and the next image may cost up to $0.2500" in budget.refusal(
        Decimal("0.25")
    )
    budget.settle("a", Decimal("0.04"))
    assert (Decimal("0.54"), Decimal("0.25"), False) == (budget.spent, budget.reserved, budget.is_idle)
    assert [False, True] == [
        budget.reserve(task, amount) for task, amount in (("c", CAP.amount), ("d", BOUND))
    ]
    budget.settle("b", None)  # nobody knows
    budget.settle("d", Decimal(0))  # refused for free
    assert (Decimal("0.79"), Decimal("0.29"), True) == (budget.spent, budget.spent_now, budget.is_idle)


BOUND = Decimal("0.21")


def test_a_budget_without_a_limit() -> None:
    """Without a limit everything fits, and is counted all the same."""
    budget = BatchBudget(None)
    assert budget.reserve("a", None)
    budget.settle("a", Decimal("0.04"))
    assert (Decimal("0.04"), "") == (budget.spent, budget.refusal(None))
    assert not BatchBudget(CAP).reserve("a", None)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=60))
def test_threads_never_spend_more(tasks: list[tuple[int, int]]) -> None:
    """However many workers reserve at once, what was let through costs at most the limit."""
    budget = BatchBudget(CAP)

    def work(task: tuple[int, tuple[int, int]]) -> None:
        number, (bound, cost) = task
        if budget.reserve(str(number), Decimal(bound) / 100):
            budget.settle(str(number), Decimal(min(cost, bound)) / 100 if cost else None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, enumerate(tasks)))
    assert budget.spent <= CAP.amount
    assert budget.is_idle
