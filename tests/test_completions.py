"""Completions, driven in the shells that people use."""

from __future__ import annotations

import json
import os
import pty
import re
import runpy
import select
import shlex
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE
from earlier import remember
from warm_shell import warm_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def env(world: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which `imgcli` is a command on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "imgcli"
    with warm_programs(world) as warm:
        command.write_text(f'#!/bin/sh\nexec "{warm}/imgcli" "$@"\n')
        command.chmod(0o755)
        yield world | {"PATH": f"{programs}:{world['PATH']}", "TERM": "xterm"}


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


SETUPS = {
    "bash": "source {folder}/imgcli.bash",
    "zsh": "autoload -Uz compinit && compinit -u -d {home}/dump; source {folder}/_imgcli",
}


@contextmanager
def interactive(shell: str, env: dict[str, str], folder: Path) -> Iterator[int]:
    """Start a shell on a terminal, in a folder and with our completions, and give that terminal."""
    program, arguments = need(shell), {"bash": ["--norc"], "zsh": ["-f"]}[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(program, [shell, *arguments, "-i"], env)
    try:
        setup = SETUPS[shell].format(folder=COMPLETIONS, home=env["HOME"])
        os.write(terminal, f"PS1='> '; {setup}; echo REA''DY\n".encode())
        wait_for(terminal, "READY\r\n")
        yield terminal
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize(
    ("line", "finished"),
    [
        ("imgcli gen --qual", "--quality"),
        pytest.param("imgcli gen --size land", "landscape", marks=pytest.mark.slow),
    ],
)
def test_zsh(line: str, finished: str, env: dict[str, str], folder: Path) -> None:
    """In zsh, Tab finishes an option's name and a value."""
    with interactive("zsh", env, folder) as terminal:
        os.write(terminal, line.encode() + b"\t")
        assert finished in wait_for(terminal, finished)


HOSTILE = [
    "$(touch RAN)",
    r"\$(touch RAN)",
    "`touch RAN`",
    r"\`touch RAN\`",
    '"; touch RAN; "',
    "'; touch RAN; '",
    "\"))'; touch RAN; ((",
    "$((`touch RAN`))",
    "${x:-$(touch RAN)}",
    "<(touch RAN)",
    "; touch RAN",
    "& touch RAN &",
    "| touch RAN",
    "(touch RAN)",
    "\ntouch RAN\n",
    ":::$(touch RAN)",
    "\t$(touch RAN)",
    "[red]$(touch RAN)",
]
"""Texts that create the file RAN where a shell runs them."""
UNQUOTED = ["$(touch RAN)", "`touch RAN`", ";touch RAN;", "&touch RAN&"]
"""What runs in a line in which it stands without quotes."""


@pytest.fixture
def hostile(env: dict[str, str], folder: Path) -> dict[str, str]:
    """A world in which whatever a shell is offered is hostile; its `imgcli` does nothing but complete."""
    for number, text in enumerate(HOSTILE):
        remember(env, prompt=f"a cat {text}")
        (folder / f"f{number:02}{text}.png").write_bytes(b"")
    (folder / "--output=RAN.png").write_bytes(b"")
    config = Path(env["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    config.parent.mkdir(parents=True)
    names = ["plain", *(f"p{n:02}{text}" for n, text in enumerate([*UNQUOTED, *HOSTILE]))]
    config.write_text(
        "\n".join(f"[profile.{json.dumps(name)}]\nmodel = {json.dumps(name)}" for name in names),
        encoding="utf-8",
    )
    command = Path(env["PATH"].split(":")[0]) / "imgcli"
    command.write_text(
        '#!/bin/sh\ntest -z "$_IMGCLI_COMPLETE" || ' + command.read_text().splitlines()[1] + "\n"
    )
    return env


@pytest.mark.parametrize("shell", ["bash", pytest.param("zsh", marks=pytest.mark.slow)])
def test_nothing_of_a_stranger_runs(shell: str, hostile: dict[str, str], folder: Path) -> None:
    """Tab, and Enter after it, run nothing out of a prompt, a file's name or a profile's name."""
    before = set(folder.iterdir())
    lines = ["imgcli info ", "imgcli gen -m ", "imgcli again f0"]
    lines += [f"imgcli gen --profile p{number:02}" for number in range(len(UNQUOTED))]
    with interactive(shell, hostile, folder) as terminal:
        os.write(terminal, b"imgcli gen --profile pl\t")
        assert "plain" in wait_for(terminal, "plain")
        for line in lines:
            os.write(terminal, b"\x15" + line.encode() + b"\t\r\x15echo DO''NE\r")
            assert "DONE\r\n" in wait_for(terminal, "DONE\r\n")
    assert before == set(folder.iterdir())


@pytest.mark.slow
def test_nothing_of_a_stranger_runs_in_fish(hostile: dict[str, str], folder: Path) -> None:
    """In fish neither; ids are offered with the words of their prompts, and profiles that need no quotes."""
    before = set(folder.iterdir())
    script = (
        f"source {COMPLETIONS / 'imgcli.fish'}\nfor line in $argv; complete -C $line; eval $line; end; true"
    )
    lines = ["imgcli info ", "imgcli gen --profile ", "imgcli gen --profile p00", "imgcli again f00"]
    done = subprocess.run(
        [need("fish"), "--no-config", "-c", script, *lines],
        env=hostile,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    offered = [row.split("\t") for row in done.stdout.splitlines()]
    assert ["1", "a cat touch RAN"] in offered, done
    assert ["plain"] in offered
    assert [] == [row for row in offered if row[0].startswith(("p0", "--output"))]
    assert before == set(folder.iterdir())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_what_others_wrote_is_reduced(shell: str, hostile: dict[str, str], folder: Path) -> None:
    """Every shell, also one that cannot be run here, gets letters, digits and harmless punctuation."""
    told = {f"_TYPER_COMPLETE_{name}": "" for name in ("WORD_TO_COMPLETE", "FISH_ACTION")}
    told |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_IMGCLI_COMPLETE": f"complete_{shell}"}
    syntax = {"zsh": "_arguments '*: :(())'\":", "powershell": ":"}.get(shell, "")
    for words in ("imgcli info ", "imgcli gen --profile "):
        count = str(words.count(" "))
        line = {"_TYPER_COMPLETE_ARGS": words, "COMP_WORDS": words, "COMP_CWORD": count}
        env, streams = hostile | told | line, {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = zygote.run(zygote.IMGCLI, PATIENCE, env=env, cwd=folder, **streams)
        offered = done.stdout.decode()
        assert (0, True) == (done.returncode, bool(offered.strip())), done.stderr
        assert set() == set(re.sub(r"[\w .,\n\t-]", "", offered)) - set(syntax), offered


def wait_for(terminal: int, text: str, seconds: float = PATIENCE) -> str:
    """Read from a shell until a text was seen, or time is up."""
    seen = ""
    deadline = time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65_536).decode(errors="replace")
    return seen
