"""Write the README's generated parts anew: python docs/update.py.

Between `<!-- NAME -->` and `<!-- /NAME -->` stands what the real command prints: its help, the bill of a run
against the stand-in, and a story of several runs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from imgcli.standin.server import StandIn

README = Path(__file__).resolve().parent.parent / "README.md"


def generated(text: str) -> str:
    """Fill the README's generated parts."""
    for name, body in (("bill", bill()), ("story", story()), ("options", options())):
        part = f"<!-- {name} -->\n\n```text\n{body}\n```\n\n<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->(.*?<!-- /{name} -->)?", lambda _, part=part: part, text, flags=re.DOTALL
        )
    return text


STORY = (
    'imgcli gen "a cat on a roof" -m gpt-6-luna -q',
    'imgcli edit a-cat-on-a-roof.png "make it night" -q',
    'imgcli edit a-cat-on-a-roof-edit.png "add a moon" -q',
    "imgcli tree a-cat-on-a-roof.png",
    "imgcli again a-cat-on-a-roof.png --quality high --estimate -q",
    "imgcli cost --by model",
)
"""A picture, changed twice, made once more, and what all of it cost."""
_SHOWN_HOME = "/home/you"


def story() -> str:
    """Tell the story against the stand-in: each command and what it printed, on both streams."""
    with tempfile.TemporaryDirectory() as home, StandIn(pace=0, marked=False) as server:
        env = surroundings(home) | {"OPENAI_BASE_URL": server.base_url}
        return "\n".join(scene(line, home, env) for line in STORY)


def scene(line: str, home: str, env: dict[str, str]) -> str:
    """Run one command as a shell would, and show it with what it printed."""
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(
        command,
        cwd=home,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    printed = done.stdout.replace(os.path.realpath(home), _SHOWN_HOME).replace(home, _SHOWN_HOME)
    return f"$ {line}\n{printed}".rstrip()


def options() -> str:
    """Print the help, without the examples, which the README has as tasks."""
    page = run("gen", "--help").stdout
    return page[page.index("The prompt:") : page.index("Exit codes:")].rstrip()


def bill() -> str:
    """Print the bill of one run with three partials."""
    lines = run("gen", "a cat", "--demo", "-m", "gpt-6-luna", "--partials", "3").stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip().startswith("tokens in"))
    return "\n".join(line.rstrip() for line in lines[start:])


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in an empty folder, with nothing of this machine's environment."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "imgcli", *args]
        return subprocess.run(
            command,
            cwd=folder,
            env=surroundings(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )


def surroundings(home: str) -> dict[str, str]:
    """Give an environment in which nothing of this machine's is left."""
    return {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "100"}


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
