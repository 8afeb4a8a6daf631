"""`imgcli schema` and `imgcli skill`: JSON Schemas of all JSON output, and instructions for coding agents."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context


_NAME_LENGTH = 60


def _names(incomplete: str) -> list[str]:
    from imgcli.output.json_schema import OUTPUTS

    return [name for name in OUTPUTS if name.startswith(incomplete)]


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="One of them: jsonl, history, info, tree, verify, cost, models, doctor, config, batch-plan, "
        "batch-submitted, batch-status or request.",
        show_default=False,
        autocompletion=_names,
    ),
]


def schema(ctx: typer.Context, name: Name = None) -> None:
    """Print JSON Schemas of all JSON output.

    Without NAME one object has them all, and the kinds of errors. Where the output is lines, the schema is
    that of one line. Later versions add keys, and neither remove one nor change what it means.

    \b
    Examples:
      imgcli schema | jq -r '.outputs | keys[]'    which there are
      imgcli schema jsonl > jsonl.schema.json      one as a JSON Schema
      imgcli schema | jq .error_kinds              the kinds of errors
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.output.json_schema import OUTPUTS, all_schemas, schema_of

    context: Context = ctx.obj
    if name is not None and name not in OUTPUTS:
        advice = did_you_mean(similar_names(name, OUTPUTS)[:1]) or f"There are {', '.join(OUTPUTS)}."
        raise usage_error(f"There is no schema {shorten(name, _NAME_LENGTH)}.", advice)
    found = all_schemas() if name is None else schema_of(name)
    SafeWriter(context.stdout).lines([json.dumps(found, indent=2)])


Install = Annotated[
    bool,
    typer.Option(
        "--install",
        help="Install them as a skill for the agents that have a folder in your home (.claude, .codex, "
        ".agents), or in FOLDER.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="FOLDER", help="The folder of skills to install into.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file that differs.")]
_AGENTS = (".claude", ".codex", ".agents")


def skill(
    ctx: typer.Context, *, install: Install = False, folder: Folder = None, force: Force = False
) -> None:
    """Print or install instructions for coding agents.

    \b
    Examples:
      imgcli skill                                   read them
      imgcli skill --install                         for agents on this machine
      imgcli skill --install --folder .claude/skills for this project
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    text = pkgutil.get_data("imgcli", "SKILL.md") or b""
    out = SafeWriter(context.stdout)
    if not install:
        if folder or force:
            raise usage_error("--folder and --force need --install.", "Add it, or leave them out.")
        out.lines(text.decode().splitlines())
        return
    for skills in [folder] if folder else _skill_folders(context):
        path = skills / "imgcli" / "SKILL.md"
        _write(path, text, force=force)
        out.lines([str(path)])


def _skill_folders(context: Context) -> list[Path]:
    home = Path(context.env.get("HOME") or Path.home())
    return [home / name / "skills" for name in _AGENTS if (home / name).is_dir()] or [
        home / _AGENTS[-1] / "skills"
    ]


def _write(path: Path, text: bytes, *, force: bool) -> None:
    """Write the file, unless it is another one that somebody may have changed. Raises `ImgcliError`."""
    try:
        if path.exists() and path.read_bytes() != text and not force:
            raise usage_error(f"{shorten(str(path), 200)} exists and differs.", "Add --force to replace it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    except OSError as error:
        what = f"{shorten(str(path), 200)} cannot be written: {error.strerror}."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, is_local=True)) from None
