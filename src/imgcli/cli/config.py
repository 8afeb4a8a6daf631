"""`imgcli config`: which file there is, what holds, and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli import account_options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.help import GroupedCommand, OrderedGroup

if TYPE_CHECKING:
    from imgcli.cli.world import World

_HELP = """\
Defaults for every option, and profiles of servers.

\b
Examples:
  imgcli config init                      write a file to begin with, all of it commented out
  imgcli config show                      every option's value, and where it comes from
  imgcli config show --profile azure      the same with a profile
  imgcli gen "a cat" --profile azure      use it

A value is taken from the command line, else the environment, else the profile, else the file,
else it is built in. A switch that a file turns on is turned off by --no-NAME (--no-force).
"""

Json = Annotated[bool, typer.Option("--json", help="Write one JSON object.")]


def group() -> typer.Typer:
    """Assemble the group."""
    app = typer.Typer(cls=OrderedGroup, help=_HELP, rich_markup_mode=None)
    app.command("show", cls=GroupedCommand)(show)
    app.command("path", cls=GroupedCommand)(path)
    app.command("init", cls=GroupedCommand)(init)
    return app


def show(ctx: typer.Context, *, profile: account_options.Profile = None, json: Json = False) -> None:
    """Show every option's value and where it comes from.

    What the environment holds for headers and keys is never shown, only whether it is there. A file that is
    broken is told, and what holds without it is shown.
    """
    from imgcli.cli import config_show

    world: World = ctx.obj
    source = ctx.get_parameter_source("profile")
    named = profile if source and source.name == "COMMANDLINE" else None
    raise typer.Exit(config_show.show(world, named, as_json=json))


def path(ctx: typer.Context) -> None:
    """Print where the configuration file is, or would be."""
    from imgcli.cli import config_file
    from imgcli.show.paths import write_paths

    world: World = ctx.obj
    write_paths(world.stdout, [config_file.place(world)])


def init(ctx: typer.Context) -> None:
    """Write a file to begin with, over nothing that is there, and print its path."""
    from imgcli.cli import config_file
    from imgcli.show.paths import write_paths

    world: World = ctx.obj
    write_paths(world.stdout, [config_file.begin(world)])
