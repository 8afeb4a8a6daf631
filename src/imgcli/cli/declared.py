"""Options that several commands share, declared in one function and taken over by the others."""

from __future__ import annotations

import inspect
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound="Callable[..., Any]")


_DEFAULT = "  [default: "


def taking_options_of(declares: Callable[..., Any], **defaults: str) -> Callable[[C], C]:
    """Let a command's `**chosen` stand for the keyword options of `declares`, after the command's own.

    `defaults` says in words what holds in this command where nobody says anything, for its help.
    """

    def decorate(command: C) -> C:
        own = [one for one in _parameters(command) if one.kind is not inspect.Parameter.VAR_KEYWORD]
        names = {one.name for one in own}
        others = [one for one in _parameters(declares) if _is_option(one) and one.name not in names]
        shared = [_retold(one, defaults[one.name]) if one.name in defaults else one for one in others]
        together = [*own, *shared]
        command.__annotations__ = {one.name: one.annotation for one in together}
        command.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]  # read by Typer
        return command

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _retold(parameter: inspect.Parameter, default: str) -> inspect.Parameter:
    """Say another default in an option's help."""
    kind, declared = get_args(parameter.annotation)
    told = copy(declared)
    told.help = f"{declared.help.partition(_DEFAULT)[0]}{_DEFAULT}{default}]"
    told.show_default = False
    return parameter.replace(annotation=Annotated[kind, told])
