"""`imgcli recover`: what unfinished runs hold, brought to where it was meant to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcli.cli import options  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
Exit codes: the gravest of all runs. 0 everything that came is saved; 9 a run holds no whole
picture; 10 saved, but not where you asked; 11 the data is no valid image.
"""


def recover(ctx: typer.Context, *, listing: options.Listing = False) -> None:
    """Save the images of runs that were interrupted.

    Reads what those runs left on this disk; asks no server, needs no key, costs nothing. Running it again
    changes nothing more.

    \b
    Examples:
      imgcli recover --list   see what there is
      imgcli recover          save it, and print the paths
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    from imgcli.cli import recovery

    raise typer.Exit(recovery.show(world) if listing else recovery.perform(world))
