"""Paces requests: the user's rate, the server's limits, and one pause for all."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.api.retry import RateLimits


_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_RATE = regex(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*/\s*([a-z]+)", re.ASCII)
_FASTEST, _SLOWEST = 0.001, 86_400.0
"""Seconds from one request to the next: a thousand a second, one a day."""

_FIRST_GAP, _WIDEST_GAP, _NARROWEST_GAP = 0.5, 8.0, 0.05
_WIDER, _NARROWER = 2.0, 0.8
"""Seconds between requests after a pause, and how that changes: wider with every pause, narrower with every
request that went out since."""
_LATE = 0.1
"""Part of an interval by which a turn may be late without moving the next one."""
_LONGEST_RESET = 300.0
"""Seconds for which a limit's reset is believed; a server that means it says so again, for free."""


class Rate(NamedTuple):
    """How often a request may go out: one in so many seconds."""

    interval: float


def parse_rate(text: str | None) -> Rate | None:
    """Parse `30/min`, `2/s` or `100/h`; None without one. Raises `ImgcliError` (usage)."""
    if text is None:
        return None
    shown, found = shorten(text, 40) or "nothing", _RATE.fullmatch(text.strip().lower())
    seconds = _UNITS.get(found[2]) if found else None
    if found is None or seconds is None:
        raise usage_error(
            f"{option('rate')} must be a number of requests a second, minute or hour, such as 30/min, "
            f"not {shown}.",
            "The units are s, min and h.",
            about=("rate",),
        )
    number = float(found[1])
    if not number or not _FASTEST <= seconds / number <= _SLOWEST:
        what = f"{option('rate')} must be between 1 request a day and 1,000 a second, not {shown}."
        raise usage_error(what, about=("rate",))
    return Rate(seconds / number)


class StopFlag(Protocol):
    """What tells waiting threads that nothing more is to be sent; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Return whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait so many seconds, or until it is time to stop, and return whether it is."""


class Pacer:
    """Hands out turns to send, to any number of threads, one by one.

    Turns are an interval apart where there is a `rate`. A pause holds for everybody; after it the turns are
    spread out, so that a server that was overloaded does not get all requests at the same moment again. Every
    wait ends as soon as `stop` is set.
    """

    def __init__(self, clock: Callable[[], float], stop: StopFlag, rate: Rate | None = None) -> None:
        self._clock = clock
        self._stop = stop
        self._interval = rate.interval if rate else 0.0
        self._gap = 0.0
        self._next = self._until = clock()
        self._lock = threading.Lock()

    @property
    def paused(self) -> float:
        """The seconds until the shared pause is over, 0 without one."""
        return max(self._until - self._clock(), 0.0)

    def wait_turn(self) -> bool:
        """Wait until a request may go out; False when nothing is to be sent any more."""
        while not self._stop.is_set():
            left = self._take()
            if left <= 0:
                return True
            self._stop.wait(left)
        return False

    def ask_turn(self) -> float:
        """Take a turn and return 0; where there is none now, return the seconds until there may be one."""
        return max(self._take(), 0.0)

    def pause(self, seconds: float) -> bool:
        """Hold every request for so many seconds, then wait for a turn as `wait_turn` does."""
        self._hold(seconds, is_overload=True)
        return self.wait_turn()

    def sleep(self, seconds: float) -> None:
        """Pause, for a client whose server refused to begin. Raises `ImgcliError` when it is not to go on."""
        if not self.pause(seconds):
            what = "The server was busy, and the batch was stopped before the request was sent again."
            raise ImgcliError(Problem(ExitCode.BUSY, what, Charged.NO, "Run the batch again."))

    def note(self, limits: RateLimits | None) -> None:
        """Note what the server said about further requests: none goes out before a used-up limit is reset."""
        if limits and (wait := min(limits.wait, _LONGEST_RESET)):
            self._hold(wait, is_overload=False)

    def _hold(self, seconds: float, *, is_overload: bool) -> None:
        """Let nobody send for so many seconds; several that hear of the same overload are one pause."""
        with self._lock:
            now = self._clock()
            if is_overload and now >= self._until:
                self._gap = min(self._gap * _WIDER, _WIDEST_GAP)
            self._gap = max(self._gap, _FIRST_GAP)
            self._until = max(self._until, now + seconds)

    def _take(self) -> float:
        """Take a turn, and return 0; or return the seconds until it makes sense to try again."""
        with self._lock:
            now = self._clock()
            ready = max(self._next, self._until)
            if now < ready:
                return ready - now
            spacing = max(self._interval, self._gap)
            start = ready if now - ready < spacing * _LATE else now
            self._next = start + spacing
            self._gap = self._gap * _NARROWER if self._gap > _NARROWEST_GAP else 0.0
            return 0.0
