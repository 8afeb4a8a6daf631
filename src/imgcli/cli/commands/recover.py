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
        raise typer.BadParameter(f"{text!r} is not an age; examples: 90d, 12h, 2w.")
    return (
        int(found[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
    )


Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="The runs to recover, by the first word of their lines in --list, or its beginning.  "
        "[default: all]",
        show_default=False,
    ),
]
Discard = Annotated[
    bool,
    typer.Option("--discard", help="Save nothing: throw the records away, whatever they hold."),
]
Older = Annotated[
    timedelta | None,
    typer.Option(
        "--older", metavar="AGE", help="Only what is at least that old: 90d, 12h, 2w.", parser=_duration
    ),
]
Listing = Annotated[bool, typer.Option("--list", help="Show what there is to recover, and change nothing.")]

EPILOG = """\
Exit codes: the most severe of all runs. 0 everything that came is saved; 3 some images of a run
never came; 9 a run holds no whole image; 10 saved, but not where you asked; 11 the data is no
whole image.
"""


def recover(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    listing: Listing = False,
    discard: Discard = False,
    older: Older = None,
) -> None:
    """Save the images of runs that were interrupted.

    Reads what those runs left on this disk; asks no server, needs no key, costs nothing. Running it again
    changes nothing more. An image in an answer that cannot be read is saved as NAME.recovered.png; one of
    which only a part came as NAME.torn.png, and its record stays until you discard it.

    \b
    Examples:
      imgcli recover --list   see what there is
      imgcli recover          save it, and print the paths
      imgcli recover 3fa92c   save what one run left
      imgcli recover --discard 3fa92c        give up one run
      imgcli recover --discard --older 90d   give up what is old
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    from imgcli.app import unfinished_run
    from imgcli.app.recover import recover_runs

    chosen = unfinished_run.choose(context, ids or (), older)
    action = unfinished_run.show if listing else unfinished_run.discard if discard else recover_runs
    raise typer.Exit(action(context, chosen))
