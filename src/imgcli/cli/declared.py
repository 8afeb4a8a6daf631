"""Options that several commands share, declared in one function and taken over by the others."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound="Callable[..., Any]")


def taking_options_of(declares: Callable[..., Any]) -> Callable[[C], C]:
    """Let a command's `**chosen` stand for the keyword options of `declares`, after the command's own."""

    def decorate(command: C) -> C:
        own = [one for one in _parameters(command) if one.kind is not inspect.Parameter.VAR_KEYWORD]
        names = {one.name for one in own}
        shared = [one for one in _parameters(declares) if _is_option(one) and one.name not in names]
        together = [*own, *shared]
        command.__annotations__ = {one.name: one.annotation for one in together}
        command.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]  # read by Typer
        return command

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.KEYWORD_ONLY
