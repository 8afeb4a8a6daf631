"""Text to configuration, or one sentence with the line that is wrong and what was probably meant."""

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
    Shape,
    Takes,
)
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.secrets import has_key_in_prose, is_key_name, is_variable, looks_like_key, redact
from imgcli.core.text import did_you_mean, near, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.core.config import Schema


Place: TypeAlias = tuple[str, ...]
"""A key and the tables that it is in: `("profile", "azure", "base-url")`."""

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=\n]|'
    r'[^"\'#\[\]{}=\n]+|.',
    re.DOTALL,
)


def key_lines(text: str) -> dict[Place, int]:
    """Find the line, counted from 1, of every key and every table; `text` is valid TOML.

    What stands inside an inline table has the line of the key that it belongs to, and no entry of its own.
    """
    scan = _Scan()
    for piece in _PIECE.findall(text):
        scan.take(piece)
    return scan.lines


@dataclass
class _Scan:
    """Walks over the text and notes where statements begin."""

    lines: dict[Place, int] = field(default_factory=dict)
    table: Place = ()
    line: int = 1
    start: int = 1
    left: str = ""
    """What was read of this statement's left side."""
    depth: int = 0
    is_value: bool = False

    def take(self, piece: str) -> None:
        """Go on by one piece."""
        if piece == "\n" and not self.depth:
            self._end()
        elif self.is_value:
            self.depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        elif piece == "=":
            self._note((*self.table, *_place(self.left)))
            self.is_value = True
        elif not piece.startswith("#"):
            self.start = self.start if self.left.strip() else self.line
            self.left += piece
        self.line += piece.count("\n")

    def _end(self) -> None:
        """End a statement at its line's end; one without a value is a table's head."""
        if not self.is_value and self.left.strip():
            self.table = _place(self.left.strip().strip("[]"))
            self._note(self.table)
        self.left, self.is_value = "", False

    def _note(self, place: Place) -> None:
        for length in range(1, len(place) + 1):
            self.lines.setdefault(place[:length], self.start)


def _place(key: str) -> Place:
    """Take a dotted key apart, as TOML itself does."""
    value: object = tomllib.loads(f"{key.strip()} = 0")
    place: list[str] = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        place.append(name)
    return tuple(place)


_LONGEST = 60
_OF_A_SERVER = (HEADERS, KEY_ENV, BILLED)
"""What only a profile can have."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset(
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"]
)
_WHERE_KEYS_GO = (
    'Put it into the environment and name the variable here: key-env = "MY_KEY" in a [profile.NAME], or '
    '"env:MY_KEY" as a header\'s value. If others could read this file, replace the key.'
)
_WORD_AND_TABLE = re.compile(r"(?m)^[ \t]*profile[ \t]*=")


def read_config(text: str, schema: Schema, name: str) -> Config:
    """Read a configuration file whose name is `name`.

    Raises `ImgcliError` (usage) for text that is no TOML, for an option that nobody has, for a value that
    does not fit, and for a key or password anywhere; no message repeats one.
    """
    _check_prose(text, name)
    try:
        tables = tomllib.loads(f"{text}\n", parse_float=Decimal)  # its end, too, has a line
    except (ValueError, RecursionError) as error:
        raise _no_toml(text, error, name) from None
    return _ConfigReader(schema, name, key_lines(text)).config(tables)


def _check_prose(text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if has_key_in_prose(line):
            raise _a_key(number, name)


def _a_key(line: int, name: str) -> ImgcliError:
    return usage_error(
        f"Line {line} of {name} holds a key or password, and a file is no place for one.", _WHERE_KEYS_GO
    )


def _no_toml(text: str, error: Exception, name: str) -> ImgcliError:
    if isinstance(error, RecursionError):
        return usage_error(f"{name} is nested too deeply.")
    if (word := _WORD_AND_TABLE.search(text)) and "overwrite" in str(error):
        line = text.count("\n", 0, word.start()) + 1
        return usage_error(
            f"Line {line} of {name}: TOML has no room for `profile` beside [profile.NAME].",
            f'Name the usual profile as {DEFAULT_PROFILE} = "NAME".',
        )
    return usage_error(
        f"{name} is not valid TOML: {shorten(redact(str(error)), 200)}.", 'Values look like name = "text".'
    )


@dataclass
class _ConfigReader:
    """Reads one file's tables."""

    schema: Schema
    name: str
    lines: Mapping[Place, int]
    everything: Mapping[str, Shape] = field(init=False)

    def __post_init__(self) -> None:
        self.everything = {name: shape for options in self.schema.values() for name, shape in options.items()}

    def config(self, tables: dict[str, Any]) -> Config:
        self._check_keys(tables, ())
        if isinstance(tables.get(PROFILE), str):
            advice = f'Name the usual profile as {DEFAULT_PROFILE} = "NAME".'
            raise self._wrong((PROFILE,), "profile is the name of the tables [profile.NAME]", advice)
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

    def _check_keys(self, value: object, place: Place) -> None:
        """Refuse keys and passwords first, so that no later message can repeat one."""
        if isinstance(value, dict):
            for name, inner in value.items():
                if looks_like_key(name):
                    raise self._a_key(place)
                if is_key_name(name) and not _is_reference(inner):
                    raise self._a_key((*place, name))
                self._check_keys(inner, (*place, name))
        elif isinstance(value, list):
            for inner in value:
                self._check_keys(inner, place)
        elif isinstance(value, str) and looks_like_key(value):
            raise self._a_key(place)

    def _a_key(self, place: Place) -> ImgcliError:
        return _a_key(self._line(place), self.name)

    def _default_profile(self, tables: dict[str, Any], profiles: Mapping[str, Any]) -> str | None:
        told = tables.get(DEFAULT_PROFILE)
        if told is None or (isinstance(told, str) and told in profiles):
            return told
        place = (DEFAULT_PROFILE,)
        if not isinstance(told, str):
            raise self._wrong(place, f"{DEFAULT_PROFILE} takes {Takes.TEXT.value}")
        raise self._wrong(place, f"there is no [profile.{shorten(told, _LONGEST)}]", _meant(told, profiles))

    def _profile(self, name: str, table: object) -> Profile:
        place = (PROFILE, name)
        inside = self._table(table, place)
        settings = {key: value for key, value in inside.items() if key not in _OF_A_SERVER}
        return Profile(
            name,
            self._line(place),
            self._settings(settings, place, self.everything, _OF_A_SERVER),
            tuple(self._headers(inside.get(HEADERS, {}), (*place, HEADERS))),
            self._key_env(inside.get(KEY_ENV), (*place, KEY_ENV)),
            self._billed(inside, (*place, BILLED)),
        )

    def _billed(self, profile: Mapping[str, object], place: Place) -> bool:
        told = profile.get(BILLED, True)
        if not isinstance(told, bool):
            raise self._wrong(place, f"{BILLED} takes {Takes.SWITCH.value}")
        if not told and BASE_URL not in profile:
            what = f"{BILLED} = false is about one server, and this profile names none"
            raise self._wrong(place, what, f"Add its {BASE_URL}.")
        return told

    def _key_env(self, told: object, place: Place) -> str | None:
        if told is None or (isinstance(told, str) and is_variable(told)):
            return told
        example = f'{KEY_ENV} = "AZURE_OPENAI_API_KEY"'
        raise self._wrong(
            place, f"{KEY_ENV} takes the name of an environment variable, in capitals", f"Write {example}."
        )

    def _headers(self, told: object, place: Place) -> Iterator[HttpHeader]:
        for name, value in self._table(told, place).items():
            here = (*place, name)
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
                raise self._wrong(here, f"{shorten(name, _LONGEST)} is no header that can be set")
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                raise self._wrong(here, f"the header {name} takes a line of ASCII text in quotes")
            variable = value.removeprefix(FROM_ENVIRONMENT) if value.startswith(FROM_ENVIRONMENT) else None
            if variable is not None and not is_variable(variable):
                raise self._wrong(
                    here,
                    f"the header {name} names no environment variable",
                    'Write "env:MY_NAME", in capitals.',
                )
            yield HttpHeader(name, value if variable is None else "", variable)

    def _settings(
        self,
        table: Mapping[str, object],
        place: Place,
        shapes: Mapping[str, Shape],
        beside: Iterable[str] = (),
    ) -> dict[str, Setting]:
        heading = ".".join(place)
        for name in table:
            if name not in shapes:
                raise self._no_option(name, place, [*shapes, *beside])
        return {
            name: Setting(
                name,
                self._value(name, value, (*place, name), shapes[name]),
                self._line((*place, name)),
                heading,
            )
            for name, value in table.items()
        }

    def _no_option(self, name: str, place: Place, known: Iterable[str]) -> ImgcliError:
        if name in _OF_A_SERVER:
            return self._wrong((*place, name), f"{name} is for one server", "Put it under a [profile.NAME].")
        if name in self.everything:
            return self._wrong((*place, name), f"{place[0]} has no option {name}")
        shown = shorten(name, _LONGEST)
        command = place[0] if place and place[0] in self.schema else "gen"
        advice = _meant(name, known) or f"See imgcli {command} --help."
        return self._wrong((*place, name), f"there is no option {shown}", advice)

    def _value(self, name: str, value: object, place: Place, shape: Shape) -> object:
        taken = _fitting(value, shape.takes)
        if taken is None:
            raise self._wrong(place, f"{name} takes {shape.takes.value}")
        if shape.choices and taken not in shape.choices:
            shown = shorten(str(taken), _LONGEST)
            raise self._wrong(
                place,
                f"{name} takes {', '.join(shape.choices)}; not {shown}",
                _meant(str(taken), shape.choices),
            )
        return taken

    def _table(self, value: object, place: Place) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        shown = ".".join(place) if len(place) > 1 else f"{place[0]}.NAME"
        raise self._wrong(
            place, f"{shorten(place[-1], _LONGEST)} is a table", f"Write [{shorten(shown, _LONGEST)}]."
        )

    def _wrong(self, place: Place, what: str, advice: str = "") -> ImgcliError:
        return usage_error(f"Line {self._line(place)} of {self.name}: {what}.", advice)

    def _line(self, place: Place) -> int:
        """Find a place's line, else that of the table that it is in."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def _is_reference(value: object) -> bool:
    """Whether a value names the variable that holds a key, or is not one at all."""
    return isinstance(value, dict) or (isinstance(value, str) and value.startswith(FROM_ENVIRONMENT))


def _fitting(value: object, takes: Takes) -> object:
    """Return the value as Typer takes it, None when it is of another type."""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    match takes:
        case Takes.SWITCH:
            return value if isinstance(value, bool) else None
        case Takes.WHOLE:
            return value if is_number and isinstance(value, int) else None
        case Takes.NUMBER:
            return float(str(value)) if is_number else None  # as text: a huge one is infinite, and no error
        case Takes.DOLLARS:
            return str(value) if is_number or isinstance(value, str) else None
        case Takes.LIST:
            return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None
        case Takes.TEXT | Takes.PATH:
            return value if isinstance(value, str) else None


def _meant(name: str, known: Iterable[str]) -> str:
    """Guess what was meant, empty when nothing is near."""
    return did_you_mean(near(name, known)[:1])
