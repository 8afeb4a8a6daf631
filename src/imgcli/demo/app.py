"""The HTTP application: access, routes, and how answers are written."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import traceback
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from imgcli.demo import images_api, models, provenance, responses_api
from imgcli.demo.exchange import ApiError, FileAnswer, JsonAnswer, Request, Stream, invalid, new_id
from imgcli.demo.request_body import (
    LARGEST_BODY,
    LARGEST_UPLOAD,
    BodyMemory,
    RequestBody,
    check_key,
    check_origin,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping

    from starlette.datastructures import FormData
    from starlette.types import Message, Receive, Scope, Send

    from imgcli.demo.background import StoredResponses
    from imgcli.demo.batches_api import BatchStore
    from imgcli.demo.exchange import ServerEvent, Sessions

    Answer = JsonAnswer | Stream | FileAnswer
    Endpoint = Callable[[Request], Answer]


LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers."""

MARK = "x-imgcli-demo"
"""The header by which our client knows that an answer is free."""

_FILES = "/v1/files"
_REQUEST = "imgcli.request"
_SEEDS = 10**9
"""The number of seeds to choose from: enough that no two images are alike, few enough to be typed."""
_LOGGED = 200


def _quiet(_line: str) -> None:
    """Log nothing."""


@dataclass(frozen=True)
class DemoSettings:
    """How the demo serves.

    `pace` multiplies the pauses between events: at 1 a run takes about three seconds, at 0 there are none.
    `log` is called with one line for each request, from another thread. Any key is accepted unless `api_key`
    names the only good one. `patience` is how many seconds a client may take to send a request, and to take
    any part of the answer. `hosts` are names under which a proxy offers the demo. Answers are `marked` by a
    header as free. Without a `seed` every request gets a random one, which is written on its image. Streams
    are cut after `cut_after` events.
    """

    pace: float = 1.0
    log: Callable[[str], None] = _quiet
    api_key: str | None = None
    patience: float = 30.0
    hosts: Collection[str] = ()
    marked: bool = True
    seed: int | None = None
    cut_after: int | None = None

    def choose_seed(self) -> int:
        """Return the seed for one request: a random one unless one was chosen."""
        return secrets.randbelow(_SEEDS) if self.seed is None else self.seed


class DemoApp:
    """Answers requests as OpenAI does."""

    def __init__(
        self,
        settings: DemoSettings,
        port: int,
        sessions: Sessions,
        responses: StoredResponses,
        batches: BatchStore,
    ) -> None:
        self._settings = settings
        self._port = port
        self._hosts = frozenset(host.lower() for host in settings.hosts)
        self._memory = BodyMemory()
        routes = [
            Route(path, self._handler(endpoint), methods=[method])
            for method, path, endpoint in _routes(sessions, responses, batches)
        ]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer that fails after it has begun is broken off by an exception."""
        reply, log = _Reply(scope, send, marked=self._settings.marked), self._settings.log
        try:
            await self._serve(scope, receive, reply)
        except (ApiError, HTTPException) as error:
            await reply.refuse(_as_api_error(error, scope))
        except (OSError, ClientDisconnect):
            raise
        except Exception as error:  # noqa: BLE001 - a bug must look like OpenAI's 500
            log("".join(traceback.format_exception(error)).rstrip())
            await reply.refuse(ApiError(500, "server_error", "server_error", "The demo failed; see its log."))
        finally:
            log(reply.line())

    async def _serve(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        """Check a request, read its body, and pass both to the function that answers its path."""
        http, patience = HttpRequest(scope, receive), self._settings.patience
        if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEAD:
            raise invalid(None, "The request's headers are too large.", None, 431)
        check_origin(http.headers, self._port, self._hosts)
        largest = LARGEST_UPLOAD if scope["path"] == _FILES else LARGEST_BODY
        body = RequestBody(receive, http.headers, largest, self._memory, patience / 2)
        scope["app"] = self  # has the library raise what it refuses
        http, form = HttpRequest(scope, body.receive), None
        try:
            kind, form, data = await _content(http)
            check_key(http.headers, self._settings.api_key)
            scope[_REQUEST] = Request(kind, data, self._settings.choose_seed(), form)
            del data  # the room of a body is free only when nothing holds it
            await self._router(scope, receive, reply.send)
        finally:
            scope.pop(_REQUEST, None)  # uvicorn keeps the scope as long as the connection
            _close_files(form)
            await http.close()
            await body.close()

    def _handler(self, endpoint: Endpoint) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def answer(http: HttpRequest) -> Response:
            request = replace(http.scope[_REQUEST], names=http.path_params, query=http.query_params)
            return await self._response(await run_in_threadpool(_call, endpoint, request))

        return answer

    async def _response(self, answer: Answer | ApiError) -> Response:
        match answer:
            case ApiError():
                return _json(answer.body(), answer.status)
            case Stream(events):
                headers = {"Cache-Control": "no-store"}
                return StreamingResponse(
                    self._pieces(events), media_type="text/event-stream", headers=headers
                )
            case FileAnswer(path):
                return FileResponse(path, media_type="application/octet-stream")
            case JsonAnswer(body, pause):
                await self._pause(pause)
                return await run_in_threadpool(_json, body)

    async def _pieces(self, events: Iterator[ServerEvent]) -> AsyncIterator[bytes]:
        """Yield the events of a stream when their time has come."""
        number = 0
        while (made := await run_in_threadpool(_next_event, events)) is not None:
            pause, data = made
            if number == self._settings.cut_after:
                raise ConnectionAbortedError
            await self._pause(pause)
            yield data
            number += 1

    async def _pause(self, seconds: float) -> None:
        """Wait as long as a real server would."""
        await asyncio.sleep(seconds * self._settings.pace)


async def _content(http: HttpRequest) -> tuple[str, FormData | None, bytearray]:
    """Read a body: its type, and the form that it is, or its bytes."""
    data, kind = bytearray(), http.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        return kind, await http.form(), data
    async for piece in http.stream():
        data += piece  # held once: `http.body()` has it in pieces and whole for a while
    return kind, None, data


def _close_files(form: FormData | None) -> None:
    """Close the files of a form at once: the end of the server cancels whoever waits for a thread."""
    for _, value in form.multi_items() if form else ():
        if not isinstance(value, str):
            value.file.close()


def _call(endpoint: Endpoint, request: Request) -> Answer | ApiError:
    """Return a refusal as a value: what a thread raises holds its frames, and the body, in a cycle."""
    try:
        return endpoint(request)
    except ApiError as error:
        return error.with_traceback(None)


def _next_event(events: Iterator[ServerEvent]) -> tuple[float, bytes] | None:
    """Make the next event, which may have to be painted first."""
    event = next(events, None)
    return None if event is None else (event.pause, event.encode())


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")


def _routes(
    sessions: Sessions, responses: StoredResponses, batches: BatchStore
) -> list[tuple[str, str, Endpoint]]:
    """Return which function answers which method and path."""
    return [
        ("POST", "/v1/responses", lambda request: responses_api.create(request, sessions, responses)),
        ("GET", "/v1/responses/{id}", lambda it: responses.retrieve(it.names["id"], it.query)),
        ("POST", "/v1/responses/{id}/cancel", lambda it: responses.cancel(it.names["id"])),
        ("POST", "/v1/images/generations", images_api.generate),
        ("POST", "/v1/images/edits", images_api.edit),
        ("POST", "/v1/content_provenance_checks", provenance.check),
        ("GET", "/v1/models", lambda _: JsonAnswer(models.listing())),
        ("GET", "/v1/models/{id:path}", lambda it: JsonAnswer(models.card(it.names["id"]))),
        ("POST", _FILES, batches.upload),
        ("GET", _FILES, lambda _: batches.list_files()),
        ("GET", "/v1/files/{id}", lambda it: batches.file(it.names["id"])),
        ("DELETE", "/v1/files/{id}", lambda it: batches.delete(it.names["id"])),
        ("GET", "/v1/files/{id}/content", lambda it: batches.content(it.names["id"])),
        ("POST", "/v1/batches", lambda it: batches.create(it)),  # noqa: PLW0108 - found when it is called
        ("GET", "/v1/batches", lambda it: batches.list_batches(it.query)),
        ("GET", "/v1/batches/{id}", lambda it: batches.batch(it.names["id"])),
        ("POST", "/v1/batches/{id}/cancel", lambda it: batches.cancel(it.names["id"])),
    ]


def _as_api_error(error: ApiError | HTTPException, scope: Scope) -> ApiError:
    """Return the error with which OpenAI would refuse what the library refuses."""
    if isinstance(error, ApiError):
        return error
    method, path = scope["method"], scope["path"]
    match error.status_code:
        case HTTPStatus.NOT_FOUND as status:
            return invalid(None, f"Invalid URL ({method} {path})", None, status)
        case HTTPStatus.METHOD_NOT_ALLOWED as status:
            hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
            return invalid("method_not_supported", f"Not allowed to {method} on {path}. {hint}", None, status)
        case status:
            return invalid(None, f"Could not parse multipart form: {error.detail}", None, status)


class _Reply:
    """An answer on its way to the client: the headers that all have, and its line in the log."""

    def __init__(self, scope: Scope, send: Send, *, marked: bool) -> None:
        self._scope = scope
        self._send = send
        self._marked = marked
        self._begun = time.monotonic()
        self._status: int | None = None
        self._is_whole = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._complete(MutableHeaders(scope=message))
        await self._send(message)
        self._is_whole = message["type"] == "http.response.body" and not message.get("more_body")

    def _complete(self, headers: MutableHeaders) -> None:
        headers["server"] = "imgcli-demo"
        headers["date"] = formatdate(usegmt=True)
        headers["x-request-id"] = new_id("req")
        headers["openai-processing-ms"] = str(round((time.monotonic() - self._begun) * 1000))
        headers["openai-version"] = "2020-10-01"
        if self._marked:
            headers[MARK] = "1"

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error; where an answer has begun, cut the connection."""
        if self._status is not None:
            raise ConnectionAbortedError
        answer = _json(error.body(), error.status)
        if error.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            answer.headers["Connection"] = "close"
        await answer(self._scope, _nothing, self.send)

    def line(self) -> str:
        """Format the line for the log; 499 is for an answer that was not sent completely."""
        target = (
            self._scope["raw_path"] + b"?" * bool(self._scope["query_string"]) + self._scope["query_string"]
        )
        shown = f"{self._scope['method']} {target.decode('ascii', 'backslashreplace')}"[:_LOGGED]
        status = self._status if self._is_whole else 499
        return f"{shown} {status} {time.monotonic() - self._begun:.2f} s"


async def _nothing() -> Message:
    raise RuntimeError("an error needs no body")
