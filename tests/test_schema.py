"""`imgcli schema` and `imgcli skill`: what programs and agents are told of our output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from imgcli.core.errors import ExitCode
from imgcli.demo.server import DemoServer
from imgcli.output.json_schema import OUTPUTS, all_schemas, schema_of
from test_config import config_of

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli

CHEAP = ("--size", "816x816", "--quality", "low")


def strict(name: str) -> Draft202012Validator:
    """Return a validator that takes no key that the schema does not name, so that none is forgotten."""
    schema = schema_of(name)
    for one in schema["$defs"].values():
        if one.get("properties"):
            one["additionalProperties"] = False
    return Draft202012Validator(schema)


def check(name: str, output: bytes) -> list[Any]:
    """Validate what a command printed; return it."""
    found = list(map(json.loads, output.splitlines())) if OUTPUTS[name].is_lines else [json.loads(output)]
    assert found, name
    for one in found:
        faults = [f"{error.json_path}: {error.message[:300]}" for error in strict(name).iter_errors(one)]
        assert [] == faults, (name, one)
    return found


def test_what_is_printed_fits(imgcli: Cli, world: dict[str, str], folder: Path) -> None:
    """Everything that a command prints for programs is as its schema says, and has no key beside."""
    path = config_of(world)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '[preset.p]\nprompt = "a {prompt}"\nsize = "816x816"\n'
        '[profile.w]\nbase-url = "https://example.com/v1"\nkey-command = ["a"]\nimages-path = "/i"\n'
        'headers = { x-a = "b", x-b = "env:B" }\n'
    )
    (folder / "rows.jsonl").write_text('{"prompt": "a", "id": "r", "size": "816x816"}\n')
    statuses = [
        line["status"]
        for typed in (
            ["gen", "a cat", "--partials", "1", "-o", "a.png", "--embed"],
            ["edit", "a.png", "a hat", "-m", "gpt-image-2", "--preset", "p"],
            ["batch", "rows.jsonl"],
            ["gen", "a cat", "--size", "3x3"],
        )
        for line in check("jsonl", imgcli(*typed, "--demo", "--jsonl", *CHEAP[:-4]).stdout)
    ]
    assert {"partial", "completed", "error"} == set(statuses)
    (folder / "rows.jsonl").write_text('{"prompt": "b", "model": "gpt-image-2"}\n')
    for name, typed in {
        "history": ["history", "--json"],
        "info": ["info", "a.png", "last", "--json"],
        "tree": ["tree", "last", "--json"],
        "verify": ["verify", "a.png", "--json", "--online", "--demo"],
        "cost": ["cost", "--by", "model", "--json"],
        "models": ["models", "--all", "--json"],
        "doctor": ["doctor", "--offline", "--json"],
        "config": ["config", "show", "--profile", "w", "--json"],
        "batch-plan": ["batch", "rows.jsonl", "--dry-run", "--jsonl"],
        "request": ["again", "last", "--dry-run"],
    }.items():
        check(name, imgcli(*typed).stdout)


_SUBMITTING = {
    "batch-submitted": ["batch", "rows.txt", "--later", "--jsonl", *CHEAP],
    "batch-status": ["batch", "status", "--json"],
    "jsonl": ["gen", "x", "--completion-window", "2h", "--jsonl", "-m", "gpt-6-luna", *CHEAP],
}


def test_what_is_submitted_fits(imgcli: Cli, folder: Path) -> None:
    """So are the lines about batches and images that are made later."""
    (folder / "rows.txt").write_text("a cat\n")
    with DemoServer(pace=0) as demo:
        env = {"OPENAI_BASE_URL": demo.base_url}
        found = {name: check(name, imgcli(*typed, env=env).stdout) for name, typed in _SUBMITTING.items()}
    assert "queued" == found["jsonl"][0]["status"]


def test_the_command(imgcli: Cli) -> None:
    """Without a name all schemas come, each one valid, and every kind of error; a wrong name is told."""
    document = json.loads(imgcli("schema").stdout)
    assert (1, set(OUTPUTS)) == (document["version"], set(document["outputs"]))
    assert json.loads(json.dumps(all_schemas())) == document
    for one in document["outputs"].values():
        Draft202012Validator.check_schema(one["schema"])
    kinds = {one["kind"]: one["exit_code"] for one in document["error_kinds"]}
    assert {code.kind: int(code) for code in ExitCode if code} | {"interrupted": None} == kinds
    assert document["outputs"]["cost"]["schema"] == json.loads(imgcli("schema", "cost").stdout)
    wrong = imgcli("schema", "costs")
    assert (2, True) == (wrong.exit_code, "Did you mean cost?" in wrong.stderr)


@pytest.mark.parametrize("there", [[], [".claude", ".codex"]])
def test_the_skill(imgcli: Cli, folder: Path, there: list[str]) -> None:
    """It is printed, or installed for the agents that are there; what somebody changed is not replaced."""
    text = imgcli("skill").stdout
    assert text.startswith(b"---\nname: imgcli\ndescription: ")
    home = folder / "home"
    for name in there:
        (home / name).mkdir(parents=True)
    env = {"HOME": str(home)}
    done = imgcli("skill", "--install", env=env)
    files = [home / name / "skills" / "imgcli" / "SKILL.md" for name in there or [".agents"]]
    assert (0, list(map(str, files))) == (done.exit_code, done.lines)
    assert {text} == {file.read_bytes() for file in files}
    files[0].write_text("mine")
    refused = imgcli("skill", "--install", env=env)
    assert (2, "mine", True) == (refused.exit_code, files[0].read_text(), "--force" in refused.stderr)
    assert 0 == imgcli("skill", "--install", "--force", env=env).exit_code
    assert text == files[0].read_bytes()
    assert 0 == imgcli("skill", "--install", "--folder", "here").exit_code
    assert (folder / "here" / "imgcli" / "SKILL.md").exists()


def test_the_skills_commands_exist(imgcli: Cli) -> None:
    """Every command in the instructions is one that can be parsed."""
    lines = imgcli("skill").stdout.decode().splitlines()
    commands = [line.split() for line in lines if line.startswith("    imgcli ")]
    assert 5 <= len(commands)
    names = {words[1] for words in commands}
    listed = imgcli("help").stdout.decode()
    assert [] == [name for name in names if f" {name} " not in listed]
