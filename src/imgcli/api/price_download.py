"""Fetching a price table: one GET without a key, bounded in size and time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from imgcli.api.auth import Credentials
from imgcli.api.errors.connection import ServerName, cannot_open, from_exception
from imgcli.api.transport import RefusedError, Timeouts, Watchdog, http_client_for
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.secrets import is_loopback
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable


_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}  # a body of one size, whatever it may unpack to
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
        outcome = _get(url, limit, timeouts, monotonic)
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


def _get(url: str, limit: int, timeouts: Timeouts, monotonic: Callable[[], float]) -> bytes | str:
    """Return the body, or where a redirect leads."""
    nobody = Credentials("", url)
    server = ServerName(nobody.host, timeouts.timeout)
    watchdog = Watchdog(timeouts, monotonic)
    with ExitStack() as stack:
        stack.callback(watchdog.stop)
        try:
            client = stack.enter_context(http_client_for(nobody, timeouts, watchdog, "text/plain"))
            watchdog.start()
            answer = stack.enter_context(client.stream("GET", url, headers=_HEADERS))
            body = bytearray()
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > limit:
                    break
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
                return bytes(body)
            problem = _refused(f"{server.host} sent more than {limit >> 20} MB.").problem
    raise ImgcliError(problem)  # here, where no exception of others hangs on to it


def _why(error: Exception, server: ServerName, watchdog: Watchdog) -> Problem | None:
    server = replace(server, proxy=watchdog.proxy, is_connected=watchdog.is_connected)
    failure = from_exception(error, server)
    return failure.problem if failure else cannot_open(error)


def _refused(what: str) -> ImgcliError:
    return ImgcliError(Problem(ExitCode.REFUSED, what, Charged.NO, _ADVICE))
