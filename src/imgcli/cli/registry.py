"""The table of commands: each module is loaded only when its command is used, which keeps help fast."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from imgcli import __version__
from imgcli.cli.typer_ext import GroupedCommand, OrderedGroup

if TYPE_CHECKING:
    from collections.abc import Iterable


_CONFIGURED = "imgcli.cli.config.command"
_COMPLETED_LINES = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")
"""Environment variables with the line that is being completed, which is not in the arguments."""


class CommandEntry(NamedTuple):
    """One command: its name, its line in the list of commands, and whether the configuration applies to it.

    Its function has the name with underscores, in the module of that name; `alias` names another module, and
    where that has no function of the command's name, the function too.
    `can_send` is for commands that send requests, which may cost money.
    """

    name: str
    line: str
    is_configured: bool = False
    alias: str = ""
    can_send: bool = False

    @property
    def module(self) -> str:
        """The module."""
        return self.alias or self.name.replace("-", "_")

    def register(self, app: typer.Typer) -> None:
        """Load the command and add it to the app."""
        module = importlib.import_module(f"imgcli.cli.commands.{self.module}")
        if hasattr(module, "group"):
            app.add_typer(module.group(), name=self.name)
            return
        kind: type[GroupedCommand] = GroupedCommand
        if self.is_configured:
            # By name, as the commands are: it looks into this table for their options.
            kind = importlib.import_module(_CONFIGURED).ConfiguredCommand
        kind = getattr(module, "COMMAND", kind)
        epilog = getattr(module, "EPILOG", None)
        function = getattr(module, self.name.replace("-", "_"), None) or getattr(module, self.module)
        app.command(self.name, cls=kind, epilog=epilog)(function)

    def announce(self, app: typer.Typer) -> None:
        """Add only the name and the line to the app, for the list; it cannot be run like that."""
        app.command(self.name, cls=GroupedCommand, help=self.line)(_unloaded)


COMMANDS = (
    CommandEntry(
        "gen", "Generate an image, watch it arrive, and save it.", is_configured=True, can_send=True
    ),
    CommandEntry("edit", "Edit an image with a prompt.", is_configured=True, can_send=True),
    CommandEntry(
        "again", "Generate an image again with the same parameters.", is_configured=True, can_send=True
    ),
    CommandEntry("batch", "Generate an image for every row of a file.", is_configured=True, can_send=True),
    CommandEntry("view", "Show images and replay recorded runs.", is_configured=True),
    CommandEntry("open", "Open an image in the default viewer."),
    CommandEntry("history", "List past runs, newest first."),
    CommandEntry("cost", "Show what your runs cost."),
    CommandEntry("models", "List models with prices and shutdown dates.", is_configured=True),
    CommandEntry("doctor", "Check terminal, configuration, key, server and files."),
    CommandEntry("config", "Manage default options and server profiles."),
    CommandEntry("recover", "Recover images from interrupted runs.", is_configured=True),
    CommandEntry("info", "Show how images were made and what was made from them."),
    CommandEntry("verify", "Verify where images come from, and whether they changed.", is_configured=True),
    CommandEntry("tree", "Show an image's family tree: its sources and its edits."),
    CommandEntry("sheet", "Put many images on one contact sheet."),
    CommandEntry("gallery", "Make a web page of your images, to browse or share."),
    CommandEntry("strip", "Remove embedded parameters from PNG files (see gen --embed)."),
    CommandEntry(
        "serve", "Serve a web page and an HTTP API that generate images.", is_configured=True, can_send=True
    ),
    CommandEntry("demo-server", "Run a local demo server with OpenAI's API.", is_configured=True),
    CommandEntry("schema", "Print JSON Schemas of all JSON output.", alias="agents"),
    CommandEntry("skill", "Print or install instructions for coding agents.", alias="agents"),
    CommandEntry("help", "Show help for a command.", alias="help_command"),
)
"""In the order of the list; a short list leaves out the last ones."""
NAMES = frozenset(command.name for command in COMMANDS)
SENDING = frozenset(command.name for command in COMMANDS if command.can_send)


def named() -> frozenset[str]:
    """Return the commands that this process's command line, or the one being completed, may name."""
    completed = [os.environ.get(name, "") for name in _COMPLETED_LINES]
    return NAMES & {*sys.argv[1:], *" ".join(completed).split()}


def listed() -> frozenset[str]:
    """Return the commands that a list must have: a line that begins with a command lists none."""
    return frozenset() if NAMES.difference(["help"]).intersection(sys.argv[1:2]) else NAMES


def _unloaded() -> None:
    raise AssertionError  # pragma: no cover - a command that runs is in the command line, and so is loaded


_HELP = """\
Generate images from a terminal and watch them arrive.

\b
Examples:
  imgcli gen "a cat" --demo              try it: no key, no cost, no network
  imgcli gen "a cat"                     the real thing (needs OPENAI_API_KEY)
  imgcli edit a-cat.png "make it night"  edit an image
  imgcli gen "a cat" -o cat.webp         choose the file and its format
  f=$(imgcli gen "a cat")                image in the terminal, path in $f
  imgcli gen "a cat" --jsonl             one JSON object per event
  imgcli history                         list past runs and their costs
"""

_EPILOG = "Learn more: imgcli help COMMAND"


def build_app(loaded: Iterable[str] = NAMES, announced: Iterable[str] = NAMES) -> typer.Typer:
    """Build the command line; commands that are `announced` and not in `loaded` are only listed."""
    app = typer.Typer(
        name="imgcli",
        cls=OrderedGroup,
        help=_HELP,
        epilog=_EPILOG,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 100},
    )
    app.callback()(_version_option)
    names, others = set(loaded), set(announced)
    for command in COMMANDS:
        if command.name in names:
            command.register(app)
        elif command.name in others:
            command.announce(app)
    return app


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag
    if asked:
        typer.echo(f"imgcli {__version__}")
        raise typer.Exit


def _version_option(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Declare the options that come before a command."""
