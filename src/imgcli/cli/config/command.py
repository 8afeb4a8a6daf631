"""A command with configurable defaults: flag, environment, preset, profile, file, built-in.

Without a file it costs one look into the file system; help and completions do without that.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from imgcli.cli.registry import build_app
from imgcli.cli.typer_ext import GroupedCommand
from imgcli.core.config import PRESET, PROFILE
from imgcli.core.errors import ImgcliError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.cli.config.settings import Settings
    from imgcli.core.config import Schema, Setting
    from imgcli.core.errors import Problem


_RECOVER = "recover"
HABITS = {"preview": "IMGCLI_PREVIEW"}
"""Options whose default in the file only replaces an environment variable that is not set."""

_COMMAND_LINE, _ENVIRONMENT, _IN_PRESET, _IN_PROFILE, _IN_TABLE, _IN_FILE = range(6)
_WEIGHTS = {"COMMANDLINE": _COMMAND_LINE, "ENVIRONMENT": _ENVIRONMENT, "DEFAULT_MAP": _IN_FILE}
_WEIGHT_OF = {PRESET: _IN_PRESET, PROFILE: _IN_PROFILE}


def configured_commands() -> dict[str, ConfiguredCommand]:
    """Load and return the commands that can be configured."""
    import typer

    group: Any = typer.main.get_group(build_app())
    return {name: one for name, one in group.commands.items() if isinstance(one, ConfiguredCommand)}


def schema(commands: Mapping[str, ConfiguredCommand]) -> Schema:
    """Return what each option of these commands takes."""
    from imgcli.cli.config.settings import shapes

    return {name: shapes(one) for name, one in commands.items()}


class ConfiguredCommand(GroupedCommand):
    """A command that takes defaults from the configuration, and `--no-X` for every switch `--X`.

    A broken file is an error for a command that has `--profile`; any other goes on without it, and so does
    `recover` where no profile is named: what it saves was paid for.
    """

    def make_parser(self, ctx: Any) -> Any:  # noqa: ANN401 - see above
        """Add `--no-X` for every switch, because a file can turn it on."""
        parser = super().make_parser(ctx)
        for parameter in self.params:
            opposite = _opposite(parameter)
            if opposite and opposite not in parser._long_opt:  # noqa: SLF001 - Typer tells it nowhere else
                switch: Any = parameter
                parser.add_option(switch, [opposite], parameter.name, action="store_const", const=False)
        return parser

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see above
        """Parse the arguments over the defaults of the configuration."""
        settings = None if ctx.resilient_parsing else self._settings(ctx, args)
        if settings is None:
            return super().parse_args(ctx, args)
        from imgcli.cli.config.settings import keep, typer_values

        chosen = dict(typer_values(self, settings.defaults(self)))
        ctx.default_map = {name: value for name, (_, value) in chosen.items() if name not in HABITS}
        rest = super().parse_args(ctx, args)
        keep(ctx, settings, self._settle(ctx, chosen))
        return rest

    def _settings(self, ctx: Any, args: list[str]) -> Settings | None:  # noqa: ANN401 - see above
        """Return the settings, None where there are none or the command does without them."""
        values = self.make_parser(ctx).parse_args(args=list(args))[0]
        context: Context = ctx.obj
        profile, presets = values.get(PROFILE), values.get(PRESET)
        if values.get("help") or values.get("brief") or not (presets or _is_configured(context, profile)):
            return None
        from imgcli.cli.config.settings import read_settings

        try:
            return read_settings(context.env, schema(configured_commands()), profile, presets)
        except ImgcliError as error:
            has_profile = any(parameter.name == PROFILE for parameter in self.params)
            if has_profile and (profile or self.name != _RECOVER):
                _refuse(context, error.problem, is_jsonl=bool(values.get("jsonl")))
            context.warn([f"{error.problem.what} {ctx.command_path} continues without it."])
            return None

    def _settle(self, ctx: Any, chosen: Mapping[str, tuple[Setting, object]]) -> dict[str, Setting]:  # noqa: ANN401 - see above
        """Drop the defaults that give way, pass the habits on, and return the settings in force."""
        from imgcli.cli.config.precedence import overridden

        weights = {name: weight for name in ctx.params if (weight := _weight(ctx, name, chosen)) is not None}
        for name in set(overridden(ctx.params, weights)):
            ctx.params[name] = next(one.default for one in self.params if one.name == name)
            del weights[name]
        habits = {name: str(chosen[name][1]) for name in chosen.keys() & HABITS if _lacks(ctx, name)}
        ctx.obj = replace(
            ctx.obj, env={**ctx.obj.env, **{HABITS[name]: value for name, value in habits.items()}}
        )
        return {
            name: setting
            for name, (setting, _) in chosen.items()
            if name in habits or weights.get(name, 0) > _ENVIRONMENT
        }


def _is_configured(context: Context, profile: str | None) -> bool:
    """Return whether there is anything to read, with a single file system call."""
    from imgcli.store.config_file import VARIABLE, config_path

    path: Path | None = config_path(context.env)
    env = context.env
    is_named = profile or env.get("IMGCLI_PROFILE", "").strip() or env.get(VARIABLE, "").strip()
    return bool(is_named) or (path is not None and os.path.lexists(path))


def _opposite(parameter: Any) -> str | None:  # noqa: ANN401 - see above
    """Return the option that turns a switch off: `--no-force` for `--force`, `--save` for `--no-save`."""
    if not getattr(parameter, "is_bool_flag", False) or parameter.secondary_opts:
        return None
    name = next((one[2:] for one in parameter.opts if one.startswith("--")), "")
    return f"--{name[3:]}" if name.startswith("no-") else f"--no-{name}"


def _weight(ctx: Any, name: str, chosen: Mapping[str, tuple[Setting, object]]) -> int | None:  # noqa: ANN401 - see above
    """Return the precedence of a parameter's value, 0 for the command line; None for built-in."""
    source = ctx.get_parameter_source(name)
    weight = _WEIGHTS.get(source.name) if source else None
    if weight != _IN_FILE:
        return weight
    table = chosen[name][0].table
    kind, _, is_named = table.partition(".")
    return _WEIGHT_OF[kind] if is_named else _IN_TABLE if table else _IN_FILE


def _lacks(ctx: Any, name: str) -> bool:  # noqa: ANN401 - see above
    """Return whether neither the command line nor the environment sets a habit."""
    return ctx.params.get(name) is None and not ctx.obj.env.get(HABITS[name], "").strip()


def _refuse(context: Context, problem: Problem, *, is_jsonl: bool) -> NoReturn:
    """Report a broken configuration as the command's reader expects it, and exit."""
    import typer

    from imgcli.app.options import OutputFormat
    from imgcli.app.reporting import refuse

    raise typer.Exit(refuse(context, problem, OutputFormat.JSON_LINES if is_jsonl else OutputFormat.PEOPLE))
