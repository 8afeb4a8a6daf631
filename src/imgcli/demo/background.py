"""Responses of the background: each is made in a thread of its own, whoever listens, and kept for a while."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from imgcli.demo.errors import invalid, invalid_type, invalid_value
from imgcli.demo.exchange import JsonAnswer, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.demo.exchange import ServerEvent
    from imgcli.demo.responses_stream import ResponseRun
    from imgcli.demo.validation import Fields

    Endpoint = Callable[[], JsonAnswer | Stream]


PATH = "/v1/responses"
_CANCEL = "/cancel"
_KEPT = 600.0
"""Seconds for which a response is kept once it is done, as OpenAI does where nothing is to be retained."""
_MOST = 64
_WINDOWS = ("soonest", "2h", "8h")
_QUEUED = 2.0  # seconds, in place of hours


def read_background(fields: Fields, *, stream: bool) -> bool:
    """Read whether a response is to be made in the background, and check what that excludes."""
    is_background = fields.flag("background", default=False)
    if is_background and not fields.flag("store", default=True):
        raise invalid("invalid_value", "Background mode requires 'store' to be true.", "store")
    options = fields.values.get("background_options")
    if options is None:
        return is_background
    if not isinstance(options, dict):
        raise invalid_type("an object", options, "background_options")
    window, param = options.get("completion_window", "soonest"), "background_options.completion_window"
    if window not in _WINDOWS:
        raise invalid_value(window, _WINDOWS, param)
    is_standard = fields.values.get("service_tier") in (None, "auto", "default")
    if window != "soonest" and not (is_background and not stream and is_standard):
        needs = "'background' to be true, no streaming and the default service tier"
        raise invalid("invalid_value", f"The completion window '{window}' requires {needs}.", param)
    return is_background


class BackgroundResponse:
    """One response, and its events as far as they were made. Threads may share it."""

    def __init__(self, run: ResponseRun, pause: Callable[[float], bool]) -> None:
        self._run = run
        self._pause = pause
        self._events: list[ServerEvent] = []
        self._status = "queued"
        self._changed = threading.Condition()
        self.done: float | None = None
        """When it was done, by the monotonic clock."""

    def start(self) -> None:
        """Begin to make it."""
        threading.Thread(target=self._make, name="background", daemon=True).start()

    def _make(self) -> None:
        last = "failed"
        if not self._pause(_QUEUED if self._run.is_discounted else 0):
            for event in self._run.events():
                if self._pause(event.pause):
                    break
                with self._changed:
                    if self.done is not None:
                        return
                    self._events.append(replace(event, pause=0))
                    self._status = "in_progress"
                    self._changed.notify_all()
            else:
                last = "completed"
        self._end(last)

    def _end(self, status: str) -> None:
        with self._changed:
            if self.done is None:
                self._status, self.done = status, time.monotonic()
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
            return JsonAnswer(self._run.response(self._status))


class BackgroundResponses:
    """The responses of the background by their ids; `pause` waits as long as a real server would."""

    def __init__(self, pause: Callable[[float], bool]) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._kept: dict[str, BackgroundResponse] = {}

    def start(self, run: ResponseRun) -> BackgroundResponse:
        """Begin to make a response, and forget those that were done long ago."""
        made = BackgroundResponse(run, self._pause)
        now = time.monotonic()
        with self._lock:
            kept = {key: one for key, one in self._kept.items() if one.done is None or now < one.done + _KEPT}
            self._kept = dict(list(kept.items())[1 - _MOST :]) | {run.id: made}
        made.start()
        return made

    def route(self, target: str) -> tuple[str, Endpoint | None]:
        """Find the method and the function of a path below that of the responses."""
        path, _, query = target.partition("?")
        key = path.removeprefix(f"{PATH}/")
        if key.endswith(_CANCEL):
            return "POST", lambda: self._cancel(key.removesuffix(_CANCEL))
        return "GET", lambda: self._retrieve(key, parse_qs(query))

    def _retrieve(self, key: str, query: dict[str, list[str]]) -> JsonAnswer | Stream:
        made = self._find(key)
        if query.get("stream") != ["true"]:
            return made.response()
        after = query.get("starting_after", ["-1"])[0]
        if not after.removeprefix("-").isdecimal():
            raise invalid_type("an integer", after, "starting_after")
        return Stream(made.follow(int(after) + 1))

    def _cancel(self, key: str) -> JsonAnswer:
        made = self._find(key)
        made.cancel()
        return made.response()

    def _find(self, key: str) -> BackgroundResponse:
        with self._lock:
            made = self._kept.get(key)
        if made is None:
            raise invalid(None, f"Response with id '{key}' not found.", None, 404)
        return made
