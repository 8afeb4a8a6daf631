"""`imgcli batch status`, `collect` and `cancel`: batches submitted with --later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.config.command import ConfiguredCommand
from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.errors import ImgcliError
from imgcli.core.option import option

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.errors import ExitCode


_TIMEOUT = 30.0
_HINT = "as `imgcli batch status` shows it, or its beginning."

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID", help=f"The batch, {_HINT}  [default: all that are not collected]", show_default=False
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help=f"The batch, {_HINT}", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the batches have ended.")]
ShortTimeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="Idle timeout.", rich_help_panel="Server")
]


def status(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    as_json: lookup.JsonObject = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = _TIMEOUT,
) -> None:
    """Show the status of submitted batches.

    \b
    Examples:
      imgcli batch status
      imgcli batch status --json | jq -r '.batches[].id'
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.app.context import size_of
    from imgcli.app.later.batch_survey import BatchSurvey
    from imgcli.app.later.submissions import choose
    from imgcli.output.tables.batches import batch_lines, batches_json
    from imgcli.output.terminal.writer import SafeWriter

    def show(context: Context, options: ServerOptions) -> int:
        survey = BatchSurvey(context, options)
        shown = [survey.figures(one) for one in choose(context, options, ids or ())]
        if not (shown or as_json):
            context.warn(["there is no batch to collect"])
        columns = size_of(context.stdout).columns if context.stdout.isatty() else None
        lines = [batches_json(shown)] if as_json else batch_lines(shown, context.now(), columns)
        SafeWriter(context.stdout).lines(lines)
        if not as_json and any(one.is_lost for one in shown):
            how = f"imgcli recover {option('discard', 'ID')}"
            context.warn([f"a batch that is not found cannot be collected; `{how}` forgets it"])
        if survey.problem:
            raise ImgcliError(survey.problem)
        return 0

    _run(ctx, base_url, timeout, show)


def collect(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    wait: Wait = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - see above
    timeout: ShortTimeout = _TIMEOUT,
) -> None:
    """Save the images of submitted batches, and print their paths.

    A batch is collected once it has ended, also where it expired or was cancelled: what was done by then is
    saved. It is safe to run again: no image is saved twice. Ctrl-C loses nothing.

    \b
    Examples:
      imgcli batch collect                what is ready
      imgcli batch collect --wait         wait for all, up to a day
      imgcli batch collect batch_68f3     one batch
    """  # noqa: D301 - see above
    from imgcli.app.later.collect import collect as collect_batches

    _run(ctx, base_url, timeout, lambda context, to: collect_batches(context, to, ids or (), wait=wait))


def cancel(
    ctx: typer.Context,
    name: Id,
    *,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - see above
    timeout: ShortTimeout = _TIMEOUT,
) -> None:
    """Cancel a submitted batch; what it has done by then is charged, and can be collected."""
    from imgcli.app.later.batch_survey import cancel as cancel_batch

    _run(ctx, base_url, timeout, lambda context, options: cancel_batch(context, options, name))


_OTHERWISE = "otherwise as for imgcli gen."
_EPILOGS = {
    "status": f"Exit codes: 0; 2 no such batch; {_OTHERWISE}",
    "collect": f"Exit codes: 0 all saved; 3 some rows have no image; 6 not ready yet; {_OTHERWISE}",
    "cancel": f"Exit codes: 0; 2 no such batch, or it has ended; {_OTHERWISE}",
}


def _run(
    ctx: typer.Context,
    base_url: str | None,
    timeout: float,
    action: Callable[[Context, ServerOptions], ExitCode | int],
) -> None:
    """Do something at the server that the options name, and exit."""
    from imgcli.app.later.submissions import without_money
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import server_options

    options = server_options({"base_url": base_url, "timeout": timeout}, applied_profile(ctx).server)
    try:
        code = action(ctx.obj, options)
    except ImgcliError as error:
        raise ImgcliError(without_money(error.problem)) from error
    raise typer.Exit(code)


def commands() -> dict[str, Any]:
    """Return the commands by name."""
    app = typer.Typer(rich_markup_mode=None)
    for command in (status, collect, cancel):
        epilog = _EPILOGS[command.__name__]
        app.command(command.__name__, cls=ConfiguredCommand, epilog=epilog)(command)
    group: Any = typer.main.get_group(app)
    return dict(group.commands)
