"""The models: which exist, what they can do and when they shut down, as published by November 2026."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.demo.exchange import invalid, invalid_value, missing

if TYPE_CHECKING:
    from collections.abc import Iterator


CREATED = 1_767_225_600
"""The creation time of every listed model, in seconds since 1970; do not rely on it."""


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model that paints."""

    name: str
    generation: float
    """1 to 2.6: decides the sizes, qualities and formats it accepts."""
    shutdown: str | None = None

    @property
    def any_size(self) -> bool:
        """Whether it accepts other sizes than the three standard ones (GPT Image 2 and later)."""
        return self.generation >= 2  # noqa: PLR2004

    @property
    def modern(self) -> bool:
        """Whether it knows the qualities xhigh and max and animated output (GPT Image 2.5 and later)."""
        return self.generation >= 2.5  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model that answers on the Responses API and can call the image tool."""

    name: str
    shutdown: str | None = None

    @property
    def reasons(self) -> bool:
        """Whether a reasoning item precedes its other output."""
        return self.name.startswith(("gpt-5", "gpt-6", "o3"))


IMAGE_MODELS = (
    ImageModel("gpt-image-2.6-sunburst", 2.6),
    ImageModel("gpt-image-2.6-flare", 2.6),
    ImageModel("gpt-image-2.5-sunburst", 2.5),
    ImageModel("gpt-image-2.5-sunburst-2026-09-08", 2.5),
    ImageModel("gpt-image-2.5-flare", 2.5),
    ImageModel("gpt-image-2.5-flare-2026-09-08", 2.5),
    ImageModel("gpt-image-2", 2),
    ImageModel("gpt-image-2-2026-04-21", 2),
    ImageModel("gpt-image-1.5", 1.5, "2026-12-01"),
    ImageModel("gpt-image-1.5-2025-12-16", 1.5, "2026-12-01"),
    ImageModel("gpt-image-1-mini", 1, "2026-12-01"),
    ImageModel("chatgpt-image-latest", 1.5, "2026-12-01"),
)
DEFAULT_IMAGE_MODEL = "gpt-image-2.6-sunburst"
DEFAULT_SVG_AUTHOR = "gpt-6-luna"
"""The model that writes an SVG of the Images API where none is named; OpenAI does not publish which it is."""

_DATED = {
    "2027-01-14": "gpt-4o-mini gpt-4o gpt-4.1 gpt-4.1-mini",
    "2026-12-11": "gpt-5 gpt-5-mini gpt-5-nano gpt-5-pro o3 o3-pro",
    "2027-04-01": "gpt-5.1 gpt-5.4-nano gpt-5.3-codex",
}
_LASTING = (
    "gpt-5.2 gpt-5.2-pro gpt-5.4 gpt-5.4-mini gpt-5.5 gpt-5.6 gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna "
    "gpt-6-astra gpt-6-sol gpt-6-luna gpt-6.1-sol gpt-6.1-terra gpt-6.2-astra gpt-6.2-sol"
)
TEXT_MODELS = (
    *(TextModel(name, date) for date, names in _DATED.items() for name in names.split()),
    *(TextModel(name) for name in _LASTING.split()),
)

_GONE = (
    "gpt-image-1 dall-e-2 dall-e-3 gpt-4.1-nano o4-mini o3-mini o1 o1-mini o1-preview gpt-4 gpt-4-turbo "
    "gpt-3.5-turbo gpt-5.2-chat-latest gpt-5.3-chat-latest chatgpt-4o-latest codex-mini-latest"
)
_RETIRED = frozenset(_GONE.split())
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def image_model(name: str, param: str, *, images: bool) -> ImageModel:
    """Find an image model by its name; refuse another as the Images API (`images`) or the Responses API."""
    for model in IMAGE_MODELS:
        if model.name == name:
            return model
    if _text(name) is not None:
        raise invalid_value(name, [model.name for model in IMAGE_MODELS], param)
    raise _unknown(name, param, images=images)


def text_model(name: object, param: str = "model") -> TextModel:
    """Find a model of the Responses API by its name; dated snapshots count as their model."""
    if not isinstance(name, str) or not name:
        raise missing(param)
    found = _text(name)
    if found is not None:
        return TextModel(name, found.shutdown)
    if any(model.name == name for model in IMAGE_MODELS):
        raise invalid(None, f"The model '{name}' is not supported with the Responses API.", param)
    raise _unknown(name, param, images=False)


def listing() -> dict[str, object]:
    """Return the body of `GET /v1/models`."""
    return {"object": "list", "data": list(_cards())}


def card(name: str) -> dict[str, object]:
    """Return the body of `GET /v1/models/{name}`."""
    for found in _cards():
        if found["id"] == name:
            return found
    raise invalid("model_not_found", f"The model '{name}' does not exist", "model", 404)


def _cards() -> Iterator[dict[str, object]]:
    everything: tuple[ImageModel | TextModel, ...] = (*IMAGE_MODELS, *TEXT_MODELS)
    for model in everything:
        yield {
            "id": model.name,
            "object": "model",
            "created": CREATED,
            "owned_by": "system",
            "shutdown_date": model.shutdown,
        }


def _text(name: str) -> TextModel | None:
    plain = _SNAPSHOT.sub("", name)
    return next((model for model in TEXT_MODELS if model.name == plain), None)


def _unknown(name: str, param: str, *, images: bool) -> Exception:
    """Create the error for a model that was shut down or never existed."""
    if _SNAPSHOT.sub("", name) in _RETIRED:
        page = "https://platform.openai.com/docs/deprecations"
        message = f"The model `{name}` has been deprecated, learn more here: {page}"
    elif images:
        message = f"The model `{name}` does not exist or you do not have access to it."
    else:
        message = f"The requested model '{name}' does not exist."
    return invalid("model_not_found", message, param, 404 if images else 400)
