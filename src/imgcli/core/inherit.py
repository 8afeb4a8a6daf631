"""What a new image takes over from the recipe of an earlier one.

What was typed goes first, then the recipe, then environment and configuration, then what is built in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from imgcli.core.catalog import Catalog, ModelKind
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Background, Fidelity, Moderation, Quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from imgcli.core.recipe import Recipe
    from imgcli.core.request import DraftRequest, ImageRequest


C = TypeVar("C", bound=StrEnum)

FREE_SIZE = "auto"
"""The size of an image made from another of unknown making: the model keeps to that one's shape."""

_MODELS = ("model", "image_model", "api")
_OTHERS = ("size", "quality", "background", "moderation", "fidelity")
_LESS = ((), ("api",), ("image_model",), ("api", "image_model"), ("model", "api"), _MODELS)
"""What of the models is left to what was typed, the least first."""


@dataclass(frozen=True)
class OptionSources:
    """Which fields of a wish somebody set: `typed` on the command line, `configured` anywhere else."""

    typed: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PreviousOptions:
    """How an earlier image was made: fields of a `DraftRequest`, none where nobody knows, and the server."""

    options: Mapping[str, Any] = field(default_factory=dict)
    place: str | None = None

    @classmethod
    def of_request(cls, request: ImageRequest, place: str | None) -> Self:
        """Read the options of a request that was sent."""
        options = {name: getattr(request, name) for name in (*_MODELS, *_OTHERS, "format", "compression")}
        return cls(options | {"size": request.size or FREE_SIZE}, place)

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Self:
        """Read the options of an embedded recipe; a word that this imgcli does not know is left out."""
        options = {
            "model": recipe.model,
            "image_model": recipe.image_model,
            "api": _choice(Api, recipe.api),
            "size": recipe.size or FREE_SIZE,
            "quality": _choice(Quality, recipe.quality),
            "background": _choice(Background, recipe.background),
            "moderation": _choice(Moderation, recipe.moderation),
            "fidelity": _choice(Fidelity, recipe.fidelity),
            "format": _choice(ImageFormat, recipe.format),
            "compression": recipe.compression,
        }
        return cls(options, recipe.place)


@dataclass(frozen=True)
class RequestTime:
    """Who is asked now, and when: a server's host and port, our table of models, today's date."""

    place: str | None
    models: Catalog
    today: date


@dataclass(frozen=True)
class Inherited:
    """A wish with what it took over; `taken` names those of its fields that the recipe filled."""

    wish: DraftRequest
    taken: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


def inherit(
    wish: DraftRequest, said: OptionSources, earlier: PreviousOptions, here: RequestTime
) -> Inherited:
    """Fill in from an earlier image's recipe whatever was not typed, nor contradicts what was."""
    options = earlier.options
    if not options:
        is_free = "size" not in said.typed | said.configured
        return Inherited(replace(wish, size=FREE_SIZE) if is_free else wish)
    others = {name: options[name] for name in _OTHERS}
    found = others | _formats(wish, said, options) | _models(wish, said, earlier, here)
    kept = {name: value for name, value in found.items() if name not in said.typed}
    taken = frozenset(name for name, value in kept.items() if value is not None)
    return Inherited(replace(wish, **kept), taken, tuple(_lost(said, options, here)))


def _formats(wish: DraftRequest, said: OptionSources, options: Mapping[str, Any]) -> dict[str, Any]:
    """Take format and compression together: neither where another format is asked for."""
    asked = (wish.format if "format" in said.typed else None) or wish.name_format
    is_other = asked not in {None, options["format"]}
    return {} if is_other else {name: options[name] for name in ("format", "compression")}


def _models(
    wish: DraftRequest, said: OptionSources, earlier: PreviousOptions, here: RequestTime
) -> dict[str, Any]:
    """Take as many of the models as go together with what was typed."""
    found = {name: earlier.options[name] for name in _MODELS if name not in said.typed}
    if _is_strange(said, earlier, here) or _is_gone(found.get("model"), here):
        return {}
    if _is_gone(found.get("image_model"), here):
        found["image_model"] = None
    if found.get("model") == here.models.default_model(here.today) and found.get("api") is Api.RESPONSES:
        found["model"] = None  # nobody chose it: it rolls over by itself
    tries = ({name: found[name] for name in found if name not in less} for less in _LESS)
    return next(kept for kept in tries if not kept or _go_together(replace(wish, **kept), here.models))


def _is_strange(said: OptionSources, earlier: PreviousOptions, here: RequestTime) -> bool:
    """Whether the models are another server's, and so nothing that this one must have."""
    name = earlier.options["model"]
    if name is None or earlier.place == here.place:
        return name is None
    return "model" in said.configured or here.models.find(name) is None


def _is_gone(name: str | None, here: RequestTime) -> bool:
    model = here.models.find(name) if name else None
    return model is not None and model.is_gone(here.today)


def _go_together(wish: DraftRequest, models: Catalog) -> bool:
    """Whether models and wire contradict each other as little as `decide` demands."""
    known = models.find(wish.model) if wish.model else None
    paints = bool(wish.model) and models.is_image_model(wish.model or "")
    is_text = known is not None and known.kind is ModelKind.TEXT
    if wish.image_model and (paints or wish.api is Api.IMAGES):
        return False
    return not (paints and wish.api is Api.RESPONSES) and not (is_text and wish.api is Api.IMAGES)


def _lost(said: OptionSources, options: Mapping[str, Any], here: RequestTime) -> Iterator[str]:
    """Say which models were not taken because they are no more."""
    for name in ("model", "image_model"):
        model = here.models.find(options[name]) if options[name] else None
        if model and model.is_gone(here.today) and said.typed.isdisjoint(_MODELS):
            what = f"OpenAI shut {options[name]} down on {model.shutdown}"
            yield f"{what}, which made the earlier image; another model is asked"


def _choice(kind: type[C], word: str | None) -> C | None:
    return kind(word) if word in set(kind) else None
