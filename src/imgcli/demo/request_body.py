"""Checks who may send a request, and receives its body within limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgcli.demo.batch_input import LARGEST_FILE
from imgcli.demo.exchange import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers
    from starlette.types import Message, Receive


LARGEST_BODY = 96 * 1024 * 1024
"""Bytes of a request body: the largest image fits, also as base64."""

LARGEST_UPLOAD = LARGEST_FILE + 64 * 1024
"""Bytes of an upload: a file for the Batch API, and the form around it."""

MOST_HELD = LARGEST_BODY
"""Bytes of large bodies that are held at once, until they are answered."""

_LARGE = 1024 * 1024


class BodyMemory:
    """The memory that large bodies may take together; small ones always fit."""

    def __init__(self) -> None:
        self._left = MOST_HELD
        self._changed = asyncio.Condition()

    async def acquire(self, size: int, patience: float) -> None:
        """Wait for memory, at most `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(lambda: size <= self._left)
                self._left -= size
        except TimeoutError:
            raise ApiError(503, "server_error", "server_is_overloaded", "Too many large requests.") from None

    async def release(self, size: int) -> None:
        """Free memory for others."""
        async with self._changed:
            self._left += size
            self._changed.notify_all()


class RequestBody:
    """A body that arrives, with its length announced, or in chunks."""

    def __init__(
        self, receive: Receive, headers: Headers, largest: int, memory: BodyMemory, patience: float
    ) -> None:
        length = headers.get("content-length")
        if length is not None and "transfer-encoding" in headers:
            raise invalid(None, "Content-Length and Transfer-Encoding exclude each other.", None)
        self._receive = receive
        self._length = int(length or 0)
        self._largest = largest
        self._memory = memory
        self._patience = patience
        self._came = 0
        self._held = 0
        self._check(self._length)

    def _check(self, size: int) -> None:
        if size > self._largest:
            message = f"The request body is larger than {self._largest} bytes."
            raise invalid(None, message, None, 413)

    async def receive(self) -> Message:
        """Receive the next part; a large body waits for memory, one in chunks for a little at a time."""
        await self._hold(self._length)
        message = await self._receive()
        self._came += len(message.get("body", b""))
        self._check(self._came)
        if self._came > self._held + _LARGE:
            await self._hold(self._came + _LARGE)
        return message

    async def _hold(self, size: int) -> None:
        more = min(size, MOST_HELD) - self._held
        if size > _LARGE and more > 0:
            await self._memory.acquire(more, self._patience)
            self._held += more

    async def close(self) -> None:
        """Free its memory."""
        held, self._held = self._held, 0
        await self._memory.release(held)


_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


def check_origin(headers: Headers, port: int, allowed: Collection[str]) -> None:
    """Refuse requests of web pages, made directly or through a name that resolves to this machine.

    `allowed` are names under which a proxy offers the demo, whatever its port.
    """
    local = {f"{host}:{port}" for host in _LOCAL}
    host = headers.get("host", "").strip().lower()
    if host not in local and _name(f"//{host}") not in allowed:
        raise _forbidden("Host")
    for origin in (one.strip().lower() for one in headers.getlist("origin")):
        if origin not in {f"http://{name}" for name in local} and _name(origin) not in allowed:
            raise _forbidden("Origin")
    sites = (one.strip().lower() for one in headers.getlist("sec-fetch-site"))
    if any(site not in {"none", "same-origin"} for site in sites):
        raise _forbidden("Sec-Fetch-Site")


def _name(address: str) -> str | None:
    """Return the host name of an address that is that and perhaps a port, nothing else."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or parts.path or parts.query else parts.hostname


def _forbidden(header: str) -> ApiError:
    message = (
        f"The demo answers local programs only, and this request's {header} header is not one of theirs. "
        "Behind a proxy, allow the host name that it passes on."
    )
    return invalid("forbidden", message, None, 403)


def check_key(headers: Headers, key: str | None) -> None:
    """Refuse requests without a key, or, where one is set, with another key."""
    scheme, _, sent = headers.get("authorization", "").strip().partition(" ")
    sent = sent.strip()
    if scheme.lower() != "bearer" or not sent:
        raise invalid("invalid_api_key", _NO_KEY, None, 401)
    if key is not None and sent != key:
        shown = f"{sent[:4]}****{sent[-4:]}" if len(sent) > 12 else "****"  # noqa: PLR2004
        message = f"Incorrect API key provided: {shown}."
        raise invalid("invalid_api_key", message, None, 401)
