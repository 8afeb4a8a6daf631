"""Parameters that a new image inherits from an earlier one.

The command line takes precedence, with the presets that it names, then the earlier image, then environment
and configuration, then the defaults.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.catalog import Catalog, ModelKind
from imgcli.core.json_fields import choice
from imgcli.core.parameters.extra_field import without_tool
from imgcli.core.params import EXTRA, INHERITED, MODEL_FIELDS, PARAMETERS, UNSET, Api
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.request import DraftRequest, ImageRequest


FREE_SIZE = "auto"
"""The size of an image made from one of unknown size: the model keeps its aspect ratio."""

_FORMAT = ("format", *(parameter.name for parameter in PARAMETERS if parameter.formats))
_PRIVATE = frozenset(parameter.name for parameter in PARAMETERS if parameter.is_private)
_OMITTED = ((), ("api",), ("image_model",), ("api", "image_model"), ("model", "api"), MODEL_FIELDS)
"""What of the models is not inherited, the least first."""


@dataclass(frozen=True)
class OptionSources:
    """Which fields of a draft are set: `typed` on the command line, `configured` anywhere else.

    `preset` are those of the configured ones that a preset on the command line sets.
    """

    typed: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()
    preset: frozenset[str] = frozenset()

    @property
    def chosen(self) -> frozenset[str]:
        """Fields that the command line sets, by themselves or with a preset: no earlier image does."""
        return self.typed | self.preset


@dataclass(frozen=True)
class PreviousOptions:
    """How an earlier image was made: fields of a `DraftRequest`, if known, and the server."""

    options: Mapping[str, Any] = field(default_factory=dict)
    host: str | None = None

    @classmethod
    def of_request(cls, request: ImageRequest, host: str | None) -> Self:
        """Read the options of a request that was sent."""
        options = {name: getattr(request, name) for name in INHERITED}
        return cls(options | {"size": request.size or FREE_SIZE}, host)

    @classmethod
    def of_embedded(cls, parameters: EmbeddedParameters) -> Self:
        """Read embedded parameters; omit a value that this imgcli does not know."""
        options: dict[str, Any] = {name: getattr(parameters, name) for name in MODEL_FIELDS}
        options["api"] = choice(Api, parameters.api)
        options |= {one.name: one.read(parameters.options.get(one.name)) for one in PARAMETERS}
        return cls(options | {"size": options["size"] or FREE_SIZE}, parameters.host)


@dataclass(frozen=True)
class RequestContext:
    """What the new request is for: the server's host and port, the catalog, today's date."""

    host: str | None
    models: Catalog
    today: date


@dataclass(frozen=True)
class Inherited:
    """A draft with what it inherited; `inherited` names the fields that the earlier image filled."""

    draft: DraftRequest
    inherited: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


def inherit(
    draft: DraftRequest, sources: OptionSources, previous: PreviousOptions, context: RequestContext
) -> Inherited:
    """Fill in from an earlier image what was not typed and does not contradict what was."""
    options = previous.options
    if not options:
        is_free = "size" not in sources.typed | sources.configured
        return Inherited(replace(draft, size=FREE_SIZE) if is_free else draft)
    candidates = {name: options[name] for name in INHERITED if name not in (*MODEL_FIELDS, *_FORMAT)}
    # A format goes with what is for it alone: nothing of it is inherited where another format is wanted.
    wanted = (draft.format if "format" in sources.chosen else None) or draft.name_format
    if wanted in {None, options["format"]}:
        candidates |= {name: options[name] for name in _FORMAT}
    candidates |= _models(draft, sources, previous, context)
    if previous.host != context.host:  # what one server was told must not reach another
        candidates = {name: value for name, value in candidates.items() if name not in _PRIVATE}
    kept = {name: value for name, value in candidates.items() if name not in sources.chosen}
    made = replace(draft, **kept)
    if made.api is Api.IMAGES or (made.model and context.models.is_image_model(made.model)):
        # What the Images API does not accept is dropped, wherever it is from; what was typed is refused.
        alone = (one.name for one in PARAMETERS if not one.is_in_both)
        kept |= {name: None for name in alone if name not in sources.chosen}
        kept[EXTRA] = without_tool(made.extra) if EXTRA not in sources.chosen else made.extra
        made = replace(draft, **kept)
    inherited = frozenset(name for name, value in kept.items() if value not in UNSET)
    return Inherited(made, inherited, tuple(_shutdown_notices(sources, options, context)))


def _models(
    draft: DraftRequest, sources: OptionSources, previous: PreviousOptions, context: RequestContext
) -> dict[str, Any]:
    """Return as many of the models as are compatible with what was typed."""
    found = {name: previous.options[name] for name in MODEL_FIELDS if name not in sources.chosen}
    if _is_foreign(sources, previous, context) or _is_gone(found.get("model"), context):
        return {}
    if _is_gone(found.get("image_model"), context):
        found["image_model"] = None
    if (
        found.get("model") == context.models.default_model(context.today)
        and found.get("api") is Api.RESPONSES
    ):
        found["model"] = None  # nobody chose it: the default changes over time
    attempts = ({name: found[name] for name in found if name not in omitted} for omitted in _OMITTED)
    return next(
        kept for kept in attempts if not kept or _are_compatible(replace(draft, **kept), context.models)
    )


def _is_foreign(sources: OptionSources, previous: PreviousOptions, context: RequestContext) -> bool:
    """Return whether the models are another server's, which this one need not have."""
    name = previous.options["model"]
    if name is None or previous.host == context.host:
        return name is None
    return "model" in sources.configured or context.models.find(name) is None


def _is_gone(name: str | None, context: RequestContext) -> bool:
    model = context.models.find(name) if name else None
    return model is not None and model.is_gone(context.today)


def _are_compatible(draft: DraftRequest, models: Catalog) -> bool:
    """Return whether `validate` would accept these models and this API together."""
    known = models.find(draft.model) if draft.model else None
    is_image = bool(draft.model) and models.is_image_model(draft.model or "")
    is_text = known is not None and known.kind is ModelKind.TEXT
    if draft.image_model and (is_image or draft.api is Api.IMAGES):
        return False
    return not (is_image and draft.api is Api.RESPONSES) and not (is_text and draft.api is Api.IMAGES)


def _shutdown_notices(
    sources: OptionSources, options: Mapping[str, Any], context: RequestContext
) -> Iterator[str]:
    """Yield a notice for each model that was not inherited because it no longer exists."""
    for name in ("model", "image_model"):
        model = context.models.find(options[name]) if options[name] else None
        if model and model.is_gone(context.today) and sources.chosen.isdisjoint(MODEL_FIELDS):
            shutdown = f"{options[name]}, which made the earlier image, was shut down on {model.shutdown}"
            yield f"{shutdown}; using another model"
