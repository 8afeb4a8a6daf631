"""The configuration as one command sees it: which profile, which defaults, and where each came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.core.config import Config, Profile, Schema, Setting, Shape, Takes
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROFILE_VARIABLE = "IMGCLI_PROFILE"
"""The environment variable that names the profile."""
OPTION = "--profile"

_NAME_LENGTH = 60
_ALWAYS_OURS = frozenset({"help", "profile", "trust", "version"})
_KINDS = {bool: Takes.SWITCH, int: Takes.WHOLE, float: Takes.NUMBER, Path: Takes.PATH}
_METAVARS = {"USD": Takes.DOLLARS, "WHERE": Takes.PATH}


@dataclass(frozen=True)
class Settings:
    """A configuration that was read, with the profile that holds now.

    `named_by` is what named the profile: the option, the environment variable, or the file's key.
    """

    file: str
    config: Config
    profile: Profile | None = None
    named_by: str = ""

    def place(self, setting: Setting) -> str:
        """Say where a default stands."""
        return f"line {setting.line} of {self.file}"


def read_settings(env: Mapping[str, str], schema: Schema, named: str | None) -> Settings:
    """Read the configuration, and choose the profile; `named` is the option's word.

    Raises `ImgcliError` (usage). An empty name means no profile.
    """
    from imgcli.store.configfile import config_path, read_text

    text = read_text(env)
    path = config_path(env)
    file = shorten(str(path.absolute()), 200) if path else "config.toml"
    config = _read(text, schema, file) if text is not None else Config()
    name, named_by = _profile_name(env, config, named)
    if not name:
        return Settings(file, config)
    if name in config.profiles:
        return Settings(file, config, config.profiles[name], named_by)
    raise usage_error(_no_profile(name, named_by, file), _advice(name, config, is_there=text is not None))


def _read(text: str, schema: Schema, file: str) -> Config:
    from imgcli.core.config_reading import read_config

    return read_config(text, schema, file)


def _profile_name(env: Mapping[str, str], config: Config, named: str | None) -> tuple[str, str]:
    if named is not None:
        return named, OPTION
    if told := env.get(PROFILE_VARIABLE, "").strip():
        return told, PROFILE_VARIABLE
    return config.default_profile or "", "default-profile"


def _no_profile(name: str, named_by: str, file: str) -> str:
    return f"{named_by} names {shorten(name, _NAME_LENGTH)}, and {file} has no such profile."


def _advice(name: str, config: Config, *, is_there: bool) -> str:
    from imgcli.core.suggestion import did_you_mean, near

    if not is_there:
        return "There is no such file yet; `imgcli config init` writes one to begin with."
    if meant := near(name, config.profiles):
        return did_you_mean(shorten(one, _NAME_LENGTH) for one in meant[:1])
    known = ", ".join(shorten(one, _NAME_LENGTH) for one in config.profiles)
    return f"It has {known}." if known else "Add a table [profile.NAME] to it."


def long_name(parameter: Any) -> str | None:  # noqa: ANN401 - Typer keeps these types private
    """Give an option's long name without dashes; None for arguments and for what no file may set."""
    names = [name[2:] for name in parameter.opts if name.startswith("--")]
    return names[0] if names and names[0] not in _ALWAYS_OURS else None


def shapes(command: Any) -> dict[str, Shape]:  # noqa: ANN401 - see above
    """Describe what each option of a command takes."""
    return {name: _shape(parameter) for parameter in command.params if (name := long_name(parameter))}


def _shape(parameter: Any) -> Shape:  # noqa: ANN401 - see above
    if parameter.multiple:
        return Shape(Takes.LIST)
    descriptor = parameter.type_descriptor
    if descriptor.choices is not None:
        return Shape(Takes.TEXT, tuple(str(choice) for choice in descriptor.choices))
    return Shape(_METAVARS.get(parameter.metavar) or _KINDS.get(descriptor.annotation, Takes.TEXT))


def typer_values(
    command: Any,  # noqa: ANN401 - see above
    chosen: Mapping[str, Setting],
) -> Iterator[tuple[str, tuple[Setting, object]]]:
    """Give each default that a command has an option for, by Typer's name for it: the setting, the value."""
    for parameter in command.params:
        setting = chosen.get(long_name(parameter) or "")
        if setting is not None:
            value = setting.value
            if _shape(parameter).takes is Takes.PATH and isinstance(value, str):
                value = at_home(value)
            yield parameter.name, (setting, value)


def at_home(path: str) -> str:
    """Read `~` as shells do, which never see the text of a file, nor what follows an option's `=`."""
    return os.path.expanduser(path)  # noqa: PTH111 - a path's spelling (a slash at its end) counts
