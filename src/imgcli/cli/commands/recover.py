"""`imgcli recover`: what unfinished runs hold, brought to where it was meant to go."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from imgcli.app.context import Context


def _duration(text: str) -> timedelta:
    """Read an age such as 90d, 12h or 2w."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is not an age such as 12h, 90d or 2w.")
    return (
        int(found[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
    )


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
    typer.Option("--discard", help="Delete the run logs and whatever they contain, without saving anything."),
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
Listing = Annotated[bool, typer.Option("--list", help="List what can be recovered; change nothing.")]

EPILOG = """\
Exit codes (the most severe of all runs): 0 everything received is saved; 3 some images of a run
never arrived; 9 a run contains no complete image; 10 saved, but elsewhere; 11 the data is not a
complete image.
"""


def recover(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    listing: Listing = False,
    discard: Discard = False,
    older: Older = None,
) -> None:
    """Recover images from interrupted runs.

    Reads the run logs on this disk; contacts no server, except to fetch an image that a response only links
    to. It is safe to run again. An image found in an unreadable response is saved as NAME.recovered.png, an
    incomplete one as NAME.torn.png; the log of an incomplete image stays until you discard it.

    \b
    Examples:
      imgcli recover --list                  list unfinished runs
      imgcli recover                         save all images, print their paths
      imgcli recover 3fa92c                  save the images of one run
      imgcli recover --discard 3fa92c        discard one run
      imgcli recover --discard --older 90d   discard old runs
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    from imgcli.app import unfinished_run
    from imgcli.app.recover import recover_runs

    chosen = unfinished_run.choose(context, ids or (), older)
    action = unfinished_run.show if listing else unfinished_run.discard if discard else recover_runs
    raise typer.Exit(action(context, chosen))
