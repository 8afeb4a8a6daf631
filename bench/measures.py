"""Knows how close a painting comes to an image, near by and from afar."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageMath, ImageStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

WINDOW = 7


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Peak signal to noise in dB over the three channels."""
    error = sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2) / (3 * one.width * one.height)
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Structural similarity (Wang et al. 2004) of the luma, uniform windows at every place."""
    x, y = (image.convert("L").convert("F") for image in (one, other))
    moments = [x, y, *(_calc(lambda a, b: a * b, *pair) for pair in ((x, x), (y, y), (x, y)))]
    total = [
        _mean_ssim([image.crop((left, top, *image.size)) for image in moments]) for left, top in _offsets()
    ]
    return sum(total) / len(total)


def _offsets() -> Iterator[tuple[int, int]]:
    return ((left, top) for left in range(WINDOW) for top in range(WINDOW))


def _mean_ssim(moments: list[Image.Image]) -> float:
    size = moments[0].width // WINDOW * WINDOW, moments[0].height // WINDOW * WINDOW
    local = [image.crop((0, 0, *size)).reduce(WINDOW) for image in moments]
    return _mean(_calc(_ssim, *local))


def _mean(image: Image.Image) -> float:
    value = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    if not isinstance(value, float):
        raise TypeError(f"an image of mode F has floats, not {value!r}")
    return value


def _ssim(x: Any, y: Any, xx: Any, yy: Any, xy: Any) -> Any:
    small, medium = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    product, squares = x * y, x * x + y * y
    likeness = (product * 2 + small) * ((xy - product) * 2 + medium)
    return likeness / ((squares + small) * (xx + yy - squares + medium))


def _calc(rule: Callable[..., Any], *images: Image.Image) -> Image.Image:
    named = {f"image{i}": image for i, image in enumerate(images)}
    found: Image.Image = ImageMath.lambda_eval(lambda known: rule(*(known[name] for name in named)), **named)
    return found


def worst(one: Image.Image, other: Image.Image) -> float:
    """The worst mean error of any 8x8 pixels in any channel."""
    bands = ImageChops.difference(one.reduce(8), other.reduce(8)).split()
    return max(max(band.tobytes()) for band in bands)


WIDE, HIGH = 16, 64  # pixels of 2x4 cells, which from afar are one place
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_CONES = (  # Ottosson 2020: from linear sRGB to the eye's cones, and from their cube roots to OKLab
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def far(one: Image.Image, other: Image.Image) -> float:
    """The mean distance in OKLab, times 100, of the light of 2x4 cells."""
    pairs = zip(*(map(_oklab, _places(image)) for image in (one, other)), strict=True)
    distances = [math.dist(*pair) for pair in pairs]
    return 100 * sum(distances) / len(distances)


def light(one: Image.Image, other: Image.Image) -> float:
    """The mean error, times 100, of the luminance of 2x4 cells, in linear light."""
    pairs = zip(_places(one), _places(other), strict=True)
    errors = [abs(_product(_LUMINANCE, a) - _product(_LUMINANCE, b)) for a, b in pairs]
    return 100 * sum(errors) / len(errors)


def _places(image: Image.Image) -> list[tuple[float, ...]]:
    """The linear red, green and blue of every 2x4 cells."""
    size = image.width // WIDE * WIDE, image.height // HIGH * HIGH
    linear = [_light(level / 255) for level in range(256)]
    bands = []
    for band in image.convert("RGB").crop((0, 0, *size)).split():
        values = Image.new("F", size)
        values.putdata([linear[level] for level in band.tobytes()])
        bands.append(list(values.reduce((WIDE, HIGH)).getdata()))
    return list(zip(*bands, strict=True))


def _light(level: float) -> float:
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's own


def _oklab(linear: tuple[float, ...]) -> list[float]:
    cones = [_product(row, linear) ** (1 / 3) for row in _CONES]
    return [_product(row, cones) for row in _OKLAB]


def _product(one: Iterable[float], other: Iterable[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
