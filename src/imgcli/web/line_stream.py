"""Lines on their way from the thread that writes them to the client that reads them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


_MUCH = 32 << 20
"""Bytes that may wait for a slow reader before partial images are left out."""
_PIECE = 256 << 10
"""Bytes that are handed to the connection at once: what it holds is counted nowhere."""


class Backlog:
    """How much waits for all readers together, in bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.size = 0

    def add(self, size: int) -> None:
        """Count what was written, or with a negative size what was read."""
        with self._lock:
            self.size += size


class LineStream:
    """A text stream that one thread writes to, and a coroutine of the event loop reads.

    It begins when a run's answer does, or with its first line. Until then a run may fail instead: the client
    is told so in place of a stream. Writing never blocks, and never fails when nobody reads any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, backlog: Backlog) -> None:
        self._loop = loop
        self._backlog = backlog
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._begun: asyncio.Future[Mapping[str, Any] | None] = loop.create_future()
        self._lock = threading.Lock()
        self._waiting = 0
        self._has_reader = True
        self._problem: Mapping[str, Any] | None = None
        self.has_begun = False
        """Whether it is too late for `fail`."""

    @property
    def is_behind(self) -> bool:
        """Whether its reader is so slow that partial images should be left out."""
        return self._waiting > _MUCH

    def begin(self) -> None:
        """Begin the stream, unless it has begun."""
        self.has_begun = True
        self._post(self._settle, None)

    def fail(self, problem: Mapping[str, Any]) -> None:
        """Say why there will be no stream; the client hears it at the end, when its run is over."""
        self.has_begun = True
        self._problem = problem

    def write(self, text: str) -> int:
        """Write lines."""
        self.begin()
        data = text.encode()
        if self._count(len(data)):
            self._post(self._lines.put_nowait, data)
        return len(text)

    def flush(self) -> None:
        """Do nothing: every line goes out as it is written."""

    def close(self) -> None:
        """End the stream."""
        self.has_begun = True
        self._post(self._settle, self._problem)
        self._post(self._lines.put_nowait, None)

    async def refusal(self) -> Mapping[str, Any] | None:
        """Wait for the beginning; return why there will be no stream, None where there is one."""
        return await asyncio.shield(self._begun)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Return what is written, as it is written, in pieces."""
        while (data := await self._lines.get()) is not None:
            for begin in range(0, len(data), _PIECE):
                piece = data[begin : begin + _PIECE]
                yield piece
                self._count(-len(piece))

    def leave(self) -> None:
        """Forget what nobody reads any more."""
        with self._lock:
            waiting, self._waiting, self._has_reader = self._waiting, 0, False
        self._backlog.add(-waiting)
        self._lines = asyncio.Queue()

    def _count(self, size: int) -> bool:
        """Count what waits; return whether there is still a reader."""
        with self._lock:
            if self._has_reader:
                self._waiting += size
                self._backlog.add(size)
            return self._has_reader

    def _settle(self, problem: Mapping[str, Any] | None) -> None:
        if not self._begun.done():
            self._begun.set_result(problem)

    def _post(self, action: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(action, *values)
