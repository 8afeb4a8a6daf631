"""Resuming a run that the server continued after imgcli ended: its answer is added to the run log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from imgcli.app.unfinished_run import recorded_server
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.option import option
from imgcli.core.params import Api
from imgcli.core.secrets import mask_secrets
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.auth import Credentials
    from imgcli.api.background import PlainResponse, ResponseStore
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.app.unfinished_run import UnfinishedRun


_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0  # seconds
_HOST_LENGTH = 100


class ServerInquiry(NamedTuple):
    """Which server may be asked, and whether to wait until the image is ready, or to cancel it."""

    server: ServerOptions
    waits: bool = False
    cancels: bool = False


def fetch(context: Context, record: UnfinishedRun, inquiry: ServerInquiry | None) -> Problem | None:
    """Add to a run log what the server has made since; return why that is not possible now.

    None also where nothing is to be fetched. The server is the one that was asked for the image: no other
    gets the key. Each question is announced, and costs nothing.
    """
    host = recorded_server(record)
    if not record.is_detached or record.progress.pending is None:
        return None
    image = f"the image “{record.prompt}” of {record.when}"
    kept = f"Its run log is kept; `imgcli recover {option('discard', record.run.id)}` removes it."
    if host is None or not inquiry or inquiry.server.host(context.env) != host:
        where = shorten(host or "another server", _HOST_LENGTH)
        what = f"{image[0].upper()}{image[1:]} is made by {where}, which is not the server in use. {kept}"
        advice = f"Name the server with {option('profile')} or {option('base-url')}."
        return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, advice, parameters=("profile", "base-url"))
    try:
        credentials, store = _open(context, record, inquiry.server)
        if inquiry.cancels:
            context.warn([f"asking {host} to cancel {image}"])
            response = store.cancel(record.progress.pending)
        else:
            context.warn([f"asking {host} whether {image} is ready (this costs nothing)"])
            response = _ask(context, store, record.progress.pending, waits=inquiry.waits)
    except ImgcliError as error:
        what = f"{error.problem.what} {image[0].upper()}{image[1:]} could not be fetched. {kept}"
        return replace(error.problem, what=what, charged=Charged.MAYBE)
    if response.is_pending:
        what = f"{host} is still making {image} (status {response.status}). {kept}"
        again = f"Run `imgcli recover` again later, or wait: `imgcli recover {option('wait')}`."
        return Problem(ExitCode.BUSY, what, Charged.MAYBE, again)
    return _append(record, credentials, response)


def _open(
    context: Context, record: UnfinishedRun, server: ServerOptions
) -> tuple[Credentials, ResponseStore]:
    """Find the key as a new run would. Raises `ImgcliError`."""
    from imgcli.api.auth import credentials

    found = credentials(context.env, server.base_url, server.settings, context.keys)
    # A missing key is reported before the HTTP library is loaded.
    from imgcli.api.background import ResponseStore
    from imgcli.api.client import Clock
    from imgcli.api.transport import Timeouts
    from imgcli.api.wires import WIRES

    header = record.run.header
    path = WIRES[Api.RESPONSES].path(header.request, found.paths) if header else ""
    clock = Clock(monotonic=context.monotonic, sleep=context.sleep)
    return found, ResponseStore(found, path, Timeouts.scaled(server.timeout), clock)


def _ask(context: Context, store: ResponseStore, response_id: str, *, waits: bool) -> PlainResponse:
    """Ask once, or until the response is made. Raises `ImgcliError`."""
    pause = _FIRST_PAUSE
    while (response := store.get(response_id)).is_pending and waits:
        context.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return response


def _append(record: UnfinishedRun, credentials: Credentials, response: PlainResponse) -> Problem | None:
    from imgcli.api.background import as_event
    from imgcli.api.stream.sse import RESUMPTION
    from imgcli.api.wires import maskable

    def chunks() -> Iterator[bytes]:
        header = record.run.header
        is_whole = header is not None and header.request.completion_window is not None  # nothing was streamed
        yield b"\n\n" if is_whole else RESUMPTION
        yield from as_event([response.body])

    try:
        record.run.append(mask_secrets(chunks(), *maskable(*credentials.secrets)))
    except OSError as error:
        what = f"The image is ready, but {record.run.path} cannot be written ({reason(error)})."
        return Problem(ExitCode.UNWRITABLE, what, Charged.YES, "Make room, and run `imgcli recover` again.")
    return None
