"""`/api/gen/txttoimg`: a run as JSON lines, each sent as soon as it is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from imgcli.core.errors import ExitCode
from imgcli.web.guard import refused
from imgcli.web.line_stream import Backlog, LineStream
from imgcli.web.parameters import RequestReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from imgcli.web.service import CancelableRun, WebService


_NO_PROMPT = "Prompt is required"
_FAILED = "Failed to generate image stream"
"""Sentences that clients of the web route which this one replaces know."""
_STREAM_HEADERS = [
    (b"content-type", b"application/jsonl; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the lines back
]
_AGAIN = "5"
"""Seconds after which a client may ask again when as many runs go on as may."""
_MOST_WAITING = 256 << 20
"""Bytes that may wait for all clients together before no more images are made."""


class GenerationRoute:
    """Starts a run for each request."""

    def __init__(self, service: WebService) -> None:
        self._service = service
        self._reader = RequestReader()
        self._backlog = Backlog()

    async def __call__(self, request: Request) -> Response | RunResponse:
        """Return the answer to one request. Raises `BadRequestError`."""
        if request.method == "HEAD":
            return refused(405, "Use GET or POST.")
        if self._backlog.size > _MOST_WAITING:
            return _busy(503, "Too much output is waiting for clients that do not read it.")
        stream = LineStream(asyncio.get_running_loop(), self._backlog)
        async with self._reader.parameters(request) as parameters:
            if not str(parameters.get("prompt") or "").strip():
                return refused(400, _NO_PROMPT)
            run = self._service.start(parameters, stream)
        if run is None:
            return _busy(429, "The maximum number of images is already being generated.")
        return RunResponse(run, stream)


class RunResponse:
    """Streams the lines of a run; when the client goes away the run ends as Ctrl-C ends it."""

    def __init__(self, run: CancelableRun, stream: LineStream) -> None:
        self._run = run
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        sending = asyncio.create_task(self._send(scope, receive, send))
        leaving = asyncio.create_task(_gone(receive))
        is_whole = False
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            is_whole = sending.done() and sending.exception() is None
        finally:
            if not is_whole:
                self._run.cancel()
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._stream.leave()
        if not sending.cancelled():
            sending.result()  # which raises what went wrong

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = await self._stream.refusal()
        if problem is not None:
            await _failed(problem)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        async for line in self._stream.chunks():
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _busy(status: int, what: str) -> JSONResponse:
    response = refused(status, f"{what} Try again in a moment.")
    response.headers["Retry-After"] = _AGAIN
    return response


async def _gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _failed(problem: Mapping[str, Any]) -> JSONResponse:
    """Return the answer for a run that failed before its stream began."""
    status = 400 if problem.get("exit_code") == ExitCode.USAGE else 500
    return JSONResponse({"error": _FAILED, **problem}, status)
