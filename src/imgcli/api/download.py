"""Downloads without a key, bounded in size and time: images that an answer links to, and price tables."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from imgcli.api.auth import Credentials, is_on_this_machine
from imgcli.api.errors.connection import ServerName, cannot_open, from_exception
from imgcli.api.stream.link import LinkError
from imgcli.api.stream.sse import RECORD_LIMIT
from imgcli.api.transport import RefusedError, Timeouts, Watchdog, http_client_for
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.image import sniff
from imgcli.core.secrets import is_loopback
from imgcli.core.text import shorten
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
    """The images that one server links to.

    `record` is called with every image, as a part of the answer, before anybody sees it.
    """

    credentials: Credentials
    timeouts: Timeouts
    clock: Clock
    record: Callable[[bytes], None]

    @classmethod
    def of_recorded(cls, host: str | None, clock: Clock) -> LinkedImages:
        """Return those of a recorded run; `host` is its server's, with a port."""
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
            watchdog = _PublicWatchdog(timeouts, self.clock.monotonic)
        else:
            raise LinkError("imgcli fetches an unencrypted link only from the server that it asked.")
        target = Credentials("", link)
        try:
            with self.clock.on_stop(watchdog.abandon):
                data = _get(target, timeouts, watchdog, LIMIT, "image/*")
        except LinkError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, other images of the answer are still to come
            raise LinkError(_reason(error, target, watchdog, timeouts)) from None
        finally:
            watchdog.stop()
        if len(data) > LIMIT:
            raise LinkError(f"The image is larger than {LIMIT // 1_000_000} MB.")
        if sniff(data) is None:
            raise LinkError(f"What {target.host} sent is not an image.")
        return data

    def _is_own(self, link: SplitResult) -> bool:
        """Return whether a link is to the server itself, and no less private than its own address."""
        own = urlsplit(self.credentials.base_url)
        return link.hostname == own.hostname and (link.scheme == "https" or own.scheme == "http")


def _parse(link: str) -> SplitResult:
    with suppress(ValueError):
        parts = urlsplit(link)
        if parts.hostname and parts.port != 0 and len(link) <= _LONGEST_LINK and link.isprintable():
            return parts
    raise LinkError(_NO_ADDRESS)


def _get(target: Credentials, timeouts: Timeouts, watchdog: Watchdog, limit: int, accept: str) -> bytes:
    """Return a body as it is sent, which ends soon after `limit`; compressed, it would have no limit."""
    data, headers = bytearray(), {"Accept": accept, "Accept-Encoding": "identity"}
    watchdog.start()
    with (
        http_client_for(target, timeouts, watchdog) as client,
        client.stream("GET", target.base_url, headers=headers) as answer,
    ):
        for chunk in answer.iter_raw():
            watchdog.feed(len(chunk))
            data += chunk
            if len(data) > limit:
                break
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


class _PublicWatchdog(Watchdog):
    """A watchdog that allows requests to public addresses only.

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


_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_NAME = 100
_ADVICE = "The prices are as before. Check the URL, or save the file and name it."


def is_url(source: str) -> bool:
    """Return whether a source is named by a URL, and not a file."""
    return source.lower().startswith(("https://", "http://"))


def download(url: str, limit: int, seconds: float, monotonic: Callable[[], float]) -> bytes:
    """Fetch a file of at most `limit` bytes. Raises `ImgcliError`; nothing of this costs money.

    Redirects are followed within the host alone. `seconds` is for silence, and four times that for all.
    """
    host = _checked(url).hostname
    timeouts = Timeouts(seconds, progress=4 * seconds, total=4 * seconds)
    for _ in range(_MOST_REDIRECTS + 1):
        outcome = _body_or_redirect(url, limit, timeouts, monotonic)
        if isinstance(outcome, bytes):
            return outcome
        url = urljoin(url, outcome)
        if _checked(url).hostname != host:
            elsewhere = shorten(urlsplit(url).hostname or "", _LONGEST_NAME)
            raise _refused(f"{host} redirects to another host, {elsewhere}, which imgcli does not follow.")
    raise _refused(f"{host} redirects more than {_MOST_REDIRECTS} times.")


def _checked(url: str) -> SplitResult:
    """Refuse an address that is none, that is not encrypted, or that holds a login."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_usable = urlsplit(""), False
    if not is_usable or not url.isprintable() or " " in url:
        raise usage_error(f"{shorten(url, _LONGEST_NAME)} is not a valid URL.", about=("update",))
    if parts.username is not None:
        raise usage_error("The URL of a price table must not hold a login.", about=("update",))
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        what = f"Prices from {parts.hostname} over http could be changed on the way."
        raise usage_error(what, "Use https://, or save the file and name it.", about=("update",))
    return parts


def _body_or_redirect(
    url: str, limit: int, timeouts: Timeouts, monotonic: Callable[[], float]
) -> bytes | str:
    """Return the body, or where a redirect leads."""
    nobody, watchdog = Credentials("", url), Watchdog(timeouts, monotonic)
    server = ServerName(nobody.host, timeouts.timeout)
    try:
        body = _get(nobody, timeouts, watchdog, limit, "*/*")
    except RefusedError as refused:
        target = {name.lower(): value for name, value in refused.headers.items()}.get("location")
        if refused.status in _REDIRECTS and target:
            return target
        problem = _refused(f"{server.host} answered with status {refused.status}.").problem
    except Exception as error:
        known = watchdog.problem(server.host) or _why(error, server, watchdog)
        if known is None:
            raise
        problem = replace(known, charged=Charged.NO, advice=_ADVICE, parameters=())
    else:
        if len(body) <= limit:
            return body
        problem = _refused(f"{server.host} sent more than {limit >> 20} MB.").problem
    finally:
        watchdog.stop()
    raise ImgcliError(problem)  # here, where no exception of others hangs on to it


def _why(error: Exception, server: ServerName, watchdog: Watchdog) -> Problem | None:
    server = replace(server, proxy=watchdog.proxy, is_connected=watchdog.is_connected)
    failure = from_exception(error, server)
    return failure.problem if failure else cannot_open(error)


def _refused(what: str) -> ImgcliError:
    return ImgcliError(Problem(ExitCode.REFUSED, what, Charged.NO, _ADVICE))
