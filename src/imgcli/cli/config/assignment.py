"""`imgcli config set`: one default in the configuration file, everything else in it as it was."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from imgcli.cli.config.command import configured_commands, schema
from imgcli.cli.config.file import config_place, example, unwritable
from imgcli.core.config import HEADERS, PROFILE, ValueType
from imgcli.core.config_reader import read_config
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.secrets import is_key_name, looks_like_key
from imgcli.core.text import did_you_mean, shorten, similar_names
from imgcli.store.config_file import read_text, replace, write_new

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.app.context import Context
    from imgcli.core.config import OptionType, Schema


_LONGEST = 60
_ANY_HEADING = re.compile(r"(?m)^[ \t]*(?:#[ \t]*)?\[")
_ANY_KEY = re.compile(r"(?m)^[ \t]*(?:#[ \t]?)?([A-Za-z0-9_-]+)[ \t]*=[^\n]*(?:\n|\Z)")
_SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class Assignment:
    """What is to be set: for every command, for one `command`, or in one `profile`."""

    name: str
    values: tuple[str, ...]
    command: str | None = None
    profile: str | None = None

    @property
    def table(self) -> tuple[str, ...]:
        """The table that it belongs into, the file's own for an empty one."""
        if self.profile is not None:
            return (PROFILE, self.profile)
        return () if self.command is None else (self.command,)


def write(world: Context, told: Assignment) -> None:
    """Set it, or change nothing. Raises `ImgcliError`."""
    _refuse_secrets(told)
    known = schema(configured_commands())
    value = _value(told, _shape(told, known))
    path = config_place(world)
    is_there = os.path.lexists(path)
    shown, text = shorten(str(path), 200), (read_text(world.env) or "") if is_there else example()
    try:
        changed = _with_setting(text, told.table, told.name, value)
        read_config(changed, known, shown)
    except ImgcliError as error:
        read_config(text, known, shown)  # what is wrong with the file itself is told first
        why = error.problem.what.partition(f" of {shown}: ")[2] or error.problem.what
        raise usage_error(f"Nothing was written: {why}", error.problem.advice) from None
    if is_there and not path.is_file():
        raise unwritable(path, ValueError("it is not a regular file"))
    try:
        (replace if is_there else write_new)(path, changed)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None


def _refuse_secrets(told: Assignment) -> None:
    if is_key_name(told.name) or any(looks_like_key(one) for one in (told.name, *told.values)):
        raise usage_error(
            "Keys and passwords do not belong in the configuration file; nothing was written.",
            "Keep it in an environment variable, and name that one: imgcli config set key-env MY_KEY "
            "--profile NAME. Your shell may have kept what you typed in its history.",
        )


def _shape(told: Assignment, known: Schema) -> OptionType | None:
    """Find what the option takes, None for what reading alone knows of. Raises `ImgcliError` (usage)."""
    if told.profile is not None and not told.profile.strip():
        raise usage_error("--profile needs a name.")
    if told.command is not None and told.profile is not None:
        raise usage_error("--command and --profile contradict each other.", "Choose one.")
    if told.command is not None and told.command not in known:
        shown = shorten(told.command, _LONGEST)
        advice = did_you_mean(similar_names(told.command, known)) or f"It is one of {', '.join(known)}."
        raise usage_error(f"{shown} is not a command with defaults.", advice)
    if told.name == HEADERS:
        raise usage_error("headers is a table; nothing was written.", "Set it with imgcli config edit.")
    options = {name: shape for command in known.values() for name, shape in command.items()}
    return options.get(told.name)


def _value(told: Assignment, shape: OptionType | None) -> object:
    """Turn words into the value that the option takes; what does not fit stays text, and reading objects."""
    if shape and shape.type is ValueType.LIST:
        return list(told.values)
    if len(told.values) > 1:
        raise usage_error(
            f"{shorten(told.name, _LONGEST)} takes one value, not {len(told.values)}.",
            "Put quotes around a value with spaces.",
        )
    (word,) = told.values
    match shape.type if shape else ValueType.TEXT:
        case ValueType.BOOLEAN:
            return _SWITCH.get(word.lower(), word)
        case ValueType.INTEGER | ValueType.NUMBER | ValueType.DOLLARS:
            return _number(word)
        case _:
            return word


def _number(word: str) -> object:
    try:
        number = Decimal(word)
    except InvalidOperation:
        return word
    if not number.is_finite():
        return word
    return int(number) if re.fullmatch(r"[+-]?\d+", word) else float(number)


def _with_setting(text: str, table: tuple[str, ...], name: str, value: object) -> str:
    """Return the text with one more or one other setting, formatted as it was.

    A new key goes beside its commented-out example, else after its table's last key, wherever that means the
    same as appending it to the table: an example that is woken later must not take the key with it.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        inner: Any = document
        for step in table:
            inner = inner.setdefault(step, tomlkit.table(is_super_table=step == PROFILE and len(table) > 1))
        is_new = name not in inner
        inner[name] = value
        appended = tomlkit.dumps(document)
        line = tomlkit.dumps({name: value})
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise usage_error(f"{shorten(str(error), 200)}.", "See imgcli config edit.") from None
    beside = _inserted(text, table, name, line) if is_new else None
    return beside if beside and _means(beside) == _means(appended) else appended


def _inserted(text: str, table: Iterable[str], name: str, line: str) -> str | None:
    """Return the text with a line in its best place, None where the table has no heading to be found."""
    start = 0
    if heading := ".".join(table):
        found = re.search(rf"(?m)^[ \t]*\[[ \t]*{re.escape(heading)}[ \t]*\][^\n]*\n", text)
        if not found:
            return None
        start = found.end()
    following = _ANY_HEADING.search(text, start)
    keys = list(_ANY_KEY.finditer(text, start, following.start() if following else len(text)))
    best = [key for key in keys if key[1] == name] or keys
    place = best[-1].end() if best else start
    before = text[:place]
    return f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{line}{text[place:]}"


def _means(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
