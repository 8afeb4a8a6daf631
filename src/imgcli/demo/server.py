"""A loopback server that answers image requests as api.openai.com does, and its connections."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import threading
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any, Self

import h11
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from imgcli.demo.app import LARGEST_HEAD, DemoApp, DemoSettings
from imgcli.demo.background import StoredResponses
from imgcli.demo.batches_api import BatchSettings, BatchStore
from imgcli.demo.exchange import ApiError, Sessions, invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import Receive, Scope, Send


_SHUTDOWN_SECONDS = 2.0  # seconds that requests under way get when it stops


class DemoServer:
    """An offline look-alike of OpenAI's image endpoints on 127.0.0.1, for demonstrations and tests.

    `port` 0 takes any free one; a port in use raises `OSError` at once. `batches` says how long batches take,
    `settings` are those of `DemoSettings`.

        with DemoServer(pace=0) as server:
            client = OpenAI(base_url=server.base_url, api_key="demo")
    """

    def __init__(
        self,
        port: int = 0,
        batches: BatchSettings | None = None,
        **settings: Any,  # noqa: ANN401 - of `DemoSettings`
    ) -> None:
        self._settings = DemoSettings(**settings)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=2 * MOST_CONNECTIONS)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._is_over = asyncio.Event()
        self._thread: threading.Thread | None = None
        sessions, choose_seed = Sessions(), self._settings.choose_seed
        self._batches = BatchStore(batches or BatchSettings(), sessions, choose_seed, self._stopping)
        self._app = DemoApp(self._settings, self.port, sessions, StoredResponses(self._pause), self._batches)

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Serve in the background."""
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop serving, cut what is still under way, and free the port. Closing twice does no harm."""
        self._stopping.set()
        if self._thread:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._is_over.set)
            self._thread.join(2 * _SHUTDOWN_SECONDS)
        self._listener.close()
        self._batches.close()

    def wait(self) -> None:
        """Return when `close` was called; meant for a main thread that has nothing else to do."""
        self._stopping.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pause(self, seconds: float) -> bool:
        """Wait as long as a real server would, in a thread; true when the server is being closed."""
        return self._stopping.wait(seconds * self._settings.pace)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """Accept connections until the end, then cut all of them.

        `uvicorn.Server` checks only ten times a second whether to end: a command with a demo would wait.
        """
        loop, settings, state = self._loop, self._settings, ServerState()
        loop.set_exception_handler(lambda _, told: settings.log(str(told["message"])))
        # Each connection keeps one thread busy at most; one that follows a response of the background does.
        current_default_thread_limiter().total_tokens = MOST_CONNECTIONS
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=DemoConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=ceil(settings.patience),
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        server = await loop.create_server(
            lambda: DemoConnection(config, state, settings.patience, settings.log), sock=self._listener
        )
        await self._is_over.wait()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_SHUTDOWN_SECONDS)


MOST_CONNECTIONS = 64
"""Connections served at once; more are turned away with 503."""

_CLOSE_SECONDS = 5.0  # seconds that a refused client may go on sending: it may read only then
_HEAD = b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class DemoConnection(H11Protocol):
    """A connection that is cut when its client takes longer than `patience`.

    That is the time for a whole request, however often a part of it comes, and for a client that reads
    nothing of what is sent. `log` is called with a line for what is not a request at all.
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
        self._timer = self.loop.call_later(patience / 4, self._check_client)
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
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what a refused client is still sending is discarded."""
        if not self.is_refused:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request; where this one was answered before it had come, there is none."""
        self._since = self.loop.time()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._close_later()
        else:
            super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in OpenAI's form; where an answer has begun, cut the connection."""
        self._log("- - 400 0.00 s")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(invalid(None, msg, None, getattr(sys.exception(), "error_status_hint", 400)))
        else:
            self.transport.abort()

    def _refuse(self, error: ApiError) -> None:
        body = json.dumps(error.body()).encode()
        self.transport.write(b"HTTP/1.1 %d Refused\r\n" % error.status + _HEAD % len(body) + body)
        self._close_later()

    def _close_later(self) -> None:
        """Close our side, and leave the client some time to close its own."""
        self.is_refused = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self._timer.cancel()
        self._timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what the answer fails with cuts the connection."""
        try:
            await self._answer(scope, receive, send)
        except Exception:  # noqa: BLE001 - the application has logged it
            self.transport.close()

    def _check_client(self) -> None:
        """Cut the connection where its client has been idle for too long."""
        now, unread = self.loop.time(), self.transport.get_write_buffer_size()
        is_waiting = unread or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if unread != self._unread or not is_waiting:
            self._since, self._unread = now, unread
        if now - self._since > self._patience:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(self._patience / 4, self._check_client)
