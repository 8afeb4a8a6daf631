"""`imgcli models`: what there is, what it costs, and how long it will be there."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app.context import size_of
from imgcli.cli.params import generation  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.params import server as server_options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core import catalog
from imgcli.core.catalog import ModelScope, list_models
from imgcli.output.terminal.capabilities import ColorDepth, look
from imgcli.output.text import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.catalog import ModelList, ServerModel


class ModelsFormat(Enum):
    """Who reads it: people, or a program."""

    TABLE = "table"
    JSON = "json"


def print_models(
    world: Context, span: ModelScope, form: ModelsFormat, endpoint: ServerOptions | None
) -> None:
    """Write the models on standard output; a server is asked where there is one. Raises `ImgcliError`."""
    listing = _listing(world, endpoint) if endpoint else None
    found = list_models(catalog.load(), world.now().date(), span, listing)
    SafeWriter(world.stdout).lines(_lines(world, found, form))


def _listing(world: Context, endpoint: ServerOptions) -> tuple[ServerModel, ...]:
    from imgcli.api.auth import credentials

    peer = credentials(world.env, endpoint.base_url, endpoint.server)
    from imgcli.api.client import Clock
    from imgcli.api.models import ask
    from imgcli.api.transport import Timeouts

    clock = Clock(monotonic=world.monotonic, sleep=world.sleep)
    return ask(peer, Timeouts.scaled(endpoint.timeout), clock)


def _lines(world: Context, found: ModelList, form: ModelsFormat) -> list[str]:
    if form is ModelsFormat.JSON:
        from imgcli.output.json import models_json

        return [models_json(found)]
    from imgcli.output.tables.models import plain_lines, rich_lines

    terminal = look(world.env, world.stdout, lambda: size_of(world.stdout))
    if terminal.depth is ColorDepth.NONE:
        return plain_lines(found)
    return rich_lines(found, terminal, terminal.size().columns)


EPILOG = """\
Exit codes: 0, and with --live those of imgcli gen: 4 key missing or refused, 5 no list of models
there, 6 busy, 8 not reached, 9 no whole answer. Asking costs nothing.
"""
_WIRE = "The server"

Live = Annotated[
    bool,
    typer.Option(
        "--live", help="Ask the server what your key can use; costs nothing.", rich_help_panel=_WIRE
    ),
]
ShortTimeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", help="How long the server may be silent.", rich_help_panel=_WIRE
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Show models that are gone as well.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of tables.")]


def models(  # noqa: PLR0913 - see `gen`
    ctx: typer.Context,
    *,
    live: Live = False,
    everything: Everything = False,
    as_json: AsJson = False,
    base_url: generation.BaseUrl = None,
    profile: server_options.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = 30.0,
) -> None:
    """Show the models: sizes, prices, shutdown dates.

    The table comes with imgcli, and asks nobody. With --live the server is asked which models your key
    can use; that costs nothing.

    \b
    Examples:
      imgcli models                    the table
      imgcli models --live             what your key can use, and new dates
      imgcli models --json | jq -r '.models[] | select(.kind == "image") | .name'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj
    from imgcli.app import options
    from imgcli.cli.config.settings import applied_profile
    from imgcli.core.catalog import ModelScope

    server = applied_profile(ctx).server
    endpoint = options.server_options(base_url, timeout, server, demo=False) if live else None
    form = ModelsFormat.JSON if as_json else ModelsFormat.TABLE
    print_models(world, ModelScope.ALL if everything else ModelScope.ALIVE, form, endpoint)
