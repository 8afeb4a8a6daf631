"""The configuration of one command: its profile, its defaults, and where each comes from."""

from __future__ import annotations

import os
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.core.config import (
    BASE_URL,
    PRESET,
    PROFILE,
    Config,
    OptionType,
    Preset,
    Profile,
    Schema,
    ServerSettings,
    Setting,
    ValueType,
)
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.core.errors import Problem


_KEPT = "imgcli.configured"
_PARAMETER = "base_url"
_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True)
class AppliedProfile:
    """What the configuration did to one command: the settings of its server, and notes for its user.

    `places` has the long names of options that were set in the file, with the line. `presets` are those in
    use, `chosen` the parameters that they set if they were named on the command line.
    """

    server: ServerSettings = field(default_factory=ServerSettings)
    notices: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    presets: tuple[Preset, ...] = ()
    chosen: frozenset[str] = frozenset()

    def below(self, taken: Iterable[str]) -> AppliedProfile:
        """Return this with the options that were taken from the parameters of an earlier image."""
        earlier = dict.fromkeys(taken, "the earlier image's parameters")
        return replace(self, places={**self.places, **earlier})

    def explained(self, problem: Problem) -> Problem:
        """Return a problem with a note on where the options that it is about were set."""
        known = (name for name in problem.parameters if name in self.places)
        origins = [f"{name} comes from {self.places[name]}." for name in known]
        return replace(problem, advice=" ".join([*filter(None, [problem.advice]), *origins]))


def applied_profile(ctx: Any) -> AppliedProfile:  # noqa: ANN401 - Typer keeps these types private
    """Return what the configuration did to the command that runs now."""
    profile: AppliedProfile = ctx.meta.get(_KEPT) or AppliedProfile()
    return profile


def keep(ctx: Any, settings: Settings, in_force: Mapping[str, Setting]) -> None:  # noqa: ANN401 - see above
    """Keep what the configuration did for the command, which runs later; `in_force` is by Typer's names."""
    server, notices = _speaking_for(ctx, settings)
    places = {setting.name: settings.place(setting) for setting in in_force.values()}
    chosen = frozenset(name for name, setting in in_force.items() if settings.is_chosen(setting))
    presets = settings.presets_of(ctx.command)
    ctx.meta[_KEPT] = AppliedProfile(server, notices, places, presets, chosen)


def _speaking_for(ctx: Any, settings: Settings) -> tuple[ServerSettings, tuple[str, ...]]:  # noqa: ANN401 - see above
    """Return the settings for the server that is asked, and notes on what of the profile is not used.

    The environment overrides the profile, as everywhere; a note says so, because whoever names a profile may
    not remember the variable.
    """
    server = settings.config.server(ctx.info_name, settings.profile)
    if settings.profile is None or _PARAMETER not in ctx.params or ctx.params.get("demo"):
        return ServerSettings(), ()
    asked = ctx.params[_PARAMETER] or ""
    found = settings.server_at(ctx.info_name, asked)
    is_for_it = found == server
    notices = _open_key_file(found)
    if server.base_url is None:
        return found, notices if is_for_it else _nameless(server)
    return found, (*notices, *_overridden(ctx, settings, server, is_for_it=is_for_it))


def _open_key_file(server: ServerSettings) -> tuple[str, ...]:
    """Return a note on a key's file that others can read."""
    if not server.key_file:
        return ()
    from imgcli.api.key_store import permission_warning

    return tuple(filter(None, [permission_warning(server.key_file)]))


def _nameless(server: ServerSettings) -> tuple[str, ...]:
    if not server.has_secrets:
        return ()
    what = f"profile {server.profile} has no base-url"
    return (f"{what}, so its key and headers are not sent to a server on this machine",)


def _overridden(ctx: Any, settings: Settings, server: ServerSettings, *, is_for_it: bool) -> tuple[str, ...]:  # noqa: ANN401 - see above
    """Return a note if another address overrides the profile's."""
    source = ctx.get_parameter_source(_PARAMETER)
    by = _VARIABLE if source and source.name == "ENVIRONMENT" else f"--{BASE_URL}"
    kept = server.has_secrets and not is_for_it
    is_same = ctx.params[_PARAMETER].rstrip("/") == (server.base_url or "").rstrip("/")
    if is_same or (by != _VARIABLE and not kept):
        return ()
    setting = settings.config.defaults(ctx.info_name, settings.profile)[BASE_URL]
    what = f"{by} overrides the base-url of profile {server.profile} ({settings.place(setting)})"
    return (what + ("; its key and headers are not sent to the other server" if kept else ""),)


PROFILE_VARIABLE = "IMGCLI_PROFILE"
"""The environment variable that names the profile."""
OPTION = "--profile"

_NAME_LENGTH = 60
_ALWAYS_OURS = frozenset({"help", "profile", "reset", "trust", "update", "version"})
_KINDS = {bool: ValueType.BOOLEAN, int: ValueType.INTEGER, float: ValueType.NUMBER, Path: ValueType.PATH}
_METAVARS = {"USD": ValueType.DOLLARS, "WHERE": ValueType.PATH}


@dataclass(frozen=True)
class Settings:
    """A configuration that was read, with the profile in use.

    `named_by` is what selected the profile: the option, the environment variable, or the file's key.
    `presets` are the names on the command line, None where it has none.
    """

    file: str
    config: Config
    profile: Profile | None = None
    named_by: str = ""
    presets: tuple[str, ...] | None = None

    def defaults(self, command: Any) -> dict[str, Setting]:  # noqa: ANN401 - Typer keeps these types private
        """Return the defaults of a command."""
        found = self.config.defaults(command.name or "", self.profile, self.presets_of(command))
        if self.presets is not None:
            found.pop(PRESET, None)
        return found

    def presets_of(self, command: Any) -> tuple[Preset, ...]:  # noqa: ANN401 - see above
        """Return the presets that a command uses, in the order in which they are applied."""
        if all(long_name(parameter) != PRESET for parameter in command.params):
            return ()
        names: Any = self.presets
        if names is None:
            setting = self.config.defaults(command.name or "", self.profile).get(PRESET)
            names = setting.value if setting else ()
        return tuple(self.config.presets[name] for name in names)

    def is_chosen(self, setting: Setting) -> bool:
        """Return whether a default is from a preset that was named on the command line."""
        return self.presets is not None and setting.table.startswith(f"{PRESET}.")

    def server_at(self, command: str, asked: str) -> ServerSettings:
        """Return what the profile says of the server at an address; nothing where it speaks of another."""
        from imgcli.api.auth import is_at, is_on_this_machine

        server = self.config.server(command, self.profile)
        if server.base_url is None:
            is_for_it = not is_on_this_machine(asked)
        else:
            is_for_it = is_at(asked, server.base_url)
        return server if is_for_it else ServerSettings()

    def place(self, setting: Setting) -> str:
        """Return where a default is set."""
        return f"line {setting.line} of {self.file}"


def read_settings(
    env: Mapping[str, str], schema: Schema, named: str | None, presets: Iterable[str] | None = None
) -> Settings:
    """Read the configuration and choose the profile and the presets.

    `named` is the value of --profile, "" for none, `presets` those of --preset. Raises `ImgcliError` (usage).
    """
    from imgcli.store.config_file import config_path, read_text

    text = read_text(env)
    path = config_path(env)
    file = shorten(str(path.absolute()), 200) if path else "config.toml"
    config = Config()
    if text is not None:
        from imgcli.core.config_reader import read_config

        config = read_config(text, schema, file)
    wanted = None if presets is None else tuple(name for name in presets if name.strip())
    for name in wanted or ():
        if name not in config.presets:
            what = f"--{PRESET} is {shorten(name, _NAME_LENGTH)}, but {file} has no such preset."
            raise usage_error(what, _advice(name, PRESET, config.presets, exists=text is not None))
    name, named_by = _profile_name(env, config, named)
    if not name:
        return Settings(file, config, presets=wanted)
    if name in config.profiles:
        return Settings(file, config, config.profiles[name], named_by, wanted)
    what = f"{named_by} is {shorten(name, _NAME_LENGTH)}, but {file} has no such profile."
    raise usage_error(what, _advice(name, PROFILE, config.profiles, exists=text is not None))


def _profile_name(env: Mapping[str, str], config: Config, named: str | None) -> tuple[str, str]:
    if named is not None:
        return named, OPTION
    if name := env.get(PROFILE_VARIABLE, "").strip():
        return name, PROFILE_VARIABLE
    return config.default_profile or "", "default-profile"


def _advice(name: str, table: str, known: Iterable[str], *, exists: bool) -> str:
    """Name what was probably meant instead of an entry of a table, or all there are."""
    from imgcli.core.text import did_you_mean, similar_names

    if not exists:
        return "The file does not exist yet; create it with `imgcli config init`."
    if meant := similar_names(name, known):
        return did_you_mean(shorten(one, _NAME_LENGTH) for one in meant[:1])
    names = ", ".join(shorten(one, _NAME_LENGTH) for one in known)
    return f"Its {table}s are {names}." if names else f"Add a table [{table}.NAME] to it."


def long_name(parameter: Any) -> str | None:  # noqa: ANN401 - Typer keeps these types private
    """Return an option's long name without dashes; None for arguments and for what no file may set."""
    names = [name[2:] for name in parameter.opts if name.startswith("--")]
    return names[0] if names and names[0] not in _ALWAYS_OURS else None


def shapes(command: Any) -> dict[str, OptionType]:  # noqa: ANN401 - see above
    """Return what each option of a command takes."""
    return {name: _shape(parameter) for parameter in command.params if (name := long_name(parameter))}


def _shape(parameter: Any) -> OptionType:  # noqa: ANN401 - see above
    if parameter.multiple:
        return OptionType(ValueType.LIST)
    descriptor = parameter.type_descriptor
    if descriptor.choices is not None:
        return OptionType(ValueType.TEXT, tuple(str(choice) for choice in descriptor.choices))
    return OptionType(_METAVARS.get(parameter.metavar) or _KINDS.get(descriptor.annotation, ValueType.TEXT))


def typer_values(
    command: Any,  # noqa: ANN401 - see above
    chosen: Mapping[str, Setting],
) -> Iterator[tuple[str, tuple[Setting, object]]]:
    """Yield the defaults that a command has an option for: Typer's name, the setting, the value."""
    for parameter in command.params:
        setting = chosen.get(long_name(parameter) or "")
        if setting is not None:
            value = setting.value
            if _shape(parameter).type is ValueType.PATH and isinstance(value, str):
                value = expand_home(value)
            is_one = parameter.multiple and isinstance(value, str)
            yield parameter.name, (setting, [value] if is_one else value)


def expand_home(path: str) -> str:
    """Expand `~`: a shell does not see the text of a file, nor what follows an option's `=`."""
    return os.path.expanduser(path)  # noqa: PTH111 - a path's spelling (a slash at its end) counts
