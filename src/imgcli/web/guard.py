"""The guard in front of every route: who may pass, and the headers of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from imgcli.web.access import AccessPolicy


LOGIN = "/api/login"
GENERATE = "/api/gen/txttoimg"

_GUARDED = ("/api/", "/images/")
"""What spends money or shows images; the page itself holds nothing."""
_BASE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": _BASE,
    "Cache-Control": "no-store",
}
"""Headers of every answer that does not have them otherwise."""
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "600",
}


class Guard:
    """Refuses requests that must not reach a route; whatever a route fails with becomes a sentence."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, failed: Callable[[Exception], str]) -> None:
        self._app = app
        self._policy = policy
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        has_started = False

        async def finish(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                self._complete(MutableHeaders(scope=message), origin)
            await send(message)

        refusal = self._refusal(scope, headers)
        try:
            await (refusal or self._app)(scope, receive, finish)
        except Exception as error:  # the last line of defence: a sentence, never a traceback
            what = self._failed(error)
            if has_started:
                raise  # too late for a status: all that is left is to break off
            await refused(500, what)(scope, receive, finish)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer for a request that must not reach a route."""
        policy = self._policy
        if len(headers.getlist("host")) != 1 or not policy.is_own_host(headers["host"]):
            return refused(403, "This address is not one of imgcli's. Use the one that imgcli serve printed.")
        return self._foreign(scope, headers) if scope["path"].startswith(_GUARDED) else None

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer for what another page asks, or somebody without the token."""
        policy, path = self._policy, scope["path"]
        if scope["method"] == "OPTIONS" and policy.is_named(headers.get("origin")):
            return Response(status_code=204, headers=_preflight(headers))
        if not policy.is_own_page(headers, scope["scheme"]):
            return refused(403, "Another web page asked for this, and it is not allowed to.")
        if path != LOGIN and not policy.is_known(headers):
            return refused(401, "The token is missing or wrong. Open the address that imgcli serve printed.")
        if path == GENERATE and _is_speculative(headers):
            return refused(403, "An image is not made before somebody asks for it.")
        is_spending = path == GENERATE and scope["method"] != "POST"
        if is_spending and _is_silent(headers) and not policy.has_token(headers):
            return refused(403, "This browser does not say which page asks for this. Use POST.")
        return None

    def _complete(self, headers: MutableHeaders, origin: str | None) -> None:
        """Add what every answer has."""
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.add_vary_header("Origin")
        if self._policy.is_named(origin):
            headers["Access-Control-Allow-Origin"] = str(origin)


def refused(status: int, what: str, **more: Any) -> JSONResponse:  # noqa: ANN401 - JSON
    """Return a refusal as JSON; `more` are further keys."""
    return JSONResponse({"error": what, **more}, status)


def _preflight(headers: Headers) -> dict[str, str]:
    """Return the answer to a browser that asks whether a page may ask."""
    is_local = headers.get("access-control-request-private-network") == "true"
    return _PREFLIGHT | ({"Access-Control-Allow-Private-Network": "true"} if is_local else {})


def _is_silent(headers: Headers) -> bool:
    """Return whether this is a browser, and an old one: it could be any page that embeds this as an image."""
    is_browser = headers.get("user-agent", "").startswith("Mozilla/")
    return is_browser and not any(name in headers for name in ("sec-fetch-site", "origin", "referer"))


def _is_speculative(headers: Headers) -> bool:
    """Return whether a browser fetches this before its user has asked for it, or a page embeds it."""
    purpose = headers.get("sec-purpose", headers.get("purpose", ""))
    return "prefetch" in purpose.lower()
