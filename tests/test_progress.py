"""A server that is never silent and never done cannot hold us for ever."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE
from imgcli.api.transport import Timeouts, Watchdog
from streams import RED, created, image_item, item_done, partial, stream, whole_run
from substitutes import waits
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]

PING = b": ping\n\n"
NEWS = b'data: {"type": "response.image_generation_call.generating"}\n\n'


def dripped(head: bytes, piece: bytes, count: int, seconds: float, tail: bytes = b"") -> Reply:
    """Send `head`, then the same piece again and again with a pause before each."""
    offsets = [len(head) + turn * len(piece) for turn in range(count)]
    pauses = tuple((offset, seconds) for offset in offsets)
    return Reply(head + piece * count + tail, pauses=pauses)


@pytest.mark.parametrize(
    "reply",
    [
        dripped(stream(created()), PING, 160, 0.05),
        dripped(stream(created(), partial(0))[:-300], b"A", 160, 0.05),
    ],
    ids=["comments", "bytes"],
)
def test_no_news(reply: Reply, server: Server, gen: Gen) -> None:
    """Comments or single bytes for ever end as "perhaps charged", asked once, before the server is done."""
    wire = server(reply)
    result = gen(wire, "a cat", "--timeout", "0.5")
    assert (9, 1, False) == (result.exit_code, wire.posts, wire.sent.is_set()), result.stderr
    assert "sent nothing new for 1.25 s" in result.stderr
    assert "may have been charged" in result.stderr
    assert "--timeout" in result.stderr


@pytest.mark.slow  # every day `test_both_clocks` holds it, on a clock that is moved by hand
def test_never_done(server: Server, gen: Gen, folder: Path) -> None:
    """News for ever end after ten times the timeout; the last partial is kept."""
    wire = server(dripped(stream(created(), partial(0)), NEWS, 120, 0.1))
    result = gen(wire, "a cat", "--timeout", "0.4")
    assert (9, False) == (result.exit_code, wire.sent.is_set()), result.stderr
    assert "had not finished after 4 s" in result.stderr
    assert ["a-cat.partial.png"] == [path.name for path in folder.iterdir()]


def test_the_image_had_come(server: Server, gen: Gen, folder: Path) -> None:
    """When the image had arrived, an end that never comes costs the bill and not the image."""
    wire = server(dripped(stream(created(), item_done(image_item())), PING, 160, 0.05))
    result = gen(wire, "a cat", "--timeout", "0.4")
    assert (0, False, RED) == (result.exit_code, wire.sent.is_set(), (folder / "a-cat.png").read_bytes())
    assert "after the image arrived" in result.stderr


def test_keep_alive_comments(server: Server, gen: Gen) -> None:
    """Comments every 15 s for 100 s, here 150 times as fast, show that the server lives: we wait."""
    wire = server(dripped(stream(created()), PING, 7, 0.1, whole_run()))
    assert 0 == gen(wire, "a cat", "--timeout", "0.8").exit_code


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], int]]:
    """Start a server that answers the beginning it is given and then a letter at a time; gives its port."""
    stop = threading.Event()

    def serve(listener: socket.socket, head: bytes) -> None:
        with suppress(OSError), listener, listener.accept()[0] as connection:
            connection.recv(100_000)
            connection.sendall(head)
            while not stop.wait(0.05):
                connection.sendall(b"a")

    def start(head: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(listener, head), daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    stop.set()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx-endless: ",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5;",
    ],
    ids=["header", "chunk"],
)
def test_below_the_stream(head: bytes, dripping: Callable[[bytes], int], imgcli: Cli) -> None:
    """Dripping where no event can be, in the headers or the framing, ends in the same way."""
    url = f"http://127.0.0.1:{dripping(head)}/v1"
    result = imgcli("gen", "a cat", "--base-url", url, "--timeout", "0.3")
    assert 9 == result.exit_code, result.stderr
    assert "sent nothing new for 0.75 s" in result.stderr


def patience(now: list[float]) -> Watchdog:
    """Wait 300 s for news and 1200 s in all, on a clock that is moved by hand."""
    return Watchdog(Timeouts(), lambda: now[0])


def test_default_limits() -> None:
    """With the default timeout: 120 s of silence, 300 s without news, 20 minutes in all."""
    assert Timeouts() == Timeouts.scaled(120)


def test_a_slow_line_is_no_dripping() -> None:
    """An image that takes ten minutes to come over a slow line is progress all the time."""
    now = [0.0]
    watch = patience(now)
    for _ in range(60):
        now[0] += 10
        watch.feed(30_000)
        assert not watch.tick()


def test_a_stopped_process_has_all_its_time_left() -> None:
    """An hour in the background after Ctrl-Z is not the server's fault."""
    now = [0.0]
    watch = patience(now)
    now[0] += 3600
    assert not watch.tick()


def test_both_clocks() -> None:
    """News put off the one clock, nothing puts off the other."""
    now, ended = [0.0], 0.0
    watch = patience(now)
    while not ended:
        now[0] += 15
        watch.note()
        ended = now[0] if watch.tick() else 0.0
    assert 1215 == ended
    problem = watch.problem("example.org")
    assert problem is not None
    assert "example.org had not finished after 1200 s" in problem.what


def test_it_ends_in_time(server: Server, gen: Gen) -> None:
    """A server that keeps the connection open after the end of the stream does not keep us."""
    wire = server(Reply(whole_run(), end=End.STALL))
    result = gen(wire, "a cat", env=waits(**{"api.transport._QUIET_SECONDS": 0.3}))
    assert (0, True) == (result.exit_code, "total" in result.stderr.lower())
    assert wire.hung_up.wait(PATIENCE)
