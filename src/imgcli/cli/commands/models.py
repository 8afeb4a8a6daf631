"""`imgcli models`: the models with prices, sizes and shutdown dates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app.context import size_of
from imgcli.cli import completion
from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.catalog import ModelScope, list_models
from imgcli.core.errors import usage_error
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.output.terminal.capabilities import ColorDepth, detect_terminal
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.catalog import ListedModel, ModelList, ServerModel


EPILOG = """\
Exit codes: 0; with --live and --update also those of imgcli gen: 2 no price table, 4 key missing or
rejected, 5 the server has no list of models or no table, 6 rate limited, 8 not reachable,
9 no complete response, 12 the table cannot be kept.
"""
_SERVER, _PRICES = "Server", "Prices"

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="Show which options this model takes.",
        show_default=False,
        autocompletion=completion.models,
    ),
]
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


Sources = Annotated[
    bool,
    typer.Option(
        "--sources",
        help="Show sizes, qualities and the sources of the prices.",
        rich_help_panel=_PRICES,
    ),
]
Update = Annotated[
    str | None,
    typer.Option(
        "--update",
        metavar="FILE|URL",
        help="Use the prices of another table from now on: imgcli's TOML, or LiteLLM's JSON.",
        show_default=False,
        rich_help_panel=_PRICES,
    ),
]
Reset = Annotated[
    bool, typer.Option("--reset", help="Go back to the built-in prices.", rich_help_panel=_PRICES)
]
_RESET = "--reset"
_NAME_LENGTH = 60


def models(  # noqa: PLR0913 - see `gen`
    ctx: typer.Context,
    name: Name = None,
    *,
    live: Live = False,
    everything: Everything = False,
    sources: Sources = False,
    update: Update = None,
    reset: Reset = False,
    as_json: lookup.JsonObject = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = 30.0,
) -> None:
    """List models with prices and shutdown dates.

    The table is built into imgcli and needs no network. With --live, imgcli asks the server which models
    your key can use; this is free. With --update, imgcli takes prices from a newer table.

    \b
    Examples:
      imgcli models                    the built-in table
      imgcli models gpt-image-2        the options that one model takes
      imgcli models --sources          sizes, qualities, sources of prices
      imgcli models --live             the models your key can use, current dates
      imgcli models --update p.toml    the prices of that file from now on
      imgcli models --json | jq -r '.models[] | select(.kind == "image") | .name'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import server_options

    context: Context = ctx.obj
    if reset or update is not None:
        changed = _change_prices(context, update, is_reset=reset)
        if not as_json:
            SafeWriter(context.stdout).lines(changed)
            return
        context = replace(context)  # whose prices are the new ones
    options = server_options({"base_url": base_url, "timeout": timeout}, applied_profile(ctx).server)
    available = _ask_server(context, options) if live else None
    span = ModelScope.ALL if everything or name is not None else ModelScope.ALIVE
    table = list_models(context.models, context.now().date(), span, available)
    if name is not None:
        table = replace(table, entries=(_named(table, context, name),))
    SafeWriter(context.stdout).lines(
        _lines(context, table, as_json=as_json, sources=sources, is_one=name is not None)
    )


def _named(table: ModelList, context: Context, name: str) -> ListedModel:
    """Find a model by its name or an alias. Raises `ImgcliError` (usage) where imgcli does not know it."""
    known = context.models.find(name)
    found = [entry for entry in table.entries if entry.model == known]
    if found:
        return found[0]
    similar = similar_names(name, [entry.model.name for entry in table.entries])[:1]
    advice = did_you_mean(similar) or "`imgcli models` lists those that it knows."
    raise usage_error(f"imgcli does not know the model {shorten(name, _NAME_LENGTH)}.", advice)


def _change_prices(context: Context, source: str | None, *, is_reset: bool) -> list[str]:
    """Change the price table; `--update --reset` is one way to say that the built-in one is wanted."""
    from imgcli.app.money.price_update import reset_prices, update_prices

    if source == _RESET or (is_reset and source is None):
        return reset_prices(context)
    if source is None or is_reset:
        raise usage_error("--update and --reset exclude each other.", "Name one of them.")
    return update_prices(context, source)


def _ask_server(context: Context, options: ServerOptions) -> tuple[ServerModel, ...]:
    from imgcli.api.auth import credentials

    authorization = credentials(context.env, options.base_url, options.settings, context.keys)
    # A missing key is reported before the HTTP library is loaded.
    from imgcli.api.client import Clock
    from imgcli.api.models import ask
    from imgcli.api.transport import Timeouts

    clock = Clock(monotonic=context.monotonic, sleep=context.sleep)
    return ask(authorization, Timeouts.scaled(options.timeout), clock)


def _lines(context: Context, table: ModelList, *, as_json: bool, sources: bool, is_one: bool) -> list[str]:
    if as_json:
        from imgcli.output.json import models_json

        return [models_json(table)]
    from imgcli.output.tables.models import model_page, option_page, source_page

    page = (option_page if is_one else source_page if sources else model_page)(table)
    terminal = detect_terminal(context.env, context.stdout, lambda: size_of(context.stdout))
    if terminal.depth is ColorDepth.NONE:
        return page.lines
    return page.drawn(terminal, terminal.size().columns)
