"""Defaults that yield: an option on the command line overrides a conflicting default from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.params import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Params = Mapping[str, Any]


_MOVING = ("gif", "svg")


class PrecedenceRule(NamedTuple):
    """A default that gives way in a `conflict` if one of its `rivals` was set with higher precedence.

    Without rivals it applies where it fits, and gives way wherever it does not.
    """

    name: str
    conflict: Callable[[Params], bool]
    rivals: tuple[str, ...] = ()


def overridden(params: Params, weights: Mapping[str, int]) -> Iterator[str]:
    """Yield the parameters whose defaults are to be dropped.

    `weights` has every parameter that is set: 0 for the command line, 1 for the environment, more for the
    file.
    """
    for rule in _RULES:
        weight = weights.get(rule.name, 0)
        is_default = weight > 1 and params.get(rule.name) not in (None, False)
        loses = not rule.rivals or any(weights.get(rival, weight) < weight for rival in rule.rivals)
        if is_default and loses and rule.conflict(params):
            yield rule.name


def _any(*names: str) -> Callable[[Params], bool]:
    return lambda params: any(params.get(name) not in (None, False) for name in names)


def _names_another_format(params: Params) -> bool:
    named = _named_format(params)
    return named is not None and named != params.get("format")


def _named_format(params: Params) -> str | None:
    from imgcli.store.publish.naming import format_of_name

    return format_of_name(params.get("output"))


def _excludes(formats: tuple[str, ...]) -> Callable[[Params], bool]:
    return lambda params: (_named_format(params) or params.get("format")) not in formats


def _has_no_partials(params: Params) -> bool:
    return (_named_format(params) or params.get("format")) in _MOVING


def _asks_an_image_model(params: Params) -> bool:
    from imgcli.core.catalog import load

    models = params.get("model") or ()
    return params.get("api") == "images" or any(load().is_image_model(model) for model in models)


def _writes_image_to_stdout(params: Params) -> bool:
    return params.get("output") == "-" and bool(params.get("jsonl"))


def _keeps_no_file(params: Params) -> bool:
    return params.get("output") == "-" or bool(params.get("no_save"))


def _shows(params: Params) -> bool:
    return params.get("preview") not in (None, "off")


_RULES = (
    PrecedenceRule("quiet", _any("jsonl"), ("jsonl",)),
    PrecedenceRule("jsonl", _any("quiet"), ("quiet",)),
    PrecedenceRule("plain", _shows, ("preview",)),
    PrecedenceRule("no_save", _any("output", "force", "keep_partials"), ("output", "force", "keep_partials")),
    PrecedenceRule("output", _any("no_save"), ("no_save",)),
    PrecedenceRule("opens", _keeps_no_file),
    PrecedenceRule("copies", _keeps_no_file),
    PrecedenceRule("output", _writes_image_to_stdout, ("jsonl",)),
    PrecedenceRule("jsonl", _writes_image_to_stdout, ("output",)),
    PrecedenceRule("force", _any("no_save"), ("no_save",)),
    PrecedenceRule("keep_partials", _any("no_save"), ("no_save",)),
    PrecedenceRule("image_model", _asks_an_image_model, ("model", "api")),
    PrecedenceRule("detach", _asks_an_image_model, ("model", "api")),
    PrecedenceRule("detach", lambda params: params.get("stream") is False, ("stream",)),
    PrecedenceRule("detach", _any("later"), ("later",)),
    PrecedenceRule("completion_window", _asks_an_image_model, ("model", "api")),
    PrecedenceRule("completion_window", _any("stream", "partials"), ("stream", "partials")),
    PrecedenceRule("format", _names_another_format, ("output",)),
    *(PrecedenceRule(one.name, _excludes(one.formats)) for one in PARAMETERS if one.formats),
    *(PrecedenceRule(one.name, _asks_an_image_model) for one in PARAMETERS if not one.is_in_both),
    PrecedenceRule("partials", _has_no_partials),
    PrecedenceRule("stream", lambda params: _has_no_partials(params) and _asks_an_image_model(params)),
    PrecedenceRule("partials", lambda params: params.get("stream") is False, ("stream",)),
)
