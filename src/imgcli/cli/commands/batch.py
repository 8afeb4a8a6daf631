"""`imgcli batch`: an image for every row of a file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from imgcli.cli.commands._generation import shared_options
from imgcli.cli.config.parent import ParentCommand
from imgcli.cli.params import batch_options as params
from imgcli.cli.params import generation
from imgcli.cli.typer_ext import taking_options_of
from imgcli.core.errors import check_between, usage_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.app.batch.batch_plan import BatchOptions, BatchPlan
    from imgcli.app.context import Context
    from imgcli.cli.config.settings import AppliedProfile


_ROW = ", ".join(("id", "output", *params.ROW_OPTIONS[:-1]))
EPILOG = (
    f"Rows: every row has a prompt. A row can set {_ROW} and {params.ROW_OPTIONS[-1]}; "
    """\
its value applies instead of the option on the command line. Every other column is a variable, {column} in
the prompt or in output, and an error if nothing uses it. Only declared names are replaced; {{ stands for
{ if you need the text itself. Files are looked up from the current folder.

  rows.jsonl   {"prompt": "a cat", "size": "16:9", "image": ["a.png"]}
  rows.csv     prompt,animal,output
               "a {animal}, at night",cat,images/{animal}.png
  rows.txt     # one prompt per line
               a cat at night

Exit codes: 0 every image is saved; 3 only some are; 6 none is, and they wait in a submitted batch; 10 all
are, but some not where you asked; otherwise as for imgcli gen.
"""
)

_MOST_REQUESTS, _NAME_LENGTH = 64, 60
_UNFIT = {
    "record": "--record records one run, and a batch has many.",
    "compare": "--compare shows one image, and a batch makes many.",
    "opens": "--open opens one image, and a batch makes many.",
    "completion_window": "--completion-window submits one image, and a batch makes many: use --later.",
    "copies": "--copy copies one image, and a batch makes many.",
    "still": "--still stops the one image that a run plays, and a batch plays none.",
    "long_bill": "--bill prints the bill of one run; --report lists what each row of a batch has cost.",
}


class BatchCommand(ParentCommand):
    """`imgcli batch FILE`, and the commands below it."""

    def children(self) -> dict[str, Any]:
        """Return the commands for batches that were submitted."""
        from imgcli.cli.commands.batch_api import commands

        return commands()


COMMAND = BatchCommand


def batch_options(  # noqa: PLR0913 - a signature declares options
    *,
    prompt: params.Prompt = None,
    var: generation.Var = None,
    seed: params.Seed = None,
    images: params.Images = None,
    mask: generation.Mask = None,
    markup: generation.Markup = None,
    concurrency: params.Concurrency = 4,
    rate: params.Rate = None,
    report: params.Report = None,
    retry_unknown: params.RetryUnknown = False,
    later: params.Later = False,
    dry_run: params.DryRun = False,
    count: params.Count = 1,
    output: params.Output = None,
    max_cost: params.MaxCost = None,
    record: params.NoRecord = None,
    completion_window: params.NoWindow = None,
    compare: params.NoCompare = False,
    opens: params.NoOpen = False,
    copies: params.NoCopy = False,
    still: params.NoStill = False,
    long_bill: params.NoBill = False,
) -> None:
    """Declare the options of `batch` that other commands do not have, or have otherwise."""


@taking_options_of(shared_options, partials="0")
@taking_options_of(batch_options)
def batch(
    ctx: typer.Context,
    file: params.File,
    **flags: Any,  # noqa: ANN401 - what `batch_options` and `shared_options` declare
) -> None:
    """Generate an image for every row of a file.

    \b
    Examples:
      imgcli batch prompts.txt --dry-run              check it; see what it costs
      imgcli batch prompts.txt --demo -o images/      try it: no key, no cost
      imgcli batch rows.csv --max-cost 5 -o images/   never spend more than $5
      imgcli batch rows.csv --report report.csv       path and cost of each row
      echo "a {animal}" | imgcli batch - --var animal=cat,dog
      imgcli batch rows.csv --prompt "a {animal}" -o "{animal}.png"

    Progress is kept in FILE.imgcli.jsonl next to FILE: run the same command again to send only what is
    missing. No row is paid for twice. A changed row is a new row. All rows are checked before the first is
    sent. Ctrl-C finishes what is running and sends no more; a second Ctrl-C stops at once.
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    one_run = dict.fromkeys(_UNFIT)
    _run(ctx, {**flags, **one_run, "file": file})


def _run(ctx: typer.Context, flags: Mapping[str, Any]) -> NoReturn:
    """Plan the batch, and show it or run it."""
    # Imported here, so that help and completions do without them.
    from imgcli.app.reporting import refuse
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import output_format
    from imgcli.core.batch_file import BatchFileError
    from imgcli.core.errors import ImgcliError

    context: Context = ctx.obj
    profile, written_for = applied_profile(ctx), output_format(flags)
    try:
        code = _planned(ctx, flags, profile)
    except BatchFileError as error:
        context.write_lines(error.faults)
        code = refuse(context, error.problem, written_for)
    except ImgcliError as error:
        code = refuse(context, profile.explained(error.problem), written_for)
    raise typer.Exit(code)


def _planned(ctx: typer.Context, flags: Mapping[str, Any], profile: AppliedProfile) -> int:
    """Plan the batch, then show it or run it, and return the exit code. Raises `ImgcliError`."""
    from imgcli.app.batch.batch_input import BatchInput, read_batch_file
    from imgcli.app.batch.batch_plan import BatchOptions
    from imgcli.app.batch.batch_planner import plan_batch
    from imgcli.app.batch.batch_run import run_batch
    from imgcli.app.batch.pacer import parse_rate
    from imgcli.app.batch.variables import parse_variables
    from imgcli.cli.rows import CommandRowOptions
    from imgcli.core.errors import ExitCode
    from imgcli.output.batch_report import report_format

    context: Context = ctx.obj
    _refuse_unfit(ctx)
    check_between("concurrency", flags["concurrency"], 1, _MOST_REQUESTS)
    rate, variables = parse_rate(flags["rate"]), parse_variables(flags["var"] or [])
    if flags["report"]:
        report_format(flags["report"].name)
    _refuse_misspelled(ctx, flags["file"])
    found = read_batch_file(context, flags["file"])
    given = BatchInput(
        *found[:3],
        flags["prompt"],
        variables,
        str(flags["seed"] or 0),
        flags["output"],
        tuple(flags["images"] or ()),
        flags["mask"],
        flags["markup"],
        tuple(dict.fromkeys(flags["model"] or ())),
        flags["count"],
        flags["single_request"],
        profile.presets,
    )
    # What is shown before a batch is about all of it, and its tasks are runs.
    each = {
        **flags,
        "seed": flags["seed"] if flags["demo"] else None,
        "estimate": False,
        "dry_run": False,
        "is_series": True,
    }
    plan = plan_batch(context, given, CommandRowOptions(ctx, each, profile))
    options = BatchOptions(
        found.path, flags["concurrency"], rate, flags["report"], flags["retry_unknown"], flags["later"]
    )
    if flags["dry_run"] or flags["estimate"]:
        _show(context, plan, options, flags)
    return ExitCode.OK if flags["dry_run"] else run_batch(context, plan, options)


def _show(context: Context, plan: BatchPlan, options: BatchOptions, flags: Mapping[str, Any]) -> None:
    """Show what would be sent, and what it may cost."""
    from imgcli.app.batch.batch_preview import BatchPreview
    from imgcli.store.batch_records import Records
    from imgcli.store.batch_state import read_state, state_path
    from imgcli.store.submitted_batch import is_recorded

    path = options.file
    known = read_state(state_path(path), path.name) if path else Records()
    known.lose_batches(partial(is_recorded, context.env))
    preview = BatchPreview(context, plan, known.outcomes, retry_unknown=options.retry_unknown)
    if flags["dry_run"]:
        context.warn(plan.notices)
        preview.write_json() if flags["jsonl"] else preview.write_table()
    if flags["estimate"]:
        preview.write_estimate()
    context.warn(["the Batch API costs half of that"] if options.later and preview.has_price else [])


def _refuse_unfit(ctx: typer.Context) -> None:
    """Raise `ImgcliError` (usage) for options of a single run; defaults for them do not apply."""
    for name, why in _UNFIT.items():
        source = ctx.get_parameter_source(name)
        if source and source.name == "COMMANDLINE" and ctx.params[name]:
            raise usage_error(why, "Leave it out.")


def _refuse_misspelled(ctx: typer.Context, file: str) -> None:
    """Raise `ImgcliError` (usage) for what is no file, and almost the name of a command below this one."""
    from os.path import lexists

    from imgcli.core.text import did_you_mean, shorten, similar_names

    command: Any = ctx.command
    meant = [] if "." in file or lexists(file) else similar_names(file, command.commands)
    if meant:
        what = f"There is no file {shorten(file, _NAME_LENGTH)}."
        raise usage_error(what, did_you_mean(f"{ctx.command_path} {name}" for name in meant))
