"""Who may ask: local programs, those that come through a proxy of an allowed name, and with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgcli.demo.errors import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers


_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


def check_place(headers: Headers, port: int, allowed: Collection[str]) -> None:
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
