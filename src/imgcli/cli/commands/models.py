"""`imgcli models`: the models with their sizes, prices and shutdown dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app.context import size_of
from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.catalog import Span, lineup, load
from imgcli.output.terminal.capabilities import ColorDepth, detect_terminal
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.catalog import Lineup, ServerModel


EPILOG = """\
Exit codes: 0; with --live also those of imgcli gen: 4 key missing or rejected, 5 the server has no
list of models, 6 rate limited, 8 not reachable, 9 no complete response.
"""
_SERVER = "Server"

Live = Annotated[
    bool,
    typer.Option(
        "--live", help="Ask the server which models your key can use (free).", rich_help_panel=_SERVER
    ),
]
ShortTimeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="Idle timeout.", rich_help_panel=_SERVER),
]
Everything = Annotated[
    bool, typer.Option("--all", help="Include models that were shut down.", rich_help_panel="Display")
]


def models(  # noqa: PLR0913 - see `gen`
    ctx: typer.Context,
    *,
    live: Live = False,
    everything: Everything = False,
    as_json: lookup.JsonObject = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = 30.0,
) -> None:
    """List models with sizes, prices and shutdown dates.

    The table is built into imgcli and needs no network. With --live, imgcli asks the server which models
    your key can use; this is free.

    \b
    Examples:
      imgcli models                    the built-in table
      imgcli models --live             the models your key can use, current dates
      imgcli models --json | jq -r '.models[] | select(.kind == "image") | .name'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import server_options

    context: Context = ctx.obj
    options = server_options({"base_url": base_url, "timeout": timeout}, applied_profile(ctx).server)
    available = _ask_server(context, options) if live else None
    span = Span.ALL if everything else Span.ALIVE
    table = lineup(load(), context.now().date(), span, available)
    SafeWriter(context.stdout).lines(_lines(context, table, as_json=as_json))


def _ask_server(context: Context, options: ServerOptions) -> tuple[ServerModel, ...]:
    from imgcli.api.auth import credentials

    authorization = credentials(context.env, options.base_url, options.settings)
    # A missing key is reported before the HTTP library is loaded.
    from imgcli.api.client import Clock
    from imgcli.api.models import ask
    from imgcli.api.transport import Timeouts

    clock = Clock(monotonic=context.monotonic, sleep=context.sleep)
    return ask(authorization, Timeouts.scaled(options.timeout), clock)


def _lines(context: Context, table: Lineup, *, as_json: bool) -> list[str]:
    if as_json:
        from imgcli.output.json import models_json

        return [models_json(table)]
    from imgcli.output.tables.models import models_lines, rich_models_lines

    terminal = detect_terminal(context.env, context.stdout, lambda: size_of(context.stdout))
    if terminal.depth is ColorDepth.NONE:
        return models_lines(table)
    return rich_models_lines(table, terminal, terminal.size().columns)
