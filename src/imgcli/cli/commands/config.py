"""`imgcli config`: the configuration file, which values apply, and where each comes from."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.completion import profiles
from imgcli.cli.config.command import configured_commands, schema
from imgcli.cli.config.file import ensure
from imgcli.cli.config.settings import read_settings
from imgcli.cli.params import server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.typer_ext import GroupedCommand, OrderedGroup, show_brief
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.context import Context


_HELP = """\
Manage default options and server profiles.

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
    profile: server.Profile = None,
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
    from imgcli.cli.config import values as values_

    world: Context = ctx.obj
    source = ctx.get_parameter_source("profile")
    named = profile if source and source.name == "COMMANDLINE" else None
    rows = values_.Rows.CHANGED if changed else values_.Rows.ALL
    raise typer.Exit(values_.show_values(world, named, rows, as_json=json))


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
    from imgcli.cli.config import assignment

    world: Context = ctx.obj
    assignment.write(world, assignment.Assignment(name, tuple(values), command, profile))


def edit(ctx: typer.Context) -> None:
    """Open the configuration file in your editor, and check it.

    The editor is $VISUAL, else $EDITOR. If there is no file yet, it is created as imgcli config init does.

    \b
    Examples:
      imgcli config edit
      VISUAL="code --wait" imgcli config edit
    """  # noqa: D301 - see above
    world: Context = ctx.obj
    edit_file(world)


def path(ctx: typer.Context) -> None:
    """Print the path of the configuration file."""
    from imgcli.cli.config import file
    from imgcli.output.sinks.lines import write_paths

    world: Context = ctx.obj
    write_paths(world.stdout, [file.config_place(world)])


def init(ctx: typer.Context) -> None:
    """Create the file, with all settings commented out; print its path."""
    from imgcli.cli.config import file
    from imgcli.output.sinks.lines import write_paths

    world: Context = ctx.obj
    write_paths(world.stdout, [file.begin_config(world)])


_VARIABLES = ("VISUAL", "EDITOR")
_ADVICE = "Name another one in VISUAL or EDITOR."
_USUAL = ("editor", "nano", "vi")


def edit_file(world: Context) -> None:
    """Open the file, wait for the editor, and check what was written. Raises `ImgcliError`."""
    command = _editor(world)
    path = ensure(world)
    try:
        with subprocess.Popen([*command, str(path)]) as editor, _leaving_keys_to_it():
            status = editor.wait()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise usage_error(
            f"The editor {shorten(command[0], 60)} cannot be started: {why}.", _ADVICE
        ) from None
    if status:
        raise usage_error(f"The editor {shorten(command[0], 60)} ended with status {status}.")
    read_settings(world.env, schema(configured_commands()), named="")


def _editor(world: Context) -> list[str]:
    """Choose the editor's command, with its options; raises `ImgcliError` (usage) without any."""
    for name in _VARIABLES:
        if told := world.env.get(name, "").strip():
            try:
                return shlex.split(told)
            except ValueError as error:
                raise usage_error(f"{name} cannot be read as a command: {error}.") from None
    for name in _USUAL:
        if found := shutil.which(name, path=world.env.get("PATH")):
            return [found]
    raise usage_error("There is no editor.", _ADVICE)


@contextmanager
def _leaving_keys_to_it() -> Iterator[None]:
    """Let Ctrl-C mean to the editor what it means there; it reaches this process as well."""
    keys = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
    earlier = [(one, signal.signal(one, signal.SIG_IGN)) for one in keys]
    try:
        yield
    finally:
        for one, handler in earlier:
            signal.signal(one, handler)
