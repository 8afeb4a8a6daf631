"""Converts a batch file's rows to options, as the command line would, on top of the command's own."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from imgcli.cli.config.precedence import overridden
from imgcli.cli.config.settings import long_name
from imgcli.cli.flags import generate_options
from imgcli.cli.params.batch_options import ROW_OPTIONS
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.option import option
from imgcli.core.text import did_you_mean, shorten, similar_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.cli.config.settings import AppliedProfile
    from imgcli.core.errors import Problem


_NEVER = {
    "prompt-file": "A row cannot read its prompt from a file: the whole file would be sent.",
    "completion-window": "A row cannot be submitted by itself: `imgcli batch --later` submits them all.",
    "continue": "A row cannot continue from the last image.",
}
_SWITCH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_ROW, _TYPED, _ENVIRONMENT, _FILE = 0, 2, 3, 4
_WEIGHTS = {"COMMANDLINE": _TYPED, "ENVIRONMENT": _ENVIRONMENT, "DEFAULT_MAP": _FILE}
_NAME_LENGTH = 60


class CommandRowOptions:
    """Converts the values of rows by the parameters of the command that runs."""

    def __init__(self, ctx: typer.Context, flags: Mapping[str, Any], profile: AppliedProfile) -> None:
        self._context: Context = ctx.obj
        self._flags, self._profile = flags, profile
        params = ctx.command.params
        self._parameters: dict[str, Any] = {name: one for one in params if (name := long_name(one))}
        self._others = {
            opt[2:] for one in params for opt in (*one.opts, *one.secondary_opts) if opt[:2] == "--"
        }
        sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
        weights = {name: _WEIGHTS.get(source.name) for name, source in sources.items() if source}
        self._weights = {name: weight for name, weight in weights.items() if weight is not None}

    @property
    def names(self) -> frozenset[str]:
        """The long names of the options that a row may set."""
        return frozenset(ROW_OPTIONS)

    def refusal(self, name: str) -> ImgcliError | None:
        """Return the error for an option that a row must not set, None for what is no option."""
        if name in ROW_OPTIONS:
            return None
        if name in _NEVER:
            return usage_error(_NEVER[name])
        if name not in self._others:
            return None
        return usage_error(
            f"A row cannot set {name}: it holds for the whole batch.",
            f"Give it on the command line: --{name}",
        )

    def convert(self, name: str, value: object) -> object:
        """Return a row's value as the option takes it. Raises `ImgcliError` (usage)."""
        parameter = self._parameters[name]
        descriptor = parameter.type_descriptor
        annotation = descriptor.annotation
        if parameter.multiple:
            return _texts(name, value)
        if annotation is bool:
            return _switch(name, value)
        if annotation is int:
            return _integer(name, value)
        if not isinstance(value, str):
            raise _wrong(name, "text", value)
        text = value.strip()
        if parser := descriptor.parameter_info.parser:
            try:
                return parser(text)
            except typer.BadParameter as error:
                raise usage_error(f"{name}: {error.message}") from None
        if issubclass(annotation, Enum):
            return _choice(name, text, annotation)
        return text

    def options(self, values: Mapping[str, object], output: str | None) -> GenerateOptions:
        """Return the options of a run with a row's values over the command's flags.

        Defaults that contradict a row's value give way, as they do for one that was typed. Raises
        `ImgcliError` (usage).
        """
        own = {self._parameters[name].name: value for name, value in values.items()}
        params = {**self._flags, "output": output, **own}
        weights = {**self._weights, **dict.fromkeys(own, _ROW)}
        if output != self._flags["output"]:
            weights["output"] = _ROW
        if own or output != self._flags["output"]:
            for name in set(overridden(params, weights)):
                params[name] = next(one.default for one in self._parameters.values() if one.name == name)
        model = next(iter(params["model"] or ()), None)
        return generate_options(self._context, {**params, "model": model}, self._profile)

    def explained(self, problem: Problem, names: Collection[str]) -> Problem:
        """Return a problem of a row that sets the options of these names, in words that fit a file.

        They have no dashes there; for the others there is a note on where the configuration sets them.
        """
        places = {name: place for name, place in self._profile.places.items() if name not in names}
        problem = replace(self._profile, places=places).explained(problem)
        what, advice = problem.what, problem.advice
        for name in names:
            spelled = re.compile(rf"(?<![\w-]){re.escape(option(name))}(?![\w-])")
            what, advice = spelled.sub(name, what), spelled.sub(name, advice)
        return replace(problem, what=what, advice=advice)


def _texts(name: str, value: object) -> list[str]:
    given = value if isinstance(value, list) else [value]
    texts = [one for one in given if isinstance(one, str) and one]
    if not texts or len(texts) < len(given):
        raise _wrong(name, "text or a list of texts", value)
    return texts


def _switch(name: str, value: object) -> bool:
    found = value if isinstance(value, bool) else _SWITCH.get(str(value).strip().lower())
    if found is None:
        raise _wrong(name, "true or false", value)
    return found


def _integer(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, str) and len(value) < _NAME_LENGTH else int("")
    except ValueError:
        raise _wrong(name, "a whole number", value) from None


def _choice(name: str, text: str, kind: type[Enum]) -> Enum:
    choices = {str(choice.value): choice for choice in kind}
    if text.lower() in choices:
        return choices[text.lower()]
    advice = did_you_mean(similar_names(text, choices)[:1])
    raise usage_error(
        f"{name} must be one of {', '.join(choices)}, not {shorten(text, _NAME_LENGTH)}.", advice
    )


def _wrong(name: str, what: str, value: object) -> ImgcliError:
    return usage_error(f"{name} must be {what}, not {shorten(str(value), _NAME_LENGTH)}.")
