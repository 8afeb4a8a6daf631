"""The HTTP server: uvicorn in its own thread, with limits for clients."""

from __future__ import annotations

import logging
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from imgcli.web.guard import refused

if TYPE_CHECKING:
    import asyncio

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle


_MOST_REQUESTS = 256
"""Requests that are answered at once; more are refused with 503."""
_MOST_CONNECTIONS = 512
"""Connections that are held at once; more are closed unread."""
_LARGEST_HEAD = 64 << 10
"""Bytes of a request's head, with its address."""
_TOO_LONG = (431, f"The address and headers exceed {_LARGEST_HEAD >> 10} KB. Send a long prompt with POST.")
_IDLE = 10
"""Seconds for which a connection is kept for another request."""
_GOODBYE = 15
"""Seconds that answers under way get when the server stops."""
_HEAD_TIME = 20.0
_BODY_TIME = 300.0
_READER_TIME = 60.0
"""Seconds that a client may take for the head of a request, for its body, and to read what was sent."""
_LOOK = 5.0


class WebConnection(H11Protocol):
    """A connection that is cut when its client takes too long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch a new connection."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._state = self.conn.their_state
        self._reader: asyncio.TimerHandle | None = None
        self._is_refused = False
        if len(self.connections) > _most_connections():
            transport.abort()
        self._watch = self.loop.call_later(_LOOK, self._look)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it belongs to a request that was refused already."""
        if not self._is_refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words tell nobody what to do
        """Refuse what is no request, or one with too long a head.

        What else the client sends is taken and dropped: it would never see the answer were it hung up on.
        """
        self._is_refused = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # its body broke off: there is nobody to answer any more
            cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # it was answered already
            return
        is_long = len(self.conn.trailing_data[0]) > _LARGEST_HEAD
        status, what = _TOO_LONG if is_long else (400, "This is not an HTTP request.")
        answer = refused(status, what)
        headers = [*answer.raw_headers, (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
        events = (
            h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._watch.cancel()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a slow reader, but not for ever."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Go on: it has read something."""
        super().resume_writing()
        if self._reader:
            self._reader.cancel()
            self._reader = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._since = self.loop.time()
        super().on_response_complete()

    def _await_reader(self, before: int | None = None) -> None:
        """Cut the connection when nothing of what waits was read since there were `before` bytes of it."""
        left = self.transport.get_write_buffer_size()
        if left == before:
            self.transport.abort()
            return
        self._reader = self.loop.call_later(_READER_TIME, self._await_reader, left)

    def _look(self) -> None:
        """Cut the connection where its client has been sending one thing for too long."""
        now, state = self.loop.time(), self.conn.their_state
        if state is not self._state:
            self._since, self._state = now, state
        longest = {h11.IDLE: _HEAD_TIME, h11.ERROR: _HEAD_TIME, h11.SEND_BODY: _BODY_TIME}.get(state)
        if longest is not None and now - self._since > longest:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(_LOOK, self._look)


class WebServer:
    """Serves an application on a socket, in a thread of its own: signals are the main thread's."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            loop="asyncio",
            http=WebConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=_GOODBYE,
            backlog=_most_connections(),  # as many are accepted at once, before the first of them is counted
            h11_max_incomplete_event_size=_LARGEST_HEAD,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until the server ends, which it does by itself only where it cannot go on."""
        self._ended.wait()

    def stop(self) -> None:
        """Accept nothing any more; answers under way are finished."""
        self._server.should_exit = True

    def join(self, seconds: float) -> None:
        """Wait so long for the answers under way."""
        self._thread.join(seconds)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless there are too many."""
        is_full = len(self._server.server_state.tasks) > _MOST_REQUESTS
        await (_too_many() if is_full else self._app)(scope, receive, send)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._ended.set()


def _too_many() -> Response:
    response = refused(503, "Too many requests at once. Try again in a moment.")
    response.headers["Retry-After"] = "5"
    return response


def _most_connections() -> int:
    """Return how many connections may be held: at most a quarter of the files that the system lets us open.

    As many may have been accepted that are too many. Runs need the others, to save what is paid for.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return _MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, files // 4)


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address of this machine; port 0 takes a free one. Raises `OSError`."""
    if host == "localhost":
        host = "127.0.0.1"
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family, backlog=128)
