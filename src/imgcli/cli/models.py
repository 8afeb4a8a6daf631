"""`imgcli models`: what there is, what it costs, and how long it will be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli import account_options, options  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.cli.world import World

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
    base_url: options.BaseUrl = None,
    profile: account_options.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
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
    world: World = ctx.obj
    from imgcli.cli import lineup, order
    from imgcli.cli.serving import applied
    from imgcli.core.lineup import Span

    server = applied(ctx).server
    endpoint = order.endpoint(base_url, timeout, server, demo=False) if live else None
    form = lineup.Form.JSON if as_json else lineup.Form.TABLE
    lineup.show(world, Span.ALL if everything else Span.ALIVE, form, endpoint)
