"""Servers for scenarios: one that sees what its client has read, one with TLS, one that is a proxy."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beside import PATIENCE
from wire import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass
class FaultServer(ScriptedServer):
    """Plays replies and keeps book of how far the first one has been sent, and read by its client.

    With `certificate` it speaks TLS, without TLS's own goodbye.
    """

    replies: Sequence[Reply] = ()
    certificate: Path | None = None
    progress: int = 0
    peer: int = 0

    def _passed(self, connection: socket.socket, offset: int) -> None:
        with suppress(OSError):
            self.peer = connection.getpeername()[1]
        self.progress = max(self.progress, offset)

    def _serve(self, connection: socket.socket) -> None:
        if not self.certificate:
            super()._serve(connection)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        with suppress(OSError):
            wrapped = context.wrap_socket(connection, server_side=True)
            self._connections.append(wrapped)
            super()._serve(wrapped)

    def has_read(self, offset: int) -> bool:
        """Tell whether the client's process has taken the body up to `offset` from its kernel."""
        return self.progress >= offset and self.peer != 0 and not unread(self.port, self.peer)

    def wait_read(self, offset: int, seconds: float = PATIENCE) -> None:
        """Wait until it has; raises `AssertionError` when it does not happen."""
        deadline = time.monotonic() + seconds
        while not self.has_read(offset):
            assert time.monotonic() < deadline, f"the client never read byte {offset}"
            time.sleep(0.005)


def unread(server: int, client: int) -> bool:
    """Ask the kernel whether bytes are on the way between two loopback ports, or lie there unread."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        ends = {int(words[1].rpartition(":")[2], 16), int(words[2].rpartition(":")[2], 16)}
        if ends == {server, client} and words[4] != "00000000:00000000":
            return True
    return False


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that nobody has signed but itself, with its key, in one file."""
    path = folder / "self-signed.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True
    )
    path.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return path


@contextmanager
def nobody_listens() -> Iterator[int]:
    """Give a port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def nobody_answers() -> Iterator[int]:
    """Give a port whose queue is full: connecting to it gets neither an answer nor a refusal."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        time.sleep(0.05)
        yield port
        for filler in fillers:
            filler.close()
