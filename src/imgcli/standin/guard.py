"""Who may talk to the stand-in: local programs with a key and a well-framed request, and no web pages."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imgcli.standin.errors import ApiError, invalid

if TYPE_CHECKING:
    from email.message import Message

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers."""

LARGEST_BODY = 96 * 1024 * 1024
"""Bytes of a request body: the largest picture fits, also as base64."""

MOST_HELD = LARGEST_BODY
"""Bytes of large bodies that are held at once, until they are answered."""

_LARGE = 1024 * 1024

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


class Room:
    """What bodies may take of the memory all together; small ones always fit."""

    def __init__(self) -> None:
        self._left = MOST_HELD
        self._changed = threading.Condition()

    def take(self, length: int, patience: float) -> int:
        """Wait for room for a body, `patience` seconds; give what is to be given back."""
        size = length if length > _LARGE else 0
        with self._changed:
            if not self._changed.wait_for(lambda: size <= self._left, patience):
                raise ApiError(503, "server_error", "server_is_overloaded", "Too many large requests.")
            self._left -= size
        return size

    def give_back(self, size: int) -> None:
        """Let others have the room."""
        with self._changed:
            self._left += size
            self._changed.notify_all()


def check_place(headers: Message, port: int) -> None:
    """Refuse requests of web pages, made directly or through a name that resolves to this machine."""
    names = [f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")]
    hosts = headers.get_all("host") or []
    if len(hosts) != 1 or hosts[0].strip().lower() not in names:
        raise _forbidden("Host")
    origins = headers.get_all("origin") or []
    if any(origin.strip().lower() not in {f"http://{name}" for name in names} for origin in origins):
        raise _forbidden("Origin")
    sites = headers.get_all("sec-fetch-site") or []
    if any(site.strip().lower() not in {"none", "same-origin"} for site in sites):
        raise _forbidden("Sec-Fetch-Site")


def _forbidden(header: str) -> ApiError:
    message = f"The stand-in answers local programs only; the {header} header says otherwise."
    return invalid("forbidden", message, None, 403)


def check_key(headers: Message, key: str | None) -> None:
    """Refuse requests without a key, or, where one is set, with another key."""
    scheme, _, sent = (headers.get("authorization") or "").strip().partition(" ")
    sent = sent.strip()
    if scheme.lower() != "bearer" or not sent:
        raise invalid("invalid_api_key", _NO_KEY, None, 401)
    if key is not None and sent != key:
        shown = f"{sent[:4]}****{sent[-4:]}" if len(sent) > 12 else "****"  # noqa: PLR2004
        message = f"Incorrect API key provided: {shown}."
        raise invalid("invalid_api_key", message, None, 401)


def body_length(headers: Message) -> int:
    """Bytes of the body; framing that two parsers could read differently is refused."""
    lengths = headers.get_all("content-length") or []
    if headers.get("transfer-encoding") is not None:
        if lengths:
            raise invalid(None, "Content-Length and Transfer-Encoding exclude each other.", None)
        raise invalid(None, "A Content-Length is required.", None, 411)
    if not lengths:
        return 0
    text = lengths[0].strip()
    if len(lengths) > 1 or not (text.isascii() and text.isdigit()):
        raise invalid(None, "The Content-Length is not one whole number.", None)
    if len(text) > 12 or int(text) > LARGEST_BODY:  # noqa: PLR2004
        raise invalid(None, f"The request body is larger than {LARGEST_BODY} bytes.", None, 413)
    return int(text)
