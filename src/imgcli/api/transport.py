"""The HTTP connection below the SDK: timeouts, size limits, certificates and headers."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.api.auth import LOCAL_KEY, PORTS
from imgcli.api.retry import CONNECT_SECONDS
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.option import option
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import httpx2

    from imgcli.api.auth import Credentials


_LONGEST_REFUSAL = 1_000_000  # bytes


def http_client_for(
    credentials: Credentials, timeouts: Timeouts, watchdog: Watchdog, content_type: str | None = None
) -> httpx2.Client:
    """Make the client for one request, whose body is of this type. Raises what httpx2 does for settings.

    No connection outlives its attempt: `watchdog` learns of a connection only while it is opened, and a
    server may close one that is kept alive just when the next attempt goes out.
    """
    import httpx2

    def watch(request: httpx2.Request) -> None:
        """Ask for news of the connection: no other way to it leaves the environment's proxies alone.

        Only here is it known how the HTTP library spells the server's address, so that it can tell a proxy's.

        Name the body's type, for the SDK takes no form that it did not write itself. The SDK insists on a
        key; where a header of the profile is the login, its placeholder is taken out here.
        """
        if not credentials.key and request.headers.get("authorization") == f"Bearer {LOCAL_KEY}":
            del request.headers["authorization"]
        port = request.url.port or PORTS.get(request.url.scheme, 0)
        watchdog.target = request.url.raw_host.decode("ascii"), port
        request.extensions = {**request.extensions, "trace": watchdog.trace}
        if content_type:
            request.headers["Content-Type"] = content_type

    return httpx2.Client(
        timeout=httpx2.Timeout(timeouts.timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=not credentials.is_local,
        verify=_tls(credentials),
        event_hooks={"request": [watch], "response": [_raise_for_status]},
    )


def _tls(credentials: Credentials) -> ssl.SSLContext:
    """Load the system's certificates, which takes 70 ms, only for an encrypted connection.

    The bare context trusts no certificate: TLS fails should it be used after all.
    """
    is_bare = credentials.is_local and credentials.is_plain
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_bare else load_certificates()


def load_certificates() -> ssl.SSLContext:
    """Load the certificates that this machine trusts, or that the environment names; raises `OSError`."""
    import httpx2

    return httpx2.create_ssl_context()


class RefusedError(Exception):
    """An HTTP status other than 2xx, with as much of its body as is worth reading."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def _raise_for_status(response: httpx2.Response) -> None:
    """Look at the status before the SDK does, which would read a refusal's body to its end, however long."""
    if not response.is_success:
        raise RefusedError(response.status_code, _beginning(response), dict(response.headers))


def _beginning(response: httpx2.Response) -> bytes:
    """Read what comes of a refusal's body: the status stands, even when the connection breaks here."""
    import httpx2

    body = bytearray()
    with suppress(httpx2.HTTPError):
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) >= _LONGEST_REFUSAL:
                break
    return bytes(body)


_LONGEST_WAIT = 1.0  # seconds
_FEW_BYTES = 262_144


class TurnReader:
    """Reads an answer while others wait, for a moment, as long as more of it is there.

    Of several answers that come together the first is then whole early. Threads that read them side by side
    would make each as late as the last (`bench/batch.py`).
    """

    def __init__(self, response: httpx2.Response, reading: threading.Lock) -> None:
        self._connection = response.extensions["network_stream"]
        self._reading = reading
        self._has_turn = False

    def read(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass chunks on, joined where more of an image is there at once.

        What may end a record is not held: whatever is whole is in the run log before the next wait.
        """
        held, size = [], 0
        try:
            for chunk in chunks:
                self._has_turn = self._has_turn or self._reading.acquire(timeout=_LONGEST_WAIT)
                held.append(chunk)
                size += len(chunk)
                may_end = b"\n" in chunk or chunk.endswith(b"}") or size >= _FEW_BYTES
                if may_end or not self._has_more():
                    yield b"".join(held)
                    held, size = [], 0
                    if not self._has_more():
                        self.leave()
        except Exception:
            if held:
                yield b"".join(held)
            raise
        finally:
            self.leave()
        if held:
            yield b"".join(held)

    def leave(self) -> None:
        """Let others read; may be called again, and from another thread."""
        if self._has_turn:
            self._has_turn = False
            self._reading.release()

    def _has_more(self) -> bool:
        return bool(self._connection.get_extra_info("is_readable"))


Address: TypeAlias = tuple[str, int]
"""A host and a port."""

_MANY_BYTES = 65_536
"""So many bytes are progress too: over a slow line, one event with an image in it takes minutes."""
_QUIET_SECONDS, _MOST_WAITS = 2.0, 30
"""Seconds in which something must come after the server's own end, and how often that may go on."""
_RETRY_PAUSE = 0.1  # seconds
_TICKS = 20  # within the shorter limit
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""Seconds of silence, seconds between probes, lost probes: a dead server is noticed within about a minute."""


@dataclass(frozen=True)
class Timeouts:
    """How long to be patient, in seconds.

    `timeout` with silence, `budget` with a busy server in all, `progress` with an answer that brings no new
    event, `total` with an answer in all.
    """

    timeout: float = 120.0
    budget: float = 60.0
    progress: float = 300.0
    total: float = 1200.0

    @classmethod
    def scaled(cls, timeout: float) -> Timeouts:
        """Create timeouts from the one on silence; the others are 2.5 and 10 times as long."""
        return cls(timeout, progress=2.5 * timeout, total=10 * timeout)


class Watchdog:
    """A thread that watches one attempt and closes the connection when it makes no progress.

    With a server that sends a few bytes or comments now and then no read ever times out. Time in which this
    process was stopped (Ctrl-Z) does not count.
    """

    def __init__(self, timeouts: Timeouts, monotonic: Callable[[], float]) -> None:
        self._timeouts = timeouts
        self._monotonic = monotonic
        self._period = min(timeouts.progress, timeouts.total) / _TICKS
        self._ended = threading.Event()
        self._ended.set()
        self.target: Address | None = None
        """The server's own address, which is not dialed where a proxy is on the way."""
        self._connection: socket.socket | None = None
        self._has_ended = False
        self._recent = 0
        self._abandoned: str | None = None
        self._begin()

    def _begin(self) -> None:
        self._idle = self._age = 0.0
        self._bytes = 0
        self._reason = self._abandoned
        self._seen = self._monotonic()
        self._dialed: Address | None = None
        self.is_connected = False

    @property
    def proxy(self) -> str | None:
        """The host and port that were dialed in the server's place; None for the server's own."""
        if self._dialed in (None, self.target):
            return None
        host, port = self._dialed
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Begin to watch an attempt."""
        self._begin()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(self._ended,), name="watchdog", daemon=True).start()
        if self._abandoned:
            self.abandon()

    def stop(self) -> None:
        """Watch no more; may be called again."""
        self._ended.set()
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def abandon(self) -> None:
        """Close the connection now, because the answer is no longer wanted; callable from any thread."""
        self._reason = self._abandoned = "was not waited for"
        threading.Thread(target=self._hang_up_until, args=(self._ended,), name="hang up", daemon=True).start()

    def _hang_up_until(self, ended: threading.Event) -> None:
        """Hang up as often as it takes: the connection may not be open yet."""
        self._hang_up()
        while not ended.wait(_RETRY_PAUSE):
            self._hang_up()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Note the address that is dialed, and keep the connection, as the HTTP library reports them."""
        if event.endswith(".connect_tcp.started"):
            self._dialed = info["host"], info["port"]
        if event != "connection.connect_tcp.complete":
            return
        self.is_connected = True
        with suppress(OSError):
            connection: socket.socket = info["return_value"].get_extra_info("socket")
            _keep_alive(connection)
            self._connection = connection.dup()  # TLS will take the other one over

    def note(self) -> None:
        """Note that a whole event came."""
        self._idle = 0.0

    def feed(self, size: int) -> None:
        """Count bytes that came."""
        self._bytes += size
        self._recent += size
        if self._bytes >= _MANY_BYTES:
            self._bytes = 0
            self.note()

    def note_end(self, is_over: bool) -> None:  # noqa: FBT001 - a callback
        """Note that the server's end was read: what follows it must come soon. False takes that back."""
        if is_over and not self._has_ended:
            threading.Thread(target=self._end_soon, args=(self._ended,), name="linger", daemon=True).start()
        self._has_ended = is_over

    def upload(self, size: int) -> None:
        """Count bytes that were sent: the time for an answer begins after the last one."""
        self.feed(size)
        self._age = 0.0

    def tick(self) -> bool:
        """Count the time since the last tick; return True when there was too much of it."""
        now = self._monotonic()
        step = min(now - self._seen, 2 * self._period)
        self._seen = now
        self._idle += step
        self._age += step
        if self._reason is not None:
            return True
        if self._idle > self._timeouts.progress:
            self._reason = f"sent nothing new for {self._timeouts.progress:g} s"
        elif self._age > self._timeouts.total:
            self._reason = f"had not finished after {self._timeouts.total:g} s"
        return self._reason is not None

    def problem(self, host: str) -> Problem | None:
        """Return why the watchdog closed the connection, None if it did not."""
        if self._reason is None:
            return None
        what = f"{host} {self._reason}; imgcli closed the connection."
        advice = f"{CHECK_USAGE} Increase {option('timeout')} to wait longer."
        return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, advice, parameters=("timeout",))

    def _watch(self, ended: threading.Event) -> None:
        """Close the connection as often as it takes: it may not have been open the first time."""
        while not ended.wait(self._period):
            if self.tick():
                self._hang_up()

    def _end_soon(self, ended: threading.Event) -> None:
        for _ in range(_MOST_WAITS):
            self._recent = 0
            if ended.wait(_QUIET_SECONDS) or not self._has_ended:
                return
            if self._recent < _MANY_BYTES:
                break
        self._hang_up()

    def _hang_up(self) -> None:
        """Close the connection, which ends every wait for it, in any layer."""
        connection = self._connection
        if connection:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _keep_alive(connection: socket.socket) -> None:
    """Have the kernel notice a server that is gone without closing the connection (a NAT that timed out)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
