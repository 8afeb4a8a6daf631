"""Sending a request through the OpenAI SDK: the only place that imports it."""

from __future__ import annotations

import random
import ssl
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from imgcli.api.account import LOCAL_KEY
from imgcli.api.failures import Peer, cannot_open, from_answer, from_exception, lost, unfit
from imgcli.api.patience import Limits, Patience
from imgcli.api.retry import CONNECT_SECONDS, Failure, plan_wait
from imgcli.api.rules import KEY
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Waiting
from imgcli.core.redaction import redacted
from imgcli.core.request import Api, ImageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import httpx2
    from openai import APIResponse, OpenAI

    from imgcli.api.account import Account

_LONGEST_REFUSAL = 1_000_000
STREAM_LIMIT = 512_000_000
"""Bytes of one answer: more than any number of pictures that a request can bring."""


@dataclass(frozen=True)
class Clock:
    """Time and chance, as parameters."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True)
class Answer:
    """What the server answers while it arrives. `chunks` raises `ImgcliError` when the connection breaks.

    `close` hangs up; it may be called at any time and more than once. `note` is to be called for every event
    that was read: an answer without a new one is given up after a while.
    """

    chunks: Iterator[bytes]
    content_type: str
    request_id: str | None
    close: Callable[[], None]
    note: Callable[[], None]


DEFAULT_LIMITS = Limits()
DEFAULT_CLOCK = Clock()


def warm() -> None:
    """Import the SDK, which takes half a second: for a thread, while something else is shown."""
    import openai.resources.images
    import openai.resources.responses  # noqa: F401 - imported for the effect


def send(
    request: ImageRequest,
    job: str,
    account: Account,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock = DEFAULT_CLOCK,
) -> Generator[Waiting, None, Answer]:
    """Send a request once, and again only where the server cannot have begun, telling each wait.

    Raises `ImgcliError` when there is no answer to read. `job` goes out as X-Client-Request-Id, by which
    OpenAI can find a request whose answer was lost.
    """
    peer = Peer(account.place, limits.timeout)
    patience = Patience(limits, clock.monotonic)
    with ExitStack() as stack:
        client = _open(account, limits, patience)
        stack.callback(client.close)
        stack.callback(patience.stop)
        started = clock.monotonic()
        for attempt in count(1):
            patience.start()
            outcome = _attempt(client, request, job, peer, clock)
            if not isinstance(outcome, Failure):
                stack.callback(outcome.close)
                return _answer(outcome, peer, patience, stack.pop_all().close)
            patience.stop()
            outcome = _judged(outcome, patience, peer)
            problem = _presentable(outcome.problem, account)
            wait = plan_wait(outcome, attempt, clock.monotonic() - started, limits.budget, clock.chance())
            if wait is None:
                raise ImgcliError(problem)
            yield Waiting(job, wait, problem.what)
            clock.sleep(wait)
    raise AssertionError  # pragma: no cover - the loop has no end


def _judged(failure: Failure, patience: Patience, peer: Peer) -> Failure:
    """Say that it was us who hung up, where it was."""
    problem = patience.problem(peer.place)
    return Failure(problem) if problem else failure


_LOCAL_LOGIN = (
    "imgcli does not give OPENAI_API_KEY to a server on this machine; "
    "name its own in a profile (key-env), or set OPENAI_CUSTOM_HEADERS='Authorization: Bearer ...' for it."
)


def _presentable(problem: Problem, account: Account) -> Problem:
    """Leave the key out, and say why a server on this machine did not get it."""
    if account.key == LOCAL_KEY and problem.advice == KEY.advice:
        problem = replace(problem, advice=_LOCAL_LOGIN)
    return redacted(problem, *account.secrets)


def _open(account: Account, limits: Limits, patience: Patience) -> OpenAI:
    """Build the SDK's client; raises `ImgcliError` for a proxy or certificates that cannot be used."""
    try:
        http_client = _http_client(account, limits, patience)
    except Exception as error:
        problem = cannot_open(error)
        if problem is None:
            raise
    else:
        return _sdk(account, http_client)
    raise ImgcliError(problem)  # here, where no exception of others hangs on to it


def _sdk(account: Account, http_client: httpx2.Client) -> OpenAI:
    import httpx2
    from openai import OpenAI

    with suppress(httpx2.InvalidURL, ValueError):
        return OpenAI(
            api_key=account.key or LOCAL_KEY,
            base_url=account.base_url,
            organization=account.organization,
            project=account.project,
            default_headers=dict(account.headers),
            max_retries=0,
            http_client=http_client,
        )
    http_client.close()
    raise ImgcliError(unfit())


def _http_client(account: Account, limits: Limits, patience: Patience) -> httpx2.Client:
    import httpx2

    def watch(request: httpx2.Request) -> None:
        """Ask for news of the connection: no other way to it leaves the environment's proxies alone.

        The SDK insists on a key; where a header of the profile is the login, its stand-in is taken out here.
        """
        if not account.key and request.headers.get("authorization") == f"Bearer {LOCAL_KEY}":
            del request.headers["authorization"]
        request.extensions = {**request.extensions, "trace": patience.trace}

    return httpx2.Client(
        timeout=httpx2.Timeout(limits.timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=not account.is_local,
        verify=_tls(account),
        event_hooks={"request": [watch], "response": [_judge]},
    )


def _tls(account: Account) -> ssl.SSLContext:
    """Load the system's certificates, which takes 70 ms, only for a way that is encrypted.

    The bare context trusts nobody: should TLS be spoken after all, it fails.
    """
    import httpx2

    return (
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if account.is_local and account.is_plain
        else httpx2.create_ssl_context()
    )


class _RefusedError(Exception):
    """An HTTP status other than 2xx, with as much of its body as is worth reading."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def _judge(response: httpx2.Response) -> None:
    """Look at the status before the SDK does, which would read a refusal's body to its end, however long."""
    if not response.is_success:
        raise _RefusedError(response.status_code, _beginning(response), dict(response.headers))


def _beginning(response: httpx2.Response) -> bytes:
    """Read what comes of a refusal's body: the status stands, even when the connection breaks here."""
    import httpx2

    body = bytearray()
    with suppress(httpx2.HTTPError):
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) >= _LONGEST_REFUSAL:
                break
    return bytes(body)


def _attempt(
    client: OpenAI, request: ImageRequest, job: str, peer: Peer, clock: Clock
) -> APIResponse[Any] | Failure:
    """Send once. Failures are values here: exceptions of others may hold the key, and must not travel on."""
    try:
        return _call(client, request, job)
    except _RefusedError as refused:
        return from_answer(refused.status, refused.body, refused.headers, clock.now())
    except Exception as error:
        if (failure := from_exception(error, peer)) is None:
            raise
        return failure


def _call(client: OpenAI, request: ImageRequest, job: str) -> APIResponse[Any]:
    """Call the SDK; `extra_body` goes past its transformation by types, which takes 150 ms."""
    body = request.wire()
    headers = {"Accept-Encoding": "identity", "X-Client-Request-Id": job}
    model = body.pop("model")
    if request.api is Api.RESPONSES:
        responses = client.responses.with_streaming_response
        return responses.create(model=model, extra_headers=headers, extra_body=body).__enter__()
    images = client.images.with_streaming_response
    prompt = body.pop("prompt")
    return images.generate(model=model, prompt=prompt, extra_headers=headers, extra_body=body).__enter__()


def _answer(response: APIResponse[Any], peer: Peer, patience: Patience, close: Callable[[], None]) -> Answer:
    headers = response.headers
    content_type = headers.get("content-type", "")
    chunks = _chunks(response, peer, patience)
    return Answer(chunks, content_type, headers.get("x-request-id"), close, patience.note)


def _chunks(response: APIResponse[Any], peer: Peer, patience: Patience) -> Iterator[bytes]:
    """Give the body as it comes; whatever breaks now leaves the outcome unknown."""
    size, problem = 0, None
    try:
        for chunk in response.iter_bytes():
            size += len(chunk)
            patience.feed(len(chunk))
            if size > STREAM_LIMIT:
                problem = _too_long()
                break
            yield chunk
    except Exception as error:  # noqa: BLE001 - the answer had begun, whatever this is
        problem = lost(error, peer)
    problem = patience.problem(peer.place) or problem
    if problem:
        raise ImgcliError(problem)


def _too_long() -> Problem:
    what = f"The server sent more than {STREAM_LIMIT // 1_000_000} MB."
    return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE)
