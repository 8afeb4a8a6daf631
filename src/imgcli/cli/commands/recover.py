"""`imgcli recover`: recover images from interrupted runs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.params import display, generation, server  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.unfinished_run import UnfinishedRun
    from imgcli.core.errors import ExitCode


def _duration(text: str) -> timedelta:
    """Read an age such as 90d, 12h or 2w."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is not an age such as 12h, 90d or 2w.")
    return (
        int(found[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
    )


_SERVER = "Server"

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="The runs to recover: ids as shown by --list, or their first characters.  [default: all]",
        show_default=False,
    ),
]
Discard = Annotated[
    bool,
    typer.Option(
        "--discard",
        help="Delete the run logs and whatever they contain, without saving anything. A submitted batch that "
        "ID names is forgotten.",
    ),
]
Older = Annotated[
    timedelta | None,
    typer.Option(
        "--older",
        metavar="AGE",
        help="Only runs at least this old, such as 12h, 90d or 2w.",
        parser=_duration,
    ),
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Wait for images that a server is still making in the background.",
        rich_help_panel=_SERVER,
    ),
]
Cancel = Annotated[
    bool,
    typer.Option(
        "--cancel",
        help="Have the server stop making the images of these runs; save what arrived.",
        rich_help_panel=_SERVER,
    ),
]
ShortTimeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="Idle timeout.", rich_help_panel=_SERVER),
]
Listing = Annotated[bool, typer.Option("--list", help="List what can be recovered; change nothing.")]

EPILOG = """\
Exit codes (the most severe of all runs): 0 everything received is saved; 3 some images of a run
never arrived; 6 the server is still making an image; 9 a run contains no complete image; 10 saved,
but elsewhere; 11 the data is not a complete image. 4, 5 and 8 as in imgcli gen: a server was asked.
"""


def recover(  # noqa: PLR0913 - a signature declares options
    ctx: typer.Context,
    ids: Ids = None,
    *,
    listing: Listing = False,
    discard: Discard = False,
    older: Older = None,
    wait: Wait = False,
    notifies: display.Notify = False,
    cancel: Cancel = False,
    base_url: generation.BaseUrl = None,
    profile: server.Profile = None,  # noqa: ARG001 - ConfiguredCommand has read it already
    timeout: ShortTimeout = 30.0,
) -> None:
    """Recover images from interrupted runs.

    Reads the run logs on this disk. It contacts a server, which costs nothing, only to fetch an image that a
    response links to, or that the server went on with in the background (--detach, --completion-window). It
    is safe to run again. An image found in an unreadable response is saved as NAME.recovered.png, an
    incomplete one as NAME.torn.png; the log of an incomplete image stays until you discard it.

    \b
    Examples:
      imgcli recover --list                  list unfinished runs
      imgcli recover                         save all images, print their paths
      imgcli recover 3fa92c                  save the images of one run
      imgcli recover --wait                  also wait for unfinished images
      imgcli recover --discard 3fa92c        discard one run
      imgcli recover --discard --older 90d   discard old runs
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    from imgcli.app import unfinished_run
    from imgcli.app.background.detached_run import ServerInquiry
    from imgcli.app.recover import recover_runs
    from imgcli.cli.config.settings import applied_profile
    from imgcli.cli.flags import server_options
    from imgcli.core.errors import usage_error

    if cancel and not ids:
        raise usage_error(
            "--cancel needs the ids of the runs to cancel.", "imgcli recover --list shows them."
        )
    if discard and not listing:
        raise typer.Exit(_discard(context, ids or (), older))
    chosen = _chosen(context, ids or (), older)
    if listing:
        raise typer.Exit(unfinished_run.show(context, chosen))
    options = server_options({"base_url": base_url, "timeout": timeout}, applied_profile(ctx).server)
    raise typer.Exit(recover_runs(context, chosen, ServerInquiry(options, wait, cancel), notifies=notifies))


def _chosen(context: Context, ids: Sequence[str], older: timedelta | None) -> list[UnfinishedRun]:
    """Return the runs that are meant. Raises `ImgcliError` (usage) for a name that none has."""
    from imgcli.app import unfinished_run
    from imgcli.app.later import submissions
    from imgcli.core.errors import usage_error

    for name in submissions.uncollected(context, ids):
        what = f"{name} is a submitted batch, not a run."
        raise usage_error(what, f"To save its images: imgcli batch collect {name}")
    return unfinished_run.choose(context, ids, older)


def _discard(context: Context, ids: Sequence[str], older: timedelta | None) -> ExitCode:
    """Discard runs, and the batches that are named. Raises `ImgcliError` (usage) for what is neither."""
    from imgcli.app import unfinished_run
    from imgcli.app.later import submissions
    from imgcli.core.errors import most_severe

    batches = submissions.uncollected(context, ids)
    runs = [name for name in ids if name not in batches]
    chosen = unfinished_run.choose(context, runs, older) if runs or not batches else []
    codes = [submissions.discard(context, batches.values())]
    codes += [unfinished_run.discard(context, chosen)] if chosen or not batches else []
    return most_severe(codes)
