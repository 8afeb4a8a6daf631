"""Write everything generated in the documentation anew: python docs/update.py.

That is docs/options.md, the manual page docs/imgcli.1, and in other pages what is between `<!-- NAME -->` and
`<!-- /NAME -->`: what the real command prints (the bill of a run against the demo server, a story of
several runs), and the map of the source files.
"""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.demo.server import DemoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))  # also when a test loads this file

from reference import manual, markdown  # noqa: E402

DOCS = ROOT / "docs"


def pages() -> dict[Path, str]:
    """Return every page that is generated, or has generated parts, with the text that it should have."""
    parts = [ROOT / "README.md", DOCS / "cost.md", DOCS / "architecture.md"]
    filled = {page: fill(page.read_text(encoding="utf-8")) for page in parts}
    return {DOCS / "options.md": markdown(), DOCS / "imgcli.1": manual(), **filled}


def fill(page: str) -> str:
    """Fill a page's generated parts."""
    for name, generate in {"bill": bill, "story": story, "batch": batch, "map": source_map}.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in page:
            before, after = page[: page.index(start)], page[page.index(end) + len(end) :]
            page = f"{before}{start}\n\n```text\n{generate()}\n```\n\n{end}{after}"
    return page


STORY = (
    'imgcli gen "a cat on a roof" -m gpt-6-luna -q',
    'imgcli edit a-cat-on-a-roof.png "make it night" -q',
    'imgcli edit a-cat-on-a-roof-edit.png "add a moon" -q',
    "imgcli tree a-cat-on-a-roof.png",
    "imgcli again a-cat-on-a-roof.png --quality high --estimate -q",
    "imgcli cost --by model",
)
"""An image, edited twice, generated once more, and what all of it cost."""
_SHOWN_HOME = "/home/you"
_PATIENCE = 300  # seconds
run = subprocess.run
"""What runs a command; tests put a faster way in its place."""


def story() -> str:
    """Run the story against the demo server; return each command and what it printed, on both streams."""
    with tempfile.TemporaryDirectory() as home, DemoServer(pace=0, marked=False) as server:
        env = clean_environment(home) | {"OPENAI_BASE_URL": server.base_url}
        return "\n".join(transcript(line, home, env) for line in STORY)


ROWS = """\
prompt,size,output
a cat on a roof,16:9,roof.png
"a cat, asleep",square,asleep.webp
a cat in the rain,portrait,rain.png
"""
"""A batch file; its plan is the README's."""


def batch() -> str:
    """Return a batch file, and what the command would send of it."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "cats.csv").write_text(ROWS, encoding="utf-8")
        env = clean_environment(home)
        planned = transcript("imgcli batch cats.csv -m gpt-image-2 --quality low --dry-run", home, env)
    return f"$ cat cats.csv\n{ROWS}{planned}"


def transcript(line: str, home: str, env: dict[str, str]) -> str:
    """Run one command as a shell would; return it with what it printed."""
    command = [sys.executable, "-m", *shlex.split(line)]
    done = run(
        command,
        cwd=home,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE,
    )
    done.check_returncode()
    printed = done.stdout.decode().replace(os.path.realpath(home), _SHOWN_HOME).replace(home, _SHOWN_HOME)
    return f"$ {line}\n{printed}".rstrip()


def bill() -> str:
    """Return the bill of one run with three partial images."""
    with tempfile.TemporaryDirectory() as home, DemoServer(pace=0) as server:
        env = clean_environment(home) | {"OPENAI_BASE_URL": server.base_url}
        lines = transcript('imgcli gen "a cat" -m gpt-6-luna --partials 3', home, env).splitlines()
    start = next(number for number, line in enumerate(lines) if line.lstrip().startswith("tokens in"))
    return "\n".join(line.rstrip() for line in lines[start:-1])


def source_map() -> str:
    """Return the source files, folder by folder, each with the first line of its docstring."""
    source = ROOT / "src" / "imgcli"
    folders = [source, *sorted(path for path in source.rglob("*") if (path / "__init__.py").exists())]
    return "\n\n".join("\n".join(_folder(folder, source)) for folder in folders)


def _folder(folder: Path, source: Path) -> Iterator[str]:
    name = f"{folder.relative_to(source)}/" if folder != source else "imgcli/"
    yield f"{name:<26}{_first_line(folder / '__init__.py')}"
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            yield f"    {file.name:<22}{_first_line(file)}"


def _first_line(module: Path) -> str:
    return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def clean_environment(home: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine's is left."""
    return {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "100"}


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
