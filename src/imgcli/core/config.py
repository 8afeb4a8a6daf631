"""The configuration as values: defaults for options, profiles of servers, and in which line each stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


PROFILE = "profile"
"""The table that holds the profiles."""
DEFAULT_PROFILE = "default-profile"
"""The key that names the profile for who names none: TOML takes no `profile` beside `[profile.NAME]`."""
BASE_URL = "base-url"
KEY_ENV = "key-env"
HEADERS = "headers"
BILLED = "billed"
"""Whether a server takes money; false voids the limits there."""
FROM_ENVIRONMENT = "env:"
"""How a header's value begins that names an environment variable."""


class Takes(Enum):
    """What an option takes; the value is how a message calls it."""

    SWITCH = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    DOLLARS = "an amount of dollars"
    TEXT = 'text in quotes, such as "this"'
    PATH = "a path in quotes"
    LIST = 'a list such as ["this", "that"]'


@dataclass(frozen=True)
class Shape:
    """What may stand behind an option's name; `choices` is empty where everything may."""

    takes: Takes
    choices: tuple[str, ...] = ()


Schema: TypeAlias = "Mapping[str, Mapping[str, Shape]]"
"""Every command that can be configured, its options by their long names without dashes."""


@dataclass(frozen=True)
class Setting:
    """One default: `value` is as Typer takes it, `line` where it stands, `table` under which heading."""

    name: str
    value: object
    line: int
    table: str = ""


@dataclass(frozen=True)
class HttpHeader:
    """One HTTP header of a profile: its `value`, or the environment `variable` that holds it."""

    name: str
    value: str
    variable: str | None = None


@dataclass(frozen=True)
class ServerSettings:
    """What a profile says of its server: address, the variable with its key, headers, whether it bills."""

    profile: str = ""
    base_url: str | None = None
    key_env: str | None = None
    headers: tuple[HttpHeader, ...] = ()
    billed: bool = True

    @property
    def has_secrets(self) -> bool:
        """Whether there is anything that is for this server alone."""
        return bool(self.key_env or self.headers)


@dataclass(frozen=True)
class Profile:
    """One `[profile.NAME]`."""

    name: str
    line: int
    settings: Mapping[str, Setting] = field(default_factory=dict)
    headers: tuple[HttpHeader, ...] = ()
    key_env: str | None = None
    billed: bool = True


@dataclass(frozen=True)
class Config:
    """A whole file: defaults for every command, for single commands, and profiles."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    default_profile: str | None = None

    def chosen(self, command: str, profile: Profile | None) -> dict[str, Setting]:
        """Choose each default of a command: the profile's, else the command's table's, else the file's."""
        return {
            **self.settings,
            **self.commands.get(command, {}),
            **(profile.settings if profile else {}),
        }

    def server(self, command: str, profile: Profile | None) -> ServerSettings:
        """Say which server a profile is for; the file's own base-url counts where it has none."""
        if profile is None:
            return ServerSettings()
        told = self.chosen(command, profile).get(BASE_URL)
        url = str(told.value) if told else None
        return ServerSettings(profile.name, url, profile.key_env, profile.headers, profile.billed)
