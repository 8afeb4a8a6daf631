"""Checks a draft against the table of generation parameters, and lists what a model accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.catalog import ModelKind
from imgcli.core.errors import check_between, usage_error
from imgcli.core.option import option
from imgcli.core.parameters.extra_field import check_extras
from imgcli.core.params import PARAMETERS, SERVICE_TIERS, UNSET, Api, ApiPlace, Parameter
from imgcli.core.text import is_encodable, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.catalog import Accepts, Model
    from imgcli.core.image import ImageFormat
    from imgcli.core.params import Parameter
    from imgcli.core.request import DraftRequest


_NAME_LENGTH = 60


def check_parameters(draft: DraftRequest, output: ImageFormat | None, api: Api, text_model: str) -> None:
    """Check each parameter that is set by its row; `output` is the format, `text_model` one to recommend.

    Raises `ImgcliError` (usage).
    """
    check_extras(draft.extra, has_tool=api is Api.RESPONSES)
    for parameter in PARAMETERS:
        value = getattr(draft, parameter.name)
        if value in UNSET:
            continue
        if parameter.span:
            check_between(parameter.flag, value, *parameter.span)
        if parameter.type is str:
            _check_text(parameter, value)
        if parameter.formats and output not in parameter.formats:
            what = f"{option(parameter.flag)} works only with {' and '.join(parameter.formats)}."
            advice = f"Add {option('format', parameter.formats[-1])}."
            raise usage_error(what, advice, about=(parameter.flag, "format"))
        if api is Api.IMAGES and not parameter.is_in_both:
            what = f"The Images API does not take {option(parameter.flag)}."
            advice = f"Leave it out, or use a text model ({option('model', text_model, short=True)})."
            raise usage_error(what, advice, about=(parameter.flag, "model", "api"))

    if draft.service_tier == "batch":
        what = f"{option('service-tier', 'batch')} is not a tier for single requests."
        raise usage_error(what, f"Try imgcli batch {option('later')}.", about=("service-tier",))
    if draft.svg_effort and not draft.svg_model and api is Api.IMAGES and not draft.references:
        what = f"{option('svg-effort')} needs {option('svg-model')} on the Images API."
        raise usage_error(what, "Name the model as well.", about=("svg-effort", "svg-model"))


def undocumented(draft: DraftRequest, model: Model | None) -> Iterator[str]:
    """Yield a notice for each parameter that this image model or server is not known to accept."""
    if draft.service_tier and draft.service_tier not in SERVICE_TIERS:
        tier = option("service-tier", shorten(draft.service_tier, _NAME_LENGTH))
        yield f"imgcli does not know {tier}; it is sent as is"
    if model is None or model.accepts is None:
        return
    accepts = model.accepts
    for flag, value, known in (
        ("input-fidelity", draft.fidelity, accepts.fidelities),
        ("complexity", draft.complexity, accepts.complexities),
    ):
        if value and known is None:
            yield f"OpenAI does not say whether {model.name} supports {option(flag)}; it is sent as is"


def _check_text(parameter: Parameter, value: str) -> None:
    flag = option(parameter.flag)
    if not value.strip():
        raise usage_error(f"{flag} is empty.", "Leave it out.", about=(parameter.flag,))
    if not is_encodable(value):
        raise usage_error(f"{flag} is not valid UTF-8.", "Check your terminal's encoding.")
    if parameter.longest and len(value) > parameter.longest:
        what = f"{flag} has {len(value):,} characters; the API accepts {parameter.longest:,}."
        raise usage_error(what, "Shorten it.", about=(parameter.flag,))


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
