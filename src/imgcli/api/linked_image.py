"""Images to which an answer only links: fetched once, without a key, from the server or a public address."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from imgcli.api.auth import Credentials, is_on_this_machine
from imgcli.api.errors.connection import ServerName, from_exception
from imgcli.api.stream.link import LinkError
from imgcli.api.stream.sse import RECORD_LIMIT
from imgcli.api.transport import RefusedError, Timeouts, Watchdog, http_client_for
from imgcli.core.errors import ExitCode
from imgcli.core.image import sniff
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.api.client import Clock


LIMIT = (RECORD_LIMIT // 4 - 20_000) * 3
"""Bytes of an image: as base64, with its link, it is one record of the run log."""
_LONGEST_LINK = 8_000
_NO_ADDRESS = "The link is not a valid address."


@dataclass(frozen=True)
class LinkedImages:
    """The way to the images that one server links to.

    `record` is called with every image, as a part of the answer, before anybody sees it.
    """

    credentials: Credentials
    timeouts: Timeouts
    clock: Clock
    record: Callable[[bytes], None]

    @classmethod
    def of_recorded(cls, host: str | None, clock: Clock) -> LinkedImages:
        """Return the way to images of a run that is recorded; `host` is its server's, with a port."""
        url = f"//{host or ''}"
        url = f"{'http' if is_on_this_machine(url) else 'https'}:{url}"
        return cls(Credentials("", url), Timeouts(), clock, lambda _: None)

    def fetch(self, link: str) -> bytes:
        """Fetch an image, once. Raises `LinkError`, also for what is no image.

        The key and the headers of the server stay here, whoever's host it is.
        """
        parts = _parse(link)
        timeouts = replace(self.timeouts, total=self.timeouts.progress)
        if self._is_own(parts):
            watchdog = Watchdog(timeouts, self.clock.monotonic)
        elif parts.scheme == "https":
            watchdog = _PublicOnly(timeouts, self.clock.monotonic)
        else:
            raise LinkError("imgcli fetches an unencrypted link only from the server that it asked.")
        target = Credentials("", link)
        try:
            with self.clock.on_stop(watchdog.abandon):
                data = _download(target, timeouts, watchdog)
        except LinkError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, other images of the answer are still to come
            raise LinkError(_reason(error, target, watchdog, timeouts)) from None
        finally:
            watchdog.stop()
        if sniff(data) is None:
            raise LinkError(f"What {target.host} sent is not an image.")
        return data

    def _is_own(self, link: SplitResult) -> bool:
        """Return whether a link is to the server itself, and the way to it no less private than its own."""
        own = urlsplit(self.credentials.base_url)
        return link.hostname == own.hostname and (link.scheme == "https" or own.scheme == "http")


def _parse(link: str) -> SplitResult:
    with suppress(ValueError):
        parts = urlsplit(link)
        if parts.hostname and parts.port != 0 and len(link) <= _LONGEST_LINK and link.isprintable():
            return parts
    raise LinkError(_NO_ADDRESS)


def _download(target: Credentials, timeouts: Timeouts, watchdog: Watchdog) -> bytes:
    """Read a body as it is sent; compressed, it would have no limit."""
    data, headers = bytearray(), {"Accept": "image/*", "Accept-Encoding": "identity"}
    watchdog.start()
    with (
        http_client_for(target, timeouts, watchdog) as client,
        client.stream("GET", target.base_url, headers=headers) as answer,
    ):
        for chunk in answer.iter_raw():
            watchdog.feed(len(chunk))
            data += chunk
            if len(data) > LIMIT:
                raise LinkError(f"The image is larger than {LIMIT // 1_000_000} MB.")
    return bytes(data)


def _reason(error: Exception, target: Credentials, watchdog: Watchdog, timeouts: Timeouts) -> str:
    """Return in a sentence why a download failed."""
    if isinstance(error, RefusedError):
        told = f"HTTP {error.status}"
        is_redirect = 300 <= error.status < 400  # noqa: PLR2004 - HTTP's own class
        rest = f"redirects to another address ({told}), which imgcli does not follow."
        return f"{target.host} {rest if is_redirect else f'answered with {told}.'}"
    if problem := watchdog.problem(target.host):
        return problem.what
    failure = from_exception(error, ServerName(target.host, timeouts.timeout, watchdog.proxy))
    if failure is None or failure.problem.exit_code is ExitCode.USAGE:
        return _NO_ADDRESS
    return failure.problem.what


class _PublicOnly(Watchdog):
    """A watchdog that lets nothing be sent but to a public address.

    A server could link to what only this machine can reach. The name is resolved before anything is dialed,
    and the connection looked at before anything is sent: a name can have another address by then.
    """

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Check an address before and after it is dialed. Raises `LinkError`."""
        if event.endswith(".connect_tcp.started"):
            dialed = info["host"], info["port"]
            if dialed != self.target:
                raise LinkError("A proxy is on the way to another server, so that its address is unknown.")
            with suppress(OSError):  # dialing it will tell
                _check_public(*(str(found[4][0]) for found in socket.getaddrinfo(*dialed)))
        elif event == "connection.connect_tcp.complete":
            connection: socket.socket = info["return_value"].get_extra_info("socket")
            try:
                _check_public(str(connection.getpeername()[0]))
            except (LinkError, OSError):
                connection.close()
                raise
        super().trace(event, info)


def _check_public(*addresses: str) -> None:
    """Raise `LinkError` where one of these is not an address of the public internet."""
    if not all(map(is_public, addresses)):
        raise LinkError("The link is to a private address.")


def is_public(text: str) -> bool:
    """Return whether this is an address of the public internet, also when it holds another one (RFC 3056)."""
    address = ipaddress.ip_address(text)
    inner = (address.ipv4_mapped or address.sixtofour) if isinstance(address, ipaddress.IPv6Address) else None
    return address.is_global and not address.is_multicast and (inner is None or inner.is_global)
