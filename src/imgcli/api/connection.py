"""The HTTP connection under the SDK: how long, how far, with which certificates and headers."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from imgcli.api.account import PORTS
from imgcli.api.retry import CONNECT_SECONDS
from imgcli.api.secrecy import LOCAL_KEY

if TYPE_CHECKING:
    import httpx2

    from imgcli.api.account import Account
    from imgcli.api.patience import Limits, Patience

_LONGEST_REFUSAL = 1_000_000  # bytes


def http_client_for(account: Account, limits: Limits, patience: Patience, content_type: str) -> httpx2.Client:
    """Make the client for one request, whose body is of this type. Raises what httpx2 does for settings.

    No connection outlives its attempt: `patience` learns of a connection only while it is opened, and a
    server may close one that is kept alive just when the next attempt goes out.
    """
    import httpx2

    def watch(request: httpx2.Request) -> None:
        """Ask for news of the connection: no other way to it leaves the environment's proxies alone.

        Only here is it known how the HTTP library spells the server's address, so that it can tell a proxy's.

        Name the body's type, for the SDK takes no form that it did not write itself. The SDK insists on a
        key; where a header of the profile is the login, its stand-in is taken out here.
        """
        if not account.key and request.headers.get("authorization") == f"Bearer {LOCAL_KEY}":
            del request.headers["authorization"]
        port = request.url.port or PORTS.get(request.url.scheme, 0)
        patience.target = request.url.raw_host.decode("ascii"), port
        request.extensions = {**request.extensions, "trace": patience.trace}
        request.headers["Content-Type"] = content_type

    return httpx2.Client(
        timeout=httpx2.Timeout(limits.timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=not account.is_local,
        verify=_tls(account),
        event_hooks={"request": [watch], "response": [_judge]},
    )


def _tls(account: Account) -> ssl.SSLContext:
    """Load the system's certificates, which takes 70 ms, only for a way that is encrypted.

    The bare context trusts nobody: should TLS be spoken after all, it fails.
    """
    import httpx2

    return (
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if account.is_local and account.is_plain
        else httpx2.create_ssl_context()
    )


class RefusedError(Exception):
    """An HTTP status other than 2xx, with as much of its body as is worth reading."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def _judge(response: httpx2.Response) -> None:
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
