"""Options that need no checking are not checked: Typer's checks load pydantic, as costly as Typer itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Unchecked:
    """Stands in for Typer's own check of one parameter, until a value comes that needs it."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - Typer keeps these types private
        """Give a value as Typer would: it raises what Typer raises for one that is wrong."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if _is_right_already(value, param.type_descriptor.annotation):
            return value
        param._runtime_param = None  # noqa: SLF001 - its own is made when it is asked for
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def spare_checks(params: Iterable[Any]) -> None:
    """Put off the checks of parameters that have not been checked yet."""
    for param in params:
        if getattr(param, "_runtime_param", False) is None:
            param._runtime_param = Unchecked()  # noqa: SLF001 - Typer has no other way in


def _is_right_already(value: object, annotation: Any) -> bool:  # noqa: ANN401 - any annotation
    """Tell whether a value is text where text is wanted, or texts, or a default of the very type."""
    wanted = get_args(annotation) or (annotation,)
    if isinstance(value, list | tuple):
        return wanted == (str,) and all(type(one) is str and _is_sound(one) for one in value)
    if type(value) is str:
        return str in wanted and _is_sound(value)
    return isinstance(value, Enum | bool | int | float) and type(value) in wanted


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, from a command line in another encoding
        return False
    return True
