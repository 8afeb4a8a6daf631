"""The README: everything in it is run or compared."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from flatpaint import painted_flat
from imgcli.cli.registry import build_app
from imgcli.core import catalog
from imgcli.core.errors import ExitCode
from imgcli.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


@pytest.fixture(scope="module")
def standin() -> Iterator[DemoServer]:
    """An OpenAI that answers at once."""
    with painted_flat(), DemoServer(pace=0) as server:
        yield server


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_every_command_works(block: str, standin: DemoServer, world: dict[str, str], folder: Path) -> None:
    """Each command of the README does what it says, one after the other, in an empty folder."""
    (folder / "prompt.txt").write_text("a cat, from a file\n")
    (folder / "run").write_text(
        f'imgcli() {{ "{sys.executable}" -m imgcli "$@"; }}\nset -e -o pipefail\n{block}'
    )
    env = world | {"OPENAI_BASE_URL": standin.base_url}
    done = subprocess.run(
        ["bash", "run"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr


def test_generated_parts_are_current() -> None:
    """The help and the bill in the README are what the command prints today."""
    generated = runpy.run_path(str(ROOT / "docs" / "update.py"))["generated"]
    with painted_flat():
        assert README == generated(README)


PROMISED = 'imgcli gen "a cat" --model gpt-4o-mini'
"""The one command that names a model which goes soon."""
DEFAULT = "[default: gpt-4o-mini; from 2027-01-14 gpt-6-luna]"
"""What the help says of the default, which changes by itself."""


def test_examples_name_models_that_stay() -> None:
    """No example in README, help or configuration names a model that dies within a year of the catalog."""
    models = catalog.load()
    commands: Any = typer.main.get_group(build_app()).commands
    pages = [f"{one.help}\n{one.epilog}\n{_helps(one)}" for one in commands.values()]
    example = (ROOT / "src" / "imgcli" / "cli" / "config_example.toml").read_text(encoding="utf-8")
    text = " ".join(" ".join([README, example, *pages]).split())
    text = re.sub(re.escape(PROMISED) + r"(?= #|$|`|\n)", "", text).replace(DEFAULT, "")
    last = models.prices_date + timedelta(days=365)
    going = {name for one in models.models if one.is_gone(last) for name in (one.name, *one.aliases)}
    named = set(re.findall(r"[A-Za-z0-9][\w.-]*\w", text))
    assert "gpt-image-2" in named
    assert set() == named & going


def _helps(command: Any) -> str:
    return " ".join(getattr(one, "help", None) or "" for one in command.params)


def test_the_table_of_exit_codes() -> None:
    """The README's table of exit codes is complete, in order, with the kinds' own names."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", README, flags=re.MULTILINE)
    assert [(str(int(code)), code.kind) for code in ExitCode] == rows


def test_the_table_of_json_lines(standin: DemoServer, world: dict[str, str], folder: Path) -> None:
    """The README names the keys of each kind of line, in their order."""
    env = world | {"OPENAI_BASE_URL": standin.base_url}
    command = [sys.executable, "-m", "imgcli", "gen", "a cat", "--jsonl"]
    good = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    bad = subprocess.run(
        [*command, "--size", "1x1"], cwd=folder, env=env, stdout=subprocess.PIPE, check=False
    )
    lines = [json.loads(line) for line in (good.stdout + bad.stdout).splitlines()]
    rows = {
        kind: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", keys))
        for kind, keys in re.findall(r"^\| (partial|completed|error) \| (.*) \|$", README, flags=re.MULTILINE)
    }
    assert rows == {"partial": list(lines[0]), "completed": list(lines[3]), "error": list(lines[4])}


def test_files_it_speaks_of_exist() -> None:
    """Every file that the README links to or names is there."""
    named = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"completions/\S+\.\w+", README)
    assert [] == [name for name in named if not (ROOT / name).exists()]


def test_tasks_use_programs_that_the_gate_has() -> None:
    """The README's commands need nothing that is not checked for."""
    programs = {word for line in COMMANDS for word in re.findall(r"(?:^|\| )(\w+)", line)}
    assert {"f"} | {
        name for name in programs if name in {"imgcli", "test", "echo"} or shutil.which(name)
    } >= programs
