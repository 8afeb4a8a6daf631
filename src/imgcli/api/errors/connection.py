"""Exceptions of httpx2, as our problems."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.api.errors.server import from_status, quoted
from imgcli.api.retry import Failure, Retry, retry_after
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.option import option
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_RATE_CODES = frozenset({"requests", "tokens", "rate_limit_exceeded", "slow_down", "server_is_overloaded"})
"""The codes (or types, where there is no code) by which a server says that it did not begin."""
_MANY_CAUSES = 20
_PROXIES = "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"


class FailureStage(Enum):
    """How far a request had come when its connection broke."""

    UNSENT = "unsent"  # no byte of it had left
    UNFIT = "unfit"  # it cannot be put into HTTP
    SENT = "sent"  # it had left, wholly or in part


FAILURE_STAGES: dict[str, FailureStage] = {
    "ConnectError": FailureStage.UNSENT,
    "ConnectTimeout": FailureStage.UNSENT,
    "PoolTimeout": FailureStage.UNSENT,
    "ProxyError": FailureStage.UNSENT,
    "ImportError": FailureStage.UNSENT,
    "SSLCertVerificationError": FailureStage.UNSENT,
    "UnsupportedProtocol": FailureStage.UNFIT,
    "InvalidURL": FailureStage.UNFIT,
    "LocalProtocolError": FailureStage.UNFIT,
    "ValueError": FailureStage.UNFIT,
    "HTTPError": FailureStage.SENT,
    "StreamError": FailureStage.SENT,
    "OSError": FailureStage.SENT,
    "EndOfStream": FailureStage.SENT,
    "OpenAIError": FailureStage.SENT,
}
"""The most specific name along an exception's classes decides; a test holds the table against httpx2."""

_WRAPPERS = frozenset({"APIConnectionError", "APITimeoutError", "OpenAIError"})


@dataclass(frozen=True)
class ServerName:
    """The server for messages, and after how many silent seconds it is given up.

    `proxy` is the host and port of the proxy on the way to it, None where there is none; `is_connected` says
    whether the first of the two took the connection.
    """

    host: str
    timeout: float
    proxy: str | None = None
    is_connected: bool = False


def from_exception(error: Exception, server: ServerName) -> Failure | None:
    """Return what an exception of sending means; None for one that has nothing to do with the connection."""
    own = next((link for link in _chain(error) if isinstance(link, ImgcliError)), None)
    if own:  # one of ours that stopped the request, in whatever the SDK has wrapped it
        return Failure(own.problem)
    cause = next(
        (link for link in _chain(error) if failure_stage(link) and type(link).__name__ not in _WRAPPERS),
        error,
    )
    match failure_stage(cause):
        case FailureStage.UNSENT:
            return _unsent(cause, server)
        case FailureStage.UNFIT:
            return Failure(unfit())
        case FailureStage.SENT:
            return Failure(lost(cause, server), is_broken=True)
        case None:
            return None


def lost(error: Exception, server: ServerName) -> Problem:
    """Return the problem of a connection that broke after the request had been sent."""
    name = type(error).__name__
    if name in ("ReadTimeout", "WriteTimeout"):
        did = "was silent" if name == "ReadTimeout" else "accepted no more data"
        what = f"{server.host} {did} for {server.timeout:g} s."
        advice = f"{CHECK_USAGE} Increase {option('timeout')} to wait longer."
    else:
        what, advice = (
            f"The connection to {server.host} broke before the answer was complete ({name}).",
            CHECK_USAGE,
        )
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, advice)


def unfinished(problem: Problem) -> Problem:
    """Return the problem as free: no server can have begun with an incomplete request."""
    return replace(
        problem,
        exit_code=ExitCode.UNREACHABLE,
        what=f"{problem.what} The request had not been sent completely.",
        charged=Charged.NO,
        advice="Try again; a smaller image may help.",
        cause=Cause.INCOMPLETE_REQUEST,
    )


def from_answer(status: int, body: bytes, headers: Mapping[str, str], now: float) -> Failure:
    """Return what a status other than 2xx means, and whether to try again; `now` is the Unix time."""
    problem = from_status(status, body, headers)
    bare = status == 429 and problem.code is None  # noqa: PLR2004 - without a word, HTTP's meaning stands
    if problem.exit_code is not ExitCode.BUSY or not (bare or problem.code in _RATE_CODES):
        return Failure(problem)
    asked = retry_after(headers, now)
    if asked and asked < 1e9:  # noqa: PLR2004 - beyond it, a number of seconds tells nobody anything
        problem = replace(problem, advice=f"Try again in {asked:.0f} s.")
    return Failure(problem, Retry.LATER, asked)


def cannot_open(error: Exception) -> Problem | None:
    """Return why the environment's settings make no client; None for another exception."""
    if isinstance(error, ImportError):
        return _no_socks()
    if isinstance(error, OSError):
        what = "Cannot load the TLS certificates."
        return _unreachable(what, "Check SSL_CERT_FILE and SSL_CERT_DIR.")
    if isinstance(error, ValueError) or type(error).__name__ == "InvalidURL":
        what = "A proxy in the environment is not a valid URL."
        return _unreachable(what, f"Check {_PROXIES}.")
    return None


def failure_stage(error: BaseException) -> FailureStage | None:
    """Look an exception up by the names of its classes, the most specific first."""
    names = (parent.__name__ for parent in type(error).__mro__)
    return next((FAILURE_STAGES[name] for name in names if name in FAILURE_STAGES), None)


def _chain(error: BaseException) -> Iterator[Exception]:
    """Follow an exception to what caused it."""
    link: BaseException | None = error
    for _ in range(_MANY_CAUSES):
        if isinstance(link, Exception):
            yield link
        link = (link.__cause__ or link.__context__) if link else None


def _unsent(error: Exception, server: ServerName) -> Failure:
    if isinstance(error, ImportError):
        return Failure(_no_socks())
    if type(error).__name__ == "ProxyError":
        return Failure(_refused_by_proxy(quoted(str(error)), server), Retry.CONNECT)
    causes = list(_chain(error))
    certificate = next((link for link in causes if isinstance(link, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        what = f"{server.host} has no valid certificate: {quoted(certificate.verify_message)}."
        return Failure(_unreachable(what, "Check the address, the clock, and SSL_CERT_FILE."))
    if server.proxy and not server.is_connected:
        what = f"Cannot connect to the proxy {quoted(server.proxy)}: {_reason(causes)}."
        return Failure(_unreachable(what, f"Start it, or check {_PROXIES}."), Retry.CONNECT)
    what = f"Cannot connect to {server.host}: {_reason(causes)}."
    return Failure(
        _unreachable(what, f"Check the connection, the address ({option('base-url')}) and the proxy."),
        Retry.CONNECT,
    )


def _refused_by_proxy(answer: str, server: ServerName) -> Problem:
    """Return what a proxy's answer to CONNECT means; from 500 on it tried."""
    proxy = f"The proxy {quoted(server.proxy)}" if server.proxy else "The proxy"
    if answer.startswith("5"):
        advice = (
            f"Try again; if that does not help, check {option('base-url')} (OPENAI_BASE_URL), and {_PROXIES}."
        )
        return _unreachable(f"{proxy} could not reach {server.host}: {answer}.", advice)
    return _unreachable(f"{proxy} refused the connection to {server.host}: {answer}.", f"Check {_PROXIES}.")


def _reason(causes: list[Exception]) -> str:
    """Format in a few words why connecting failed."""
    for cause in causes:
        match cause:
            case socket.gaierror():
                return "the host name cannot be resolved (DNS)"
            case ssl.SSLError():
                return f"TLS failed ({quoted(cause.reason or 'no reason given')})"
            case OSError(strerror=str(text)) if text:
                return quoted(text).lower()
            case _:
                pass
    timed_out = any("Timeout" in type(cause).__name__ for cause in causes)
    return "it timed out" if timed_out else "it failed"


def unfit() -> Problem:
    """Return the problem without the value, which may be a key."""
    what = "The request is not valid HTTP: a header or the URL contains a forbidden character."
    advice = f"Check OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID, OPENAI_PROJECT_ID and {option('base-url')}."
    return Problem(ExitCode.USAGE, what, Charged.NO, advice)


def _no_socks() -> Problem:
    what = "The environment sets a SOCKS proxy, which needs a package that is missing."
    return _unreachable(what, "pip install socksio")


def _unreachable(what: str, advice: str) -> Problem:
    return Problem(ExitCode.UNREACHABLE, what, Charged.NO, advice)
