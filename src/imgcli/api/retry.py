"""When a request may be sent again: only if the server cannot have started on it; and rate limits."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.core.errors import Problem


CONNECT_SECONDS = 10.0
"""How long one attempt to connect may take."""
_CONNECT_TRIES = 3
_CONNECT_TOTAL = 15.0
_LONGEST_BACKOFF = 8.0


class Retry(Enum):
    """Whether sending again is safe, and in which rhythm."""

    NEVER = "never"  # the server may have begun, or would say the same again
    CONNECT = "connect"  # nothing was sent
    LATER = "later"  # the server said that it did not begin


@dataclass(frozen=True)
class Failure:
    """One attempt that gave no answer; `retry_after` is what the server asked for, in seconds.

    `is_broken` says that the connection broke, so that it matters how much of the request had gone out;
    `is_demo` that an answer bears our demo's mark.
    """

    problem: Problem
    retry: Retry = Retry.NEVER
    retry_after: float | None = None
    is_broken: bool = False
    is_demo: bool = False


def plan_wait(failure: Failure, attempt: int, elapsed: float, budget: float, chance: float) -> float | None:
    """Decide how many seconds to wait before the next attempt; None to give up.

    `attempt` counts the attempts made (from 1), `elapsed` and `budget` are seconds since the first one and at
    most, `chance` is a random number in [0, 1) that spreads many clients out. Connecting is tried three times
    and takes at most 15 s in all; a busy server is asked again within the budget, never earlier than it said.
    """
    match failure.retry:
        case Retry.NEVER:
            return None
        case Retry.CONNECT:
            wait = 2.0 ** (attempt - 1) * (0.5 + chance / 2)
            in_time = elapsed + wait + CONNECT_SECONDS <= _CONNECT_TOTAL
            return wait if attempt < _CONNECT_TRIES and in_time else None
        case Retry.LATER:
            return _later(failure.retry_after or 0.0, attempt, budget - elapsed, chance)


def _later(asked: float, attempt: int, left: float, chance: float) -> float | None:
    """Wait as long as was asked, and longer from attempt to attempt."""
    backoff = min(2.0 ** min(attempt - 1, 10), _LONGEST_BACKOFF)
    least = max(asked, backoff)
    return None if least > left else min(least + chance * backoff, left)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read how many seconds the server asks for; None when it does not say, or what it says is invalid.

    `retry-after-ms` goes before `retry-after`, which holds seconds or a date (RFC 9110 section 10.2.3); `now`
    is the Unix time. `headers` has lower-case names. `x-should-retry` is ignored: the money is ours.
    """
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _seconds(value)
    return _until(value, now) if seconds is None else seconds


def _seconds(value: str) -> float | None:
    """Read a number that is not negative; a huge one is infinite, which is a number too."""
    with suppress(ValueError):
        number = float(value)
        return None if math.isnan(number) or number < 0 else number
    return None


def _until(value: str, now: float) -> float | None:
    """Read a date; one that has passed asks for no wait."""
    with suppress(ValueError, OverflowError, TypeError, IndexError):
        date = parsedate_to_datetime(value)
        zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(zoned.timestamp() - now, 0.0)
    return None


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "": 1.0}
_PART = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(h|ms|m|s|us|µs|ns)"
_DURATION = regex(rf"(?:{_PART})+", re.ASCII)
_PARTS = regex(_PART, re.ASCII)
_SECONDS = regex(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
_COUNT = regex(r"[0-9]{1,18}", re.ASCII)


class RateLimit(NamedTuple):
    """How many are left, and in how many seconds all are there again, None where that is not said."""

    remaining: int
    reset: float | None = None


class RateLimits(NamedTuple):
    """The limits for requests, images and tokens; None for one that the server does not speak of."""

    requests: RateLimit | None = None
    images: RateLimit | None = None
    tokens: RateLimit | None = None

    @property
    def wait(self) -> float:
        """The seconds until another request makes sense; 0 where nothing is used up."""
        used_up = [limit.reset or 0.0 for limit in self if limit and not limit.remaining]
        return max(used_up, default=0.0)


def rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Read the limits in an answer's headers, whose names are in lower case; None where there are none.

    OpenAI's are for requests and tokens, for images too where the model makes them. Invalid ones count as
    missing.
    """
    limits = RateLimits(*(_limit(headers, kind) for kind in RateLimits._fields))
    return limits if any(limits) else None


def _limit(headers: Mapping[str, str], kind: str) -> RateLimit | None:
    remaining = headers.get(f"x-ratelimit-remaining-{kind}", "").strip()
    if not _COUNT.fullmatch(remaining):
        return None
    return RateLimit(int(remaining), parse_duration(headers.get(f"x-ratelimit-reset-{kind}", "")))


def parse_duration(value: str) -> float | None:
    """Read a duration in seconds, as Go writes it (`6m0s`, `20ms`) or as a plain number; None for others."""
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))
