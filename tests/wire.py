"""A raw-socket server that plays scripted replies: it says exactly which bytes go out, and how it ends.

Never http.server, which would hide the framing. It counts what it was asked, so that a test can tell how
often a request was sent.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from imgcli.api.wires import WIRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.core.request import ImageRequest

_ALL = 1000  # more than any reply holds
EVENT_STREAM = "text/event-stream; charset=utf-8"


def wire_body(request: ImageRequest) -> dict[str, Any]:
    """Build the body of a request for its API."""
    return WIRES[request.api].body(request)


def wire_path(request: ImageRequest) -> str:
    """Return where a request goes."""
    return WIRES[request.api].path(request)


class End(Enum):
    """How a reply ends after its last byte."""

    WELL = "well"  # as HTTP says
    FIN = "fin"  # the connection closes, the chunked body's terminator is missing
    RST = "rst"  # the connection is reset
    STALL = "stall"  # nothing more comes, the connection stays open
    SILENT = "silent"  # not even a status line; the connection stays open
    CLOSE = "close"  # not even a status line; the connection closes


class Framing(Enum):
    """How the body's length is told."""

    CHUNKED = "chunked"
    LENGTH = "length"
    CLOSE = "close"


@dataclass(frozen=True)
class Reply:
    """One scripted answer."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = EVENT_STREAM
    framing: Framing = Framing.CHUNKED
    end: End = End.WELL
    chunk: int = 65_536
    pauses: tuple[tuple[int, float], ...] = ()
    """Pairs of (offset in the body, seconds to wait before going on)."""
    holds: tuple[int, ...] = ()
    """Offsets in the body at which the server waits until the test lets it `go_on`."""


@dataclass
class Request:
    """What the server was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class ScriptedServer:
    """Plays `replies` in order, the last one again and again; use as a context manager."""

    replies: Sequence[Reply]
    requests: list[Request] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed a connection on which a reply was stalled."""
    sent: threading.Event = field(default_factory=threading.Event)
    """Set when the first reply's last byte has been handed to the kernel."""
    path: str = "/v1"
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def go_on(self, times: int = 1) -> None:
        """Let a reply go on from where it holds, or not hold there when it comes to it."""
        self._turns.release(times)

    def __enter__(self) -> Self:
        """Listen on a free loopback port."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and drop every connection."""
        self._closing.set()
        self.go_on(_ALL)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.close()

    @property
    def base_url(self) -> str:
        """The URL that a client is pointed at."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def posts(self) -> int:
        """How often something was sent that may cost money."""
        return sum(request.method == "POST" for request in self.requests)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self._closing.is_set():  # the others may have been closed already
                connection.close()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as reader:
            while (request := _read_request(reader)) is not None:
                turn = len(self.requests)
                self.requests.append(request)
                if not self._play(connection, self.reply_to(request, turn)):
                    return

    def reply_to(self, request: Request, turn: int) -> Reply:  # noqa: ARG002 - for servers that read it
        """Choose the answer to request number `turn`, from 0."""
        return self.replies[min(turn, len(self.replies) - 1)]

    def _play(self, connection: socket.socket, reply: Reply) -> bool:
        """Send one reply; True when the connection may serve another request."""
        if reply.end is End.CLOSE:
            connection.close()
            return False
        if reply.end is not End.SILENT:
            connection.sendall(_head(reply))
            self._send_body(connection, reply)
        self.sent.set()
        return self._finish(connection, reply)

    def _send_body(self, connection: socket.socket, reply: Reply) -> None:
        pauses = dict(reply.pauses)
        stops = sorted(
            {*pauses, *reply.holds, *range(0, len(reply.body), reply.chunk), len(reply.body)} - {0}
        )
        start = 0
        for stop in stops:
            piece = reply.body[start:stop]
            if start in pauses:
                self._closing.wait(pauses[start])
            if start in reply.holds:
                self._turns.acquire()
            connection.sendall(_framed(piece, reply.framing))
            start = stop
            self._passed(connection, start)

    def _passed(self, connection: socket.socket, offset: int) -> None:
        """Hear that the body has gone out up to `offset`: for servers that watch their client."""

    def _finish(self, connection: socket.socket, reply: Reply) -> bool:
        match reply.end:
            case End.WELL if reply.framing is not Framing.CLOSE:
                connection.sendall(b"0\r\n\r\n" if reply.framing is Framing.CHUNKED else b"")
                return True
            case End.RST:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case End.STALL | End.SILENT:
                if not connection.recv(1):
                    self.hung_up.set()
            case _:
                pass
        connection.shutdown(socket.SHUT_RDWR) if reply.end is not End.RST else None
        connection.close()
        return False


def _read_request(reader: Any) -> Request | None:
    line = reader.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    headers: dict[str, str] = {}
    while (header := reader.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0)))
    return Request(line[0], line[1], headers, body)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Scripted", f"content-type: {reply.content_type}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    match reply.framing:
        case Framing.CHUNKED:
            lines.append("transfer-encoding: chunked")
        case Framing.LENGTH:
            lines.append(f"content-length: {len(reply.body)}")
        case Framing.CLOSE:
            lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _framed(piece: bytes, framing: Framing) -> bytes:
    if framing is Framing.CHUNKED and piece:
        return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    return piece


def error_reply(
    status: int,
    message: str = "No.",
    code: str | None = None,
    kind: str = "invalid_request_error",
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Answer with OpenAI's error body."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(
        json.dumps(body).encode(),
        status=status,
        headers=headers,
        content_type="application/json",
        framing=Framing.LENGTH,
    )
