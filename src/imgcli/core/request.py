"""One image asked for, as a value, and its two wire forms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from imgcli.core.events import ImageFormat


class Api(StrEnum):
    """The two wires of OpenAI that make images."""

    RESPONSES = "responses"
    IMAGES = "images"


class Quality(StrEnum):
    """How much work goes into the image; older models stop at high."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Background(StrEnum):
    """What is behind the subject; transparent needs png or webp."""

    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class Moderation(StrEnum):
    """How strictly OpenAI filters the request."""

    AUTO = "auto"
    LOW = "low"


@dataclass(frozen=True)
class ImageRequest:
    """A request that passed every check; nothing about it is undecided.

    `model` is the model named on the wire: a text model that runs the image tool (Responses API) or an image
    model (Images API). `image_model` is the tool's own model, None for the server's default. A field that is
    None is not sent, so that the server decides. `partials` is 0 to 3.
    """

    prompt: str
    model: str
    api: Api
    image_model: str | None = None
    size: str | None = None
    quality: Quality | None = None
    format: ImageFormat | None = None
    compression: int | None = None
    background: Background | None = None
    moderation: Moderation | None = None
    partials: int = 0
    stream: bool = True
    inline: bool = False
    """Ask for base64 by name: compatible servers want `response_format`, OpenAI's own models refuse it."""

    def wire(self) -> dict[str, Any]:
        """Build the JSON body for this request's API."""
        return self._responses_body() if self.api is Api.RESPONSES else self._images_body()

    def to_json(self) -> dict[str, Any]:
        """Write the request down, for a record of the run."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ImageRequest:
        """Read a request from a record; raises `TypeError` or `ValueError` for anything else."""
        choices = {name: choice(fields[name]) for name, choice in _CHOICES.items() if fields.get(name)}
        return cls(**{**fields, **choices})

    def _responses_body(self) -> dict[str, Any]:
        """Force the image tool: a text model that is only offered it may answer in words instead."""
        tool = {"type": "image_generation", "model": self.image_model, **self._options()}
        return {
            "model": self.model,
            "input": self.prompt,
            "tools": [_without_none({**tool, "partial_images": self.partials})],
            "tool_choice": {"type": "image_generation"},
            "stream": True,
        }

    def _images_body(self) -> dict[str, Any]:
        body = {"model": self.model, "prompt": self.prompt, "n": 1, **self._options()}
        if self.stream:
            body |= {"stream": True, "partial_images": self.partials}
        if self.inline:
            body["response_format"] = "b64_json"
        return _without_none(body)

    def _options(self) -> dict[str, Any]:
        """Spell the options that both wires name alike."""
        return {
            "size": self.size,
            "quality": self.quality,
            "output_format": self.format,
            "output_compression": self.compression,
            "background": self.background,
            "moderation": self.moderation,
        }


_CHOICES: dict[str, type[StrEnum]] = {
    "api": Api,
    "quality": Quality,
    "format": ImageFormat,
    "background": Background,
    "moderation": Moderation,
}


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
