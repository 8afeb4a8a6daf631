"""Which options of a request a model takes, from the catalog and the table of generation parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.catalog import ModelKind
from imgcli.core.params import PARAMETERS, ApiPlace

if TYPE_CHECKING:
    from imgcli.core.catalog import Accepts, Model
    from imgcli.core.params import Parameter


Acceptance: TypeAlias = tuple[str, ...] | bool | None
"""The values that a model takes of an option; where these are not listed whether it does, None if unknown."""


def accepted_options(model: Model) -> dict[str, Acceptance]:
    """Return the options that are a model's own, by their long names.

    Those of the image belong to the image model, also where a text model calls it.
    """
    if model.kind is ModelKind.TEXT:
        own = [one.flag for one in PARAMETERS if one.place is not ApiPlace.IMAGE]
        return dict.fromkeys([*own, "detach"], True)
    image = {one.flag: _taken(one, model.accepts) for one in PARAMETERS if one.is_in_both}
    return image | {"markup": model.accepts.markup if model.accepts else None}


def _taken(parameter: Parameter, accepts: Accepts | None) -> Acceptance:
    if accepts is None:
        return None
    listed: dict[str, tuple[str, ...] | None] = {
        "quality": accepts.qualities,
        "background": accepts.backgrounds,
        "format": accepts.formats,
        "complexity": accepts.complexities,
        "fidelity": accepts.fidelities,
    }
    if parameter.name in listed:
        values = listed[parameter.name]
        return None if values is None else tuple(map(str, values)) or False
    return not parameter.formats or not set(parameter.formats).isdisjoint(accepts.formats)
