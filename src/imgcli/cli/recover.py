"""`imgcli recover`: what unfinished runs hold, brought to where it was meant to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcli.cli import recover_options as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.order import Style

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
Exit codes: the gravest of all runs. 0 everything that came is saved; 3 some images of a run
never came; 9 a run holds no whole image; 10 saved, but not where you asked; 11 the data is no
whole image.
"""


def recover(
    ctx: typer.Context,
    ids: options.Ids = None,
    *,
    listing: options.Listing = False,
    discard: options.Discard = False,
    older: options.Older = None,
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
    world: World = ctx.obj
    from imgcli.cli import records, recovery, run

    with run.refusals(world, Style.PATHS):
        chosen = records.choose(world, ids or (), older)
    if listing:
        raise typer.Exit(records.show(world, chosen))
    if discard:
        raise typer.Exit(records.discard(world, chosen))
    raise typer.Exit(recovery.perform(world, chosen))
