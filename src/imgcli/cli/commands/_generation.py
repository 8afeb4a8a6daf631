"""What `gen`, `edit` and `again` have in common: options become one order, once, at the door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import typer

from imgcli.cli.params import display, generation, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.params.generation import ApiChoice

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan
    from imgcli.core.inherit import OptionSources


PlanMaker: TypeAlias = Callable[["ServerOptions"], "RequestPlan"]
"""Finds out what is asked for, once it is known which server is asked."""

_FIELDS = {"image_format": "format"}
"""Parameters that are named otherwise than the field of a draft that they fill."""

_OPTIONS = {"fidelity": "input-fidelity"}
"""Fields of a draft that are named otherwise than the option that fills them."""


def generate_command(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    theme_at: PlanMaker,
    *,
    fidelity: generation.FidelityOption = None,
    model: generation.Model = None,
    image_model: generation.ImageModel = None,
    size: generation.Size = "1024x1024",
    quality: generation.QualityOption = None,
    image_format: generation.Format = None,
    compression: generation.Compression = None,
    background: generation.BackgroundOption = None,
    moderation: generation.ModerationOption = None,
    partials: generation.Partials = None,
    output: generation.Output = None,
    force: generation.Force = False,
    embed: generation.Embed = False,
    record: generation.Record = None,
    no_save: generation.NoSave = False,
    no_history: generation.NoHistory = False,
    keep_partials: generation.KeepPartials = False,
    preview: display.Preview = None,
    width: display.Width = None,
    compare: display.Compare = False,
    long_bill: display.LongBill = False,
    opens: display.Open = False,
    copies: display.Copy = False,
    plain: display.Plain = False,
    jsonl: display.JsonLines = False,
    jsonl_images: display.JsonLinesImages = None,
    quiet: display.Quiet = False,
    api: generation.ApiOption = ApiChoice.AUTO,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    base_url: generation.BaseUrl = None,
    stream: generation.Stream = None,
    timeout: generation.Timeout = 300.0,
    dry_run: generation.DryRun = False,
    demo: generation.Demo = False,
    seed: server.Seed = None,
    estimate: server.Estimate = False,
    max_cost: server.MaxCost = None,
    daily_cap: server.DailyCap = None,
) -> NoReturn:
    """Make the order and see it through; `theme_at` finds out what is asked for, at this server."""
    world: Context = ctx.obj
    # Imported here, so that help and completions do without them.
    from imgcli.app import budget as budget_
    from imgcli.app import generate, options
    from imgcli.app.options import place_of
    from imgcli.cli.config.settings import applied_profile, at_home
    from imgcli.core.request import DraftRequest
    from imgcli.core.secrets import is_gateway
    from imgcli.store.publish.naming import format_of_name

    reports_to, configured = options.output_format(jsonl=jsonl, quiet=quiet), applied_profile(ctx)
    with generate.refusals(world, reports_to, configured.explained):
        endpoint = options.server_options(base_url, timeout, configured.server, demo=demo, seed=seed)
        given = DraftRequest(
            prompt="",
            model=model or None,
            image_model=image_model or None,
            size=size,
            quality=quality,
            format=image_format,
            name_format=format_of_name(output),
            compression=compression,
            background=background,
            moderation=moderation,
            partials=partials,
            stream=stream,
            is_gateway=not demo and is_gateway(place_of(world, endpoint) or ""),
            api=api.wire,
            fidelity=fidelity,
        )
        budget = budget_.budget(max_cost, daily_cap, estimate=estimate, is_summed=demo or not no_history)
        theme = theme_at(endpoint)
        asked = theme.draft(given, _said(ctx), world.now().date())
        kept = options.output_options(
            output and at_home(output), reports_to, save=not no_save, force=force, keep_partials=keep_partials
        )
        ordered = options.GenerateOptions(
            asked.draft,
            replace(
                kept,
                record=record,
                recipes=options.Recipes.EMBEDDED if embed else options.Recipes.APART,
                title=theme.name,
                desktop=options.desktop(kept, opens=opens, copies=copies),
            ),
            options.DisplayOptions(
                reports_to,
                jsonl_images,
                options.preview_options(preview, width, world.env, plain=plain),
                options.compared_image(theme, compare=compare),
                long_bill,
            ),
            endpoint,
            budget,
            (*configured.notices, *theme.notices, *asked.notices),
            options.Remembering.NOTHING if no_history else options.Remembering.HISTORY,
            theme.parents,
        )
        with generate.refusals(
            world, reports_to, configured.below(map(_long_name, asked.inherited)).explained
        ):
            raise typer.Exit(
                generate.dry_run(world, ordered) if dry_run else generate.generate(world, ordered)
            )


def _said(ctx: typer.Context) -> OptionSources:
    """List the fields of a draft that somebody set, on the command line or elsewhere."""
    from imgcli.core.inherit import OptionSources

    sources = {_FIELDS.get(name, name): ctx.get_parameter_source(name) for name in ctx.params}
    told = {name: source.name for name, source in sources.items() if source}
    return OptionSources(
        frozenset(name for name, source in told.items() if source == "COMMANDLINE"),
        frozenset(name for name, source in told.items() if source in {"ENVIRONMENT", "DEFAULT_MAP"}),
    )


def _long_name(name: str) -> str:
    """Format a field of a draft as its option."""
    return _OPTIONS.get(name, name.replace("_", "-"))
