"""Validates the parameters of an image as OpenAI does, with its messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from imgcli.demo.exchange import ApiError, invalid, invalid_type, invalid_value, missing, unknown_parameter
from imgcli.demo.models import (
    DEFAULT_IMAGE_MODEL,
    DEFAULT_SVG_AUTHOR,
    ImageModel,
    TextModel,
    image_model,
    text_model,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


T = TypeVar("T")

LONGEST_PROMPT = 32_000
"""Characters in a prompt of the Images API."""

LONGEST_IDENTIFIER = 128
"""Characters in the name of a user."""

SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
FORMATS = ("png", "webp", "jpeg", "gif", "svg")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a text model may reason."""

IMAGE_PARAMETERS = frozenset(
    [
        "background",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "model",
        "output_compression",
        "output_format",
        "partial_images",
        "quality",
        "size",
        "svg",
    ]
)
"""What both APIs accept for an image."""

_QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto")
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_LONGEST_EDGE, _FEWEST, _MOST = 3840, 655_360, 8_294_400
_LOSSY = frozenset({"jpeg", "webp"})
_MODERN = frozenset({"gif", "svg"})
"""Formats of which no rougher version can be streamed, and which older models do not have."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an image is written: png, jpeg, webp, gif or svg; for jpeg and webp the quality from 0 to 100.

    A gif of several `frames` shows each for so many milliseconds.
    """

    format: str = "png"
    compression: int = 100
    frames: int = 1
    duration: int = 0


@dataclass(frozen=True, slots=True)
class SvgAuthor:
    """The text model that writes an SVG after a reference image, and how much it reasons."""

    model: TextModel
    effort: str = "medium"


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of an image, valid together, with OpenAI's `auto` resolved."""

    model: ImageModel
    width: int
    height: int
    quality: str
    transparent: bool
    output_format: str
    output_compression: int
    partial_images: int
    n: int = 1
    frame_count: int = 9
    frame_duration: int = 200
    author: SvgAuthor | None = None

    @property
    def encoding(self) -> Encoding:
        """How the painter is to write it."""
        frames = self.frame_count if self.output_format == "gif" else 1
        return Encoding(self.output_format, self.output_compression, frames, self.frame_duration)

    @property
    def echo(self) -> dict[str, object]:
        """The four fields that OpenAI repeats in events and answers."""
        return {
            "background": "transparent" if self.transparent else "opaque",
            "output_format": self.output_format,
            "quality": self.quality,
            "size": f"{self.width}x{self.height}",
        }


@dataclass(frozen=True, slots=True)
class Fields:
    """Parameters of a request, read one by one; `prefix` says in errors where they stand, as "tools[0]."."""

    values: Mapping[str, object]
    prefix: str = ""

    def name(self, key: str) -> str:
        """Return the parameter's name for errors."""
        return self.prefix + key

    def only(self, allowed: Collection[str]) -> None:
        """Refuse any parameter that is not allowed."""
        for key in self.values:
            if key not in allowed:
                raise unknown_parameter(self.name(key))

    def inner(self, key: str, allowed: Collection[str] | None = None) -> Fields:
        """Return the parameters of an object in here, none where it was not sent."""
        inner = Fields(self._typed(key, dict, "an object", {}), self.name(f"{key}."))
        if allowed is not None:
            inner.only(allowed)
        return inner

    def sent(self, key: str) -> bool:
        """Return whether the parameter was sent and is not null."""
        return self.values.get(key) is not None

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Return one of the choices."""
        value = self.text(key, default)
        if value not in choices:
            raise invalid_value(value, choices, self.name(key))
        return value

    def text(self, key: str, default: str) -> str:
        """Return a string."""
        return self._typed(key, str, "a string", default)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        return self._typed(key, bool, "a boolean", default)

    def integer(self, key: str, low: int, high: int, default: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._typed(key, int, "an integer", default)
        if low <= value <= high:
            return value
        above = value > high
        side, sign, bound = ("above maximum", "<=", high) if above else ("below minimum", ">=", low)
        expected = f"Expected a value {sign} {bound}, but got {value} instead."
        message = f"Invalid '{self.name(key)}': integer {side} value. {expected}"
        raise invalid(f"integer_{'above_max' if above else 'below_min'}_value", message, self.name(key))

    def _typed(self, key: str, kind: type[T], wanted: str, default: T) -> T:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid_type(wanted, value, self.name(key))
        return value


def read_prompt(fields: Fields) -> str:
    """Read the prompt of the Images API: present, not empty, not too long."""
    if not fields.sent("prompt"):
        raise missing("prompt")
    prompt = fields.text("prompt", "")
    if not prompt.strip():
        expected = "Expected a string with minimum length 1, but got an empty string instead."
        message = f"Invalid 'prompt': empty string. {expected}"
        raise invalid("string_below_min_length", message, "prompt")
    if len(prompt) > LONGEST_PROMPT:
        message = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {LONGEST_PROMPT}, "
            f"but got a string with length {len(prompt)} instead."
        )
        raise invalid("string_above_max_length", message, "prompt")
    return prompt


def read_options(fields: Fields, *, stream: bool, images: bool, author: str = DEFAULT_SVG_AUTHOR) -> Options:
    """Read the image parameters of a request to the Images API (`images`) or of the Responses API's tool.

    `author` is the model that writes an SVG where the request names none.
    """
    model = image_model(fields.text("model", DEFAULT_IMAGE_MODEL), fields.name("model"), images=images)
    width, height = _read_size(fields, model)
    chosen = fields.choice("output_format", FORMATS, "png")
    options = Options(
        model,
        width,
        height,
        _read_quality(fields, model),
        fields.choice("background", ("transparent", "opaque", "auto"), "auto") == "transparent",
        chosen,
        fields.integer("output_compression", 0, 100, 100),
        fields.integer("partial_images", 0, 3, 0),
        fields.integer("n", 1, 10, 1) if images else 1,
        fields.integer("frame_count", 2, 16, 9),
        fields.integer("frame_duration_ms", 1, 655_350, 200),
        _read_author(fields, chosen, author),
    )
    fields.choice("complexity", ("low", "medium", "high"), "high")
    fields.choice("moderation", ("auto", "low"), "auto")
    _check_fidelity(fields, model)
    _check_format(fields, options)
    _check_still(fields, options, stream=stream and images)
    if options.partial_images and not stream:
        message = "'partial_images' is only supported when 'stream' is true."
        raise invalid("invalid_value", message, fields.name("partial_images"))
    return options


def check_safety_identifier(fields: Fields) -> None:
    """Refuse a name that is too long."""
    name = fields.text("safety_identifier", "")
    if len(name) > LONGEST_IDENTIFIER:
        message = (
            f"Invalid 'safety_identifier': string too long. Expected a string with maximum length "
            f"{LONGEST_IDENTIFIER}, but got a string with length {len(name)} instead."
        )
        raise invalid("string_above_max_length", message, "safety_identifier")


def _read_quality(fields: Fields, model: ImageModel) -> str:
    allowed = _QUALITIES if model.modern else [name for name in _QUALITIES if name not in {"xhigh", "max"}]
    quality = fields.choice("quality", allowed, "auto")
    return "medium" if quality == "auto" else quality


def _read_size(fields: Fields, model: ImageModel) -> tuple[int, int]:
    size = fields.text("size", "auto")
    if size == "auto":
        return 1024, 1024
    match = _SIZE.fullmatch(size)
    if match is None or (not model.any_size and size not in SIZES):
        raise invalid_value(size, SIZES, fields.name("size"))
    width, height = int(match[1]), int(match[2])
    fault = size_fault(width, height)
    if fault:
        raise invalid("invalid_value", f"Invalid size '{size}'. {fault}", fields.name("size"))
    return width, height


def size_fault(width: int, height: int) -> str | None:
    """Explain what is wrong with a size by OpenAI's guide to GPT Image 2 and later; None for a good one."""
    if width % 16 or height % 16:
        return "Width and height must both be divisible by 16."
    if max(width, height) > _LONGEST_EDGE:
        return f"The longest edge must be less than or equal to {_LONGEST_EDGE} pixels."
    if max(width, height) > 3 * min(width, height):
        return "The aspect ratio must be between 1:3 and 3:1."
    if not _FEWEST <= width * height <= _MOST:
        return f"The total number of pixels must be between {_FEWEST} and {_MOST}."
    return None


def _check_fidelity(fields: Fields, model: ImageModel) -> None:
    """Refuse input_fidelity for GPT Image 2, and high for 1-mini."""
    fidelity = fields.choice("input_fidelity", ("low", "high"), "low")
    refused = model.generation == 2 or (model.generation == 1 and fidelity == "high")  # noqa: PLR2004
    if fields.sent("input_fidelity") and refused:
        message = (
            f"The model '{model.name}' does not support the '{fields.name('input_fidelity')}' parameter."
        )
        code = "invalid_input_fidelity_model"
        raise ApiError(400, "image_generation_user_error", code, message, "input_fidelity")


def _check_format(fields: Fields, options: Options) -> None:
    chosen = options.output_format
    if chosen in _MODERN and not options.model.modern:
        message = f"{chosen.upper()} output is not supported by the model '{options.model.name}'."
        raise invalid("invalid_value", message, fields.name("output_format"))
    if options.transparent and chosen == "jpeg":
        message = "Transparent background is not supported for JPEG output format."
        raise invalid("invalid_value", message, fields.name("background"))
    if chosen == "png" and options.output_compression < 100:  # noqa: PLR2004 - which is what it is anyway
        message = "Compression less than 100 is not supported for PNG output format"
        code = "invalid_png_output_compression"
        raise ApiError(400, "image_generation_user_error", code, message, fields.name("output_compression"))
    if fields.sent("output_compression") and chosen not in {*_LOSSY, "png"}:
        message = f"Compression is not supported for {chosen.upper()} output format."
        raise invalid("invalid_value", message, fields.name("output_compression"))


def _read_author(fields: Fields, chosen: str, default: str) -> SvgAuthor | None:
    """Read the object `svg`; in a form its fields are `svg[model]` and `svg[reasoning][effort]`."""
    svg = fields.inner("svg", ("model", "reasoning"))
    reasoning = svg.inner("reasoning", ("effort",))
    name, effort = svg.text("model", default), reasoning.choice("effort", EFFORTS, "medium")
    if chosen != "svg":
        if fields.sent("svg"):
            message = f"'{fields.name('svg')}' is only supported when 'output_format' is 'svg'."
            raise invalid("invalid_value", message, fields.name("svg"))
        return None
    model = text_model(name, svg.name("model"))
    if reasoning.sent("effort") and not model.reasons:
        param = reasoning.name("effort")
        message = f"Unsupported parameter: '{param}' is not supported with this model."
        raise invalid("unsupported_parameter", message, param)
    return SvgAuthor(model, effort)


def _check_still(fields: Fields, options: Options, *, stream: bool) -> None:
    """Refuse frames of a still image, and streams and several images of formats that have none."""
    chosen = options.output_format
    for key in ("frame_count", "frame_duration_ms"):
        if fields.sent(key) and chosen != "gif":
            message = f"'{fields.name(key)}' is only supported when 'output_format' is 'gif'."
            raise invalid("invalid_value", message, fields.name(key))
    if chosen in _MODERN and (options.partial_images or stream):
        param = fields.name("partial_images") if options.partial_images else "stream"
        message = f"{chosen.upper()} output cannot be streamed or have partial images."
        raise invalid("invalid_value", message, param)
    if chosen == "svg" and options.n > 1:
        raise invalid("invalid_value", "SVG output requires 'n' to be 1.", fields.name("n"))
