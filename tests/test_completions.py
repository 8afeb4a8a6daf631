"""Completions, driven in the shells that people use."""

from __future__ import annotations

import os
import pty
import re
import runpy
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beside import PATIENCE

COMPLETIONS = Path(__file__).parent.parent / "completions"


def need(program: str) -> str:
    """Find a shell; where CI can install it, its absence is a failure."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing; .ci/run installs it")
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture
def env(world: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which `imgcli` is a command on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "imgcli"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m imgcli "$@"\n')
    command.chmod(0o755)
    return world | {"PATH": f"{programs}:{world['PATH']}", "TERM": "xterm"}


@pytest.mark.parametrize("name", ["imgcli.bash", "_imgcli", "imgcli.fish", "imgcli.ps1"])
def test_the_scripts_are_current(name: str) -> None:
    """The scripts in completions/ are what completions/update.py writes."""
    scripts = runpy.run_path(str(COMPLETIONS / "update.py"))["scripts"]()
    assert scripts[name] == (COMPLETIONS / name).read_text(encoding="utf-8")


CASES = [
    ("imgcli ", {"gen", "demo-server"}),
    ("imgcli gen --qual", {"--quality"}),
    ("imgcli gen 'a cat' --quality ", {"auto", "low", "medium", "high", "xhigh", "max"}),
    ("imgcli gen -m gpt-image-2.6", {"gpt-image-2.6-sunburst", "gpt-image-2.6-flare"}),
    ("imgcli gen --format ", {"png", "jpeg", "webp", "gif", "svg"}),
    ("imgcli gen --size land", {"landscape"}),
    ("imgcli gen --preview o", {"off"}),
]


@pytest.mark.parametrize(("line", "offered"), CASES, ids=[line for line, _ in CASES])
def test_bash(line: str, offered: set[str], env: dict[str, str]) -> None:
    """In bash, Tab offers commands, options and their values."""
    typed = re.findall(r"'[^']*'|\S+", line) + [""] * line.endswith(" ")
    script = (
        f"source {COMPLETIONS / 'imgcli.bash'}\n"
        f"COMP_WORDS=({shlex.join(typed)})\n"
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "_imgcli_completion imgcli\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [need("bash"), "-c", script, "bash", line],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert offered <= set(done.stdout.split()), done


@pytest.mark.parametrize(("line", "offered"), CASES, ids=[line for line, _ in CASES])
def test_fish(line: str, offered: set[str], env: dict[str, str]) -> None:
    """In fish, Tab offers the same, with what each is for."""
    script = f"source {COMPLETIONS / 'imgcli.fish'}; complete -C $argv[1]"
    done = subprocess.run(
        [need("fish"), "--no-config", "-c", script, line],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert offered <= {row.split("\t")[0] for row in done.stdout.splitlines()}, done


@pytest.mark.parametrize(
    ("line", "finished"), [("imgcli gen --qual", "--quality"), ("imgcli gen --size land", "landscape")]
)
def test_zsh(line: str, finished: str, env: dict[str, str], tmp_path: Path) -> None:
    """In zsh, Tab finishes an option's name and a value."""
    setup = (
        f"PS1='> '; autoload -Uz compinit && compinit -u -d {tmp_path}/dump; "
        f"source {COMPLETIONS / '_imgcli'}; echo READY\n"
    )
    zsh = need("zsh")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(zsh, ["zsh", "-f", "-i"], env)
    try:
        os.write(terminal, setup.encode())
        wait_for(terminal, "READY\r\n")
        os.write(terminal, line.encode() + b"\t")
        assert finished in wait_for(terminal, finished)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def wait_for(terminal: int, text: str, seconds: float = PATIENCE) -> str:
    """Read from a shell until a text was seen, or time is up."""
    seen = ""
    deadline = time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65_536).decode(errors="replace")
    return seen
