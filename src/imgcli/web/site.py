"""The site: all routes, behind the guard."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from imgcli.web.gallery.gallery_page import read_page_file
from imgcli.web.generation import GenerationRoute
from imgcli.web.guard import GENERATE, LOGIN, PAGE_POLICY, Guard, refused
from imgcli.web.library import LibraryRoutes
from imgcli.web.parameters import BadRequestError, RequestReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from imgcli.web.access import AccessPolicy
    from imgcli.web.service import WebService


_PAGE = {
    "/": ("static/index.html", "text/html"),
    "/style.css": ("static/style.css", "text/css"),
    "/app.js": ("static/app.js", "text/javascript"),
    "/icon.svg": ("static/icon.svg", "image/svg+xml"),
    "/gallery.css": ("gallery/gallery.css", "text/css"),
    "/gallery.js": ("gallery/gallery.js", "text/javascript"),
}
"""The files of the page: their addresses, paths and types. No path from outside is ever opened."""


def build_site(service: WebService, policy: AccessPolicy) -> ASGIApp:
    """Return the application."""
    library = LibraryRoutes(service)
    generation = GenerationRoute(service)

    async def generate(request: Request) -> Response:
        return await generation(request)  # type: ignore[return-value]  # an ASGI application as well

    async def login(request: Request) -> Response:
        return await _login(request, policy)

    routes = [
        Route(GENERATE, generate, methods=["GET", "POST"]),
        Route(LOGIN, login, methods=["POST"]),
        Route("/api/gallery", library.gallery),
        Route("/api/gallery/{name}", library.gallery_image),
        Route("/api/history", library.history),
        Route("/api/history/{name}", library.entry),
        Route("/api/estimate", library.estimate, methods=["GET", "POST"]),
        Route("/api/models", library.models),
        Route("/api/cost", library.cost),
        Route("/api/about", library.about),
        Route("/images/{sha256}", library.image),
        Route("/images/{sha256}/thumbnail", library.thumbnail),
        *(Route(path, partial(_page, name, kind)) for path, (name, kind) in _PAGE.items()),
    ]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # no address has two spellings
    return Guard(app, policy, service.failed)


async def _login(request: Request, policy: AccessPolicy) -> Response:
    """Exchange the token for a cookie that no script reads and no other site's page sends."""
    async with RequestReader().parameters(request) as given:
        is_known = policy.token is None or policy.is_token(str(given.get("token", "")))
    if not is_known:
        return refused(401, "The token is wrong. Open the address that imgcli serve printed.")
    response = Response(status_code=204)
    if policy.token is not None:
        response.set_cookie(policy.cookie, policy.cookie_value, httponly=True, samesite="strict")
    return response


async def _page(name: str, kind: str, _: Request) -> Response:
    """Return a file of the page."""
    data = await run_in_threadpool(read_page_file, name)
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return Response(data, media_type=kind, headers=headers)


async def _http_error(_: Request, error: Exception) -> Response:
    """Return what Starlette refuses as JSON."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = {404: "There is nothing at this address.", 405: "This address does not support the method."}
    return refused(status, what.get(status, "The request cannot be served."))


async def _bad_request(_: Request, error: Exception) -> Response:
    """Return what is wrong with a request."""
    return refused(error.status if isinstance(error, BadRequestError) else 400, str(error))


async def _cut_off(_: Request, __: Exception) -> Response:
    """Return an answer that nobody will read."""
    return refused(400, "The request did not arrive completely.")


_HANDLERS: Mapping[Any, Any] = {
    HTTPException: _http_error,
    BadRequestError: _bad_request,
    ClientDisconnect: _cut_off,
}
