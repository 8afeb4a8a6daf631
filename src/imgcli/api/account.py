"""Whose key goes to which server."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_URL = "https://api.openai.com/v1"
LOCAL_KEY = "local"
"""What a server on this machine gets in the key's place: a stand-in has no business with a real one."""

_BAD_KEY_CHARACTER = re.compile(r"[^!-~]")


@dataclass(frozen=True)
class Account:
    """A key that can be sent, and where to; built by `account`."""

    key: str = field(repr=False)
    base_url: str = field(repr=False)
    organization: str | None = None
    project: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so that no proxy and no real key is involved."""
        return _is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def secret(self) -> str:
        """What no message may hold: the key, empty when no real one is sent."""
        return "" if self.is_local else self.key

    @property
    def is_plain(self) -> bool:
        """Whether the way to the server is unencrypted."""
        return urlsplit(self.base_url).scheme == "http"

    @property
    def place(self) -> str:
        """The server's host and port for messages, without a login that the URL may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]


def account(environment: Mapping[str, str], base_url: str | None = None) -> Account:
    """Find out key and server from the environment, `base_url` going before OPENAI_BASE_URL.

    Raises `ImgcliError`: AUTH when the key is missing or cannot be sent, USAGE for an address that is none or
    unencrypted. No message holds the key's value.
    """
    url = _url(environment, base_url)
    host = _checked(url, environment).hostname or ""
    key = LOCAL_KEY if _is_loopback(host) else _key(environment)
    return Account(
        key, url, _optional(environment, "OPENAI_ORG_ID"), _optional(environment, "OPENAI_PROJECT_ID")
    )


def place(environment: Mapping[str, str], base_url: str | None = None) -> str | None:
    """Name host and port of the server that `account` finds, without a login; None for no address."""
    try:
        return urlsplit(_url(environment, base_url)).netloc.rpartition("@")[2] or None
    except ValueError:
        return None


def _url(environment: Mapping[str, str], base_url: str | None) -> str:
    return (base_url or "").strip() or environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL


def _key(environment: Mapping[str, str]) -> str:
    key = environment.get("OPENAI_API_KEY", "").strip()
    if not key:
        what = "There is no API key: OPENAI_API_KEY is not set."
        advice = (
            "Set it (https://platform.openai.com/api-keys), or try `imgcli gen ... --demo`, which needs none."
        )
        raise ImgcliError(Problem(ExitCode.AUTH, what, advice=advice))
    if bad := _BAD_KEY_CHARACTER.search(key):
        what = f"OPENAI_API_KEY contains an invalid character at position {bad.start() + 1}."
        raise ImgcliError(
            Problem(ExitCode.AUTH, what, advice="Copy the key again, and nothing else with it.")
        )
    return key


def _optional(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name, "").strip() or None


def _checked(url: str, environment: Mapping[str, str]) -> SplitResult:
    """Refuse an address that cannot work, or that would show prompt and key to everybody on the way."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise _no_address() from None
    if not usable or not url.isprintable() or " " in url:
        raise _no_address()
    allowed = _is_loopback(parts.hostname or "") or environment.get("IMGCLI_INSECURE_HTTP", "").strip() == "1"
    if parts.scheme == "http" and not allowed:
        raise usage_error(
            f"--base-url would send key and prompt unencrypted to {parts.hostname}.",
            "Use https://, or set IMGCLI_INSECURE_HTTP=1 when the network is yours.",
        )
    return parts


def _no_address() -> ImgcliError:
    return usage_error(
        "--base-url (OPENAI_BASE_URL) is no address of a server.", f"Write it like {OPENAI_URL}."
    )


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, without asking DNS."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
