"""Write the README's generated parts anew: python docs/update.py.

Between `<!-- NAME -->` and `<!-- /NAME -->` stands what the real command prints: its help, and the bill of a
run against the stand-in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def generated(text: str) -> str:
    """Fill the README's generated parts."""
    for name, body in (("bill", bill()), ("options", options())):
        part = f"<!-- {name} -->\n\n```text\n{body}\n```\n\n<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->(.*?<!-- /{name} -->)?", lambda _, part=part: part, text, flags=re.DOTALL
        )
    return text


def options() -> str:
    """Print the help, without the examples, which the README has as tasks."""
    page = run("gen", "--help").stdout
    return page[page.index("The prompt:") : page.index("Exit codes:")].rstrip()


def bill() -> str:
    """Print the bill of one run with three partials."""
    lines = run("gen", "a cat", "--demo", "-m", "gpt-4o-mini", "--partials", "3").stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip().startswith("tokens in"))
    return "\n".join(line.rstrip() for line in lines[start:])


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in an empty folder, with nothing of this machine's environment."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "100"}
        command = [sys.executable, "-m", "imgcli", *args]
        return subprocess.run(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        )


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
