"""The commands as a table: each is loaded only when a command line names it, which keeps help fast."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.cli.help import GroupedCommand

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer

_COMPLETED_LINES = ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")
"""Where a shell's completion tells the line, which is not in the arguments then."""


@dataclass(frozen=True)
class Command:
    """One command: its name, its line in the list of commands, and whether configuration has a say in it.

    Its function has the name with underscores, in the module of that name, unless `place` names both.
    `can_send` tells that it sends requests, which may cost money.
    """

    name: str
    line: str
    is_configured: bool = False
    place: str = ""
    can_send: bool = False

    @property
    def module(self) -> str:
        """Where it is."""
        return self.place or self.name.replace("-", "_")

    def register(self, app: typer.Typer) -> None:
        """Load it and put it into the app."""
        module = importlib.import_module(f"imgcli.cli.{self.module}")
        if hasattr(module, "group"):
            app.add_typer(module.group(), name=self.name)
            return
        app.command(self.name, cls=self._kind, epilog=getattr(module, "EPILOG", None))(
            getattr(module, self.module)
        )

    def announce(self, app: typer.Typer) -> None:
        """Put its name and its line into the app, for a list; it cannot be run like that."""
        app.command(self.name, cls=GroupedCommand, help=self.line)(_unloaded)

    @property
    def _kind(self) -> type[GroupedCommand]:
        if not self.is_configured:
            return GroupedCommand
        from imgcli.cli.configured import ConfiguredCommand

        return ConfiguredCommand


COMMANDS = (
    Command("gen", "Generate an image, watch it arrive, find it saved.", is_configured=True, can_send=True),
    Command(
        "edit", "Change an image, in its conversation or from its file.", is_configured=True, can_send=True
    ),
    Command("again", "Make an image again, with the same parameters.", is_configured=True, can_send=True),
    Command("view", "Show images, and replay runs as they happened.", is_configured=True),
    Command("open", "Open an image in the desktop's own viewer."),
    Command("history", "List past runs, newest first."),
    Command("cost", "Sum up what your runs cost."),
    Command("models", "Show the models: sizes, prices, shutdown dates.", is_configured=True),
    Command("config", "Set defaults for options, and profiles of servers."),
    Command("recover", "Save the images of runs that were interrupted."),
    Command("info", "Show how images were made, and what was made from them."),
    Command("tree", "Draw where an image came from, and what was made from it."),
    Command("strip", "Remove embedded parameters from PNG files (see gen --embed)."),
    Command("demo-server", "Serve test images as OpenAI would, for free.", is_configured=True),
    Command("help", "Show the help of a command.", place="help_command"),
)
"""In the order of the list; a short list leaves the last ones out."""
NAMES = frozenset(command.name for command in COMMANDS)
SENDING = frozenset(command.name for command in COMMANDS if command.can_send)


def named() -> frozenset[str]:
    """Find the commands that this process's command line, or the one that is being completed, can mean."""
    completed = [os.environ.get(name, "") for name in _COMPLETED_LINES]
    return NAMES & {*sys.argv[1:], *" ".join(completed).split()}


def register(app: typer.Typer, loaded: Iterable[str] = NAMES) -> None:
    """Put every command into the app, and load those that are named."""
    wanted = set(loaded)
    for command in COMMANDS:
        if command.name in wanted:
            command.register(app)
        else:
            command.announce(app)


def _unloaded() -> None:
    raise AssertionError  # pragma: no cover - a command that runs stands in the line, and so is loaded
