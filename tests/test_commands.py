"""The table of commands, which help lists without loading them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import typer
from PIL import Image

from imgcli.cli.registry import COMMANDS, build_app

if TYPE_CHECKING:
    from pathlib import Path


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


def test_an_image_is_shown_without_the_history(tmp_path: Path) -> None:
    """A file is shown at once: nothing is loaded that knows runs, or images of another format."""
    Image.new("RGB", (32, 16), "teal").save(tmp_path / "cat.png")
    code = (
        "import sys, os\n"
        "sys.argv = ['imgcli', 'view', 'cat.png']\n"
        "os._exit = lambda code: (print(*sorted(sys.modules), file=sys.stderr), sys.exit(code))\n"
        "from imgcli.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded, runs = (
        set(done.stderr.split()),
        {"imgcli.core.history", "imgcli.core.pipeline", "imgcli.store.history.db"},
    )
    assert {"PIL.PngImagePlugin"} == loaded & {*runs, "PIL.PngImagePlugin", "PIL.JpegImagePlugin"}
