"""The table of commands, which help lists without loading them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import typer

from imgcli.cli.registry import COMMANDS, build_app


def test_the_list_says_what_each_command_says_of_itself() -> None:
    """A command's line in the list is the first one of its own help."""
    group: Any = typer.main.get_group(build_app())
    own = {name: (command.help or "").partition("\n")[0] for name, command in group.commands.items()}
    assert {command.name: command.line for command in COMMANDS} == own


def test_the_list_is_told_whole() -> None:
    """No line in the list of commands is cut short."""
    done = subprocess.run(
        [sys.executable, "-m", "imgcli", "--help"], capture_output=True, text=True, check=True
    )
    listed = done.stdout[done.stdout.index("Commands:") :]
    assert [] == [command.line for command in COMMANDS if command.line not in listed]


def test_help_loads_no_command() -> None:
    """The list costs what Typer costs: no command's module is loaded for it."""
    code = (
        "import sys; sys.argv = ['imgcli', '--version']\n"
        "from imgcli.cli import app\n"
        "app.build_app(app.registry.named())\n"
        "print(*[name for name in sys.modules if name.startswith('imgcli.cli.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set() == loaded & {f"imgcli.cli.commands.{command.module}" for command in COMMANDS}
