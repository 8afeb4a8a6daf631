"""One connection: requests within limits, the function that answers each, JSON bodies and event streams."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
import traceback
from contextlib import suppress
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Protocol, cast

from imgcli.demo import background, batches_api, images_api, models, provenance, responses_api
from imgcli.demo.batch_input import LARGEST_FILE
from imgcli.demo.errors import ApiError, invalid
from imgcli.demo.exchange import FileAnswer, JsonAnswer, Request, Stream, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from io import BufferedIOBase

    from imgcli.demo.background import BackgroundResponses
    from imgcli.demo.batches_api import BatchStore, Endpoint
    from imgcli.demo.exchange import Sessions


LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers."""

LARGEST_BODY = 96 * 1024 * 1024
"""Bytes of a request body: the largest image fits, also as base64."""

LARGEST_UPLOAD = LARGEST_FILE + 64 * 1024
"""Bytes of an upload: a file for the Batch API, and the form around it."""

MOST_HELD = LARGEST_BODY
"""Bytes of large bodies that are held at once, until they are answered."""

_LARGE = 1024 * 1024

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)


class Room:
    """What bodies may take of the sessions all together; small ones always fit."""

    def __init__(self) -> None:
        self._left = MOST_HELD
        self._changed = threading.Condition()

    def take(self, length: int, patience: float) -> int:
        """Wait for room for a body, `patience` seconds; return what is to be given back."""
        size = min(length, MOST_HELD) if length > _LARGE else 0
        with self._changed:
            if not self._changed.wait_for(lambda: size <= self._left, patience):
                raise ApiError(503, "server_error", "server_is_overloaded", "Too many large requests.")
            self._left -= size
        return size

    def give_back(self, size: int) -> None:
        """Free the room for others."""
        with self._changed:
            self._left += size
            self._changed.notify_all()


def check_place(headers: Message, port: int) -> None:
    """Refuse requests of web pages, made directly or through a name that resolves to this machine."""
    names = [f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")]
    hosts = headers.get_all("host") or []
    if len(hosts) != 1 or hosts[0].strip().lower() not in names:
        raise _forbidden("Host")
    origins = headers.get_all("origin") or []
    if any(origin.strip().lower() not in {f"http://{name}" for name in names} for origin in origins):
        raise _forbidden("Origin")
    sites = headers.get_all("sec-fetch-site") or []
    if any(site.strip().lower() not in {"none", "same-origin"} for site in sites):
        raise _forbidden("Sec-Fetch-Site")


def _forbidden(header: str) -> ApiError:
    message = (
        f"The demo answers local programs only, and this request's {header} header is not one of theirs."
    )
    return invalid("forbidden", message, None, 403)


def check_key(headers: Message, key: str | None) -> None:
    """Refuse requests without a key, or, where one is set, with another key."""
    scheme, _, sent = (headers.get("authorization") or "").strip().partition(" ")
    sent = sent.strip()
    if scheme.lower() != "bearer" or not sent:
        raise invalid("invalid_api_key", _NO_KEY, None, 401)
    if key is not None and sent != key:
        shown = f"{sent[:4]}****{sent[-4:]}" if len(sent) > 12 else "****"  # noqa: PLR2004
        message = f"Incorrect API key provided: {shown}."
        raise invalid("invalid_api_key", message, None, 401)


def body_length(headers: Message, largest: int = LARGEST_BODY) -> int:
    """Return the bytes of the body; refuse framing that two parsers could read differently."""
    lengths = headers.get_all("content-length") or []
    if headers.get("transfer-encoding") is not None:
        if lengths:
            raise invalid(None, "Content-Length and Transfer-Encoding exclude each other.", None)
        raise invalid(None, "A Content-Length is required.", None, 411)
    if not lengths:
        return 0
    text = lengths[0].strip()
    if len(lengths) > 1 or not (text.isascii() and text.isdigit()):
        raise invalid(None, "The Content-Length is not one whole number.", None)
    if len(text) > 12 or int(text) > largest:  # noqa: PLR2004
        raise invalid(None, f"The request body is larger than {largest} bytes.", None, 413)
    return int(text)


MARK = "x-imgcli-demo"
"""The header by which our client knows that nobody is charged for an answer."""

_MODELS = "/v1/models"
_PIECE = 64 * 1024
_LINGER = 2.0  # seconds without a byte after which a refused client is left alone


class Owner(Protocol):
    """The server, as its connections know it: what they share, and how it wants to be served."""

    server_port: int
    patience: float
    api_key: str | None
    marked: bool
    sessions: Sessions
    background: BackgroundResponses
    cut_after: int | None
    batches: BatchStore
    room: Room
    log: Callable[[str], None]

    def draw_seed(self) -> int:
        """Return the seed for one request."""

    def pause(self, seconds: float) -> bool:
        """Wait as long as a real server would; True when the server is to stop."""


class Handler(BaseHTTPRequestHandler):
    """Serves the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "imgcli-demo"
    sys_version = ""
    disable_nagle_algorithm = True
    raw_requestline: bytes  # set by the base class

    def setup(self) -> None:
        """Start with a limit on every wait on the socket."""
        self.owner = cast("Owner", self.server)
        self.timeout = self.owner.patience  # type: ignore[misc]
        self._started = time.monotonic()
        self._answered = False
        super().setup()

    def handle_one_request(self) -> None:
        """Serve one request; a client that takes too long to send it is cut off, however busily it drips."""
        self._watch = threading.Timer(self.owner.patience, self._cut)
        self._watch.daemon = True
        self._watch.start()
        self._answered = False
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True
        finally:
            self._watch.cancel()

    def parse_request(self) -> bool:
        """Read the headers, all together within a limit."""
        self._started = time.monotonic()
        whole = self.rfile
        self.rfile = cast("BufferedIOBase", _RequestHead(whole, LARGEST_HEAD - len(self.raw_requestline)))
        try:
            return super().parse_request()
        finally:
            self.rfile = whole

    def _serve(self) -> None:
        held = 0
        try:
            check_place(self.headers, self.owner.server_port)
            length = self._body_length()
            held = self.owner.room.take(length, self.owner.patience / 2)
            self._write(self._answer(self._read_body(length)))
        except ApiError as error:
            self._send_error(error)
        except OSError:
            self.close_connection = True
            self._log(499)
        except Exception as error:  # noqa: BLE001 - a bug must look like OpenAI's 500
            self.owner.log("".join(traceback.format_exception(error)).rstrip())
            self._send_error(ApiError(500, "server_error", "server_error", "The demo failed; see its log."))
        finally:
            self.owner.room.give_back(held)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    def _answer(self, body: bytes) -> JsonAnswer | Stream | FileAnswer:
        path, content_type = self.path.partition("?")[0], self.headers.get("content-type", "")
        method, endpoint = self._find(path, Request(content_type, body, self.owner.draw_seed()))
        if endpoint is None:
            raise invalid(None, f"Invalid URL ({self.command} {path})", None, 404)
        if self.command != method:
            hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
            message = f"Not allowed to {self.command} on {path}. {hint}"
            raise invalid("method_not_supported", message, None, 405)
        return endpoint()

    def _find(self, path: str, request: Request) -> tuple[str, Endpoint | None]:
        """Find the method and the function of a path."""
        owner = self.owner
        posts: dict[str, Endpoint] = {
            "/v1/responses": lambda: responses_api.create(request, owner.sessions, owner.background),
            "/v1/images/generations": lambda: images_api.generate(request),
            "/v1/images/edits": lambda: images_api.edit(request),
            "/v1/content_provenance_checks": lambda: provenance.check(request),
        }
        if path.startswith((batches_api.FILES, batches_api.BATCHES)):
            return batches_api.route(self.command, self.path, request, owner.batches)
        if path.startswith(background.PATH + "/"):
            return owner.background.route(self.path)
        if path == _MODELS:
            return "GET", lambda: JsonAnswer(models.listing())
        if path.startswith(_MODELS + "/"):
            return "GET", lambda: JsonAnswer(models.card(path.removeprefix(_MODELS + "/")))
        return "POST", posts.get(path)

    def _body_length(self) -> int:
        is_upload = self.path.partition("?")[0] == batches_api.FILES
        try:
            return body_length(self.headers, LARGEST_UPLOAD if is_upload else LARGEST_BODY)
        except ApiError:
            self.close_connection = True
            raise

    def _read_body(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client left in the middle of its request")
        self._watch.cancel()
        check_key(self.headers, self.owner.api_key)
        return body

    def _write(self, answer: JsonAnswer | Stream | FileAnswer) -> None:
        if isinstance(answer, Stream):
            self._write_stream(answer)
        elif isinstance(answer, FileAnswer):
            self._write_file(answer)
        elif self.owner.pause(answer.pause):
            self.close_connection = True
        else:
            self._send_json(200, answer.body)

    def _write_stream(self, stream: Stream) -> None:
        """Write events in chunks; HTTP/1.0 clients get them bare, up to the end of the connection."""
        bare = self.request_version == "HTTP/1.0"
        self._send_head(
            200, {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        if bare:
            self.close_connection = True
        self.send_header(*(("Connection", "close") if bare else ("Transfer-Encoding", "chunked")))
        self.end_headers()
        for number, event in enumerate(stream.events):
            is_cut = number == self.owner.cut_after
            if is_cut or self.owner.pause(event.pause):
                self.close_connection = True
                self._log(499)
                self._cut()
                return
            data = event.encode()
            self.wfile.write(data if bare else b"%x\r\n%s\r\n" % (len(data), data))
        if not bare:
            self.wfile.write(b"0\r\n\r\n")
        self._log(200)

    def _write_file(self, answer: FileAnswer) -> None:
        with answer.path.open("rb") as file:
            length = str(os.fstat(file.fileno()).st_size)
            self._send_head(200, {"Content-Type": "application/octet-stream", "Content-Length": length})
            self.end_headers()
            shutil.copyfileobj(file, self.wfile)
        self._log(200)

    def _send_error(self, error: ApiError) -> None:
        if self._answered:  # too late for a status: all that is left is to break off
            self.close_connection = True
            return
        self.close_connection |= error.status == HTTPStatus.SERVICE_UNAVAILABLE  # its body was not read
        with suppress(OSError):
            self._send_json(error.status, error.body())
            if self.close_connection:
                self._drain()

    def _send_json(self, status: int, body: Mapping[str, object]) -> None:
        data = json.dumps(body).encode()
        self._send_head(status, {"Content-Type": "application/json", "Content-Length": str(len(data))})
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self._log(status)

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self._answered = True
        self.send_response(status)
        self.send_header("x-request-id", new_id("req"))
        self.send_header("openai-processing-ms", str(round((time.monotonic() - self._started) * 1000)))
        self.send_header("openai-version", "2020-10-01")
        if self.owner.marked:
            self.send_header(MARK, "1")
        for name, value in headers.items():
            self.send_header(name, value)

    def _drain(self) -> None:
        """Read what a refused client is still sending, within limits: it may not read before."""
        left = 2 * LARGEST_BODY
        self.connection.settimeout(_LINGER)
        self.connection.shutdown(socket.SHUT_WR)
        while left > 0:
            piece = self.connection.recv(_PIECE)
            if not piece:
                return
            left -= len(piece)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send faults that the base class finds while it parses, in OpenAI's form."""
        del explain
        self.close_connection = True
        self._send_error(invalid(None, message or "Bad request.", None, code))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class names them
        """Write nothing to stderr, unlike the base class."""

    def _log(self, status: int) -> None:
        target = f"{self.command or '-'} {getattr(self, 'path', '-')}"
        shown = target[:200].encode("unicode_escape").decode("ascii")
        self.owner.log(f"{shown} {status} {time.monotonic() - self._started:.2f} s")

    def _cut(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _RequestHead:
    """The lines of a request's head, until they are too much."""

    def __init__(self, source: BufferedIOBase, left: int) -> None:
        self._source = source
        self._left = left

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line."""
        line = self._source.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("header")
        return line
