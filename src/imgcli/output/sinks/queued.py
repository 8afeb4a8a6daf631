"""A sink that writes in its own thread, so that the run never waits."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from imgcli.core.events import Completed, Failed, FinalImage, PartialImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.core.events import Event
    from imgcli.core.pipeline import Sink


_ROOM = 64_000_000
"""Bytes of images that may wait for a slow reader; previews that would be more are left out."""
_PATIENCE = 1.0  # seconds that a reader who takes nothing may cost when the run is broken off


class QueuedSink:
    """Hands events to another sink in order; a reader that sleeps holds up neither receiving nor saving.

    The end of the job waits until everything is written. What the other sink raised is raised here, by the
    next call.
    """

    def __init__(self, inner: Sink) -> None:
        self.inner = inner
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._is_closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def handle(self, event: Event) -> None:
        """Take one event; the last one is written before this returns. Raises what the other sink raised."""
        with self._changed:
            if not self._is_left_out(event):
                self._events.append(event)
                self._waiting += _weight(event)
                self._changed.notify_all()
        if isinstance(event, Completed | Failed):
            self._wait(None)
        if self._error:
            raise self._error

    def close(self) -> None:
        """Close the other sink, unless its reader takes nothing any more."""
        if self._wait(_PATIENCE):
            self._is_closing = True
            with self._changed:
                self._changed.notify_all()
            self.inner.close()

    def _is_left_out(self, event: Event) -> bool:
        return isinstance(event, PartialImage) and self._waiting + _weight(event) > _ROOM

    def _wait(self, seconds: float | None) -> bool:
        """Wait until everything is written; False when time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._events or self._error is not None, seconds)

    def _run(self) -> None:
        while event := self._next():
            try:
                self.inner.handle(event)
            except Exception as error:  # noqa: BLE001 - it is raised again where somebody can deal with it
                self._error = error
            with self._changed:
                self._events.popleft()
                self._waiting -= _weight(event)
                self._changed.notify_all()
            if self._error:
                return

    def _next(self) -> Event | None:
        """Wait for the event that is to be written, and leave it in the queue until it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._is_closing)
            return self._events[0] if self._events else None


def _weight(event: Event) -> int:
    """Count the bytes that an event holds on to."""
    return len(event.image.data) if isinstance(event, PartialImage | FinalImage) else 0


class Ticker:
    """Calls `beat` every `period` seconds from `start` to `stop`; what it raises ends the ticking only."""

    def __init__(self, beat: Callable[[], None], period: float) -> None:
        self._beat = beat
        self._period = period
        self._woken = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="live image", daemon=True)

    def start(self) -> None:
        """Start to tick; the first beat comes after one period."""
        self._thread.start()

    def wake(self) -> None:
        """Call `beat` now."""
        self._woken.set()

    def stop(self, patience: float | None = None) -> None:
        """Stop, and wait for the last beat, at most `patience` seconds; may be called again.

        Call it without holding any lock that `beat` takes.
        """
        self._is_stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        with suppress(Exception):
            while not self._is_stopping:
                self._woken.wait(self._period)
                self._woken.clear()
                if not self._is_stopping:
                    self._beat()
