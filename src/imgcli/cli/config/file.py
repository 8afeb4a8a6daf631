"""The configuration file: its path, creating it, and `imgcli config set`."""

from __future__ import annotations

import os
import pkgutil
import re
import tomllib
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.cli.config.command import configured_commands, schema
from imgcli.core.config import DEFAULT_PRESET, HEADERS, KEY_COMMAND, PRESET, PROFILE, ValueType
from imgcli.core.config_reader import read_config
from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.secrets import is_key_name, looks_like_key
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.regex import regex
from imgcli.store.config_file import VARIABLE, config_path, read_text, replace, write_new

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.core.config import OptionType, Schema


_LONGEST = 60
_ANY_HEADING = regex(r"(?m)^[ \t]*(?:#[ \t]*)?\[")
_ANY_KEY = regex(r"(?m)^[ \t]*(?:#[ \t]?)?([A-Za-z0-9_-]+)[ \t]*=[^\n]*(?:\n|\Z)")
_SWITCH = {"true": True, "false": False}


def file_path(context: Context) -> Path:
    """Return the file's path, whether or not it exists. Raises `ImgcliError` (usage)."""
    path = config_path(context.env)
    if path is None:
        raise usage_error(
            "There is no home folder for a configuration file.", f"Set HOME, or name a file in {VARIABLE}."
        )
    return path.absolute()


def create_file(context: Context) -> Path:
    """Write the example and return its path. Raises `ImgcliError` if that is not possible."""
    path = file_path(context)
    try:
        write_new(path, example())
    except FileExistsError:
        raise usage_error(
            f"{shorten(str(path), 200)} already exists and was not changed.", "See imgcli config show."
        ) from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    return path


def ensure_file(context: Context) -> Path:
    """Return the file's path; create the file if there is none. Raises `ImgcliError`."""
    path = file_path(context)
    return path if os.path.lexists(path) else create_file(context)


def example() -> str:
    """Return the example that comes with imgcli."""
    return (pkgutil.get_data("imgcli.cli", "config_example.toml") or b"").decode()


def _unwritable(path: Path, error: Exception) -> ImgcliError:
    why = error.strerror if isinstance(error, OSError) else error
    what = f"{shorten(str(path), 200)} cannot be written: {why}."
    return ImgcliError(Problem(ExitCode.UNWRITABLE, what))


class Assignment(NamedTuple):
    """A default to set: for every command, for one `command`, or in one `profile` or `preset`."""

    name: str
    values: tuple[str, ...]
    command: str | None = None
    profile: str | None = None
    preset: str | None = None

    @property
    def table(self) -> tuple[str, ...]:
        """The table that it belongs to, empty for the top of the file."""
        for kind, name in ((PROFILE, self.profile), (PRESET, self.preset)):
            if name is not None:
                return (kind, name)
        return () if self.command is None else (self.command,)

    def resolved(self, commands: Container[str]) -> Assignment:
        """Return this with the table that its name begins with, as in `preset.woodcut.quality`."""
        first, _, rest = self.name.partition(".")
        if self.table or not rest:
            return self
        if first in commands:
            return self._replace(name=rest, command=first)
        inner, _, option = rest.rpartition(".")
        if first not in {PROFILE, PRESET} or not inner:
            return self
        as_profile, as_preset = (inner if first == kind else None for kind in (PROFILE, PRESET))
        return self._replace(name=option, profile=as_profile, preset=as_preset)


def set_default(context: Context, assignment: Assignment) -> None:
    """Set a default, or change nothing. Raises `ImgcliError`."""
    commands = schema(configured_commands())
    assignment = assignment.resolved(commands)
    if is_key_name(assignment.name) or any(map(looks_like_key, (assignment.name, *assignment.values))):
        raise usage_error(
            "Keys and passwords do not belong in the configuration file; nothing was written.",
            "Put the key in an environment variable and name that one: imgcli config set key-env MY_KEY "
            "--profile NAME. Your shell may have saved what you typed in its history.",
        )
    value = _parse(assignment, _shape(assignment, commands))
    path = file_path(context)
    exists = os.path.lexists(path)
    shown, text = shorten(str(path), 200), (read_text(context.env) or "") if exists else example()
    try:
        changed = _with_setting(text, assignment.table, assignment.name, value)
        read_config(changed, commands, shown)
    except ImgcliError as error:
        read_config(text, commands, shown)  # what is wrong with the file itself is reported first
        why = error.problem.what.partition(f" of {shown}: ")[2] or error.problem.what
        raise usage_error(f"Nothing was written: {why}", error.problem.advice) from None
    if exists and not path.is_file():
        raise _unwritable(path, ValueError("it is not a regular file"))
    try:
        (replace if exists else write_new)(path, changed)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _shape(assignment: Assignment, commands: Schema) -> OptionType | None:
    """Return what the option takes, None for what is not an option. Raises `ImgcliError` (usage)."""
    command = assignment.command
    targets = {"--command": command, "--profile": assignment.profile, "--preset": assignment.preset}
    given = {option: name for option, name in targets.items() if name is not None}
    for option, name in given.items():
        if not name.strip():
            raise usage_error(f"{option} needs a name.")
    if len(given) > 1:
        raise usage_error(f"{' and '.join(given)} cannot be combined.", "Choose one.")
    if command is not None and command not in commands:
        advice = did_you_mean(similar_names(command, commands)) or f"Choose one of {', '.join(commands)}."
        raise usage_error(f"{shorten(command, _LONGEST)} is not a command with defaults.", advice)
    if assignment.name == HEADERS:
        raise usage_error("headers is a table; nothing was written.", "Set it with imgcli config edit.")
    options = {name: shape for shapes in commands.values() for name, shape in shapes.items()}
    return options.get(PRESET if assignment.name == DEFAULT_PRESET else assignment.name)


def _parse(assignment: Assignment, shape: OptionType | None) -> object:
    """Return the value as the option takes it; one that does not fit stays text, and reading rejects it."""
    if shape and shape.type is ValueType.LIST and len(assignment.values) > 1:
        return list(assignment.values)
    if assignment.name == KEY_COMMAND:
        return list(assignment.values)
    if len(assignment.values) > 1:
        raise usage_error(
            f"{shorten(assignment.name, _LONGEST)} accepts one value, not {len(assignment.values)}.",
            "Put quotes around a value with spaces.",
        )
    (word,) = assignment.values
    match shape.type if shape else ValueType.TEXT:
        case ValueType.BOOLEAN:
            return _SWITCH.get(word.lower(), word)
        case ValueType.INTEGER | ValueType.NUMBER | ValueType.DOLLARS:
            return _parse_number(word)
        case _:
            return word


def _parse_number(word: str) -> object:
    try:
        number = Decimal(word)
    except InvalidOperation:
        return word
    if not number.is_finite():
        return word
    return int(number) if re.fullmatch(r"[+-]?\d+", word) else float(number)


def _with_setting(text: str, table: tuple[str, ...], name: str, value: object) -> str:
    """Return the text with one more or one other setting, formatted as it was.

    A new key goes beside its commented-out example, else after its table's last key, if that means the same
    as appending it to the table: an example that is uncommented later must not take the key with it.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        inner: Any = document
        for step in table:
            inner = inner.setdefault(
                step, tomlkit.table(is_super_table=step in {PROFILE, PRESET} and len(table) > 1)
            )
        is_new = name not in inner
        inner[name] = value
        appended = tomlkit.dumps(document)
        line = tomlkit.dumps({name: value})
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise usage_error(f"{shorten(str(error), 200)}.", "See imgcli config edit.") from None
    beside = _inserted(text, table, name, line) if is_new else None
    return beside if beside and _load(beside) == _load(appended) else appended


def _inserted(text: str, table: Iterable[str], name: str, line: str) -> str | None:
    """Return the text with a line in its best place, None if the heading of the table is not found."""
    start = 0
    if heading := ".".join(table):
        line_of_table = re.search(rf"(?m)^[ \t]*\[[ \t]*{re.escape(heading)}[ \t]*\][^\n]*\n", text)
        if not line_of_table:
            return None
        start = line_of_table.end()
    following = _ANY_HEADING.search(text, start)
    keys = list(_ANY_KEY.finditer(text, start, following.start() if following else len(text)))
    best = [key for key in keys if key[1] == name] or keys
    place = best[-1].end() if best else start
    before = text[:place]
    return f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{line}{text[place:]}"


def _load(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
