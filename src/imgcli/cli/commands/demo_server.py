"""`imgcli demo-server`: the offline demo as a server."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.core.errors import check_between, usage_error
from imgcli.core.text import clean
from imgcli.regex import regex

if TYPE_CHECKING:
    from imgcli.app.context import Context


_LAST_PORT = 65_535
_HOST_NAME = regex(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def demo_server(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", help="Port to listen on; 0 picks a free one.")
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            help="Return the same image for the same request.  [default: random]",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Also answer requests for this host name, as a proxy passes it on. Can be repeated.",
        ),
    ] = None,
) -> None:
    """Run a local demo server with OpenAI's API.

    The offline demo of --demo, for any OpenAI client: no key, no cost, no network. It listens on 127.0.0.1
    only, until Ctrl-C, and prints the two environment variables to set. A request that names another host
    is refused, which keeps web pages out; a proxy's name needs --allow-host.

    \b
    Examples:
      imgcli demo-server --port 8765
      OPENAI_BASE_URL=http://127.0.0.1:8765/v1 imgcli gen "a cat"
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.api.auth import LOCAL_KEY
    from imgcli.demo.server import DemoServer

    context: Context = ctx.obj
    check_between("port", port, 0, _LAST_PORT)
    hosts = allow_host or []
    _check_hosts(hosts)
    try:
        server = DemoServer(port=port, seed=seed, hosts=hosts)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
        raise usage_error(f"Port {port} {why}.", "Choose another --port, or 0 for a free one.") from None
    with server:
        context.stdout.write(f"export OPENAI_BASE_URL={server.base_url}\nexport OPENAI_API_KEY={LOCAL_KEY}\n")
        context.stdout.flush()
        server.wait()


def _check_hosts(names: list[str]) -> None:
    """Refuse what is not a host name. Raises `ImgcliError` (usage)."""
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            advice = "Give the host name alone, without a port: --allow-host images.example.com."
            raise usage_error(f"--allow-host: {clean(name)!r} is not a host name.", advice)
