"""Access rules of `serve`: host name, origin and token, over the head of a request."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN_SITES = frozenset({"same-origin", "none"})
_BEARER = "bearer "


@dataclass(frozen=True)
class AccessPolicy:
    """Which requests are served.

    `names` are host names of this server beside those of this machine; with `takes_addresses` any IP address
    is one too: no web page can have an address for its name, so that none can pass for us. `origins` are
    other pages that may ask. `token` is what everybody must show, None for nothing; `port` tells the cookies
    of several servers on one host apart.
    """

    port: int
    names: frozenset[str] = frozenset()
    takes_addresses: bool = False
    origins: frozenset[str] = frozenset()
    token: str | None = None

    @property
    def cookie(self) -> str:
        """The name of the cookie that stands for the token."""
        return f"imgcli_{self.port}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: from it nobody can tell the token, which opens other browsers too."""
        return hmac.new((self.token or "").encode(), b"cookie", hashlib.sha256).hexdigest()

    def is_own_host(self, host: str) -> bool:
        """Return whether the Host header names this server; a page elsewhere may have led its name to us."""
        name = host_name(host)
        if name is None:
            return False
        if name in _OWN_NAMES or name in self.names:
            return True
        return (self.takes_addresses and _is_address(name)) or name in {
            host_name(urlsplit(origin).netloc) for origin in self.origins
        }

    def is_named(self, origin: str | None) -> bool:
        """Return whether another page of this origin was allowed by its name."""
        return origin is not None and origin in self.origins

    def is_own_page(self, headers: Mapping[str, str], scheme: str) -> bool:
        """Return whether a request comes from our own page, an allowed one, or from no page at all.

        A browser says where it comes from in Sec-Fetch-Site and Origin, an old one perhaps in Referer. What
        says nothing at all is no browser.
        """
        origin, own = headers.get("origin"), f"{scheme}://{headers.get('host', '')}".lower()
        if origin is not None:
            return origin.lower() == own or self.is_named(origin)
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in _OWN_SITES
        referer = headers.get("referer")
        return referer is None or origin_of(referer) == own

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request shows the token or its cookie, or none is needed."""
        if self.token is None or self.has_token(headers):
            return True
        # Other servers on this host share its cookies, and not all of them keep to the grammar.
        return _same(cookie_parser(headers.get("cookie", "")).get(self.cookie, ""), self.cookie_value)

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request shows the token itself, which no browser adds by itself."""
        shown = headers.get("authorization", "")
        return shown[: len(_BEARER)].lower() == _BEARER and self.is_token(shown[len(_BEARER) :].strip())

    def is_token(self, text: str) -> bool:
        """Return whether this is the token."""
        return self.token is not None and _same(text, self.token)


def host_name(host: str) -> str | None:
    """Return the name in a Host header, without its port and brackets; None for what is no host."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    is_plain = host and not (set("/?#@\\") & set(host))
    return (parts.hostname or "").rstrip(".") or None if is_plain else None


def origin_of(url: str) -> str | None:
    """Return the origin of a web address, as browsers write it; None for what is none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{name}" if is_usual else f"{parts.scheme}://{name}:{port}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(one: str, other: str) -> bool:
    """Compare in constant time: how long it takes tells nobody how much of it is right."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
