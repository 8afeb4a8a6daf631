"""The parameters of image generation: values, and names in imgcli and in the API."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Any, NamedTuple

from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import choice, text, texts_of

DEMO = "demo"
"""The endpoint of demo runs, which are free."""


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


class Complexity(StrEnum):
    """How much computation goes into planning the image, whatever its quality."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ReasoningEffort(StrEnum):
    """How much a text model reasons; not every model supports every value."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Action(StrEnum):
    """What the image tool of the Responses API does; `edit` needs an image in the conversation."""

    AUTO = "auto"
    GENERATE = "generate"
    EDIT = "edit"


class CompletionWindow(StrEnum):
    """Within which time a response of the background is made, at a discount."""

    TWO_HOURS = "2h"
    EIGHT_HOURS = "8h"


class ApiPlace(Enum):
    """Where a parameter stands in a request's body."""

    IMAGE = "image"
    """With the image: in the body of the Images API, in the image tool of the Responses API."""
    TOOL = "tool"
    """In the image tool, which the Images API does not have."""
    REQUEST = "request"
    """In the body of both APIs."""
    RESPONSE = "response"
    """In the body of the Responses API alone."""


EXTRA = "extra"
"""The parameter for fields that imgcli does not know; `parameters/extra_field.py` reads its values."""
SERVICE_TIERS = ("auto", "default", "flex", "fast", "priority", "ultrafast", "scale")
"""What OpenAI's specification names (SDK 3.57.0); gateways may have others."""


class InlineImages(Enum):
    """Whether lines carry the images themselves."""

    INLINE = "inline"
    NONE = "none"


class Parameter(NamedTuple):
    """A generation parameter: everything about it that is the same wherever it is used.

    `name` is its field, its JSON key and its column in a batch file. `type` is that of its value: an enum, a
    text, a number or a tuple of texts. `api_name` is its path in the body, below `place`. `help`, `metavar`
    and `panel` are what the help shows; `option` is its option where that has another name. `span` limits a
    number, `longest` the characters of a text; with `formats` it is for these image formats alone.
    `changes_image` is false where the same request without it makes the same image; `is_inherited` is false
    where later requests do not inherit it; `costs` is true where the price of an image depends on it. What
    `is_private` may name a person or hold a secret: it goes to the server and into the history, and into no
    file that others may see.
    """

    name: str
    type: type[StrEnum | str | int | tuple[str, ...]]
    api_name: str
    metavar: str
    help: str
    option: str = ""
    panel: str = "Image"
    place: ApiPlace = ApiPlace.IMAGE
    span: tuple[int, int] | None = None
    longest: int | None = None
    formats: tuple[ImageFormat, ...] = ()
    default: str | None = None
    changes_image: bool = True
    is_inherited: bool = True
    costs: bool = False
    is_private: bool = False

    @property
    def flag(self) -> str:
        """The long name of its option, without dashes."""
        return self.option or self.name.replace("_", "-")

    @property
    def label(self) -> str:
        """Its name in a list of parameters."""
        return self.flag.replace("-", " ")

    @property
    def is_in_both(self) -> bool:
        """Whether both APIs take it."""
        return self.place in (ApiPlace.IMAGE, ApiPlace.REQUEST)

    def plain(self, value: object) -> str | int | tuple[str, ...] | None:
        """Read what a record, perhaps of a newer imgcli, has: nothing for another type of value."""
        if self.type is tuple:
            return texts_of(value)
        if self.type is int:
            return value if type(value) is int else None
        return text(value)

    def read(self, value: object) -> Any:  # noqa: ANN401 - of `type`
        """Read a recorded value, None for one that this imgcli does not know."""
        if issubclass(self.type, StrEnum):
            return choice(self.type, value)
        if self.span and type(value) is int:
            return value if self.span[0] <= value <= self.span[1] else None
        return self.plain(value)


PARAMETERS = (
    Parameter(
        "size",
        str,
        "size",
        "SIZE",
        "WIDTHxHEIGHT, auto, square, portrait, landscape, or a ratio such as 16:9.",
        default="1024x1024",
        costs=True,
    ),
    Parameter(
        "quality",
        Quality,
        "quality",
        "LEVEL",
        "auto, low, medium, high, xhigh or max.  [default: medium]",
        costs=True,
    ),
    Parameter(
        "format",
        ImageFormat,
        "output_format",
        "FORMAT",
        "png, jpeg (or jpg), webp, gif or svg.  [default: from the file name in -o, else png]",
        costs=True,
    ),
    Parameter(
        "compression",
        int,
        "output_compression",
        "0-100",
        "For jpeg and webp; 100 is the best quality.",
        span=(0, 100),
        formats=(ImageFormat.JPEG, ImageFormat.WEBP),
    ),
    Parameter(
        "complexity",
        Complexity,
        "complexity",
        "LEVEL",
        "How much to plan the image, whatever its quality: low, medium or high.  [default: the model's]",
        costs=True,
    ),
    Parameter(
        "frames",
        int,
        "frame_count",
        "2-16",
        "For gif: the number of frames.  [default: 9]",
        span=(2, 16),
        formats=(ImageFormat.GIF,),
        costs=True,
    ),
    Parameter(
        "frame_duration",
        int,
        "frame_duration_ms",
        "MS",
        "For gif: how long each frame is shown, in milliseconds, rounded to 10.  [default: 200]",
        span=(1, 655_350),
        formats=(ImageFormat.GIF,),
    ),
    Parameter(
        "svg_model",
        str,
        "svg.model",
        "NAME",
        "For svg: the model that writes the drawing.  [default: the server's]",
        formats=(ImageFormat.SVG,),
        costs=True,
    ),
    Parameter(
        "svg_effort",
        ReasoningEffort,
        "svg.reasoning.effort",
        "LEVEL",
        "For svg: reasoning effort of that model: none, minimal, low, medium, high, xhigh or max.",
        formats=(ImageFormat.SVG,),
        costs=True,
    ),
    Parameter("background", Background, "background", "KIND", "auto, opaque or transparent."),
    Parameter("moderation", Moderation, "moderation", "KIND", "auto or low."),
    Parameter(
        "action",
        Action,
        "action",
        "KIND",
        "Whether a text model's image tool generates a new image or edits one: auto, generate or edit.",
        place=ApiPlace.TOOL,
        is_inherited=False,
    ),
    Parameter(
        "service_tier",
        str,
        "service_tier",
        "TIER",
        "Processing tier of a text model's request, each at its own price: auto, default, flex, fast, "
        "priority, ultrafast or scale.",
        panel="Server",
        place=ApiPlace.RESPONSE,
        changes_image=False,
        costs=True,
    ),
    Parameter(
        "safety_identifier",
        str,
        "safety_identifier",
        "TEXT",
        "A stable, anonymous id of your end user, such as a hash; helps OpenAI detect misuse.",
        panel="Server",
        place=ApiPlace.REQUEST,
        longest=128,
        changes_image=False,
        is_private=True,
    ),
    Parameter(
        EXTRA,
        tuple,
        "",
        "KEY=JSON",
        "Add a field that imgcli does not know to the request: KEY to its body, tool.KEY to a text model's "
        "image tool. Can be repeated.",
        panel="Server",
        place=ApiPlace.REQUEST,
        costs=True,
        is_private=True,
    ),
    Parameter(
        "instructions",
        str,
        "instructions",
        "TEXT",
        "System instructions for the text model, besides the prompt.",
        panel="Input",
        place=ApiPlace.RESPONSE,
    ),
    Parameter(
        "reasoning_effort",
        ReasoningEffort,
        "reasoning.effort",
        "LEVEL",
        "Reasoning effort of the text model: none, minimal, low, medium, high, xhigh or max.  "
        "[default: the model's]",
        place=ApiPlace.RESPONSE,
        costs=True,
    ),
    Parameter(
        "fidelity",
        Fidelity,
        "input_fidelity",
        "LEVEL",
        "How closely to match the input images: low or high.  [default: the model's]",
        option="input-fidelity",
        panel="Input",
        costs=True,
    ),
)
"""In the order in which the help lists those of a panel. CONTRIBUTING says what else a new one needs."""

UNSET: tuple[object, ...] = (None, ())
"""The values of parameters that are not set."""
MODEL_FIELDS = ("model", "image_model", "api")
INHERITED = (*MODEL_FIELDS, *(parameter.name for parameter in PARAMETERS if parameter.is_inherited))
"""What a later request inherits."""
