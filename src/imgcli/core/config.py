"""The configuration as values: defaults for options, server profiles, presets, and their line numbers."""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from imgcli.core.secrets import is_variable_name
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


PROFILE = "profile"
"""The table of profiles."""
DEFAULT_PROFILE = "default-profile"
"""The key of the default profile: TOML does not allow a key `profile` next to `[profile.NAME]`."""
PRESET = "preset"
"""The table of presets, and the option that names those in use."""
DEFAULT_PRESET = "default-preset"
"""The key of the default presets: TOML does not allow a key `preset` next to `[preset.NAME]`."""
PROMPT = "prompt"
PLACEHOLDER = "{prompt}"
"""The place of the user's prompt in the template of a preset."""
BASE_URL = "base-url"
KEY_ENV = "key-env"
KEY_COMMAND, KEY_FILE = "key-command", "key-file"
HEADERS = "headers"
BILLED = "billed"
"""Whether a server charges money; with false, limits do not apply to it."""
IMAGES_PATH, EDITS_PATH, RESPONSES_PATH = "images-path", "edits-path", "responses-path"
"""The keys of the paths of a server that knows other ones than OpenAI's."""
FROM_ENVIRONMENT = "env:"
"""The prefix of a header's value that names an environment variable."""


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and is_variable_name(value)


def _is_command(value: object) -> bool:
    words = value if isinstance(value, list) else [None]
    return all(isinstance(word, str) and "\0" not in word for word in words) and bool(words and words[0])


def _is_whole_path(value: object) -> bool:
    return isinstance(value, str) and (value.startswith("~") or PurePath(value).is_absolute())


KEY_SOURCES = {
    KEY_ENV: (_is_variable, "the name of an environment variable, in capitals", '"AZURE_OPENAI_API_KEY"'),
    KEY_COMMAND: (_is_command, "a program and its arguments as a list", '["pass", "show", "openai"]'),
    KEY_FILE: (_is_whole_path, "a whole path, or one that begins with ~", '"~/.config/openai-key"'),
}
"""What each takes that says where a server's key is; a profile has at most one of them."""


class ValueType(Enum):
    """The type of an option's value; the member's value is its name in messages."""

    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    NUMBER = "a number"
    DOLLARS = "an amount in dollars"
    TEXT = 'text in quotes, such as "this"'
    PATH = "a path in quotes"
    LIST = 'a list such as ["this", "that"]'


@dataclass(frozen=True)
class OptionType:
    """What an option accepts; `choices` is empty where every value of the type is valid."""

    type: ValueType
    choices: tuple[str, ...] = ()


Schema: TypeAlias = "Mapping[str, Mapping[str, OptionType]]"
"""Commands that can be configured; their options by long name, without dashes."""


@dataclass(frozen=True)
class Setting:
    """A default: `value` as Typer takes it, and the `line` and the `table` that it is from."""

    name: str
    value: object
    line: int
    table: str = ""


@dataclass(frozen=True)
class HttpHeader:
    """An HTTP header of a profile: its `value`, or the environment `variable` that holds it."""

    name: str
    value: str
    variable: str | None = None


class ApiPaths(NamedTuple):
    """The paths of requests, below a server's base URL.

    `edits` is None where edits go to `images` too, as OpenRouter has it.
    """

    images: str = "/images/generations"
    edits: str | None = "/images/edits"
    responses: str = "/responses"


OPENAI_PATHS = ApiPaths()


@dataclass(frozen=True)
class ServerSettings:
    """A profile's server: URL, headers, whether it charges money, paths, and where its key is.

    The key is in the variable `key_env`, is what `key_command` prints, or is in `key_file`: at most one is
    set.
    """

    profile: str = ""
    base_url: str | None = None
    key_env: str | None = None
    headers: tuple[HttpHeader, ...] = ()
    billed: bool = True
    paths: ApiPaths = OPENAI_PATHS
    key_command: tuple[str, ...] = ()
    key_file: str | None = None

    @property
    def has_secrets(self) -> bool:
        """Whether there is a key or a header that must not go to another server."""
        return bool(self.has_key or self.headers)

    @property
    def has_key(self) -> bool:
        """Whether the profile says where the server's own key is."""
        return bool(self.key_env or self.key_command or self.key_file)


@dataclass(frozen=True)
class Profile:
    """One `[profile.NAME]`: defaults, and a server, whose URL is among them."""

    name: str
    line: int
    settings: Mapping[str, Setting] = field(default_factory=dict)
    server: ServerSettings = field(default_factory=ServerSettings)


@dataclass(frozen=True)
class Preset:
    """One `[preset.NAME]`: a template for prompts, and defaults."""

    name: str
    line: int
    template: str = PLACEHOLDER
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def apply(self, prompt: str) -> str:
        """Return the template with a prompt in its place; other braces, as in JSON, stay as they are."""
        return self.template.replace(PLACEHOLDER, prompt)


@dataclass(frozen=True)
class Config:
    """A configuration file: defaults for all commands, for single commands, profiles and presets."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    default_profile: str | None = None
    presets: Mapping[str, Preset] = field(default_factory=dict)

    def defaults(
        self, command: str, profile: Profile | None, presets: Iterable[Preset] = ()
    ) -> dict[str, Setting]:
        """Return a command's defaults: the last preset's, else the profile's, the command's, the file's."""
        found = {**self.settings, **self.commands.get(command, {}), **(profile.settings if profile else {})}
        for preset in presets:
            found |= preset.settings
        return found

    def server(self, command: str, profile: Profile | None) -> ServerSettings:
        """Return a profile's server; the file's own base-url applies where the profile has none."""
        if profile is None:
            return ServerSettings()
        setting = self.defaults(command, profile).get(BASE_URL)
        return replace(profile.server, base_url=str(setting.value) if setting else None)
