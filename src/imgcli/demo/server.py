"""A server on the loopback interface that answers as api.openai.com does for images."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from uvicorn.server import ServerState

from imgcli.demo.app import LARGEST_HEAD, DemoApp, DemoSettings
from imgcli.demo.background import StoredResponses
from imgcli.demo.batches_api import BatchSettings, BatchStore
from imgcli.demo.connection import MOST_CONNECTIONS, DemoConnection
from imgcli.demo.exchange import Sessions

if TYPE_CHECKING:
    from types import TracebackType


_GOODBYE = 2.0  # seconds that requests under way get when it stops


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
        self._over = asyncio.Event()
        self._thread: threading.Thread | None = None
        sessions, draw_seed = Sessions(), self._settings.draw_seed
        self._batches = BatchStore(batches or BatchSettings(), sessions, draw_seed, self._stopping)
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
                self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(2 * _GOODBYE)
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

        `uvicorn.Server` would look for its end ten times a second only: a command with a demo would wait.
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
        await self._over.wait()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_GOODBYE)
