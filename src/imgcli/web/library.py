"""Routes that read: the history, its images, models and costs."""

from __future__ import annotations

import re
from asyncio import Semaphore
from typing import TYPE_CHECKING, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from imgcli.core.errors import ImgcliError
from imgcli.core.image import ImageFormat
from imgcli.regex import regex
from imgcli.web.guard import refused
from imgcli.web.parameters import RequestReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from imgcli.web.service import ServedImage, WebService


_PIECE = 1 << 18
_LARGEST_LIMIT = 1000
_USUAL_LIMIT = 20
_LIMIT = regex("[1-9][0-9]{0,3}", re.ASCII)
_SHA256 = regex("[0-9a-f]{64}")
_THUMBNAILS_AT_ONCE = 2
"""Each holds a whole image while it is decoded."""
_FOREVER = "private, max-age=31536000, immutable"
"""For what an address names by its content."""
_JSON = "application/json"
_JSON_LINES = "application/jsonl; charset=utf-8"
_SVG_POLICY = "default-src 'none'; sandbox"
"""An SVG is a document that can hold scripts; it is never one of our pages."""
_GONE = "There is no such image, or its file was moved, changed or removed."


class LibraryRoutes:
    """The routes that only look."""

    def __init__(self, service: WebService) -> None:
        self._service = service
        self._reader = RequestReader()
        self._thumbnails = Semaphore(_THUMBNAILS_AT_ONCE)

    async def history(self, request: Request) -> Response:
        """Return the runs, newest first, a JSON object a line."""
        query = request.query_params
        limit = query.get("limit", str(_USUAL_LIMIT))
        if not (_LIMIT.fullmatch(limit) and int(limit) <= _LARGEST_LIMIT):
            return refused(400, f"limit must be between 1 and {_LARGEST_LIMIT:,}.")
        search, before = query.get("search", ""), query.get("before", "")
        lines = self._service.history(int(limit), search, before)

        def answer() -> Response:
            return Response("".join(f"{line}\n" for line in lines), media_type=_JSON_LINES)

        return await _answered(answer)

    async def entry(self, request: Request) -> Response:
        """Return one run."""
        name = request.path_params["name"]
        return await self._document(lambda: self._service.entry(name), "There is no such run.")

    async def gallery(self, request: Request) -> Response:
        """Return a page of the gallery."""
        query = dict(request.query_params)
        return await self._document(lambda: self._service.gallery(query))

    async def gallery_image(self, request: Request) -> Response:
        """Return an image of the gallery with its family."""
        name = request.path_params["name"]
        return await self._document(lambda: self._service.gallery_image(name), "There is no such image.")

    async def image(self, request: Request) -> Response:
        """Return an image's bytes."""
        name = request.path_params["sha256"].lower()

        def open_image() -> Response:
            found = self._service.image(name) if _SHA256.fullmatch(name) else None
            return refused(404, _GONE) if found is None else _image_response(found, name)

        return await _answered(open_image)

    async def thumbnail(self, request: Request) -> Response:
        """Return an image made small; few are made at once, however many are asked for."""
        name = request.path_params["sha256"].lower()

        def make() -> Response:
            found = self._service.thumbnail(name) if _SHA256.fullmatch(name) else None
            headers = {"Cache-Control": _FOREVER, "ETag": f'"{name}-small"'}
            return refused(404, _GONE) if found is None else Response(found, 200, headers, "image/webp")

        async with self._thumbnails:
            return await _answered(make)

    async def estimate(self, request: Request) -> Response:
        """Return what an image may cost."""
        async with self._reader.parameters(request) as parameters:
            return await self._document(lambda: self._service.estimate(parameters))

    async def models(self, _: Request) -> Response:
        """Return the models."""
        return await self._document(self._service.models)

    async def cost(self, request: Request) -> Response:
        """Return what was spent."""
        period, by = request.query_params.get("period", ""), request.query_params.get("by", "")
        return await self._document(lambda: self._service.cost(period, by))

    async def about(self, _: Request) -> Response:
        """Return what runs here."""
        return await self._document(self._service.about)

    async def _document(self, make: Callable[[], str | None], missing: str = "") -> Response:
        def answer() -> Response:
            text = make()
            return refused(404, missing) if text is None else Response(text + "\n", media_type=_JSON)

        return await _answered(answer)


async def _answered(make: Callable[[], Response]) -> Response:
    """Make an answer in a thread; what it cannot be made for is a sentence."""
    try:
        return await run_in_threadpool(make)
    except ImgcliError as error:
        return refused(400, error.problem.what, details=error.problem.advice)


def _image_response(image: ServedImage, sha256: str) -> Response:
    """Stream a file; the name in its head is for whoever downloads it."""
    is_document = image.format is ImageFormat.SVG
    kind = "svg+xml" if is_document else image.format
    headers = {
        "Content-Length": str(image.size),
        "Content-Disposition": _disposition("attachment" if is_document else "inline", image.name),
        "Cache-Control": _FOREVER,
        "ETag": f'"{sha256}"',
    }
    if is_document:
        headers["Content-Security-Policy"] = _SVG_POLICY
    return StreamingResponse(_pieces(image.file, image.size), media_type=f"image/{kind}", headers=headers)


def _pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


def _disposition(kind: str, name: str) -> str:
    """Return the header with a file name in any script (RFC 6266)."""
    from urllib.parse import quote

    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
