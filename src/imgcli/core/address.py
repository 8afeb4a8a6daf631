"""Which addresses are this machine's."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_NAMES = frozenset(["localhost", "localhost."])
_DIRECT = (
    "api.openai.com",
    "openai.azure.com",
    "openai.azure.us",
    "openai.azure.cn",
    "cognitiveservices.azure.com",
    "services.ai.azure.com",
)
"""Where OpenAI's and Azure's own servers are. Azure's virtual machines have other names."""
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9}")
_PARTS, _BYTE = 4, 256


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, without asking DNS.

    Connecting to `0.0.0.0` or `::` reaches this machine too, and so do `127.1` and `::ffff:127.0.0.1`: the
    system reads addresses in more spellings than the standard one.
    """
    if host.lower() in _NAMES:
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _in_old_spelling(host)
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _in_old_spelling(host: str) -> ipaddress.IPv4Address | None:
    """Read what inet_aton reads: up to four numbers, also octal and hexadecimal; the last fills the rest."""
    parts = host.split(".")
    if len(parts) > _PARTS or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *first, last = (_number(part) for part in parts)
    room = _BYTE ** (_PARTS - len(first))
    if any(number >= _BYTE for number in first) or last >= room:
        return None
    return ipaddress.IPv4Address(sum(number << 24 - 8 * place for place, number in enumerate(first)) + last)


def _number(text: str) -> int:
    is_octal = text.startswith("0") and text.isdigit()
    return int(text, 8 if is_octal else 0)


def is_gateway(place: str) -> bool:
    """Tell whether a server, named by its host and perhaps a port, is neither OpenAI's nor Azure's own."""
    try:
        host = (urlsplit(f"//{place}").hostname or "").removesuffix(".")
    except ValueError:
        return True
    return not any(host == name or host.endswith(f".{name}") for name in _DIRECT)
