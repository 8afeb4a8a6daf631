"""A client's parameters, from the query of a GET or the JSON body of a POST."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


LARGEST_BODY = 80 << 20
"""Bytes of one request: an image of 50 MB takes 67 in base64."""
_MOST_IN_MEMORY = 240 << 20
"""Bytes of all requests that are being read."""
_PATIENCE = 30.0
"""Seconds that a client may take to send the next piece of its request."""
_JSON = "application/json"


class BadRequestError(Exception):
    """A request that is refused, with its HTTP status; the message is a sentence."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


class RequestReader:
    """Reads the parameters of requests, within the limits of one and of all together."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def parameters(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Return the parameters of a request. Raises `BadRequestError`."""
        if request.method in {"GET", "HEAD"}:
            yield _of_query(request)
            return
        body, size = bytearray(), 0
        try:
            async for piece in self._pieces(request):
                body += piece
                size = len(body)
            yield await run_in_threadpool(_of_json, body)
        finally:
            self._held -= size

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """Return the body in pieces. Raises `BadRequestError`."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != _JSON:
            raise BadRequestError(415, f"The body must be JSON (Content-Type: {_JSON}).")
        told = request.headers.get("content-length", "0")
        if not told.isdecimal() or len(told) > len(str(LARGEST_BODY)) or int(told) > LARGEST_BODY:
            raise _too_large()
        stream, size = request.stream(), 0
        while True:
            try:
                piece = await asyncio.wait_for(anext(stream, None), _PATIENCE)
            except TimeoutError:
                raise BadRequestError(408, "The request did not arrive in time.") from None
            if piece is None:
                return
            size += len(piece)
            if size > LARGEST_BODY:
                raise _too_large()
            if self._held + len(piece) > _MOST_IN_MEMORY:
                raise BadRequestError(503, "Too many large requests at once. Try again in a moment.")
            self._held += len(piece)
            yield piece


def _too_large() -> BadRequestError:
    what = f"The request is larger than {LARGEST_BODY >> 20} MB. Make the images smaller."
    return BadRequestError(413, what)


def _of_query(request: Request) -> dict[str, Any]:
    return _once(request.query_params.multi_items())


def _of_json(body: bytearray) -> dict[str, Any]:
    """Parse a body, and empty it; null stands for a parameter that is not set. Raises `BadRequestError`."""
    try:
        text = body.decode()
        body.clear()  # it may be large, and what is in it is about to be there twice
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequestError(400, "The body is not JSON.") from None
    if not isinstance(found, dict):
        raise BadRequestError(400, "The body must be a JSON object of parameters.")
    return {name: value for name, value in found.items() if value is not None}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object: which of two values would be paid for is nobody's to guess."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadRequestError(400, f"{name[:60]} is given twice.")
        found[name] = value
    return found


def _no_number(name: str) -> float:
    """Refuse what Python takes for a number, and JSON does not: NaN and Infinity."""
    raise ValueError(name)
