"""From text to configuration, or one sentence with the line that is wrong and what was probably meant."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.core.config import (
    BASE_URL,
    BILLED,
    DEFAULT_PROFILE,
    FROM_ENVIRONMENT,
    HEADERS,
    KEY_ENV,
    PROFILE,
    Config,
    HttpHeader,
    Profile,
    Setting,
    ValueType,
)
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.option import option
from imgcli.core.secrets import has_key_in_prose, is_key_name, is_variable_name, looks_like_key, redact
from imgcli.core.text import did_you_mean, shorten, similar_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.core.config import OptionType, Schema


KeyPath: TypeAlias = tuple[str, ...]
"""A key with the names of its tables: `("profile", "azure", "base-url")`."""

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=\n]|'
    r'[^"\'#\[\]{}=\n]+|.',
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line number of every key and every table; `text` is valid TOML.

    Keys in an inline table have no entry of their own.
    """
    scan = _LineScanner()
    for piece in _PIECE.findall(text):
        scan.take(piece)
    return scan.lines


@dataclass
class _LineScanner:
    """Scans TOML and records the lines on which statements start."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    table: KeyPath = ()
    line: int = 1
    start: int = 1
    left: str = ""
    """What was read of the statement's left side."""
    depth: int = 0
    is_value: bool = False

    def take(self, piece: str) -> None:
        """Process one piece."""
        if piece == "\n" and not self.depth:
            self._end()
        elif self.is_value:
            self.depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        elif piece == "=":
            self._record((*self.table, *_parse_key(self.left)))
            self.is_value = True
        elif not piece.startswith("#"):
            self.start = self.start if self.left.strip() else self.line
            self.left += piece
        self.line += piece.count("\n")

    def _end(self) -> None:
        """Finish a statement at the end of its line; one without a value is the heading of a table."""
        if not self.is_value and self.left.strip():
            self.table = _parse_key(self.left.strip().strip("[]"))
            self._record(self.table)
        self.left, self.is_value = "", False

    def _record(self, path: KeyPath) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self.start)


def _parse_key(key: str) -> KeyPath:
    """Split a dotted key."""
    value: object = tomllib.loads(f"{key.strip()} = 0")
    path: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        path.append(name)
    return tuple(path)


_NAME_LENGTH = 60
_SERVER_KEYS = (HEADERS, KEY_ENV, BILLED)
"""Keys that only a profile can have."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"]
)
_KEY_ADVICE = (
    'Put it into an environment variable, and name that here: key-env = "MY_KEY" in a [profile.NAME], or '
    '"env:MY_KEY" as a header\'s value. If others could read this file, replace the key.'
)
_PROFILE_KEY = re.compile(r"(?m)^[ \t]*profile[ \t]*=")


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
    if (match := _PROFILE_KEY.search(text)) and "overwrite" in str(error):
        line = text.count("\n", 0, match.start()) + 1
        return usage_error(
            f"Line {line} of {name}: TOML does not allow a key `profile` next to [profile.NAME].",
            f'Name the default profile as {DEFAULT_PROFILE} = "NAME".',
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
    everything: Mapping[str, OptionType] = field(init=False)

    def __post_init__(self) -> None:
        self.everything = {name: shape for options in self.schema.values() for name, shape in options.items()}

    def config(self, tables: dict[str, Any]) -> Config:
        self._check_keys(tables, ())
        if isinstance(tables.get(PROFILE), str):
            advice = f'Name the default profile as {DEFAULT_PROFILE} = "NAME".'
            raise self._wrong((PROFILE,), "profile is reserved for the tables [profile.NAME]", advice)
        commands = {name: table for name, table in tables.items() if self._is_command(name, table)}
        profiles = self._table(tables.get(PROFILE, {}), (PROFILE,))
        rest = {
            name: value for name, value in tables.items() if name not in (*commands, PROFILE, DEFAULT_PROFILE)
        }
        beside = (DEFAULT_PROFILE, PROFILE, *self.schema)
        return Config(
            self._settings(rest, (), self.everything, beside),
            {name: self._settings(table, (name,), self.schema[name]) for name, table in commands.items()},
            {name: self._profile(name, table) for name, table in profiles.items()},
            self._default_profile(tables, profiles),
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
            raise self._wrong(path, f"{DEFAULT_PROFILE} takes {ValueType.TEXT.value}")
        raise self._wrong(
            path, f"there is no [profile.{shorten(value, _NAME_LENGTH)}]", _suggestion(value, profiles)
        )

    def _profile(self, name: str, table: object) -> Profile:
        path = (PROFILE, name)
        inside = self._table(table, path)
        settings = {key: value for key, value in inside.items() if key not in _SERVER_KEYS}
        return Profile(
            name,
            self._line(path),
            self._settings(settings, path, self.everything, _SERVER_KEYS),
            tuple(self._headers(inside.get(HEADERS, {}), (*path, HEADERS))),
            self._key_env(inside.get(KEY_ENV), (*path, KEY_ENV)),
            self._billed(inside, (*path, BILLED)),
        )

    def _billed(self, profile: Mapping[str, object], path: KeyPath) -> bool:
        value = profile.get(BILLED, True)
        if not isinstance(value, bool):
            raise self._wrong(path, f"{BILLED} takes {ValueType.BOOLEAN.value}")
        if not value and BASE_URL not in profile:
            what = f"{BILLED} = false applies to one server, but this profile names none"
            raise self._wrong(path, what, f"Add its {BASE_URL}.")
        return value

    def _key_env(self, value: object, path: KeyPath) -> str | None:
        if value is None or (isinstance(value, str) and is_variable_name(value)):
            return value
        example = f'{KEY_ENV} = "AZURE_OPENAI_API_KEY"'
        raise self._wrong(
            path, f"{KEY_ENV} takes the name of an environment variable, in capitals", f"Write {example}."
        )

    def _headers(self, table: object, path: KeyPath) -> Iterator[HttpHeader]:
        for name, value in self._table(table, path).items():
            where = (*path, name)
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise self._wrong(where, f"{shorten(name, _NAME_LENGTH)} is not a header that can be set")
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                raise self._wrong(where, f"the header {name} takes a line of ASCII text in quotes")
            variable = value.removeprefix(FROM_ENVIRONMENT) if value.startswith(FROM_ENVIRONMENT) else None
            if variable is not None and not is_variable_name(variable):
                raise self._wrong(
                    where,
                    f"the header {name} does not name an environment variable",
                    'Write "env:MY_NAME", in capitals.',
                )
            yield HttpHeader(name, value if variable is None else "", variable)

    def _settings(
        self,
        table: Mapping[str, object],
        path: KeyPath,
        shapes: Mapping[str, OptionType],
        beside: Iterable[str] = (),
    ) -> dict[str, Setting]:
        heading = ".".join(path)
        for name in table:
            if name not in shapes:
                raise self._no_option(name, path, [*shapes, *beside])
        return {
            name: Setting(
                name,
                self._value(name, value, (*path, name), shapes[name]),
                self._line((*path, name)),
                heading,
            )
            for name, value in table.items()
        }

    def _no_option(self, name: str, path: KeyPath, known: Iterable[str]) -> ImgcliError:
        if name in _SERVER_KEYS:
            return self._wrong(
                (*path, name), f"{name} belongs to one server", "Put it under a [profile.NAME]."
            )
        if name in self.everything:
            return self._wrong((*path, name), f"{path[0]} has no option {name}")
        shown = shorten(name, _NAME_LENGTH)
        command = path[0] if path and path[0] in self.schema else "gen"
        advice = _suggestion(name, known) or f"See imgcli {command} {option('help')}."
        return self._wrong((*path, name), f"unknown option {shown}", advice)

    def _value(self, name: str, value: object, path: KeyPath, shape: OptionType) -> object:
        taken = _typed(value, shape.type)
        if taken is None:
            raise self._wrong(path, f"{name} takes {shape.type.value}")
        if shape.choices and taken not in shape.choices:
            shown = shorten(str(taken), _NAME_LENGTH)
            raise self._wrong(
                path,
                f"{name} takes {', '.join(shape.choices)}, not {shown}",
                _suggestion(str(taken), shape.choices),
            )
        return taken

    def _table(self, value: object, path: KeyPath) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        shown = ".".join(path) if len(path) > 1 else f"{path[0]}.NAME"
        raise self._wrong(
            path, f"{shorten(path[-1], _NAME_LENGTH)} is a table", f"Write [{shorten(shown, _NAME_LENGTH)}]."
        )

    def _wrong(self, path: KeyPath, what: str, advice: str = "") -> ImgcliError:
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
            several = value if isinstance(value, list) else [value]
            return value if all(isinstance(one, str) for one in several) else None
        case ValueType.TEXT | ValueType.PATH:
            return value if isinstance(value, str) else None


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Format what was probably meant, empty when nothing is similar."""
    return did_you_mean(similar_names(name, known)[:1])
