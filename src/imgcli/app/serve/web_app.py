"""`imgcli serve` as a whole: its service, its server, and how a signal ends it."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgcli.app.crash import report_crash
from imgcli.app.generate import find_credentials
from imgcli.app.process import Interrupted
from imgcli.app.serve.web_gallery import family_json, gallery_json
from imgcli.app.serve.web_library import WebLibrary
from imgcli.app.serve.web_runs import WebClient, WebRun, WebRuns
from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.secrets import is_loopback
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.web.access import AccessPolicy, host_name, origin_of
from imgcli.web.server import WebServer, listen
from imgcli.web.site import build_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.app.serve.web_request import WebRequests
    from imgcli.app.serve.web_runs import LineOutput
    from imgcli.web.service import ServedImage


_LAST_WAIT = 10.0
"""Seconds that runs may take to end after a signal: they save what has come, and hang up."""
_GOODBYE = 3.0
"""Seconds that clients may take after that to read what is still under way."""
_SHOWN = 100


@dataclass(frozen=True)
class ServeOptions:
    """Where the server listens, who may use it, and how many runs go on at once."""

    host: str
    port: int
    has_token: bool = False
    origins: tuple[str, ...] = ()
    limit: int = 4
    opens: bool = False


class WebDesk:
    """What the routes need, over the rest of imgcli: see `WebService` of `web`."""

    def __init__(self, context: Context, requests: WebRequests, limit: int) -> None:
        self._context = context
        self._requests = requests
        self._limit = limit
        self.library = WebLibrary(context)
        self.runs = WebRuns(context, limit)

    def start(self, parameters: Mapping[str, Any], output: LineOutput) -> WebRun | None:
        """Start a run that writes its JSON lines to `output`; None when as many run as may."""
        client = WebClient(output, lambda problem: self._requests.explained(problem, parameters))
        return self.runs.start(lambda: self._requests.options(parameters), client)

    def estimate(self, parameters: Mapping[str, Any]) -> str:
        """Return what a run with these parameters may cost, as JSON."""
        server = self._requests.defaults().server
        return self.library.estimate(self._requests.request(parameters), server)

    def history(self, limit: int, search: str, before: str) -> Iterator[str]:
        """Return runs, newest first, a JSON object each."""
        return self.library.history(limit, search, before)

    def entry(self, name: str) -> str | None:
        """Return a run as JSON; None for none."""
        return self.library.entry(name)

    def image(self, sha256: str) -> ServedImage | None:
        """Open an image of the history; None where there is none."""
        return self.library.image(sha256)

    def thumbnail(self, sha256: str) -> bytes | None:
        """Return a small WebP file of an image of the history; None where there is none."""
        return self.library.thumbnail(sha256)

    def gallery(self, query: Mapping[str, str]) -> str:
        """Return a page of the gallery as JSON."""
        return gallery_json(self._context, query)

    def gallery_image(self, name: str) -> str | None:
        """Return an image of the gallery, first of its family, as JSON; None for none."""
        return family_json(self._context, name)

    def models(self) -> str:
        """Return the models as JSON."""
        return self.library.models()

    def cost(self, period: str, by: str) -> str:
        """Return what was spent as JSON."""
        return self.library.cost(period, by)

    def about(self) -> str:
        """Return what runs here, as JSON."""
        defaults = self._requests.defaults()
        with suppress(
            ImgcliError
        ):  # defaults that contradict each other are told to whoever asks for an image
            sent = self._requests.request({})
            draft = replace(defaults.draft, size=sent.size or defaults.draft.size, quality=sent.quality)
            defaults = replace(defaults, draft=draft)
        return self.library.about(defaults, self._limit, _shortcoming(self._context, defaults))

    def failed(self, error: Exception) -> str:
        """Keep an unexpected exception, and return the sentence for the client."""
        problem = report_crash(error, self._context)
        self._context.write_lines([f"error: {problem.what}", problem.advice])
        return "imgcli itself failed; its terminal has the details."


def serve(context: Context, requests: WebRequests, options: ServeOptions) -> None:
    """Serve until a signal comes. Raises `ImgcliError` for what cannot be served, then `Interrupted`."""
    _note_shortcomings(context, requests.defaults())
    origins = frozenset(map(_origin, options.origins))
    listener = _listener(options)
    address, port = listener.getsockname()[:2]
    is_local = is_loopback(address) and not _is_any(address)
    if not (is_local or options.has_token):
        listener.close()
        raise _open_to_all(options)
    token = secrets.token_urlsafe(32) if options.has_token else None
    policy = AccessPolicy(port, _names(options.host, is_local=is_local), not is_local, origins, token)
    desk = WebDesk(context, requests, options.limit)
    server = WebServer(build_site(desk, policy), listener)
    server.start()
    url = f"http://{_shown_host(options.host, address)}:{port}/"
    context.stdout.write(f"{url}#token={token}\n" if token else f"{url}\n")
    context.stdout.flush()
    if options.opens:
        _open(context, url)
    try:
        server.wait()
    except Interrupted as interrupted:
        server.stop()
        desk.runs.stop(interrupted.signum)
        desk.runs.join(_LAST_WAIT)
        server.join(_GOODBYE)
        raise
    raise ImgcliError(Problem(ExitCode.INTERNAL, "The server ended by itself.", advice="Start it again."))


def _note_shortcomings(context: Context, defaults: GenerateOptions) -> None:
    """Say what is known to be missing: without a key there is still the history to look at."""
    context.warn(defaults.notices)
    shortcoming = _shortcoming(context, defaults)
    context.warn([f"no images can be generated: {shortcoming}"] if shortcoming else [])


def _shortcoming(context: Context, defaults: GenerateOptions) -> str | None:
    """Return why no images can be generated, such as a missing key; None where they can."""
    try:
        find_credentials(context, defaults)
    except ImgcliError as error:
        return error.problem.what
    return None


def _open_to_all(options: ServeOptions) -> ImgcliError:
    """Return the error for an address that others reach, where nobody has to show a token."""
    return usage_error(
        f"At {shorten(options.host, _SHOWN)} anyone who can reach this machine could spend your money.",
        f"Add {option('token')}, or leave {option('host')} out.",
        about=("host", "token"),
    )


def _listener(options: ServeOptions) -> socket.socket:
    """Listen. Raises `ImgcliError` (usage) where that cannot be."""
    try:
        return listen(options.host, options.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            what = f"Port {options.port} is in use."
            advice = f"Choose another {option('port')}, or 0 for a free one."
            raise usage_error(what, advice, about=("port",)) from None
        where = f"{shorten(options.host, _SHOWN)}, port {options.port}"
        what = f"imgcli cannot listen on {where}: {error.strerror or error}."
        raise usage_error(what, about=("host", "port")) from None
    except UnicodeError:
        raise usage_error(
            f"{shorten(options.host, _SHOWN)} is not a host name or an address.", about=("host",)
        ) from None


def _origin(text: str) -> str:
    """Return an origin as browsers write it. Raises `ImgcliError` (usage) for what is none."""
    found = origin_of(text)
    if found is None or text.rstrip("/").lower() != found:
        what = f"{option('allow-origin')} must be an origin such as https://example.com, "
        raise usage_error(f"{what}not {shorten(text, _SHOWN)}.", about=("allow-origin",))
    return found


def _names(host: str, *, is_local: bool) -> frozenset[str]:
    """Return the names by which clients may know this server.

    On this machine alone its name in the network is none: there anybody may answer for it, and lead it here.
    """
    names = {host_name(f"[{host}]" if ":" in host else host)}
    if not is_local:
        own = socket.gethostname()
        names |= {own, f"{own.partition('.')[0]}.local"}
    return frozenset(name.lower() for name in names if name)


def _is_any(address: str) -> bool:
    """Return whether an address means every one of this machine."""
    return ipaddress.ip_address(address.partition("%")[0]).is_unspecified


def _shown_host(host: str, address: str) -> str:
    """Return the host for the address that people open."""
    if _is_any(address):
        return socket.gethostname()
    shown = host if host == "localhost" else address
    return f"[{shown}]" if ":" in shown else shown


def _open(context: Context, url: str) -> None:
    """Open the page in the browser; without the token, which everybody could read in a list of processes."""
    from imgcli.output.desktop import DesktopError, open_address

    try:
        open_address(url, context.env)
    except DesktopError as error:
        context.warn([str(error)])
