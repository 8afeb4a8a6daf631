"""What `gen`, `edit` and `again` have in common: options become one order, once, at the door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import typer

from imgcli.cli import (  # noqa: TC001 - Typer reads the annotations at run time
    account_options,
    options,
    show_options,
)
from imgcli.cli.options import ApiChoice

if TYPE_CHECKING:
    from imgcli.cli.order import Endpoint
    from imgcli.cli.theme import Theme
    from imgcli.cli.world import World
    from imgcli.core.inheriting import Said

Asking: TypeAlias = Callable[["Endpoint"], "Theme"]
"""Finds out what is asked for, once it is known which server is asked."""

_FIELDS = {"image_format": "format"}
"""Parameters that are named otherwise than the field of a wish that they fill."""

_OPTIONS = {"fidelity": "input-fidelity"}
"""Fields of a wish that are named otherwise than the option that fills them."""


def deliver(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    theme_at: Asking,
    *,
    fidelity: options.FidelityOption = None,
    model: options.Model = None,
    image_model: options.ImageModel = None,
    size: options.Size = "1024x1024",
    quality: options.QualityOption = None,
    image_format: options.Format = None,
    compression: options.Compression = None,
    background: options.BackgroundOption = None,
    moderation: options.ModerationOption = None,
    partials: options.Partials = None,
    output: options.Output = None,
    force: options.Force = False,
    embed: options.Embed = False,
    record: options.Record = None,
    no_save: options.NoSave = False,
    no_history: options.NoHistory = False,
    keep_partials: options.KeepPartials = False,
    preview: show_options.Preview = None,
    width: show_options.Width = None,
    compare: show_options.Compare = False,
    long_bill: show_options.LongBill = False,
    opens: show_options.Open = False,
    copies: show_options.Copy = False,
    plain: show_options.Plain = False,
    jsonl: show_options.JsonLines = False,
    jsonl_images: show_options.JsonLinesImages = None,
    quiet: show_options.Quiet = False,
    api: options.ApiOption = ApiChoice.AUTO,
    profile: account_options.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    base_url: options.BaseUrl = None,
    stream: options.Stream = None,
    timeout: options.Timeout = 300.0,
    dry_run: options.DryRun = False,
    demo: options.Demo = False,
    seed: account_options.Seed = None,
    estimate: account_options.Estimate = False,
    max_cost: account_options.MaxCost = None,
    daily_cap: account_options.DailyCap = None,
) -> NoReturn:
    """Make the order and see it through; `theme_at` finds out what is asked for, at this server."""
    world: World = ctx.obj
    # Imported here, so that help and completions do without them.
    from imgcli.cli import money, order, run
    from imgcli.cli.memory import place_of
    from imgcli.cli.serving import applied
    from imgcli.cli.settings import at_home
    from imgcli.core.address import is_gateway
    from imgcli.core.wish import Wish
    from imgcli.store.naming import format_wish

    reports_to, configured = order.style(jsonl=jsonl, quiet=quiet), applied(ctx)
    with run.refusals(world, reports_to, configured.explained):
        endpoint = order.endpoint(base_url, timeout, configured.server, demo=demo, seed=seed)
        given = Wish(
            prompt="",
            model=model or None,
            image_model=image_model or None,
            size=size,
            quality=quality,
            format=image_format,
            name_format=format_wish(output),
            compression=compression,
            background=background,
            moderation=moderation,
            partials=partials,
            stream=stream,
            is_gateway=not demo and is_gateway(place_of(world, endpoint) or ""),
            api=api.wire,
            fidelity=fidelity,
        )
        budget = money.budget(max_cost, daily_cap, estimate=estimate, is_summed=demo or not no_history)
        theme = theme_at(endpoint)
        asked = theme.wish(given, _said(ctx), world.now().date())
        kept = order.output(
            output and at_home(output), reports_to, save=not no_save, force=force, keep_partials=keep_partials
        )
        ordered = order.Order(
            asked.wish,
            replace(
                kept,
                record=record,
                recipes=order.Recipes.EMBEDDED if embed else order.Recipes.APART,
                title=theme.name,
                desktop=order.desktop(kept, opens=opens, copies=copies),
            ),
            order.Report(
                reports_to,
                jsonl_images,
                order.sight(preview, width, world.env, plain=plain),
                order.before(theme, compare=compare),
                long_bill,
            ),
            endpoint,
            budget,
            (*configured.notices, *theme.notices, *asked.notices),
            order.Remembering.NOTHING if no_history else order.Remembering.HISTORY,
            theme.parents,
        )
        with run.refusals(world, reports_to, configured.below(map(_long_name, asked.taken)).explained):
            raise typer.Exit(run.show_request(world, ordered) if dry_run else run.perform(world, ordered))


def _said(ctx: typer.Context) -> Said:
    """List the fields of a wish that somebody set, on the command line or elsewhere."""
    from imgcli.core.inheriting import Said

    sources = {_FIELDS.get(name, name): ctx.get_parameter_source(name) for name in ctx.params}
    told = {name: source.name for name, source in sources.items() if source}
    return Said(
        frozenset(name for name, source in told.items() if source == "COMMANDLINE"),
        frozenset(name for name, source in told.items() if source in {"ENVIRONMENT", "DEFAULT_MAP"}),
    )


def _long_name(name: str) -> str:
    """Spell a field of a wish as its option."""
    return _OPTIONS.get(name, name.replace("_", "-"))
