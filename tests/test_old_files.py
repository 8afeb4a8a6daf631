"""Files that commit 22942bd wrote stay readable for ever; its own command left them in tests/fixtures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streams import RED, png

if TYPE_CHECKING:
    from conftest import Cli

OLD = Path(__file__).parent / "fixtures" / "22942bd"
WHERE_IT_RAN = "/tmp/imgcli-22942bd/here"  # noqa: S108 - stands in the files
LEFT_BEHIND = png(50, 60, 70)
"""The image of the run that was killed before its file had a name."""


@pytest.fixture
def old(world: dict[str, str], folder: Path) -> dict[str, str]:
    """Lay out the old files where a user has them: history and run logs at home, images in the folder."""
    shutil.copytree(OLD / "here", folder, dirs_exist_ok=True)
    data, runs = Path(world["XDG_DATA_HOME"]) / "imgcli", Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
    data.mkdir(parents=True)
    runs.mkdir(parents=True)
    shutil.copy(OLD / "history.sqlite3", data)
    for record in sorted((OLD / "runs").iterdir()):
        text = record.read_text(encoding="utf-8").replace(WHERE_IT_RAN, str(folder))
        (runs / record.name).write_text(text, encoding="utf-8")
    return world


def test_history(imgcli: Cli, old: dict[str, str]) -> None:
    """Every run of an old history is listed, with what it cost."""
    done = imgcli("history", "--json", env=old)
    rows = [json.loads(line) for line in done.lines]
    told = [(row["id"], row["prompt"], row["cost_usd"]) for row in rows]
    assert [
        (8, "a demo cat", 0.0102),
        (7, "refused", 0.0),
        (6, "lines", 0.0626),
        (5, "a red cat", 0.0626),
        (4, "with a hat", 0.0626),
        (3, "a blue cat", 0.062),
        (2, "한국어 고양이 'quoted' [bold]", 0.0626),
        (1, "a red cat", 0.0626),
    ] == [(number, prompt, round(cost, 4)) for number, prompt, cost in told]


def test_info(imgcli: Cli, old: dict[str, str]) -> None:
    """An image that an old history knows is known: its run, its model, what it was made from."""
    done = imgcli("info", "a-red-cat-edit.png", "--json", env=old)
    told = json.loads(done.stdout)
    run = told["run"]
    parents = [(parent["sha256"], parent["role"]) for parent in run["parents"]]
    assert ("history", 4, "with a hat") == (told["source"], run["id"], run["prompt"])
    assert [(hashlib.sha256(RED).hexdigest(), "original")] == parents


def test_embedded(imgcli: Cli, folder: Path) -> None:
    """What an old --embed wrote into a file is read where no history knows the file."""
    shutil.copy(OLD / "here" / "embedded.png", folder)
    done = imgcli("info", "embedded.png")
    assert "한국어 고양이 'quoted' [bold]" in done.stdout.decode()


def test_recover(imgcli: Cli, old: dict[str, str], folder: Path) -> None:
    """An old unfinished run is finished: its image is saved under the name that it was to get."""
    done = imgcli("recover", env=old)
    assert str(folder / "killed-with-its-image.png") in done.lines
    assert LEFT_BEHIND == (folder / "killed-with-its-image.png").read_bytes()


@pytest.mark.parametrize("name", ["run.sse", "lines.jsonl"])
def test_replay(imgcli: Cli, old: dict[str, str], folder: Path, name: str) -> None:
    """An old recording, and old JSON lines, can be viewed, and give the image byte for byte."""
    (folder / "saved").mkdir()
    done = imgcli("view", name, "--fast", "--save", "saved", env=old)
    assert 0 == done.exit_code, done.stderr
    expected = {"run.sse": RED, "lines.jsonl": png(7, 7, 7)}[name]
    digests = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "saved").iterdir()}
    assert hashlib.sha256(expected).hexdigest() in digests


def test_config(imgcli: Cli, world: dict[str, str]) -> None:
    """An old configuration means the same: defaults, a command's table, a profile."""
    home = Path(world["XDG_CONFIG_HOME"]) / "imgcli"
    home.mkdir(parents=True)
    shutil.copy(OLD / "config.toml", home)
    told = imgcli("config", "show", "--profile", "gateway", env={"GATEWAY_KEY": "k", "GATEWAY_TOKEN": "t"})
    shown = [line.split() for line in told.stdout.decode().splitlines()]
    values = {(line[0], line[-1]) for line in shown if line}
    assert {("model", "gpt-6-luna"), ("quality", "low"), ("speed", "4.0")} <= values
