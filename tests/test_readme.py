"""The README and the pages of docs/: everything in them is run or compared."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from PIL import Image

import zygote
from flatpaint import painted_flat
from imgcli.cli.registry import COMMANDS, build_app
from imgcli.core import catalog
from imgcli.core.errors import ExitCode
from imgcli.demo.server import DemoServer
from warm_shell import run_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))}
README = PAGES[ROOT / "README.md"]
BLOCKS = [
    pytest.param(
        block,
        id=f"{page.stem}: {block.splitlines()[0][:40]}",
        marks=[] if page.stem == "README" else [pytest.mark.slow],
    )
    for page, text in PAGES.items()
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
]


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    """An OpenAI that answers at once."""
    with painted_flat(), DemoServer(pace=0) as server:
        yield server


def prepare(block: str, folder: Path) -> None:
    """Make the files that a block of commands reads and does not make itself."""
    (folder / "prompt.txt").write_text("a cat, from a file\n")
    for name in ("cat.png", "sea.png", "mask.png", "style.jpg", "dog.webp"):
        if f"-o {name}" not in block:
            Image.new("RGBA" if name == "mask.png" else "RGB", (64, 64)).save(folder / name)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_command_works(block: str, demo: DemoServer, world: dict[str, str], folder: Path) -> None:
    """Each block of commands does what it says, one after the other."""
    prepare(block, folder)
    done = run_script(block, world | {"OPENAI_BASE_URL": demo.base_url}, folder)
    assert 0 == done.returncode, done.stderr


def test_commands_use_programs_that_the_gate_has() -> None:
    """The commands need nothing that is not checked for."""
    lines = [line for block in BLOCKS for line in str(block.values[0]).splitlines()]
    programs = {word for line in lines for word in re.findall(r"(?:^|[|&] )(\w+)", line)}
    shells_own = {"f", "test", "echo", "imgcli"}
    assert shells_own | {name for name in programs if shutil.which(name)} >= programs


def test_the_readme_is_a_shop_window() -> None:
    """The README is short, shows the real thing first, and links to every page."""
    assert 250 >= len(README.splitlines())
    assert README.splitlines()[2].startswith("![")
    linked = set(re.findall(r"\]\((docs/\w[\w-]*\.md)\)", README))
    assert linked == {f"docs/{page.name}" for page in PAGES if page.parent == DOCS}


def test_generated_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that docs/update.py writes is what it would write today."""
    pages = runpy.run_path(str(DOCS / "update.py"))["pages"]
    monkeypatch.setitem(pages.__globals__, "run", run_warm)
    with painted_flat():
        expected = pages()
    stale = [page.name for page, text in expected.items() if text != page.read_text(encoding="utf-8")]
    assert [] == stale, "run python docs/update.py"


def run_warm(command: list[str], env: dict[str, str], **popen: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command as `subprocess.run` does, as a fork."""
    return zygote.run(command, env=zygote.ENV | env, **popen)


PROMISED = 'imgcli gen "a cat" --model gpt-4o-mini'
"""The one command that names a model which goes soon."""
DEFAULT = "gpt-4o-mini; from 2027-01-14 gpt-6-luna"
"""What the help says of the default, which changes by itself."""


def test_examples_name_models_that_stay() -> None:
    """No example anywhere names a model that is shut down within a year of the catalog."""
    models = catalog.load()
    commands: Any = typer.main.get_group(build_app()).commands
    pages = [f"{one.help}\n{one.epilog}\n{_helps(one)}" for one in commands.values()]
    example = (ROOT / "src" / "imgcli" / "cli" / "config_example.toml").read_text(encoding="utf-8")
    text = " ".join(" ".join([*PAGES.values(), example, *pages]).split())
    text = re.sub(re.escape(PROMISED) + r"(?= #|$|`|\n)", "", text).replace(DEFAULT, "")
    last = models.prices_date + timedelta(days=365)
    going = {name for one in models.models if one.is_gone(last) for name in (one.name, *one.aliases)}
    named = set(re.findall(r"[A-Za-z0-9][\w.-]*\w", text))
    assert "gpt-image-2" in named
    assert set() == named & going


def _helps(command: Any) -> str:
    return " ".join(getattr(one, "help", None) or "" for one in command.params)


def test_the_table_of_exit_codes() -> None:
    """The table of exit codes is complete, in order, with the kinds' own names."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGES[DOCS / "exit-codes.md"], flags=re.MULTILINE)
    assert [(str(int(code)), code.kind) for code in ExitCode] == rows


def test_the_table_of_json_lines(demo: DemoServer, imgcli: Cli) -> None:
    """The page names the keys of each kind of line, in their order."""
    env = {"OPENAI_BASE_URL": demo.base_url}
    good, bad = (imgcli("gen", "a cat", "--jsonl", *more, env=env) for more in ([], ["--size", "1x1"]))
    lines = [json.loads(line) for line in good.lines + bad.lines]
    text = PAGES[DOCS / "jsonl.md"]
    rows = {
        kind: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", keys))
        for kind, keys in re.findall(r"^\| (partial|completed|error) \| (.*) \|$", text, flags=re.MULTILINE)
    }
    assert rows == {"partial": list(lines[0]), "completed": list(lines[3]), "error": list(lines[4])}


def test_links_lead_somewhere() -> None:
    """Every file and heading that a page links to is there."""
    missing = [
        f"{page.name}: {target}"
        for page, text in PAGES.items()
        for target in re.findall(r"\]\(([^):]+)\)", text)
        if not leads_somewhere(page, target)
    ]
    assert [] == missing


def leads_somewhere(page: Path, target: str) -> bool:
    """Return whether a link's file exists and has the heading."""
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    headings = [] if not anchor else re.findall(r"^#+ (.+)$", PAGES[file], flags=re.MULTILINE)
    return file.exists() and (not anchor or anchor in {one.lower().replace(" ", "-") for one in headings})


def test_the_example_of_a_configuration_works(imgcli: Cli, world: dict[str, str]) -> None:
    """The configuration that the page shows is one that imgcli reads."""
    text = re.findall(r"```toml\n(.*?)```", PAGES[DOCS / "configuration.md"], flags=re.DOTALL)[0]
    path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for profile in tomllib.loads(text)["profile"]:
        assert 0 == imgcli("config", "show", "--profile", profile).exit_code


INTERNAL = {"IMGCLI_IMAGE", "OPENAI_ADMIN_KEY"}
"""Variables of the source that nobody sets for us: one for PowerShell, and one that is only hidden."""


def test_the_table_of_environment_variables() -> None:
    """Every environment variable of ours, and of OpenAI's, that the program reads is in the table."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r"\"((?:IMGCLI|OPENAI)_[A-Z_]+)\"", source)) - INTERNAL
    table = re.findall(r"^\| (`[A-Z_`, ]+`) \|", PAGES[DOCS / "configuration.md"], flags=re.MULTILINE)
    told = set(re.findall(r"\w+", " ".join(table)))
    assert read == {name for name in told if name.startswith(("IMGCLI_", "OPENAI_"))}


MANUAL = DOCS / "imgcli.1"


def test_the_manual_page_has_every_command_and_option() -> None:
    """The manual page has its sections in the usual order, every command and every option."""
    text = MANUAL.read_text(encoding="ascii")
    sections = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS"]
    sections += ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"]
    assert sections == re.findall(r"^\.SH (.+)$", text, flags=re.MULTILINE)
    plain = re.sub(r"\\f[BIR]|\\&", "", text).replace("\\-", "-")
    assert [] == [one.name for one in COMMANDS if f".SS imgcli {one.name}\n" not in plain]
    commands: Any = typer.main.get_group(build_app()).commands
    options = {name for one in commands.values() for option in one.params for name in option.opts}
    named = set(re.findall(r"(?<![\w-])--?\w[\w-]*", plain))
    assert set() == {name for name in options if name.startswith("-")} - named
    macros = {"TH", "SH", "SS", "PP", "TP", "IP", "nf", "fi", "nh", "ad"}
    assert macros == set(re.findall(r"^\.(\w+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    "linter",
    [
        ["groff", "-man", "-Tutf8", "-ww", "-z"],
        ["mandoc", "-T", "lint", "-W", "error"],
        ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"],
    ],
    ids=lambda command: str(command[0]),
)
def test_the_manual_page_is_valid(linter: list[str], world: dict[str, str]) -> None:
    """What checks manual pages finds nothing, where it is installed."""
    if shutil.which(linter[0]) is None:
        pytest.skip(f"{linter[0]} is not installed")
    done = subprocess.run([*linter, str(MANUAL)], env=world, capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("text", "markdown", "roff"),
    [
        ("a|b <c> *d* _e_ `f`", r"a\|b \<c\> \*d\* \_e\_ \`f\`", r"a|b <c> *d* _e_ \(gaf\(ga"),
        (".SH \\n 'x'", r".SH \\n 'x'", r"\&.SH \en \(aqx\(aq"),
        ("'-q' ~ ^", r"'-q' \~ ^", r"\(aq\-q\(aq \(ti \(ha"),
        ("naïve", "naïve", r"na\[u00EF]ve"),
    ],
)
def test_text_of_help_is_escaped(text: str, markdown: str, roff: str, reference: dict[str, Any]) -> None:
    """Help text with signs of Markdown or roff in it stays text in both."""
    assert (markdown, roff) == (reference["_markdown"](text), reference["_roff"](text))


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """What docs/reference.py defines."""
    return runpy.run_path(str(DOCS / "reference.py"))


def test_the_wheel_has_manual_and_completions() -> None:
    """The manual page and the completions go where shells and `man` look for them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {
        "docs/imgcli.1": "share/man/man1/imgcli.1",
        "completions/imgcli.bash": "share/bash-completion/completions/imgcli",
        "completions/_imgcli": "share/zsh/site-functions/_imgcli",
        "completions/imgcli.fish": "share/fish/vendor_completions.d/imgcli.fish",
    }
    assert [] == [name for name in shared if not (ROOT / name).is_file()]
    assert (ROOT / "completions" / "_imgcli").read_text().startswith("#compdef imgcli\n")
