"""Knows how close a painting comes to an image: PSNR, SSIM, the worst error of a small place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageMath, ImageStat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
