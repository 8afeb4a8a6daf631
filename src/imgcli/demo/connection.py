"""One connection: HTTP/1.1 by uvicorn and h11, and how long a client may take."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from imgcli.demo.errors import ApiError, invalid

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    import uvicorn
    from starlette.types import Receive, Scope, Send
    from uvicorn.server import ServerState


MOST_CONNECTIONS = 64
"""Connections served at once; more are turned away with 503."""

_LINGER = 5.0  # seconds that a refused client may go on sending: it may read only then
_HEAD = b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class DemoConnection(H11Protocol):
    """A connection that is cut when its client takes longer than `patience`.

    So long may a request take, however busily it drips, and so long a client may read nothing of what is
    sent. `log` is called with a line for what is no request at all.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, patience: float, log: Callable[[str], None]
    ) -> None:
        super().__init__(config, state, {})
        self._answer, self.app = self.app, self._serve
        self._patience = patience
        self._log = log
        self._since = self.loop.time()
        self._unread = 0
        self._watch = self.loop.call_later(patience / 4, self._look)
        self.is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch a new connection, or turn it away when too many are open."""
        super().connection_made(transport)
        if len(self.connections) > 2 * MOST_CONNECTIONS:
            transport.abort()
        elif sum(not getattr(one, "is_refused", False) for one in self.connections) > MOST_CONNECTIONS:
            self._refuse(ApiError(503, "server_error", "server_is_overloaded", "Too many connections."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what a refused client is still sending is thrown away."""
        if not self.is_refused:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request; where this one was answered before it had come, there is none."""
        self._since = self.loop.time()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._linger()
        else:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in OpenAI's form; where an answer has begun, break it off."""
        self._log("- - 400 0.00 s")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(invalid(None, msg, None, getattr(sys.exception(), "error_status_hint", 400)))
        else:
            self.transport.abort()

    def _refuse(self, error: ApiError) -> None:
        body = json.dumps(error.body()).encode()
        self.transport.write(b"HTTP/1.1 %d Refused\r\n" % error.status + _HEAD % len(body) + body)
        self._linger()

    def _linger(self) -> None:
        """End our side, and leave the client some time for its own."""
        self.is_refused = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self._watch.cancel()
        self._watch = self.loop.call_later(_LINGER, self.transport.abort)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what the answer fails with cuts the connection."""
        try:
            await self._answer(scope, receive, send)
        except Exception:  # noqa: BLE001 - the application has logged it
            self.transport.close()

    def _look(self) -> None:
        """Cut the connection where its client has not moved for too long."""
        now, unread = self.loop.time(), self.transport.get_write_buffer_size()
        is_waiting = unread or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if unread != self._unread or not is_waiting:
            self._since, self._unread = now, unread
        if now - self._since > self._patience:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(self._patience / 4, self._look)
