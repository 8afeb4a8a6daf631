"""Sizes: from the value of the size option to a size that the model supports."""

from __future__ import annotations

import math
import re
import unicodedata
from fractions import Fraction
from typing import TYPE_CHECKING

from imgcli.core.catalog import FixedSizes, FlexibleSizes
from imgcli.core.errors import usage_error
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.catalog import Model, SizeRule


_WORDS = {"auto": "auto", "square": "1024x1024", "portrait": "1024x1536", "landscape": "1536x1024"}
_STANDARD_SHAPES = {Fraction(1): "1024x1024", Fraction(2, 3): "1024x1536", Fraction(3, 2): "1536x1024"}
_PIXELS = regex(r"([0-9]{1,5}) ?x ?([0-9]{1,5})")
_RATIO = regex(r"([0-9]{1,4}(?:\.[0-9]{1,4})?) ?: ?([0-9]{1,4}(?:\.[0-9]{1,4})?)")
_SYNTAX_LENGTH = 40
_TINY_EDGE = 100
_USUAL_STRETCH = 3
_RATIO_PIXELS = 1536 * 1024

# For models that are not in the catalog: the server decides, this only turns a ratio into pixels.
_UNKNOWN = FlexibleSizes(
    multiple=16,
    longest=8192,
    widest=16,
    min_pixels=655_360,
    max_pixels=8192**2,
    experimental_pixels=8192**2,
)


@dataclass(frozen=True)
class SizeChoice:
    """A size as the API spells it, with a notice where it is not exactly what was requested."""

    size: str
    notice: str | None = None


@dataclass(frozen=True)
class _Size:
    """A size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def longest(self) -> int:
        return max(self.width, self.height)

    @property
    def shape(self) -> Fraction:
        """Width divided by height."""
        return Fraction(self.width, self.height)

    @property
    def stretch(self) -> Fraction:
        """The long edge divided by the short one."""
        return max(self.shape, 1 / self.shape)

    def distance(self, other: _Size) -> int:
        return abs(self.width - other.width) + abs(self.height - other.height)


def resolve_size(text: str, model: Model | None) -> SizeChoice:
    """Resolve `1024x1024`, `auto`, `square`, `portrait`, `landscape` or a ratio (`16:9`) to a valid size.

    `model` is the image model; for an unknown one (None) only the syntax is checked. Raises a usage error
    that suggests a valid size.
    """
    size_text = _normalized(text)
    if size_text in _WORDS:
        return SizeChoice(_WORDS[size_text])
    if pixels := _PIXELS.fullmatch(size_text):
        size = _Size(int(pixels[1]), int(pixels[2]))
        if size.width and size.height:
            return _from_pixels(size, model)
    if (ratio := _RATIO.fullmatch(size_text)) and float(ratio[1]) and float(ratio[2]):
        return _from_ratio(f"{ratio[1]}:{ratio[2]}", Fraction(ratio[1]) / Fraction(ratio[2]), model)
    raise usage_error(
        f"{option('size')} must be WIDTHxHEIGHT, a ratio such as 16:9, auto, square, portrait or landscape, "
        f'not "{shorten(text, _SYNTAX_LENGTH)}"; try {option("size", "1024x1024")}.',
        about=("size",),
    )


def _normalized(text: str) -> str:
    """Normalize full-width digits, multiplication signs and capitals; "" for an overlong text."""
    if len(text) > _SYNTAX_LENGTH:
        return ""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub("[×✕⨯]", "x", plain).split())  # noqa: RUF001 - people paste these


def _from_pixels(size: _Size, model: Model | None) -> SizeChoice:
    """Return a size if the model supports it."""
    if model is None or model.accepts is None:
        return SizeChoice(str(size))
    rule = model.accepts.sizes
    fault = next(_faults(size, rule), None)
    if fault and size.longest < _TINY_EDGE:
        ratio = f"{size.width}:{size.height}" if size.stretch <= _USUAL_STRETCH else "16:9"
        colon = f"a ratio is written with a colon; try {option('size', ratio)}"
        raise usage_error(f"{option('size', size)} means pixels, and {colon}.", about=("size",))
    if fault:
        best = _nearest(size, rule)
        what = (
            f"{option('size', size)} is not supported by {model.name}: {fault}; try {option('size', best)}."
        )
        raise usage_error(what, about=("size",))
    return SizeChoice(str(size), _experimental(size, rule))


def _faults(size: _Size, rule: SizeRule) -> Iterator[str]:
    """Yield what is wrong with a size; nothing if it is valid."""
    if isinstance(rule, FixedSizes):
        if str(size) not in rule.sizes:
            yield f"it supports only {', '.join(rule.sizes)}"
        return
    if size.width % rule.multiple or size.height % rule.multiple:
        yield f"both edges must be multiples of {rule.multiple}"
    if size.longest > rule.longest:
        yield f"an edge must be at most {rule.longest} pixels"
    if size.stretch > rule.widest:
        yield f"the long edge must be at most {rule.widest} times the short one"
    if size.pixels < rule.min_pixels:
        yield f"it must have at least {rule.min_pixels:,} pixels"
    if size.pixels > rule.max_pixels:
        yield f"it must have at most {rule.max_pixels:,} pixels"


def _experimental(size: _Size, rule: SizeRule) -> str | None:
    """Format a notice about a size that OpenAI calls experimental."""
    if isinstance(rule, FixedSizes) or size.pixels <= rule.experimental_pixels:
        return None
    return f"OpenAI calls sizes as large as {size} experimental."


def _nearest(size: _Size, rule: SizeRule) -> str:
    """Find the valid size closest to an invalid one."""
    if isinstance(rule, FixedSizes):
        return _nearest_shape(size.shape, rule)
    shape = min(max(size.shape, Fraction(1, rule.widest)), Fraction(rule.widest))
    return str(min(_candidates(shape, rule), key=lambda legal: (size.distance(legal), -legal.pixels)))


def _nearest_shape(shape: Fraction, rule: FixedSizes) -> str:
    """Choose the size with the closest aspect ratio."""

    def difference(size: str) -> float:
        width, height = map(int, size.split("x"))
        return abs(math.log(shape) - math.log(width / height))

    return min(rule.sizes, key=difference)


def _from_ratio(asked: str, shape: Fraction, model: Model | None) -> SizeChoice:
    """Find a size of an aspect ratio, or the closest one."""
    if shape in _STANDARD_SHAPES:
        return SizeChoice(_STANDARD_SHAPES[shape])
    rule = model.accepts.sizes if model and model.accepts else _UNKNOWN
    best = _nearest_shape(shape, rule) if isinstance(rule, FixedSizes) else _of_shape(asked, shape, rule)
    width, height = map(int, best.split("x"))
    is_exact = Fraction(width, height) == shape
    return SizeChoice(
        best, None if is_exact else f"The model supports no size of exactly {asked}; using {best}."
    )


def _of_shape(asked: str, shape: Fraction, rule: FlexibleSizes) -> str:
    """Find the closest size, of several the largest, with no more pixels than `landscape`."""
    if max(shape, 1 / shape) > rule.widest:
        limit = f"{rule.widest}:1" if shape > 1 else f"1:{rule.widest}"
        what = f"{option('size', asked)} exceeds the limit of {limit}; try {option('size', limit)}."
        raise usage_error(what, about=("size",))
    sizes = [size for size in _candidates(shape, rule) if size.pixels <= _RATIO_PIXELS]
    return str(min(sizes, key=lambda size: (abs(size.shape - shape), -size.pixels)))


def _candidates(shape: Fraction, rule: FlexibleSizes) -> Iterator[_Size]:
    """Yield valid sizes near an aspect ratio: for every short edge, the two closest long ones."""
    upright = shape < 1
    ratio = 1 / shape if upright else shape
    for short in range(rule.multiple, rule.longest + 1, rule.multiple):
        long = int(short * ratio) // rule.multiple * rule.multiple
        if long > rule.longest:
            return
        for edge in (long, long + rule.multiple):
            size = _Size(short, edge) if upright else _Size(edge, short)
            if not any(_faults(size, rule)):
                yield size
