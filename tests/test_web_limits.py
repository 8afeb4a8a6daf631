"""What a client of `serve` may take: time, memory, connections."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import struct
import threading
import zlib
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, wait_for
from conftest import CANARY_KEY
from imgcli.web import line_stream, server
from imgcli.web.line_stream import Backlog, LineStream
from imgcli.web.server import WebServer, listen
from streams import RED, completed, created, image_item, item_done, partial, stream
from substitutes import waits
from webclient import path_of, serving
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from wire import ScriptedServer

LARGE = b"x" * (8 << 20)
"""More than the system holds for a reader that takes nothing."""


class Application:
    """Answers every request with much, or once it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.finished = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        while scope["path"] == "/wait" and not self.go_on.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.01)
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(16 if scope["path"] == "/much" else 0):
            await send({"type": "http.response.body", "body": LARGE, "more_body": True})
        await send({"type": "http.response.body", "body": b"done"})
        self.finished.set()


@pytest.fixture
def app() -> Application:
    """The application that is served."""
    return Application()


@pytest.fixture
def port(app: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve it with little patience."""
    for name, value in (("_HEAD_TIME", 0.3), ("_BODY_TIME", 0.3), ("_READER_TIME", 0.3), ("_LOOK", 0.05)):
        monkeypatch.setattr(server, name, value)
    monkeypatch.setattr(server, "_MOST_REQUESTS", 3)
    listener = listen("127.0.0.1", 0)
    running = WebServer(app, listener)
    running.start()
    yield listener.getsockname()[1]
    app.go_on.set()
    running.stop()
    running.join(PATIENCE)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_silent_client_is_cut(sent: bytes, port: int) -> None:
    """A client that sends nothing more is hung up on, wherever it stopped."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(sent)
        assert b"" == _rest(client)


def _rest(client: socket.socket) -> bytes:
    try:
        return client.recv(100)
    except ConnectionResetError:
        return b""


def test_a_reader_that_sleeps_is_cut(app: Application, port: int) -> None:
    """A client that reads nothing is hung up on, however much was to be sent; one that is slow is served."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(app.finished.is_set)  # as uvicorn goes on for nobody
        got = 0
        while piece := _rest(client):
            got += len(piece)
        assert got < len(LARGE)
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/much")
        response = connection.getresponse()
        assert 16 * len(LARGE) + len(b"done") == len(response.read())


def test_a_long_answer_is_waited_for(app: Application, port: int) -> None:
    """A run may take as long as it takes: only what the client owes has a limit."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/wait")
        threading.Timer(1.0, app.go_on.set).start()
        assert b"done" == connection.getresponse().read()


def test_too_many_requests(port: int) -> None:
    """Requests beyond the limit are refused at once, in JSON, and say when to come again."""
    waiting = [HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for _ in range(3)]
    for connection in waiting:
        connection.request("GET", "/wait")

    def refused() -> bool:
        with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/")
            response = connection.getresponse()
            if response.status == 200:
                return False
            assert (503, "5") == (response.status, response.getheader("Retry-After"))
            return "Too many requests" in json.loads(response.read())["error"]

    wait_for(refused)
    for connection in waiting:
        connection.close()


def _collected(play: Callable[[LineStream], None]) -> list[bytes]:
    async def collect() -> list[bytes]:
        stream = LineStream(asyncio.get_running_loop(), Backlog())
        await asyncio.to_thread(play, stream)
        assert await stream.refusal() is None
        return [chunk async for chunk in stream.chunks()]

    return asyncio.run(collect())


def test_a_slow_reader_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream says when its reader is far behind, so that partial images can be left out."""
    monkeypatch.setattr(line_stream, "_MUCH", 5)

    def play(stream: LineStream) -> None:
        stream.write("1234\n")
        assert not stream.is_behind
        stream.write("é\n")
        assert stream.is_behind
        stream.close()

    assert [b"1234\n", "é\n".encode()] == _collected(play)


def test_nobody_reads_any_more() -> None:
    """A run goes on undisturbed when the server is gone."""
    kept: list[LineStream] = []

    def play(stream: LineStream) -> None:
        kept.append(stream)
        stream.close()

    assert [] == _collected(play)
    kept[0].write("late\n")
    kept[0].close()


def _large(size: int) -> bytes:
    """Return a small image in a large file."""
    kind = b"prVt" + bytes(size)
    chunk = struct.pack(">I", size) + kind + struct.pack(">I", zlib.crc32(kind))
    return RED[:-12] + chunk + RED[-12:]


def test_images_that_nobody_reads(
    server: Callable[..., ScriptedServer], world: dict[str, str], folder: Path
) -> None:
    """Too much that waits for slow readers refuses new images, which costs nothing, and loses none."""
    item = image_item()
    partials = [partial(number, _large(2 << 20)) for number in range(3)]
    wire = server(Reply(stream(created(), *partials, item_done(item), completed(item))))
    env = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": CANARY_KEY}
    with serving(world | waits(**{"web.generation._MOST_WAITING": 1 << 20}), folder, **env) as site:
        with closing(socket.socket()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", site.port))
            client.sendall(f"GET {path_of('a dog')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_for((folder / "a-dog.png").exists)
            answer = site.generate()
            assert 503 == answer.status, answer.body[:300]
            assert "5" == answer.headers["retry-after"]
            assert "clients that do not read it" in answer.json["error"]
        assert 1 == wire.posts
        wait_for(lambda: site.generate().status == 200)
    assert (folder / "a-cat.png").exists()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_crowd_leaves_files_for_runs(
    server: Callable[..., ScriptedServer], world: dict[str, str], folder: Path
) -> None:
    """However many connect, a run can open what it needs to save its image."""
    head, item = stream(created(), partial(0)), image_item()
    wire = server(Reply(head + stream(item_done(item), completed(item)), holds=(len(head),)))
    env = {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": CANARY_KEY}
    few = waits(**{"web.server._MOST_CONNECTIONS": 30})
    with serving(world | few, folder, **env) as site, site.opened("GET", path_of()) as response:
        assert "partial" == json.loads(response.readline())["status"]
        resource.prlimit(site.process.pid, resource.RLIMIT_NOFILE, (80, 80))
        crowd = [socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE) for _ in range(80)]
        for one in crowd[40:]:
            assert b"" == _rest(one)
        wire.go_on()
        assert "completed" == json.loads(response.readline())["status"]
        for one in crowd:
            one.close()
    assert RED == (folder / "a-cat.png").read_bytes()
