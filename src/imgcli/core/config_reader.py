"""Parses the configuration, or names the line that is wrong and what was probably meant."""

from __future__ import annotations

import tomllib
from dataclasses import field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imgcli.core.config import (
    BASE_URL,
    BILLED,
    DEFAULT_PRESET,
    DEFAULT_PROFILE,
    EDITS_PATH,
    FROM_ENVIRONMENT,
    HEADERS,
    IMAGES_PATH,
    KEY_COMMAND,
    KEY_ENV,
    KEY_FILE,
    KEY_SOURCES,
    OPENAI_PATHS,
    PLACEHOLDER,
    PRESET,
    PROFILE,
    PROMPT,
    RESPONSES_PATH,
    ApiPaths,
    Config,
    HttpHeader,
    OptionType,
    Preset,
    Profile,
    ServerSettings,
    Setting,
    ValueType,
)
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.key_lines import key_lines
from imgcli.core.option import option
from imgcli.core.secrets import has_key_in_prose, is_key_name, is_variable_name, looks_like_key, redact
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.core.config import Schema
    from imgcli.core.key_lines import KeyPath


_NAME_LENGTH = 60
_PATHS = (IMAGES_PATH, EDITS_PATH, RESPONSES_PATH)
_SERVER_KEYS = (HEADERS, *KEY_SOURCES, BILLED, *_PATHS)
"""Keys that only a profile can have."""
_PATH = regex(r"/(?!/)[!\"$-~]*")
_HEADER_NAME = regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"]
)
_KEY_ADVICE = (
    'Put it into an environment variable, and name that here: key-env = "MY_KEY" in a [profile.NAME], or '
    '"env:MY_KEY" as a header\'s value. If others could read this file, replace the key.'
)
_DEFAULTS = {PROFILE: DEFAULT_PROFILE, PRESET: DEFAULT_PRESET}
"""Tables whose names TOML does not allow as keys beside them, and the keys to use instead."""
_TABLE_AS_KEY = regex(r"(?m)^[ \t]*(profile|preset)[ \t]*=")
_HEADING = regex(r"(?m)^[ \t]*\[")
_PRESET_NAME = regex(r"\w[\w-]*")
_NOT_IN_PRESET = {
    BASE_URL: ("base-url belongs to one server", "Put it under a [profile.NAME]."),
    PROFILE: ("a preset cannot choose a profile", f"Use {option(PROFILE)}, or {DEFAULT_PROFILE}."),
    PRESET: (
        "a preset cannot name presets",
        f"Repeat {option(PRESET, 'NAME')} to apply several.",
    ),
}


def read_config(text: str, schema: Schema, name: str) -> Config:
    """Parse a configuration file; `name` is its name in messages.

    Raises `ImgcliError` (usage) for text that is not TOML, an unknown option, an invalid value, and for a key
    or password anywhere; no message repeats it.
    """
    _check_prose(text, name)
    try:
        tables = tomllib.loads(f"{text}\n", parse_float=Decimal)  # an error at the end needs a line, too
    except (ValueError, RecursionError) as error:
        raise _syntax_error(text, error, name) from None
    return _ConfigReader(schema, name, key_lines(text)).config(tables)


def _check_prose(text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if has_key_in_prose(line):
            raise _key_error(number, name)


def _key_error(line: int, name: str) -> ImgcliError:
    return usage_error(
        f"Line {line} of {name} holds a key or password, which does not belong in a file.", _KEY_ADVICE
    )


def _syntax_error(text: str, error: Exception, name: str) -> ImgcliError:
    if isinstance(error, RecursionError):
        return usage_error(f"{name} is nested too deeply.")
    heading = _HEADING.search(text)
    match = _TABLE_AS_KEY.search(text, 0, heading.start() if heading else len(text))
    if match and "overwrite" in str(error):
        line, key = text.count("\n", 0, match.start()) + 1, match[1]
        return usage_error(
            f"Line {line} of {name}: TOML does not allow a key `{key}` next to [{key}.NAME].",
            f'Name the default {key} as {_DEFAULTS[key]} = "NAME".',
        )
    return usage_error(
        f"{name} is not valid TOML: {shorten(redact(str(error)), 200)}.", 'Settings look like name = "text".'
    )


@dataclass
class _ConfigReader:
    """Reads the tables of a file."""

    schema: Schema
    name: str
    lines: Mapping[KeyPath, int]
    all_options: Mapping[str, OptionType] = field(init=False)
    presets: dict[str, Preset] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all_options = {
            name: option_type for options in self.schema.values() for name, option_type in options.items()
        }

    def config(self, tables: dict[str, Any]) -> Config:
        self._check_keys(tables, ())
        for key, default in _DEFAULTS.items():
            if not isinstance(tables.get(key, {}), dict):
                advice = f'Name the default {key} as {default} = "NAME".'
                raise self._error((key,), f"{key} is reserved for the tables [{key}.NAME]", advice)
        self.presets |= {name: self._preset(name, table) for name, table in tables.get(PRESET, {}).items()}
        commands = {name: table for name, table in tables.items() if self._is_command(name, table)}
        profiles = tables.get(PROFILE, {})
        other_names = (*_DEFAULTS, *_DEFAULTS.values())
        rest = {name: value for name, value in tables.items() if name not in (*commands, *other_names)}
        return Config(
            self._settings(rest, (), self.all_options, (*other_names, *self.schema))
            | self._default_presets(tables),
            {name: self._settings(table, (name,), self.schema[name]) for name, table in commands.items()},
            {name: self._profile(name, table) for name, table in profiles.items()},
            self._default_profile(tables, profiles),
            self.presets,
        )

    def _is_command(self, name: str, table: object) -> bool:
        return name in self.schema and isinstance(table, dict)

    def _check_keys(self, value: object, path: KeyPath) -> None:
        """Reject keys and passwords first, so that no later message can repeat one."""
        if isinstance(value, dict):
            for name, inner in value.items():
                if looks_like_key(name):
                    raise self._key_error(path)
                if is_key_name(name) and not _is_reference(inner):
                    raise self._key_error((*path, name))
                self._check_keys(inner, (*path, name))
        elif isinstance(value, list):
            for inner in value:
                self._check_keys(inner, path)
        elif isinstance(value, str) and looks_like_key(value):
            raise self._key_error(path)

    def _key_error(self, path: KeyPath) -> ImgcliError:
        return _key_error(self._line(path), self.name)

    def _default_profile(self, tables: dict[str, Any], profiles: Mapping[str, Any]) -> str | None:
        value = tables.get(DEFAULT_PROFILE)
        if value is None or (isinstance(value, str) and value in profiles):
            return value
        path = (DEFAULT_PROFILE,)
        if not isinstance(value, str):
            raise self._error(path, f"{DEFAULT_PROFILE} must be {ValueType.TEXT.value}")
        raise self._error(
            path, f"there is no [profile.{shorten(value, _NAME_LENGTH)}]", _suggestion(value, profiles)
        )

    def _default_presets(self, tables: dict[str, Any]) -> dict[str, Setting]:
        """Return the setting of the option `preset`, whose key has another name here."""
        path = (DEFAULT_PRESET,)
        if DEFAULT_PRESET not in tables:
            return {}
        names = self._value(PRESET, tables[DEFAULT_PRESET], path, OptionType(ValueType.LIST))
        return {PRESET: Setting(PRESET, names, self._line(path))}

    def _preset(self, name: str, table: object) -> Preset:
        path = (PRESET, name)
        values = self._table(table, path)
        if not _PRESET_NAME.fullmatch(name):
            what = f'"{shorten(name, _NAME_LENGTH)}" cannot be the name of a preset'
            raise self._error(path, what, "Use letters, digits, - and _.")
        for key, why in _NOT_IN_PRESET.items():
            if key in values:
                raise self._error((*path, key), *why)
        taking = [options for options in self.schema.values() if PRESET in options]
        types = {option: option_type for options in taking for option, option_type in options.items()}
        settings = {key: value for key, value in values.items() if key != PROMPT}
        return Preset(
            name,
            self._line(path),
            self._template(values.get(PROMPT, PLACEHOLDER), (*path, PROMPT)),
            self._settings(settings, path, types, [PROMPT]),
        )

    def _template(self, value: object, path: KeyPath) -> str:
        if not isinstance(value, str):
            raise self._error(path, f"{PROMPT} must be {ValueType.TEXT.value}")
        if PLACEHOLDER not in value:
            what = f"the template lacks {PLACEHOLDER}, which stands for the prompt that you type"
            raise self._error(path, what, f'Write {PROMPT} = "a woodcut of {PLACEHOLDER}".')
        return value

    def _profile(self, name: str, table: object) -> Profile:
        path = (PROFILE, name)
        values = self._table(table, path)
        settings = {key: value for key, value in values.items() if key not in _SERVER_KEYS}
        source = self._key_source(values, path)
        return Profile(
            name,
            self._line(path),
            self._settings(settings, path, self.all_options, _SERVER_KEYS),
            ServerSettings(
                name,
                key_env=values[KEY_ENV] if source == KEY_ENV else None,
                headers=tuple(self._headers(values.get(HEADERS, {}), (*path, HEADERS))),
                billed=self._billed(values, (*path, BILLED)),
                paths=self._paths(values, path),
                key_command=tuple(values[KEY_COMMAND]) if source == KEY_COMMAND else (),
                key_file=values[KEY_FILE] if source == KEY_FILE else None,
            ),
        )

    def _paths(self, profile: Mapping[str, object], path: KeyPath) -> ApiPaths:
        """Read the paths of a server; where only the images' is named, edits go there too."""
        paths = {key: str(profile[key]) for key in _PATHS if key in profile}
        for key in paths:
            value = profile[key]
            if not isinstance(value, str) or not _PATH.fullmatch(value):
                what = f'{key} must be a path below {BASE_URL}, such as "/images"'
                raise self._error((*path, key), what, "It begins with one slash, and names no server.")
            if BASE_URL not in profile:
                what = f"{key} belongs to one server, but this profile names none"
                raise self._error((*path, key), what, f"Add its {BASE_URL}.")
        edits = None if IMAGES_PATH in paths else OPENAI_PATHS.edits
        return ApiPaths(
            paths.get(IMAGES_PATH, OPENAI_PATHS.images),
            paths.get(EDITS_PATH, edits),
            paths.get(RESPONSES_PATH, OPENAI_PATHS.responses),
        )

    def _billed(self, profile: Mapping[str, object], path: KeyPath) -> bool:
        value = profile.get(BILLED, True)
        if not isinstance(value, bool):
            raise self._error(path, f"{BILLED} must be {ValueType.BOOLEAN.value}")
        if not value and BASE_URL not in profile:
            what = f"{BILLED} = false applies to one server, but this profile names none"
            raise self._error(path, what, f"Add its {BASE_URL}.")
        return value

    def _key_source(self, profile: Mapping[str, Any], path: KeyPath) -> str | None:
        """Return the key that says where the server's key is, once it is known to be right."""
        given = [key for key in KEY_SOURCES if key in profile]
        if len(given) > 1:
            what = f"{' and '.join(given)} both say where the key is"
            raise self._error((*path, given[1]), what, "Keep one of them.")
        for key in given:
            fits, what, example = KEY_SOURCES[key]
            if not fits(profile[key]):
                raise self._error((*path, key), f"{key} must be {what}", f"Write {key} = {example}.")
        return given[0] if given else None

    def _headers(self, table: object, path: KeyPath) -> Iterator[HttpHeader]:
        for name, value in self._table(table, path).items():
            where = (*path, name)
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise self._error(where, f"{shorten(name, _NAME_LENGTH)} is not a header that can be set")
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                raise self._error(where, f"the header {name} must be a line of ASCII text in quotes")
            variable = value.removeprefix(FROM_ENVIRONMENT) if value.startswith(FROM_ENVIRONMENT) else None
            if variable is not None and not is_variable_name(variable):
                raise self._error(
                    where,
                    f"the header {name} does not name an environment variable",
                    'Write "env:MY_NAME", in capitals.',
                )
            yield HttpHeader(name, value if variable is None else "", variable)

    def _settings(
        self,
        table: Mapping[str, object],
        path: KeyPath,
        types: Mapping[str, OptionType],
        other_names: Iterable[str] = (),
    ) -> dict[str, Setting]:
        heading = ".".join(path)
        for name in table:
            if name not in types:
                raise self._no_option(name, path, [*types, *other_names])
        return {
            name: Setting(
                name,
                self._value(name, value, (*path, name), types[name]),
                self._line((*path, name)),
                heading,
            )
            for name, value in table.items()
        }

    def _no_option(self, name: str, path: KeyPath, known: Iterable[str]) -> ImgcliError:
        if name in _SERVER_KEYS:
            return self._error(
                (*path, name), f"{name} belongs to one server", "Put it under a [profile.NAME]."
            )
        if name in self.all_options:
            which = "a preset" if path[0] == PRESET else path[0]
            return self._error((*path, name), f"{which} has no option {name}")
        shown = shorten(name, _NAME_LENGTH)
        command = path[0] if path and path[0] in self.schema else "gen"
        advice = _suggestion(name, known) or f"See imgcli {command} {option('help')}."
        return self._error((*path, name), f"unknown option {shown}", advice)

    def _value(self, name: str, value: object, path: KeyPath, option_type: OptionType) -> object:
        if name == PRESET and isinstance(value, str):
            value = [value]
        typed = _typed(value, option_type.type)
        if typed is None:
            raise self._error(path, f"{path[-1]} must be {option_type.type.value}")
        for one in typed if name == PRESET and isinstance(typed, list) else ():
            if one not in self.presets:
                what = f"there is no [preset.{shorten(one, _NAME_LENGTH)}]"
                raise self._error(path, what, _suggestion(one, self.presets))
        if option_type.choices and typed not in option_type.choices:
            shown = shorten(str(typed), _NAME_LENGTH)
            raise self._error(
                path,
                f"{name} must be one of {', '.join(option_type.choices)}, not {shown}",
                _suggestion(str(typed), option_type.choices),
            )
        return typed

    def _table(self, value: object, path: KeyPath) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        shown = ".".join(path) if len(path) > 1 else f"{path[0]}.NAME"
        raise self._error(
            path, f"{shorten(path[-1], _NAME_LENGTH)} is a table", f"Write [{shorten(shown, _NAME_LENGTH)}]."
        )

    def _error(self, path: KeyPath, what: str, advice: str = "") -> ImgcliError:
        return usage_error(f"Line {self._line(path)} of {self.name}: {what}.", advice)

    def _line(self, path: KeyPath) -> int:
        """Find the line of a key, else of the table that it is in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def _is_reference(value: object) -> bool:
    """Return whether a value names the variable that holds a key, or is a table."""
    return isinstance(value, dict) or (isinstance(value, str) and value.startswith(FROM_ENVIRONMENT))


def _typed(value: object, value_type: ValueType) -> object:
    """Return a value as Typer takes it, None when it is of another type."""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    match value_type:
        case ValueType.BOOLEAN:
            return value if isinstance(value, bool) else None
        case ValueType.INTEGER:
            return value if is_number and isinstance(value, int) else None
        case ValueType.NUMBER:
            return (
                float(str(value)) if is_number else None
            )  # as text: a huge one becomes infinite instead of an error
        case ValueType.DOLLARS:
            return str(value) if is_number or isinstance(value, str) else None
        case ValueType.LIST:
            values = value if isinstance(value, list) else [value]
            return value if all(isinstance(one, str) for one in values) else None
        case ValueType.TEXT | ValueType.PATH:  # pragma: no branch - there is no other
            return value if isinstance(value, str) else None


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Format what was probably meant, empty when nothing is similar."""
    return did_you_mean(similar_names(name, known)[:1])
