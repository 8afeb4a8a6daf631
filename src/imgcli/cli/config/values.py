"""All options with their values and origins, as a table or as JSON."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.app.options import OutputFormat
from imgcli.app.reporting import report
from imgcli.cli.config.command import HABITS, ConfiguredCommand, configured_commands, schema
from imgcli.cli.config.settings import Settings, long_name, read_settings
from imgcli.core.config import (
    BILLED,
    EDITS_PATH,
    IMAGES_PATH,
    KEY_COMMAND,
    KEY_FILE,
    OPENAI_PATHS,
    PLACEHOLDER,
    PRESET,
    RESPONSES_PATH,
    ApiPaths,
    Config,
    ServerSettings,
    Setting,
)
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.messages import preset_words
from imgcli.core.secrets import redact
from imgcli.core.text import shorten
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgcli.app.context import Context
    from imgcli.core.config import HttpHeader, Preset
    from imgcli.core.errors import Problem


_DEFAULT = regex(r"\[default: (.*)\]$")
_WIDEST = 60
_NOTHING = "-"
_BUILT_IN = "built-in"


class OptionRow(NamedTuple):
    """One option of one command: its value and where that comes from.

    `value` is None where nothing is set; `text` is what people read. `source` is `environment`, `preset`,
    `profile`, `file` or `built-in`, `name` the variable's, preset's, profile's or command's name, `line` the
    line in the file.
    """

    command: str
    option: str
    value: object
    text: str
    source: str
    name: str | None = None
    line: int | None = None

    @property
    def origin(self) -> str:
        """Where the value comes from, in words."""
        words = (self.source, f"[{self.name}]" if self.source == "file" and self.name else self.name)
        line = f"line {self.line}" if self.line else None
        return " ".join(filter(None, [*words, line]))


def show_values(
    context: Context, profile: str | None, presets: Sequence[str] | None, *, only_changed: bool, as_json: bool
) -> ExitCode:
    """Print the values; a broken file is reported on standard error and returns its exit code."""
    commands = configured_commands()
    problem = None
    try:
        settings = read_settings(context.env, schema(commands), profile, presets)
    except ImgcliError as error:
        from imgcli.store.config_file import config_path

        settings = Settings(shorten(str(config_path(context.env)), 200), Config())
        problem = error.problem
    rows = list(_rows(context.env, commands, settings))
    if only_changed:
        rows = [row for row in rows if row.source != _BUILT_IN]
    if as_json:
        text = json.dumps(_as_json(context.env, settings, rows, problem), indent=2)
    else:
        text = "\n".join(_as_text(context.env, settings, rows))
    context.stdout.write(text + "\n")
    if problem is None:
        return ExitCode.OK
    context.stdout.flush()
    report(context, OutputFormat.PEOPLE, problem)
    return problem.exit_code


def _rows(
    env: Mapping[str, str], commands: Mapping[str, ConfiguredCommand], settings: Settings
) -> Iterator[OptionRow]:
    """Yield the rows of each command, without those that an earlier command has in common."""
    seen: set[tuple[str, ...]] = set()
    for command in commands.values():
        chosen = settings.defaults(command)
        for parameter in command.params:
            if not (option := long_name(parameter)):
                continue
            row = _row(command.name or "", option, parameter, env, chosen.get(option))
            shown = (row.option, row.text, row.origin)
            if shown not in seen:
                seen.add(shown)
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
    kind, _, named = setting.table.partition(".")
    source, name = (kind, named) if named else ("file", kind or None)
    return OptionRow(command, option, setting.value, _words(setting.value), source, name, setting.line)


def _built_in(parameter: Any) -> str:  # noqa: ANN401 - see above
    """Return the default, in the help's words where it has some."""
    if parameter.default is not None:
        return _words(_plain(parameter.default))
    default = _DEFAULT.search(parameter.help or "")
    return default[1] if default else _NOTHING


def _plain(value: object) -> object:
    """Return a built-in value as JSON can hold it."""
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
        yield f"profile {shorten(settings.profile.name, _WIDEST)}, selected by {settings.named_by}"
    if settings.presets:
        yield f"{preset_words(settings.presets)}, selected by --{PRESET}"
    command = ""
    if not rows:
        yield "\nAll values are built in."
    for row in rows:
        if row.command != command:
            command = row.command
            yield f"\n{command}"
        yield f"  {row.option:<14} {shorten(row.origin, _WIDEST):<24} {shorten(row.text, _WIDEST)}"
    if settings.profile:
        yield from _server_lines(env, settings)
    yield from _preset_lines(settings.config)


def _preset_lines(config: Config) -> Iterator[str]:
    """Yield every preset, in use or not: where it is, its template, and what else it sets."""
    if config.presets:
        yield "\npresets"
    for preset in config.presets.values():
        options = [f"{name} {_words(setting.value)}" for name, setting in preset.settings.items()]
        template = [] if preset.template == PLACEHOLDER else [f'"{preset.template}"']
        place, text = f"line {preset.line}", ", ".join([*template, *options])
        yield f"  {shorten(preset.name, _WIDEST):<14} {place:<24} {shorten(text, _WIDEST)}"


def _server_lines(env: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """Yield key, headers, billing and paths of a profile; never the values of environment variables."""
    server = settings.profile.server if settings.profile else ServerSettings()
    if server.has_secrets or not server.billed or server.paths != OPENAI_PATHS:
        yield "\nserver"
        if not server.billed:
            yield f"  {BILLED:<14} false: spending limits do not apply"
        if server.key_env:
            yield f"  {'key-env':<14} {server.key_env} ({_set_or_not(env, server.key_env)})"
        if server.key_command:
            yield f"  {KEY_COMMAND:<14} {shorten(' '.join(server.key_command), _WIDEST)}"
        if server.key_file:
            yield f"  {KEY_FILE:<14} {shorten(server.key_file, _WIDEST)}"
        for header in server.headers:
            yield f"  {'header':<14} {header.name}: {_header_words(env, header)}"
        for name, path in _own_paths(server.paths).items():
            yield f"  {name:<14} {shorten(path, _WIDEST)}"


def _own_paths(paths: ApiPaths) -> dict[str, str]:
    """Return the paths that are not OpenAI's, by their keys in the file."""
    named = zip((IMAGES_PATH, EDITS_PATH, RESPONSES_PATH), paths, OPENAI_PATHS, strict=True)
    return {key: path or paths.images for key, path, usual in named if path != usual}


def _header_words(env: Mapping[str, str], header: HttpHeader) -> str:
    if header.variable is None:
        return shorten(header.value, _WIDEST)
    return f"environment {header.variable} ({_set_or_not(env, header.variable)})"


def _set_or_not(env: Mapping[str, str], variable: str) -> str:
    return "set" if _is_set(env, variable) else "not set"


def _as_json(
    env: Mapping[str, str], settings: Settings, rows: Iterable[OptionRow], problem: Problem | None
) -> dict[str, object]:
    profile = settings.profile
    server = profile.server if profile else ServerSettings()
    return {
        "file": settings.file,
        "profile": profile.name if profile else None,
        "profile_named_by": settings.named_by if profile else None,
        "problem": problem.what if problem else None,
        "options": [{key: value for key, value in row._asdict().items() if key != "text"} for row in rows],
        "billed": server.billed,
        "key_env": server.key_env,
        "key_is_set": _is_set(env, server.key_env) if server.key_env else None,
        "key_command": list(server.key_command) or None,
        "key_file": server.key_file,
        "headers": [_header_json(env, header) for header in server.headers],
        "paths": _own_paths(server.paths),
        "presets": list(map(_preset_json, settings.config.presets.values())),
    }


def _preset_json(preset: Preset) -> dict[str, object]:
    prompt = None if preset.template == PLACEHOLDER else preset.template
    options = {name: setting.value for name, setting in preset.settings.items()}
    return {"name": preset.name, "line": preset.line, "prompt": prompt, "options": options}


def _header_json(env: Mapping[str, str], header: HttpHeader) -> dict[str, object]:
    variable = header.variable
    return {
        "name": header.name,
        "value": header.value if variable is None else None,
        "variable": variable,
        "is_set": variable is None or _is_set(env, variable),
    }


def _is_set(env: Mapping[str, str], variable: str) -> bool:
    return bool(env.get(variable, "").strip())
