"""Converts flags to the values that `app` takes, and refuses contradictory ones.

Loaded once a command runs: help and completions do without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgcli.app.options import (
    Desktop,
    DisplayOptions,
    GenerateOptions,
    OutputFormat,
    OutputOptions,
    ServerOptions,
)
from imgcli.cli.config.settings import applied_profile, expand_home
from imgcli.cli.preview_flags import preview_options
from imgcli.core.billing.budget import OFF, Budget, parse_cap
from imgcli.core.errors import check_between, usage_error
from imgcli.core.inherit import OptionSources
from imgcli.core.params import PARAMETERS, KeepPartials, Parameter
from imgcli.core.request import DraftRequest
from imgcli.core.secrets import is_gateway
from imgcli.store.publish.atomic import OnExists
from imgcli.store.publish.naming import STDOUT, format_of_name, names_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.app.context import Context
    from imgcli.app.plan import RequestPlan
    from imgcli.cli.config.settings import AppliedProfile
    from imgcli.core.config import ServerSettings
    from imgcli.core.inherit import Inherited

    Flags = Mapping[str, Any]
    """The values of a command's options, by the names of its parameters."""


_SECONDS = 0.1, 86_400
"""What --timeout may be. Ten times as long, the most that an answer may take, is still a time for clocks."""
_MOST_IMAGES = 100
"""What one command may ask for by mistake; a batch file has no such limit."""
_MOST_AT_ONCE = 64


def output_format(flags: Flags) -> OutputFormat:
    """Choose who we write for. Raises `ImgcliError` (usage)."""
    if flags["jsonl"] and flags["quiet"]:
        what = "--jsonl and --quiet contradict each other: both write to standard output."
        raise usage_error(what, about=("jsonl", "quiet"))
    if flags["jsonl"]:
        return OutputFormat.JSON_LINES
    return OutputFormat.PATHS if flags["quiet"] else OutputFormat.PEOPLE


def server_options(flags: Flags, settings: ServerSettings) -> ServerOptions:
    """Check which server to ask. Raises `ImgcliError` (usage)."""
    demo, seed, timeout = flags.get("demo", False), flags.get("seed"), flags["timeout"]
    check_between("timeout", timeout, *_SECONDS)
    if seed is not None and not (demo or flags.get("var")):
        raise usage_error(
            "The models take no seed; --seed is for the images of --demo.",
            "Leave it out, or add --demo.",
            about=("seed", "demo"),
        )
    return ServerOptions(None if demo else flags["base_url"], timeout, demo, settings, seed if demo else None)


def _budget(flags: Flags) -> Budget:
    """Read the limits. Raises `ImgcliError` (usage), also where the day's sum would miss this run."""
    day = parse_cap("daily-cap", flags["daily_cap"])
    if day and flags["no_history"] and not flags["demo"]:
        raise usage_error(
            "--daily-cap adds up the history, and --no-history would leave this run out of the sum.",
            f"Leave --no-history out, or lift the limit: --daily-cap {OFF}.",
            about=("daily-cap", "no-history"),
        )
    return Budget(flags["estimate"], parse_cap("max-cost", flags["max_cost"]), day)


def _draft_request(flags: Flags, server: ServerOptions, server_name: str | None) -> DraftRequest:
    """Collect what was asked for; the prompt and the input images are the plan's."""
    return DraftRequest(
        prompt="",
        model=flags["model"] or None,
        image_model=flags["image_model"] or None,
        name_format=format_of_name(flags["output"]),
        is_gateway=not flags["demo"] and is_gateway(server_name or ""),
        is_at_one_path=server.settings.paths.edits is None,
        api=flags["api"].wire,
        count=flags["count"] if flags.get("single_request") and flags["count"] > 1 else None,
        partials=flags["partials"],
        stream=flags["stream"],
        detach=flags["detach"],
        completion_window=flags["completion_window"],
        **{one.name: _value(flags[one.name], one) for one in PARAMETERS},
    )


def _value(given: Any, parameter: Parameter) -> Any:  # noqa: ANN401 - of any parameter
    return tuple(given or ()) if parameter.type is tuple else given


def option_sources(ctx: Any) -> OptionSources:  # noqa: ANN401 - Typer keeps these types private
    """List the parameters that somebody set, by the names that a `DraftRequest` has for them."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    names = {name: source.name for name, source in sources.items() if source}
    return OptionSources(
        frozenset(name for name, source in names.items() if source == "COMMANDLINE"),
        frozenset(name for name, source in names.items() if source in {"ENVIRONMENT", "DEFAULT_MAP"}),
        applied_profile(ctx).chosen,
    )


def generate_options(context: Context, flags: Flags, profile: AppliedProfile) -> GenerateOptions:
    """Check everything that can be checked before a file is read. Raises `ImgcliError` (usage)."""
    server = server_options(flags, profile.server)
    return GenerateOptions(
        _draft_request(flags, server, server.name(context.env)),
        _output_options(flags),
        DisplayOptions(
            output_format(flags),
            flags["jsonl_images"],
            preview_options(flags, context.env),
            has_long_bill=flags["long_bill"],
            notifies=flags["notifies"],
            is_still=bool(flags["still"]),
        ),
        server,
        _budget(flags),
        profile.notices,
        record_history=not flags["no_history"],
        dry_run=flags["dry_run"],
    )


def with_plan(
    options: GenerateOptions, plan: RequestPlan, inherited: Inherited, *, compare: bool
) -> GenerateOptions:
    """Add what the files and the history have brought. Raises `ImgcliError` (usage)."""
    if compare and plan.before is None:
        raise usage_error(
            "--compare needs an earlier image on this machine, and there is none.",
            "Leave it out, or start from a file.",
            about=("compare",),
        )
    return replace(
        options,
        draft=inherited.draft,
        output=replace(options.output, title=plan.title),
        display=replace(options.display, before=plan.before if compare else None),
        notices=(*options.notices, *plan.notices, *inherited.notices),
        parents=plan.parents,
    )


def each_model(flags: Flags) -> list[dict[str, Any]]:
    """Return the flags for each of the models. Raises `ImgcliError` (usage) for numbers out of range."""
    check_between("count", flags["count"], 1, _MOST_IMAGES)
    check_between("concurrency", flags["concurrency"], 1, _MOST_AT_ONCE)
    return [{**flags, "model": model} for model in dict.fromkeys(flags["model"] or [None])]


def expansions(context: Context, flags: Flags, plan: RequestPlan) -> list[tuple[RequestPlan, str | None]]:
    """Return a plan and an output name for each image that one model is asked for.

    That is a number of images for each combination of the variables' values. Raises `ImgcliError` (usage).
    """
    requests, output = 1 if flags["single_request"] else flags["count"], flags["output"]
    if not flags["var"]:
        return [(plan, output)] * requests
    from imgcli.app.batch.variables import expand_prompt, parse_variables

    variables, prompt = parse_variables(flags["var"]), plan.prompt
    seed = context.token() if flags["seed"] is None else flags["seed"]
    found = [
        one
        for number in range(requests)
        for one in expand_prompt(prompt, output, variables, f"{seed} {number}" if number else str(seed))
    ]
    return [(replace(plan, prompt=one.prompt), one.output) for one in found]


def named(options: GenerateOptions, output: str | None) -> GenerateOptions:
    """Return options with another output name."""
    return replace(options, output=replace(options.output, name=output and expand_home(output)))


def as_series(each: Sequence[GenerateOptions]) -> list[GenerateOptions]:
    """Return the options of several requests of one command, so that none is in another's way.

    `{n}` in the name of the file becomes the request's number, from 1; a demo's seed goes up with it. Raises
    `ImgcliError` (usage) for what one image alone can have.
    """
    images = sum(options.draft.count or 1 for options in each)
    if images > _MOST_IMAGES:
        raise usage_error(
            f"These are {images} images; at most {_MOST_IMAGES} can be asked for at once.",
            "Put the prompts into a file for imgcli batch.",
        )
    if images > 1 and each[0].output.name == STDOUT:
        raise usage_error(f"-o - can write only one image, not {images}.", "Choose a folder with -o.")
    if len(each) == 1:
        return list(each)
    _check_several(each)
    return [_numbered(options, number) for number, options in enumerate(each, 1)]


def _numbered(options: GenerateOptions, number: int) -> GenerateOptions:
    output, seed = options.output, options.server.seed
    name = output.name and output.name.replace("{n}", str(number))
    return replace(
        options,
        output=replace(output, name=name, is_series=True),
        server=replace(options.server, seed=None if seed is None else seed + number - 1),
    )


def _check_several(each: Sequence[GenerateOptions]) -> None:
    """Refuse what would keep one of several images alone. Raises `ImgcliError` (usage)."""
    output, count = each[0].output, len(each)
    if output.record:
        raise usage_error(f"--record can record only one run, not {count}.", about=("record",))
    names = {_own_name(options, number) for number, options in enumerate(each)}
    if output.on_exists is OnExists.REPLACE and len(names) < count:
        raise usage_error(
            f"With --force the {count} images would replace one another.",
            "Add {n} to the name in -o, or leave --force out.",
            about=("force",),
        )


def _own_name(options: GenerateOptions, number: int) -> str:
    """Return what tells a request's files from those of others, as far as it is known by now."""
    name = options.output.name or ""
    if "{n}" in name or "{id}" in name:
        return str(number)
    slug = options.draft.prompt if not name or "{slug}" in name or names_folder(name) else ""
    model = options.draft.model if "{model}" in name else ""
    return f"{name} {slug} {model}"


def _output_options(flags: Flags) -> OutputOptions:
    """Check where the image is to go. Raises `ImgcliError` (usage)."""
    name, force, keep_partials = flags["output"], flags["force"], flags["keep_partials"]
    if name == STDOUT and flags["jsonl"]:
        what = "-o - and --jsonl both want standard output."
        raise usage_error(what, "Choose a file with -o.", about=("output", "jsonl"))
    if flags["no_save"] and (name is not None or force or keep_partials):
        what = "--no-save keeps no file, and -o, --force or --keep-partials ask for one."
        raise usage_error(what, about=("no-save", "output", "force", "keep-partials"))
    desktop = tuple(
        action for action, flag in ((Desktop.OPEN, "opens"), (Desktop.COPY, "copies")) if flags[flag]
    )
    if desktop and (flags["no_save"] or name == STDOUT):
        kept = "-o -" if name == STDOUT else "--no-save"
        about = (desktop[0].value, "output" if name == STDOUT else "no-save")
        raise usage_error(f"--{desktop[0].value} needs a file, and {kept} keeps none.", about=about)
    return OutputOptions(
        name and expand_home(name),
        save=not flags["no_save"],
        on_exists=OnExists.REPLACE if force else OnExists.NUMBER,
        partials=KeepPartials.ALL if keep_partials else KeepPartials.NONE,
        record=flags["record"],
        embed=flags["embed"],
        desktop=desktop,
    )
