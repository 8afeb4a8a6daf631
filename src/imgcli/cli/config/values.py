"""Every option's value and where it comes from, as a table or as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from imgcli.app.options import OutputFormat
from imgcli.app.reporting import tell
from imgcli.cli.config.command import HABITS, ConfiguredCommand, configured_commands, schema
from imgcli.cli.config.settings import Settings, long_name, read_settings
from imgcli.core.config import BILLED, Config, Setting
from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.secrets import redact
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcli.app.context import Context
    from imgcli.core.config import HttpHeader


_DEFAULT = re.compile(r"\[default: (.*)\]$")
_WIDEST = 60
_NOTHING = "-"
_BUILT_IN = "built-in"


class Rows(Enum):
    """Which options are shown: all, or those whose value is not built in."""

    ALL = "all"
    CHANGED = "changed"


@dataclass(frozen=True)
class OptionRow:
    """One option of one command: its value and where that comes from.

    `value` is None where nothing is set; `told` is what people read. `source` is `environment`, `profile`,
    `file` or `built-in`, `name` the variable's, profile's or command's name, `line` the line in the file.
    """

    command: str
    option: str
    value: object
    told: str
    source: str
    name: str | None = None
    line: int | None = None

    @property
    def origin(self) -> str:
        """Say where the value comes from."""
        words = (self.source, f"[{self.name}]" if self.source == "file" and self.name else self.name)
        line = f"line {self.line}" if self.line else None
        return " ".join(filter(None, [*words, line]))


def show_values(world: Context, named: str | None, which: Rows = Rows.ALL, *, as_json: bool) -> ExitCode:
    """Write what holds to standard output; a broken file is told on standard error, and ends with exit 2."""
    known = configured_commands()
    settings, problem = _read(world, known, named)
    rows = [row for row in _rows(world.env, known, settings) if which is Rows.ALL or row.source != _BUILT_IN]
    if as_json:
        text = json.dumps(_as_json(world.env, settings, rows, problem), indent=2)
    else:
        text = "\n".join(_as_text(world.env, settings, rows))
    world.stdout.write(text + "\n")
    if problem is None:
        return ExitCode.OK
    world.stdout.flush()
    tell(world, OutputFormat.PEOPLE, problem)
    return problem.exit_code


def _read(
    world: Context, known: Mapping[str, ConfiguredCommand], named: str | None
) -> tuple[Settings, Problem | None]:
    try:
        return read_settings(world.env, schema(known), named), None
    except ImgcliError as error:
        from imgcli.store.config_file import config_path

        return Settings(shorten(str(config_path(world.env)), 200), Config()), error.problem


def _rows(
    env: Mapping[str, str], known: Mapping[str, ConfiguredCommand], settings: Settings
) -> Iterator[OptionRow]:
    """Return the rows of each command, without what an earlier one has alike."""
    seen: set[tuple[str, ...]] = set()
    for command in known.values():
        chosen = settings.config.defaults(command.name or "", settings.profile)
        for parameter in command.params:
            if not (option := long_name(parameter)):
                continue
            row = _row(command.name or "", option, parameter, env, chosen.get(option))
            alike = (row.option, row.told, row.origin)
            if alike not in seen:
                seen.add(alike)
                yield row


def _row(
    command: str,
    option: str,
    parameter: Any,  # noqa: ANN401 - see above
    env: Mapping[str, str],
    setting: Setting | None,
) -> OptionRow:
    variable = parameter.envvar or HABITS.get(parameter.name)
    if variable and (value := env.get(variable, "").strip()):
        shown = redact(value)
        return OptionRow(command, option, shown, shown, "environment", variable)
    if setting is None:
        return OptionRow(command, option, _plain(parameter.default), _built_in(parameter), _BUILT_IN)
    source, _, profile = setting.table.partition(".")
    if profile:
        return OptionRow(
            command, option, setting.value, _words(setting.value), "profile", profile, setting.line
        )
    return OptionRow(
        command, option, setting.value, _words(setting.value), "file", source or None, setting.line
    )


def _built_in(parameter: Any) -> str:  # noqa: ANN401 - see above
    """Say what holds where nobody says anything, in the help's words where it has some."""
    if parameter.default is not None:
        return _words(_plain(parameter.default))
    found = _DEFAULT.search(parameter.help or "")
    return found[1] if found else _NOTHING


def _plain(value: object) -> object:
    """Make a built-in value fit for JSON."""
    if isinstance(value, Enum):
        return str(value.value)
    return value if value is None or isinstance(value, bool | int | float | list) else str(value)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_text(env: Mapping[str, str], settings: Settings, rows: Sequence[OptionRow]) -> Iterator[str]:
    yield settings.file
    if settings.profile:
        yield f"profile {shorten(settings.profile.name, _WIDEST)}, named by {settings.named_by}"
    command = ""
    if not rows:
        yield "\nEvery value is built in."
    for row in rows:
        if row.command != command:
            command = row.command
            yield f"\n{command}"
        yield f"  {row.option:<14} {shorten(row.origin, _WIDEST):<24} {shorten(row.told, _WIDEST)}"
    if settings.profile:
        yield from _server_lines(env, settings)


def _server_lines(env: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """Name key and headers, and a server that does not bill; of the environment only whether it has them."""
    profile = settings.profile
    if profile and (profile.key_env or profile.headers or not profile.billed):
        yield "\nserver"
        if not profile.billed:
            yield f"  {BILLED:<14} false: limits do not hold there"
        if profile.key_env:
            yield f"  {'key-env':<14} {profile.key_env} ({_is_there(env, profile.key_env)})"
        for header in profile.headers:
            yield f"  {'header':<14} {header.name}: {_header_words(env, header)}"


def _header_words(env: Mapping[str, str], header: HttpHeader) -> str:
    if header.variable is None:
        return shorten(header.value, _WIDEST)
    return f"environment {header.variable} ({_is_there(env, header.variable)})"


def _is_there(env: Mapping[str, str], variable: str) -> str:
    return "set" if _is_set(env, variable) else "not set"


def _as_json(
    env: Mapping[str, str], settings: Settings, rows: Iterable[OptionRow], problem: Problem | None
) -> dict[str, object]:
    profile = settings.profile
    return {
        "file": settings.file,
        "profile": profile.name if profile else None,
        "profile_named_by": settings.named_by if profile else None,
        "problem": problem.what if problem else None,
        "options": [
            {
                "command": row.command,
                "option": row.option,
                "value": row.value,
                "source": row.source,
                "name": row.name,
                "line": row.line,
            }
            for row in rows
        ],
        "billed": profile.billed if profile else True,
        "key_env": profile.key_env if profile else None,
        "key_is_set": _is_set(env, profile.key_env) if profile and profile.key_env else None,
        "headers": [_header_json(env, header) for header in profile.headers] if profile else [],
    }


def _header_json(env: Mapping[str, str], header: HttpHeader) -> dict[str, object]:
    if header.variable is None:
        return {"name": header.name, "value": header.value, "variable": None, "is_set": True}
    return {
        "name": header.name,
        "value": None,
        "variable": header.variable,
        "is_set": _is_set(env, header.variable),
    }


def _is_set(env: Mapping[str, str], variable: str) -> bool:
    return bool(env.get(variable, "").strip())
