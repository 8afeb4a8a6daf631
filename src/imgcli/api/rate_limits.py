"""What a server says about its rate limits: the `x-ratelimit-*` headers of an answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    OpenAI's are for requests and tokens, for images too where the model makes them. What is nonsense is as
    good as missing.
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
