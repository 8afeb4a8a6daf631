"""`imgcli config`: the configuration file, which values apply, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli import account_options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.completion import profiles
from imgcli.cli.help import GroupedCommand, OrderedGroup, show_brief

if TYPE_CHECKING:
    from imgcli.cli.world import World

_HELP = """\
Set defaults for options, and profiles of servers.

\b
Examples:
  imgcli config show --changed            what you have set, and where
  imgcli config set quality low           set a default
  imgcli config edit                      open the file in your editor
  imgcli config show --profile azure      every value, with this profile
  imgcli gen "a cat" --profile azure      use it

A value is taken from the command line, else the environment, else the profile, else the file,
else it is built in. A switch that a file turns on is turned off by --no-NAME (--no-force).
"""

_WHERE = "Where"
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object.")]
Changed = Annotated[bool, typer.Option("--changed", help="Show only values that are not built in.")]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="An option's long name without dashes, such as quality."),
]
Values = Annotated[
    list[str],
    typer.Argument(metavar="VALUE", help="Its default; true or false for a switch, several for a list."),
]
ForCommand = Annotated[
    str | None,
    typer.Option(
        "--command", metavar="COMMAND", help="Set it for this command only.", rich_help_panel=_WHERE
    ),
]
ForProfile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="PROFILE",
        help="Set it in this profile, which is created if missing.",
        rich_help_panel=_WHERE,
        autocompletion=profiles,
    ),
]


def group() -> typer.Typer:
    """Assemble the group."""
    app = typer.Typer(cls=OrderedGroup, help=_HELP, rich_markup_mode=None, invoke_without_command=True)
    app.callback()(_list)
    app.command("show", cls=GroupedCommand)(show)
    app.command("set", cls=GroupedCommand)(set_value)
    app.command("edit", cls=GroupedCommand)(edit)
    app.command("init", cls=GroupedCommand)(init)
    app.command("path", cls=GroupedCommand)(path)
    return app


def _list(ctx: typer.Context) -> None:
    """List the commands where none is named."""
    if ctx.invoked_subcommand is None:
        show_brief(ctx)


def show(
    ctx: typer.Context,
    *,
    profile: account_options.Profile = None,
    changed: Changed = False,
    json: Json = False,
) -> None:
    """Show every option's value and where it comes from.

    For headers and keys from the environment, it only shows whether they are set. If the file is broken, it
    shows what is wrong, and the values without the file.

    \b
    Examples:
      imgcli config show                    every option
      imgcli config show --changed          only what is not built in
      imgcli config show --profile azure    with the profile azure
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.cli import config_show

    world: World = ctx.obj
    source = ctx.get_parameter_source("profile")
    named = profile if source and source.name == "COMMANDLINE" else None
    rows = config_show.Rows.CHANGED if changed else config_show.Rows.ALL
    raise typer.Exit(config_show.show(world, named, rows, as_json=json))


def set_value(
    ctx: typer.Context, name: Name, values: Values, *, command: ForCommand = None, profile: ForProfile = None
) -> None:
    """Set a default in the configuration file.

    The rest of the file stays as it is, with its comments. Nothing is written if the result could not be
    read. If there is no file yet, it is created as imgcli config init does. Keys and passwords are refused.

    \b
    Examples:
      imgcli config set quality low
      imgcli config set width 60 --command view
      imgcli config set base-url http://localhost:8080/v1 --profile local
      imgcli config set default-profile local
      imgcli config set key-env AZURE_KEY --profile azure    its name, no key
    """  # noqa: D301 - see above
    from imgcli.cli import config_set

    world: World = ctx.obj
    config_set.write(world, config_set.Assignment(name, tuple(values), command, profile))


def edit(ctx: typer.Context) -> None:
    """Open the configuration file in your editor, and check it.

    The editor is $VISUAL, else $EDITOR. If there is no file yet, it is created as imgcli config init does.

    \b
    Examples:
      imgcli config edit
      VISUAL="code --wait" imgcli config edit
    """  # noqa: D301 - see above
    from imgcli.cli import config_edit

    world: World = ctx.obj
    config_edit.edit(world)


def path(ctx: typer.Context) -> None:
    """Print the path of the configuration file."""
    from imgcli.cli import config_file
    from imgcli.show.paths import write_paths

    world: World = ctx.obj
    write_paths(world.stdout, [config_file.place(world)])


def init(ctx: typer.Context) -> None:
    """Create the file, with all settings commented out; print its path."""
    from imgcli.cli import config_file
    from imgcli.show.paths import write_paths

    world: World = ctx.obj
    write_paths(world.stdout, [config_file.begin(world)])
