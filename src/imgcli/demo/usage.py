"""Token counts as OpenAI would report them: its published table, and plausible numbers elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcli.demo.validation import Options, SvgAuthor


PARTIAL_TOKENS = 100
"""Image output tokens that every partial image costs, by OpenAI's guide."""

# The guide's table for the first generation: low, medium and high for each of its three sizes.
_TABLE = {
    (1024, 1024): {"low": 272, "medium": 1056, "high": 4160},
    (1024, 1536): {"low": 408, "medium": 1584, "high": 6240},
    (1536, 1024): {"low": 400, "medium": 1568, "high": 6208},
}
# Later generations have no table: numbers from public reports for 1024x1024, or between them. None is
# above imgcli's bound, so that a limit that is tried here holds.
_SECOND = {"low": 196, "medium": 1760, "high": 7024}
_MODERN = {"low": 515, "medium": 1760, "high": 1800, "xhigh": 4500, "max": 7700}
_REASONING = dict(
    zip(
        ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        (0, 64, 256, 1024, 4096, 8192, 16_384),
        strict=True,
    )
)
"""Tokens that the author of an SVG reasons, by its effort."""
_SQUARE = 1024 * 1024
_PATCH = 32 * 32  # pixels of an input image for one input token


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one image cost."""

    text_in: int
    image_in: int
    image_out: int

    def __mul__(self, images: int) -> Tokens:
        return Tokens(self.text_in * images, self.image_in * images, self.image_out * images)

    def report(self, *, details: bool) -> dict[str, object]:
        """Format the `usage` object of an image; `details` adds the split of the output, not in events."""
        report: dict[str, object] = {
            "input_tokens": self.text_in + self.image_in,
            "input_tokens_details": {"image_tokens": self.image_in, "text_tokens": self.text_in},
            "output_tokens": self.image_out,
            "total_tokens": self.text_in + self.image_in + self.image_out,
        }
        if details:
            report["output_tokens_details"] = {"image_tokens": self.image_out, "text_tokens": 0}
        return report


NOTHING = Tokens(0, 0, 0)


def count(options: Options, prompt: str, pixels_in: int) -> Tokens:
    """Return the tokens of one image with all its partials; `pixels_in` is the area of its inputs."""
    out = _final(options) * options.encoding.frames + PARTIAL_TOKENS * options.partial_images
    return Tokens(text_tokens(prompt), -(-pixels_in // _PATCH), out)


def text_tokens(text: str) -> int:
    """Return the text tokens of a text: about four characters make one."""
    return 7 + -(-len(text) // 4)


def response_usage(tokens_in: int, tokens_out: int, reasoning: int) -> dict[str, object]:
    """Format the `usage` object of a response: the text model alone."""
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": tokens_in + tokens_out,
    }


def svg_author(author: SvgAuthor, options: Options, prompt: str, drawing: bytes) -> dict[str, object]:
    """Format the `svg_usage` object: the model that wrote a drawing looked at the reference image first."""
    reasoning = _REASONING[author.effort] if author.model.reasons else 0
    tokens_in = text_tokens(prompt) + -(-options.width * options.height // _PATCH)
    tokens_out = reasoning + text_tokens(drawing.decode())
    return {
        "model": author.model.name,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "reasoning_tokens": reasoning,
        "total_tokens": tokens_in + tokens_out,
    }


def _final(options: Options) -> int:
    size = (options.width, options.height)
    if not options.model.any_size:
        return _TABLE[size][options.quality]
    base = (_MODERN if options.model.modern else _SECOND)[options.quality]
    return round(base * options.width * options.height / _SQUARE)
