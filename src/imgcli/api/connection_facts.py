"""Connection settings from the environment: the proxy, and the trusted certificates."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from imgcli.api.auth import is_on_this_machine
from imgcli.api.errors.connection import cannot_open
from imgcli.api.transport import load_certificates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.core.errors import Problem


class ProxyFacts(NamedTuple):
    """The proxy for a server: `host` and port, without a login; None for the straight way.

    `setting` names what it is from, such as HTTPS_PROXY; `is_bypassed` means that it is not used for this
    server.
    """

    host: str | None = None
    setting: str = ""
    is_bypassed: bool = False


class CertificateFacts(NamedTuple):
    """The certificates that are trusted: where they are from, how many were loaded, or why they were not.

    A folder's certificates are loaded one by one, as they are needed: `loaded` is None.
    """

    source: str
    loaded: int | None = None
    problem: Problem | None = None


def proxy_facts(env: Mapping[str, str], url: str) -> ProxyFacts:
    """Return the proxy that the HTTP library takes for an address; one that is no URL has an empty host."""
    parts = urlsplit(url)
    found = getproxies()
    scheme = parts.scheme if found.get(parts.scheme) else "all"
    proxy = found.get(scheme)
    if not proxy:
        return ProxyFacts()
    name = f"{scheme}_proxy"
    setting = next((one for one in (name, name.upper()) if env.get(one)), "the system's settings")
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host = address.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    bypassed = is_on_this_machine(url) or bool(proxy_bypass(parts.hostname or ""))
    return ProxyFacts(host, setting, bypassed)


def certificate_facts(env: Mapping[str, str]) -> CertificateFacts:
    """Load the certificates as a run does, which takes 70 ms."""
    source = _certificate_source(env)
    try:
        context = load_certificates()
    except OSError as error:
        return CertificateFacts(source, problem=cannot_open(error))
    return CertificateFacts(source, len(context.get_ca_certs()) or None)


def _certificate_source(env: Mapping[str, str]) -> str:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := env.get(name):
            return f"{name}={value}"
    paths = ssl.get_default_verify_paths()
    if os.path.isfile(paths.openssl_cafile):  # noqa: PTH113 - a string of the library's
        return f"the system's ({paths.openssl_cafile})"
    return "the system's"
