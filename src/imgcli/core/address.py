"""Which addresses are this machine's."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, without asking DNS."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_place(place: str) -> bool:
    """Tell whether a server, named by its host and perhaps a port, is on this machine."""
    try:
        return is_loopback(urlsplit(f"//{place}").hostname or "")
    except ValueError:
        return False
