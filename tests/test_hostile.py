"""Whatever a file, the environment or the history holds, a terminal is never told to obey it."""

from __future__ import annotations

import os
import pty
import sqlite3
import unicodedata
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zygote
from beside import PATIENCE
from earlier import remember
from imgcli.core.embedded import EmbeddedParameters, embed
from imgcli.core.history import Parent, Role
from imgcli.core.params import PARAMETERS
from streams import BLUE, RED, whole_run

if TYPE_CHECKING:
    from collections.abc import Sequence

EVIL = "x\x1b]0;evil\x07\x1b[31m\x9b31m\u202e\x85\u2028\x7f"
"""A title, a colour in two ways, text from right to left, line breaks of all kinds."""
NAME = f"{EVIL}.png"
OBEYED = {"Cc", "Cf", "Zl", "Zp"}


def shown(world: dict[str, str], folder: Path, *args: str) -> str:
    """Run a command whose output is a terminal that knows no colours, and give what it was sent."""
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with zygote.start(
        [*zygote.IMGCLI, *args], cwd=folder, env=world | {"TERM": "dumb"}, **streams
    ) as process:
        os.close(theirs)
        told = b""
        with suppress(OSError):  # a terminal that nobody has open any more
            while piece := os.read(ours, 65_536):
                told += piece
        process.wait(PATIENCE)
    os.close(ours)
    return told.decode(errors="surrogateescape").replace("\r\n", "\n")


def obeyed(text: str) -> set[str]:
    """Find what a terminal would obey instead of showing it."""
    return {letter for letter in text if unicodedata.category(letter) in OBEYED} - {"\n", "\u200c", "\u200d"}


@pytest.fixture
def hostile(world: dict[str, str], folder: Path) -> Path:
    """A folder with files and a history in which every text is hostile."""
    texts = {
        name: EVIL for name in EmbeddedParameters.__dataclass_fields__ if name not in ("options", "parents")
    }
    options = {one.name: EVIL for one in PARAMETERS if one.type is not int}
    recipe = EmbeddedParameters(**texts, options=options, parents=(EVIL,))  # type: ignore[arg-type]
    (folder / "recipe.png").write_bytes(embed(RED, recipe))
    (folder / NAME).write_bytes(RED)
    (folder / "run.sse").write_bytes(whole_run().replace(b"ig_1", b"\\u001b]0;evil"))
    remember(world, (RED, folder / NAME), parents=(Parent("a" * 64, Role.REFERENCE),))
    remember(world, (BLUE, folder / "other.png"))
    (path,) = Path(world["XDG_DATA_HOME"], "imgcli").glob("*.sqlite*")
    with closing(sqlite3.connect(path)) as books, books:
        for table, columns in {
            "runs": "endpoint outcome charged prices_date prices_from model image_model response_id prompt"
            " message",
            "pictures": "format revised_prompt",
            "parents": "sha256 role",
            "charges": "part model",
        }.items():
            for column in columns.split():
                books.execute(f"UPDATE {table} SET {column} = ?", (EVIL,))  # noqa: S608 - names of ours
        books.execute("UPDATE pictures SET sha256 = ?, path = ? WHERE run = 2", (EVIL, EVIL))
    return folder


COMMANDS = [
    ["info", "recipe.png", NAME, "1", "2", EVIL],
    ["info", "recipe.png", "1", "2", "--json"],
    ["history"],
    ["history", "--json"],
    ["history", EVIL],
    ["tree", "1"],
    ["tree", NAME],
    ["cost"],
    ["again", "recipe.png", "--dry-run", "--base-url", "http://127.0.0.1:9/v1"],
    ["again", "1", "--dry-run", "--base-url", "http://127.0.0.1:9/v1"],
    ["edit", NAME, EVIL, "--dry-run", "--base-url", "http://127.0.0.1:9/v1"],
    ["view", NAME, "run.sse", EVIL],
    ["strip", NAME, EVIL],
    ["gen", EVIL, "--demo", "-o", f"{EVIL}/{EVIL}"],
    ["gen", EVIL, "-m", EVIL, "--dry-run", "--base-url", "http://127.0.0.1:9/v1"],
    ["gen", "x", f"--{EVIL}"],
    [EVIL],
    ["recover", EVIL],
    ["config", "show", "--profile", EVIL],
]


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(args[:2]).replace(EVIL, "EVIL"))
def test_what_files_and_the_history_hold(args: Sequence[str], hostile: Path, world: dict[str, str]) -> None:
    """No command obeys a text out of a file, its name, a recipe, the history or its own arguments."""
    text = shown(world, hostile, *args)
    assert text
    assert set() == obeyed(text), text


VARIABLES = [
    "HOME",
    "IMGCLI_CONFIG",
    "IMGCLI_PREVIEW",
    "IMGCLI_PROFILE",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
]


LIKE_OTHERS = {"OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}
"""Read and shown as the key and the home are."""


@pytest.mark.parametrize(
    "variable",
    [pytest.param(one, marks=[pytest.mark.slow] if one in LIKE_OTHERS else []) for one in VARIABLES],
)
def test_what_the_environment_holds(variable: str, world: dict[str, str], folder: Path) -> None:
    """No command obeys a text out of a variable."""
    paths = ("HOME", "XDG_", "IMGCLI_CONFIG", "SSL_")
    value = str(folder / EVIL) if variable.startswith(paths) else f"http://{EVIL}"
    env = {name: told for name, told in world.items() if variable != "HOME" or not name.startswith("XDG_")}
    env = env | {"OPENAI_BASE_URL": "https://127.0.0.1:9/v1", variable: value}
    if variable.startswith(("HOME", "XDG_")):
        Path(value).mkdir()
    for args in (
        ["config", "path"],
        ["config", "init"],
        ["config", "show"],
        ["gen", "x", "--dry-run"],
        ["gen", "x", "--timeout", "1"],
        ["history"],
        ["recover"],
    ):
        text = shown(env, folder, *args)
        assert set() == obeyed(text), (args, text)
