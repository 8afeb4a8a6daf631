"""The parameters of image generation: their values, and their names here and in the API."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from imgcli.core.image import ImageFormat

DEMO = "demo"
"""The endpoint of demo runs, which nobody pays for."""


class Api(StrEnum):
    """The two APIs of OpenAI that make images."""

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
    """The background of the image; transparent needs png or webp."""

    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class Moderation(StrEnum):
    """How strictly OpenAI filters the request."""

    AUTO = "auto"
    LOW = "low"


class Fidelity(StrEnum):
    """How closely the result follows the input images, faces above all."""

    LOW = "low"
    HIGH = "high"


class Action(StrEnum):
    """What the image tool of the Responses API does; `edit` needs an image in the conversation."""

    AUTO = "auto"
    GENERATE = "generate"
    EDIT = "edit"


class CompletionWindow(StrEnum):
    """Within which time a response of the background is made, at a discount."""

    TWO_HOURS = "2h"
    EIGHT_HOURS = "8h"


class InlineImages(Enum):
    """Whether lines carry the images themselves."""

    INLINE = "inline"
    NONE = "none"


class Parameter(NamedTuple):
    """A generation parameter: its field name, which is also its JSON key, its type, its name in both APIs."""

    name: str
    type: type[StrEnum | str | int]
    api_name: str


PARAMETERS = (
    Parameter("size", str, "size"),
    Parameter("quality", Quality, "quality"),
    Parameter("format", ImageFormat, "output_format"),
    Parameter("compression", int, "output_compression"),
    Parameter("background", Background, "background"),
    Parameter("moderation", Moderation, "moderation"),
    Parameter("fidelity", Fidelity, "input_fidelity"),
)
MODEL_FIELDS = ("model", "image_model", "api")
RECORDED = (*MODEL_FIELDS, *(parameter.name for parameter in PARAMETERS))
"""What is embedded in an image, and what a later request inherits."""
