"""Sending requests through the OpenAI SDK, and the fallback for a refused one."""

from __future__ import annotations

import random
import threading
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from imgcli.api.auth import LOCAL_KEY
from imgcli.api.errors.connection import (
    ServerName,
    cannot_open,
    from_answer,
    from_exception,
    lost,
    unfinished,
    unfit,
)
from imgcli.api.errors.server import is_about_background, quoted
from imgcli.api.errors.table import KEY, NO_ENDPOINT, WRONG_ADDRESS, WRONG_PATH
from imgcli.api.retry import Failure, plan_wait, rate_limits
from imgcli.api.sdk import import_client
from imgcli.api.transport import RefusedError, Timeouts, TurnReader, Watchdog, http_client_for
from imgcli.api.upload import ignore, request_body
from imgcli.api.wires import WIRES
from imgcli.core.errors import CHECK_USAGE, Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Notice, Waiting
from imgcli.core.option import option
from imgcli.core.params import Api
from imgcli.core.pipeline import uncharged
from imgcli.core.secrets import is_gateway, redact_problem
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    import httpx2
    from openai import APIResponse, OpenAI
    from openai._types import RequestOptions

    from imgcli.api.auth import Credentials
    from imgcli.api.retry import RateLimits
    from imgcli.api.upload import Body
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


STREAM_LIMIT = 512_000_000
"""Bytes of one answer: more than any number of images that a request can bring."""


@dataclass(frozen=True)
class Clock:
    """Time, chance and turns, as parameters."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    on_stop: Callable[[Callable[[], None]], AbstractContextManager[object]] = nullcontext
    """Registers what is to be called when another thread wants the request to end."""
    chance: Callable[[], float] = random.random
    reading: threading.Lock = field(default_factory=threading.Lock)
    """Held while an answer is read, so that several are read one after the other."""


@dataclass(frozen=True)
class Answer:
    """What the server answers while it arrives. `chunks` raises `ImgcliError` when the connection breaks.

    `close` hangs up; it may be called at any time and more than once. `note` is to be called for every event
    that was read: an answer without a new one is given up after a while. `note_end` is to be called with True
    when the server's end was read, after which nothing is waited for, and with False when it was none.
    `is_demo`: our demo sent it. `limits` is what the server said about further requests.
    """

    chunks: Iterator[bytes]
    content_type: str
    close: Callable[[], None]
    note: Callable[[], None]
    note_end: Callable[[bool], None]
    is_demo: bool = False
    limits: RateLimits | None = None


_JSON = "application/json"
_DEMO = "x-imgcli-demo"
"""The header of our own demo's answers, which are free; believed of a server on this machine alone."""

DEFAULT_TIMEOUTS = Timeouts()
DEFAULT_CLOCK = Clock()


@dataclass(frozen=True)
class Call:
    """A request as the SDK is asked for it: a GET where it has no body.

    `limit` is how many bytes of the answer are read, None for as many as images need; `job` goes out as
    X-Client-Request-Id, by which OpenAI can find a request whose answer was lost.
    """

    path: str
    body: Body | None = None
    limit: int | None = None
    job: str | None = None


def send(
    request: ImageRequest,
    job: str,
    credentials: Credentials,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    clock: Clock = DEFAULT_CLOCK,
    sent: Callable[[], None] = ignore,
) -> Generator[Waiting, None, Answer]:
    """Send a request once, and again only where the server cannot have begun, yielding each wait.

    Raises `ImgcliError` when there is no answer to read. `sent` is called before the last piece of the
    request goes out; an `ImgcliError` from it stops that.
    """
    path = WIRES[request.api].path(request, credentials.paths)
    with ExitStack() as stack:
        exchange = _open(
            Call(path, request_body(request, sent), job=job), credentials, timeouts, clock, stack
        )
        started = clock.monotonic()
        for attempt in count(1):
            outcome = exchange.attempt(stack)
            if isinstance(outcome, Answer):
                return outcome
            exchange.watchdog.stop()
            problem = _redacted(_with_fitting_advice(outcome.problem, request, credentials), credentials)
            if outcome.is_demo and credentials.is_local:
                problem = uncharged(problem)
            wait = plan_wait(outcome, attempt, clock.monotonic() - started, timeouts.budget, clock.chance())
            if wait is None:
                raise ImgcliError(problem)
            yield Waiting(job, wait, problem.what)
            clock.sleep(wait)
    raise AssertionError  # pragma: no cover - the loop has no end


def ask(
    credentials: Credentials,
    call: Call,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    clock: Clock = DEFAULT_CLOCK,
) -> Answer:
    """Send a call beside the generation of images, once. Raises `ImgcliError` without an answer."""
    with ExitStack() as stack:
        exchange = _open(call, credentials, timeouts, clock, stack)
        outcome = exchange.attempt(stack)
        if isinstance(outcome, Answer):
            return outcome
        problem = exchange.watchdog.problem(credentials.host) or outcome.problem
        raise ImgcliError(_redacted(problem, credentials))


@dataclass(frozen=True)
class _Exchange:
    """A call on its way: through which client, and watched by whom."""

    call: Call
    credentials: Credentials
    clock: Clock
    client: OpenAI
    watchdog: Watchdog
    server: ServerName

    def attempt(self, stack: ExitStack) -> Answer | Failure:
        """Send once. An answer takes over what is on the stack.

        Failures are values here: exceptions of others may hold the key, and must not travel on.
        """
        self.watchdog.start()
        try:
            response = self._post()
        except RefusedError as refused:
            told = from_answer(refused.status, refused.body, refused.headers, self.clock.now())
            return self._after_break(replace(told, is_demo=_is_marked(refused.headers)))
        except Exception as error:
            watchdog = self.watchdog
            server = replace(self.server, proxy=watchdog.proxy, is_connected=watchdog.is_connected)
            if (failure := from_exception(error, server)) is None:
                raise
            return self._after_break(failure)
        stack.callback(response.close)
        reader = TurnReader(response.http_response, self.clock.reading)
        stack.callback(reader.leave)
        return Answer(
            self._chunks(reader.read(response.iter_bytes())),
            response.headers.get("content-type", ""),
            stack.pop_all().close,
            self.watchdog.note,
            self.watchdog.note_end,
            self.credentials.is_local and _is_marked(response.headers),
            rate_limits(response.headers),
        )

    def _post(self) -> APIResponse[Any]:
        """Post (or get) through the SDK, as its own methods do, but for a body that is never whole."""
        headers = {"Accept-Encoding": "identity", "X-Stainless-Raw-Response": "stream"}
        if self.call.job:
            headers["X-Client-Request-Id"] = self.call.job
        options: RequestOptions = {"headers": headers, "security": {"bearer_auth": True}}
        path, body = self.call.path, self.call.body
        if body is None:
            return cast("APIResponse[Any]", self.client.get(path, cast_to=object, options=options))
        headers["Content-Length"] = str(body.length)
        content = body.pieces(self.watchdog.upload)
        answer = self.client.post(path, cast_to=object, content=content, options=options)
        return cast("APIResponse[Any]", answer)

    def _after_break(self, failure: Failure) -> Failure:
        """Return the failure as ours where we hung up, and as free where the request was incomplete."""
        problem = self.watchdog.problem(self.server.host)
        told = Failure(problem) if problem else failure
        is_incomplete = self.call.body is not None and not self.call.body.is_whole
        broke = problem is not None or failure.is_broken
        return Failure(unfinished(told.problem)) if broke and is_incomplete else told

    def _chunks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Return the body as it comes; whatever breaks now leaves the outcome unknown."""
        size, problem, limit = 0, None, self.call.limit or STREAM_LIMIT
        try:
            for chunk in chunks:
                size += len(chunk)
                self.watchdog.feed(len(chunk))
                if size > limit:
                    what = f"The server sent more than {limit // 1_000_000} MB."
                    problem = Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE)
                    break
                yield chunk
        except Exception as error:  # noqa: BLE001 - the answer had begun, whatever this is
            problem = lost(error, self.server)
        problem = self.watchdog.problem(self.server.host) or problem
        if problem:
            raise ImgcliError(problem)


def _is_marked(headers: Mapping[str, str]) -> bool:
    return headers.get(_DEMO) == "1"


_LOCAL_LOGIN = (
    "imgcli does not send OPENAI_API_KEY to a server on this machine; "
    "name its own key in a profile (key-env), or set OPENAI_CUSTOM_HEADERS='Authorization: Bearer ...'."
)


def _with_fitting_advice(problem: Problem, request: ImageRequest, credentials: Credentials) -> Problem:
    """Choose the one advice about a wrong address or model that fits what was asked, and whom."""
    advice = problem.advice
    if request.detach and is_about_background(problem):
        name = "completion-window" if request.completion_window else "detach"
        what = f"{problem.what} The server, this model or its image tool does not work in the background."
        return replace(problem, what=what, advice=f"Leave out {option(name)}.", parameters=(name,))
    if advice in (WRONG_ADDRESS, NO_ENDPOINT.advice) and not credentials.path:
        advice = WRONG_PATH
    elif advice == NO_ENDPOINT.advice and not (request.api is Api.RESPONSES and is_gateway(credentials.host)):
        advice = WRONG_ADDRESS
    elif problem.cause is Cause.MODEL_NOT_FOUND:
        others = (request.image_model, "image-model"), (request.svg_model, "svg-model")
        named = [(name, parameter) for name, parameter in others if name and name in problem.what]
        if not named and request.api is Api.RESPONSES:
            return problem
        name, parameter = named[0] if named else (request.model, "model")
        advice = f"Choose another {option(parameter)} than {quoted(name)}; `imgcli models` lists them."
        problem = replace(problem, parameters=(parameter,))
    return replace(problem, advice=advice)


def _redacted(problem: Problem, credentials: Credentials) -> Problem:
    """Leave the key out, and say why a server on this machine did not get it."""
    if credentials.key == LOCAL_KEY and problem.advice == KEY.advice:
        problem = replace(problem, advice=_LOCAL_LOGIN)
    return redact_problem(problem, *credentials.secrets)


def _open(
    call: Call, credentials: Credentials, timeouts: Timeouts, clock: Clock, stack: ExitStack
) -> _Exchange:
    """Build the SDK's client; raises `ImgcliError` for a proxy or certificates that cannot be used."""
    watchdog = Watchdog(timeouts, clock.monotonic)
    try:
        http_client = http_client_for(
            credentials, timeouts, watchdog, call.body.content_type if call.body else _JSON
        )
    except Exception as error:
        problem = cannot_open(error)
        if problem is None:
            raise
    else:
        client = _sdk(credentials, http_client)
        stack.callback(client.close)
        stack.callback(watchdog.stop)
        stack.enter_context(clock.on_stop(watchdog.abandon))
        server = ServerName(credentials.host, timeouts.timeout)
        return _Exchange(call, credentials, clock, client, watchdog, server)
    raise ImgcliError(problem)  # here, where no exception of others hangs on to it


def _sdk(credentials: Credentials, http_client: httpx2.Client) -> OpenAI:
    import httpx2

    class Client(import_client()):  # type: ignore[misc]  # a base that is imported late
        """A client that sends no facts of this machine: Python would start `uname` for them, key and all."""

        def platform_headers(self) -> dict[str, str]:
            return {}

    with suppress(httpx2.InvalidURL, ValueError):
        return Client(
            api_key=credentials.key or LOCAL_KEY,
            base_url=credentials.base_url,
            organization=credentials.organization,
            project=credentials.project,
            default_headers=dict(credentials.headers),
            max_retries=0,
            http_client=http_client,
        )
    http_client.close()
    raise ImgcliError(unfit())


PREVIOUS_RESPONSE_LOST = "the server cannot continue the conversation; sending the image itself instead"
WITHOUT_RESPONSE_FORMAT = "the server does not support response_format; sending the request again without it"


def send_with_fallback(
    valid: ValidRequest,
    job: str,
    credentials: Credentials,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    clock: Clock = DEFAULT_CLOCK,
    sent: Callable[[], None] = ignore,
) -> Generator[Waiting | Notice, None, Answer]:
    """Send the request; where the server refuses it for a reason that another one avoids, send that one.

    The first one cost nothing then: it was refused before any work. Raises `ImgcliError` as `send` does.
    """
    try:
        return (yield from send(valid.request, job, credentials, timeouts, clock, sent))
    except ImgcliError as error:
        other = _find_fallback(valid, error.problem)
        if other is None:
            raise
        if valid.fallback_blocked and error.problem.cause is Cause.PREVIOUS_RESPONSE_NOT_FOUND:
            raise ImgcliError(_blocked_fallback(error.problem, valid.fallback_blocked)) from None
    text, request = other
    yield Notice(job, text, request)
    return (yield from send(request, job, credentials, timeouts, clock, sent))


def _find_fallback(valid: ValidRequest, problem: Problem) -> tuple[str, ImageRequest] | None:
    """Choose what to send after a refusal that certainly cost nothing, and say why; None for nothing."""
    if problem.charged is not Charged.NO:
        return None
    if problem.cause is Cause.PREVIOUS_RESPONSE_NOT_FOUND and valid.fallback:
        return PREVIOUS_RESPONSE_LOST, valid.fallback
    if problem.cause is Cause.RESPONSE_FORMAT and valid.request.inline:
        return WITHOUT_RESPONSE_FORMAT, replace(valid.request, inline=False)
    return None


def _blocked_fallback(forgotten: Problem, why: Problem) -> Problem:
    """Return the refusal with the limit that rules the fallback out."""
    what = f"{forgotten.what} The image itself was not sent instead, because of a limit. {why.what}"
    return replace(forgotten, what=what, advice=why.advice)
