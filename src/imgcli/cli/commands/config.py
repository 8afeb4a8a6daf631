"""`imgcli config`: the configuration file, and which values apply."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.completion import presets, profiles
from imgcli.cli.config import file
from imgcli.cli.config.command import configured_commands, schema
from imgcli.cli.config.settings import read_settings
from imgcli.cli.params import generation, lookup, server  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.typer_ext import GroupedCommand, OrderedGroup, show_brief
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.output.sinks.lines import write_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.context import Context


_HELP = """\
Manage default options and server profiles.

\b
Examples:
  imgcli config show --changed            list the values you have set
  imgcli config set quality low           set a default
  imgcli config edit                      open the file in your editor
  imgcli config show --profile azure      list all values of a profile
  imgcli gen "a cat" --profile azure      use a profile
  imgcli gen "a cat" --preset woodcut     use a preset

Values are taken, in this order, from the command line, the environment, the preset, the profile, the file,
and the built-in defaults. Use --no-NAME to turn off a switch that the file turns on (--no-force).
"""

_TARGET = "Target"
_EDITORS = ("editor", "nano", "vi")

Changed = Annotated[
    bool,
    typer.Option("--changed", help="Leave out built-in values.", rich_help_panel="Display"),
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Long name of an option without dashes, such as quality."),
]
Values = Annotated[
    list[str],
    typer.Argument(metavar="VALUE", help="Its default: true or false for a switch, several for a list."),
]
ForCommand = Annotated[
    str | None,
    typer.Option(
        "--command", metavar="COMMAND", help="Set it only for this command.", rich_help_panel=_TARGET
    ),
]
ForProfile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="PROFILE",
        help="Set it in this profile, which is created if missing.",
        rich_help_panel=_TARGET,
        autocompletion=profiles,
    ),
]
ForPreset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="PRESET",
        help="Set it in this preset, which is created if missing.",
        rich_help_panel=_TARGET,
        autocompletion=presets,
    ),
]


def group() -> typer.Typer:
    """Build the group."""
    app = typer.Typer(cls=OrderedGroup, help=_HELP, rich_markup_mode=None, invoke_without_command=True)
    app.callback()(_list)
    app.command("show", cls=GroupedCommand)(show)
    app.command("set", cls=GroupedCommand)(set_value)
    app.command("edit", cls=GroupedCommand)(edit)
    app.command("init", cls=GroupedCommand)(init)
    app.command("path", cls=GroupedCommand)(path)
    return app


def _list(ctx: typer.Context) -> None:
    """List the commands if none is given."""
    if ctx.invoked_subcommand is None:
        show_brief(ctx)


def show(
    ctx: typer.Context,
    *,
    profile: server.Profile = None,
    preset: generation.Preset = None,
    changed: Changed = False,
    as_json: lookup.JsonObject = False,
) -> None:
    """Show all options with their values and where these come from.

    Headers and keys from the environment are only shown as set or not set. If the file cannot be used, the
    problem is shown, and the values that apply without it.

    \b
    Examples:
      imgcli config show                    all options
      imgcli config show --changed          without built-in values
      imgcli config show --profile azure    with the profile azure
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.cli.config.values import show_values

    source = ctx.get_parameter_source("profile")
    name = profile if source and source.name == "COMMANDLINE" else None
    raise typer.Exit(show_values(ctx.obj, name, preset, only_changed=changed, as_json=as_json))


def set_value(
    ctx: typer.Context,
    name: Name,
    values: Values,
    *,
    command: ForCommand = None,
    profile: ForProfile = None,
    preset: ForPreset = None,
) -> None:
    """Set a default in the configuration file.

    The rest of the file stays unchanged, including comments. A missing file is created as by imgcli config
    init. Values that are not valid are rejected, and so are keys and passwords.

    \b
    Examples:
      imgcli config set quality low
      imgcli config set width 60 --command view
      imgcli config set base-url http://localhost:8080/v1 --profile local
      imgcli config set default-profile local
      imgcli config set prompt "a woodcut of {prompt}" --preset woodcut
      imgcli config set preset.woodcut.quality high
      imgcli config set key-env AZURE_KEY --profile azure    the variable's name
    """  # noqa: D301 - see above
    file.set_default(ctx.obj, file.Assignment(name, tuple(values), command, profile, preset))


def edit(ctx: typer.Context) -> None:
    """Open the configuration file in your editor, then check it.

    The editor is $VISUAL or $EDITOR. A missing file is created as by imgcli config init.

    \b
    Examples:
      imgcli config edit
      VISUAL="code --wait" imgcli config edit
    """  # noqa: D301 - see above
    edit_file(ctx.obj)


def path(ctx: typer.Context) -> None:
    """Print the path of the configuration file."""
    write_paths(ctx.obj.stdout, [file.file_path(ctx.obj)])


def init(ctx: typer.Context) -> None:
    """Create the file with all settings commented out, and print its path."""
    write_paths(ctx.obj.stdout, [file.create_file(ctx.obj)])


def edit_file(context: Context) -> None:
    """Open the file, wait for the editor, and check what was written. Raises `ImgcliError`."""
    command = _editor(context)
    name = shorten(command[0], 60)
    path = file.ensure_file(context)
    try:
        with subprocess.Popen([*command, str(path)]) as editor, _signals_ignored():
            status = editor.wait()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise usage_error(
            f"The editor {name} cannot be started: {why}.", "Set VISUAL or EDITOR to another one."
        ) from None
    if status:
        raise usage_error(f"The editor {name} exited with status {status}.")
    read_settings(context.env, schema(configured_commands()), named="")


def _editor(context: Context) -> list[str]:
    """Return the editor's command with its options. Raises `ImgcliError` (usage) if there is none."""
    for name in ("VISUAL", "EDITOR"):
        if command := context.env.get(name, "").strip():
            try:
                return shlex.split(command)
            except ValueError as error:
                raise usage_error(f"{name} is not a valid command: {error}.") from None
    for name in _EDITORS:
        if program := shutil.which(name, path=context.env.get("PATH")):
            return [program]
    raise usage_error("No editor was found.", "Set VISUAL or EDITOR.")


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Leave Ctrl-C to the editor; it reaches this process as well."""
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)]
    handlers = [(one, signal.signal(one, signal.SIG_IGN)) for one in signals]
    try:
        yield
    finally:
        for one, handler in handlers:
            signal.signal(one, handler)
