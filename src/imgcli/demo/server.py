"""An HTTP server on the loopback interface that answers as api.openai.com does for images."""

from __future__ import annotations

import secrets
import socket
import socketserver
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from imgcli.demo.background import BackgroundResponses
from imgcli.demo.batches_api import BatchSettings, BatchStore
from imgcli.demo.exchange import Sessions
from imgcli.demo.http import Handler, Room

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


MOST_CONNECTIONS = 64
"""Connections served at once; more are turned away with 503."""

PATIENCE = 30.0
"""Seconds that a client may take to send a request, and to take any part of the answer."""

_SEEDS = 10**9
"""How many seeds it draws from: enough that no two images are alike, few enough to be typed."""

_POLL = 0.02  # seconds in which the server notices that it should stop
_GOODBYE = 2.0  # seconds that requests under way get when it stops
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
_BUSY_BODY = (
    b'{"error":{"message":"Too many connections.","type":"server_error","param":null,'
    b'"code":"server_is_overloaded"}}'
)


class DemoServer:
    """An offline look-alike of OpenAI's image endpoints on 127.0.0.1, for demonstrations and tests.

    `port` 0 takes any free one; a port in use raises `OSError` at once. `pace` multiplies the pauses between
    events: at 1 a run takes about three seconds, at 0 there are no pauses. `log` is called with one line for
    each request, from other threads. Any key is accepted unless `api_key` names the only good one. `patience`
    is in seconds. Its answers have a header by which imgcli knows that they are free; `marked` is about that.
    With a `seed` the same request gives the same image each time; without one, every request gets a random
    seed, which is written on its image. `batches` says how long batches take. Every stream is cut after
    `cut_after` events, if that is set.

        with DemoServer(pace=0) as server:
            client = OpenAI(base_url=server.base_url, api_key="demo")
    """

    def __init__(  # noqa: PLR0913 - each has a default that serves
        self,
        port: int = 0,
        pace: float = 1.0,
        log: Callable[[str], None] | None = None,
        *,
        api_key: str | None = None,
        patience: float = PATIENCE,
        marked: bool = True,
        seed: int | None = None,
        cut_after: int | None = None,
        batches: BatchSettings | None = None,
    ) -> None:
        self._server = _HttpServer(port)
        self._server.marked = marked
        self._server.seed = seed
        self._server.cut_after = cut_after
        self._server.pace = pace
        self._server.log = log or _quiet
        self._server.api_key = api_key
        self._server.patience = patience
        self._server.batches.settings = batches or BatchSettings()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Serve in the background."""
        if self._thread is None:
            run = self._server.serve_forever
            self._thread = threading.Thread(target=run, args=(_POLL,), name="demo", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop serving, cut what is still under way, and free the port. Closing twice does no harm."""
        self._server.stopping.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.hang_up(_GOODBYE)
        self._server.batches.close()

    def wait(self) -> None:
        """Return when `close` was called; meant for a main thread that has nothing else to do."""
        self._server.stopping.wait()

    def serve_forever(self) -> None:
        """Serve until `close` is called from elsewhere or an exception such as KeyboardInterrupt arrives."""
        with self:
            self.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _HttpServer(ThreadingHTTPServer):
    """The listening socket, the connections, and what all requests share."""

    daemon_threads = True
    request_queue_size = 128

    pace = 1.0
    log: Callable[[str], None]
    api_key: str | None = None
    patience = PATIENCE
    marked = True
    seed: int | None = None
    cut_after: int | None = None

    def __init__(self, port: int) -> None:
        self.stopping = threading.Event()
        self.sessions = Sessions()
        self.background = BackgroundResponses(self.pause)
        self.batches = BatchStore(self.sessions, self.draw_seed, self.stopping)
        self.room = Room()
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the base class would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def draw_seed(self) -> int:
        """Return the seed for one request: a random one unless one was chosen."""
        return secrets.randbelow(_SEEDS) if self.seed is None else self.seed

    def pause(self, seconds: float) -> bool:
        """Wait as long as a real server would; true when the server is being closed."""
        return self.stopping.wait(seconds * self.pace) if self.pace else self.stopping.is_set()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Start a thread for the connection, or turn it away when too many are open."""
        connection = _plain(request)
        if not self._slots.acquire(blocking=False):
            with suppress(OSError):
                connection.settimeout(1)
                connection.sendall(_BUSY % (len(_BUSY_BODY), _BUSY_BODY))
            self.shutdown_request(connection)
            return
        with self._changed:
            self._open.add(connection)
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve one connection, then free its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()
            with self._changed:
                self._open.discard(_plain(request))
                self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that vanish, which is no error; nothing else reaches this method."""

    def hang_up(self, wait: float) -> None:
        """Cut all connections and wait, at most `wait` seconds, until their threads have noticed."""
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, wait)


def _plain(request: socket.socket | tuple[bytes, socket.socket]) -> socket.socket:
    return request if isinstance(request, socket.socket) else request[1]


def _quiet(_line: str) -> None:
    """Log nothing."""
