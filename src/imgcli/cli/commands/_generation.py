"""Options that `gen`, `edit` and `again` share, and how they start a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import typer

from imgcli.cli.params import display, generation, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.params.generation import ApiChoice, parameter_options
from imgcli.cli.typer_ext import adding_options
from imgcli.core.params import PARAMETERS

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.app.plan import RequestPlan


PlanMaker: TypeAlias = Callable[["ServerOptions"], "RequestPlan"]
"""Finds out what is asked for, once it is known which server is asked."""

_FLAGS = {one.name: one.flag for one in PARAMETERS}
"""Fields of a `DraftRequest` by their options; of the others the names differ in dashes alone."""


@adding_options(parameter_options(), after={"Input": "var", "Image": "image_model", "Server": "concurrency"})
def shared_options(  # noqa: PLR0913 - a signature declares options
    *,
    preset: generation.Preset = None,
    var: generation.Var = None,
    model: generation.Model = None,
    count: generation.Count = 1,
    single_request: generation.SingleRequest = False,
    image_model: generation.ImageModel = None,
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
    notifies: display.Notify = False,
    still: display.Still = False,
    plain: display.Plain = False,
    jsonl: display.JsonLines = False,
    jsonl_images: display.JsonLinesImages = None,
    quiet: display.Quiet = False,
    api: generation.ApiOption = ApiChoice.AUTO,
    profile: server.Profile = None,
    base_url: generation.BaseUrl = None,
    stream: generation.Stream = None,
    detach: generation.Detach = False,
    completion_window: generation.Window = None,
    timeout: generation.Timeout = 300.0,
    concurrency: generation.Concurrency = 4,
    dry_run: generation.DryRun = False,
    demo: generation.Demo = False,
    seed: server.Seed = None,
    estimate: server.Estimate = False,
    max_cost: server.MaxCost = None,
    daily_cap: server.DailyCap = None,
) -> None:
    """Declare the options of `gen`, `edit` and `again`: their signatures take them from here.

    Those of generation parameters come from their table.
    """


def generate_command(ctx: typer.Context, flags: Mapping[str, Any], make_plan: PlanMaker) -> NoReturn:
    """Turn `flags`, the values of `shared_options`, into options, and exit as the run ends."""
    context: Context = ctx.obj
    # Imported here, so that help and completions do without them.
    from imgcli.app.generate import generate
    from imgcli.app.reporting import refuse
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import (
        as_series,
        each_model,
        expansions,
        generate_options,
        named,
        option_sources,
        output_format,
        with_plan,
    )
    from imgcli.core.errors import ImgcliError

    profile, written_for = applied_profile(ctx), output_format(flags)
    try:
        each = [generate_options(context, one, profile) for one in each_model(flags)]
        sources, today = option_sources(ctx), context.now().date()
        are_typed = "preset" in sources.typed
        plans = [
            (plan.with_presets(profile.presets, are_typed=are_typed), output)
            for plan, output in expansions(context, flags, make_plan(each[0].server))
        ]
        planned = [
            (named(options, output), plan, plan.inherit(options.draft, sources, today))
            for plan, output in plans
            for options in each
        ]
        # What an earlier image brought comes before the file: from here on no line of the file is to blame.
        taken = (name for _, _, inherited in planned for name in inherited.inherited)
        profile = profile.below(_FLAGS.get(name, name.replace("_", "-")) for name in taken)
        series = as_series([with_plan(*one, compare=flags["compare"]) for one in planned])
        code = generate(context, series, flags["concurrency"])
    except ImgcliError as error:
        code = refuse(context, profile.explained(error.problem), written_for)
    raise typer.Exit(code)
