"""Stored responses; background ones are made in threads, whether or not anyone listens."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.demo.exchange import JsonAnswer, Stream, invalid, invalid_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from imgcli.demo.exchange import ServerEvent
    from imgcli.demo.responses_stream import ResponseRun
    from imgcli.demo.validation import Fields


_KEPT = 600.0
"""Seconds for which a response is kept once it is done, as OpenAI does where nothing is to be retained."""
_MOST = 64
_MOST_BYTES = 256 * 1024 * 1024
"""What is kept beside the response that is being made."""
_WINDOWS = ("soonest", "2h", "8h")
_QUEUED = 2.0  # seconds, in place of hours


def read_background(fields: Fields, *, stream: bool) -> bool:
    """Read whether a response is to be made in the background, and check what that excludes."""
    is_background = fields.flag("background", default=False)
    if is_background and not fields.flag("store", default=True):
        raise invalid("invalid_value", "Background mode requires 'store' to be true.", "store")
    options = fields.inner("background_options")
    window = options.choice("completion_window", _WINDOWS, "soonest")
    is_standard = fields.values.get("service_tier") in (None, "auto", "default")
    if window != "soonest" and not (is_background and not stream and is_standard):
        needs = "'background' to be true, no streaming and the default service tier"
        raise invalid(
            "invalid_value",
            f"The completion window '{window}' requires {needs}.",
            options.name("completion_window"),
        )
    return is_background


class StoredResponse:
    """One response, and its events as far as they were made in the background. Threads may share it."""

    def __init__(self, run: ResponseRun, pause: Callable[[float], bool]) -> None:
        self.run = run
        self._pause = pause
        self._events: list[ServerEvent] = []
        self._changed = threading.Condition()
        self._ended_as: str | None = None
        self.done: float | None = None
        """When one of the background was done, by the monotonic clock."""

    def start(self) -> None:
        """Begin to make it in the background."""
        threading.Thread(target=self._make, name="background", daemon=True).start()

    def _make(self) -> None:
        last = "failed"
        if not self._pause(_QUEUED if self.run.is_discounted else 0):
            for event in self.run.events():
                if self._pause(event.pause):
                    break
                with self._changed:
                    if self.done is not None:
                        return
                    self._events.append(replace(event, pause=0))
                    self._changed.notify_all()
            else:
                last = "completed"
        self._end(last)

    def _end(self, status: str) -> None:
        with self._changed:
            if self.done is None:
                self._ended_as, self.done = status, time.monotonic()
                self._changed.notify_all()

    def cancel(self) -> None:
        """Stop making it; one that is done stays as it is."""
        self._end("cancelled")

    def follow(self, start: int = 0) -> Iterator[ServerEvent]:
        """Yield its events from a number on, as they are made."""
        while True:
            with self._changed:
                while len(self._events) <= start and self.done is None:
                    self._changed.wait()
                ready = self._events[start:]
            if not ready:
                return
            yield from ready
            start += len(ready)

    def response(self) -> JsonAnswer:
        """Return the response object as it stands now."""
        with self._changed:
            return JsonAnswer(self.run.response(self._ended_as or self.run.status))


class StoredResponses:
    """The responses by their ids; `pause` waits as long as a real server would."""

    def __init__(self, pause: Callable[[float], bool]) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._kept: dict[str, StoredResponse] = {}

    def keep(self, run: ResponseRun) -> StoredResponse:
        """Keep a response from now on, and drop those that were done long ago, or are too many."""
        made, now = StoredResponse(run, self._pause), time.monotonic()
        with self._lock:
            kept = [one for one in self._kept.values() if one.done is None or now < one.done + _KEPT]
            while len(kept) >= _MOST or sum(one.run.size for one in kept) > _MOST_BYTES:
                kept.pop(0)
            self._kept = {one.run.id: one for one in (*kept, made)}
        return made

    def retrieve(self, key: str, query: Mapping[str, str]) -> JsonAnswer | Stream:
        """Answer `GET /v1/responses/ID`: the response, or what its stream has after an event."""
        made = self._find(key)
        if query.get("stream") != "true":
            return made.response()
        if not made.run.is_background:
            message = "Only responses that were created with 'background' set to true can be streamed."
            raise invalid("invalid_value", message, "stream")
        after = query.get("starting_after", "-1")
        if not after.removeprefix("-").isdecimal():
            raise invalid_type("an integer", after, "starting_after")
        return Stream(made.follow(int(after) + 1))

    def cancel(self, key: str) -> JsonAnswer:
        """Answer `POST /v1/responses/ID/cancel`."""
        made = self._find(key)
        if not made.run.is_background:
            message = "Only responses that were created with 'background' set to true can be cancelled."
            raise invalid(None, message, None)
        made.cancel()
        return made.response()

    def _find(self, key: str) -> StoredResponse:
        with self._lock:
            made = self._kept.get(key)
        if made is None:
            raise invalid(None, f"Response with id '{key}' not found.", None, 404)
        return made
