"""A heartbeat: calls a function many times a second, and whenever it is woken, from a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticker:
    """Calls `beat` every `period` seconds from `start` to `stop`; what it raises ends the ticking only."""

    def __init__(self, beat: Callable[[], None], period: float) -> None:
        self._beat = beat
        self._period = period
        self._woken = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="live picture", daemon=True)

    def start(self) -> None:
        """Begin to tick; the first beat comes after one period."""
        self._thread.start()

    def wake(self) -> None:
        """Let the next beat come now."""
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
