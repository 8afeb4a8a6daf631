"""Random textures from one seed: noise, gradients and smooth shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageOps

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence


Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""

# Each row runs from the darkest to the lightest colour of one mood; the last one is its accent.
_MOODS = (
    "1b1a3a 4a2c6d 9b3f7b e8636b ffa96b ffe3b0 35c2c1",
    "06202b 0b4f5c 16858b 5cc0a8 bfe8c5 fff6d9 ff8f6b",
    "1a0f14 4d1a22 9c2f2a dd5f2e f7a945 ffe9bd 3a9ea5",
    "050b20 0d2a4a 14645f 3fb68b a6e6a1 f2ffe0 d66bd0",
    "101a2b 27415e 4f7a9b 93b9c9 d6e2de fdf3e3 f2704f",
    "2a1530 6b2d5c b5548a ee92a8 ffc9c2 fff1e6 4fb3bf",
    "12241c 2b5238 63893f b3b651 f0d77b fff4cf e2603f",
    "0a0618 2a1257 5b2ca0 a156d6 f08fd8 ffe0f3 43d0f0",
    "2b1a17 6d3a2a b5653b e09a5b f3cd94 fcf0d8 2f8f9d",
    "0d1326 23305c 4d5fa3 8f9fd1 f3b9a0 ffe8d2 f26d5b",
)


@dataclass(frozen=True, slots=True)
class Palette:
    """One mood: `stops` run from dark to light, `accent` stands out against all of them."""

    stops: tuple[Colour, ...]
    accent: Colour

    def at(self, tone: float) -> Colour:
        """Return the colour of a tone from 0 (darkest) to 1 (lightest)."""
        place = min(max(tone, 0.0), 1.0) * (len(self.stops) - 1)
        low = min(int(place), len(self.stops) - 2)
        return mix(self.stops[low], self.stops[low + 1], place - low)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` is the part of the second, 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def choose(rng: random.Random) -> Palette:
    """Choose one of the moods."""
    *stops, accent = (_colour(code) for code in rng.choice(_MOODS).split())
    return Palette(tuple(stops), accent)


def _colour(code: str) -> Colour:
    red, green, blue = bytes.fromhex(code)
    return red, green, blue


Size = tuple[int, int]
Point = tuple[float, float]

_SOFT = 512  # soft textures are made this large at most, then enlarged: the difference cannot be seen


def noise(rng: random.Random, size: Size, cells: float, stretch: float = 1.0) -> Image.Image:
    """Paint smooth grey noise: `cells` blotches along the shorter edge, `stretch` times wider than high."""
    width, height = size
    cell = min(size) / cells
    grid = (max(2, round(width / (cell * stretch)) + 1), max(2, round(height / cell) + 1))
    return Image.frombytes("L", grid, rng.randbytes(grid[0] * grid[1])).resize(size, Image.Resampling.BICUBIC)


def clouds(
    rng: random.Random, size: Size, cells: float, octaves: int = 4, stretch: float = 1.0
) -> Image.Image:
    """Paint grey fractal noise from 0 to 255: `octaves` layers, each twice as fine as the one before."""
    small = soft_size(size)
    layers = noise(rng, small, cells, stretch)
    for octave in range(1, octaves):
        share = 1 / (2 ** (octave + 1) - 1)  # each octave counts half as much as the one before
        layers = Image.blend(layers, noise(rng, small, cells * 2**octave, stretch), share)
    return enlarge(ImageOps.autocontrast(layers, cutoff=0.5), size)


def soft_size(size: Size) -> Size:
    """Return the size at which a soft texture for an image of `size` is made."""
    shrink = min(1.0, _SOFT / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def enlarge(image: Image.Image, size: Size) -> Image.Image:
    """Scale an image to `size`, smoothly."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def gradient(size: Size, colours: Sequence[Colour]) -> Image.Image:
    """Paint colours blended from top to bottom, evenly spaced."""
    strip = Image.new("RGB", (1, len(colours)))
    strip.putdata(list(colours))
    # Only the part between the centres of the first and last colour is stretched, or both ends would be flat.
    return strip.resize(size, Image.Resampling.BILINEAR, box=(0, 0.5, 1, len(colours) - 0.5))


def glow(size: Size, centre: Point, radius: float) -> Image.Image:
    """Paint grey light that fades from 255 at `centre` to 0 at `radius` pixels."""
    small = soft_size(size)
    scale = small[0] / size[0]
    side = max(2, round(2 * radius * scale))
    light = ImageOps.invert(Image.radial_gradient("L")).point(
        [max(0, 2 * level - 255) for level in range(256)]
    )
    canvas = Image.new("L", small)
    corner = (round(centre[0] * scale - side / 2), round(centre[1] * scale - side / 2))
    canvas.paste(light.resize((side, side), Image.Resampling.BILINEAR), corner)
    return enlarge(canvas, size)


def shape(size: Size, draw: Callable[[ImageDraw.ImageDraw, float], None]) -> Image.Image:
    """Make a smooth-edged mask of what `draw` draws; it gets the factor for its coordinates."""
    large = Image.new("L", (size[0] * 2, size[1] * 2))
    draw(ImageDraw.Draw(large), 2.0)
    return large.reduce(2)


def polygon(size: Size, points: Sequence[Point]) -> Image.Image:
    """Make a mask of a polygon with smooth edges."""
    return shape(size, lambda pen, k: pen.polygon([(x * k, y * k) for x, y in points], fill=255))


def disc(size: Size, centre: Point, radius: float) -> Image.Image:
    """Make a mask of a circle with smooth edges."""
    x, y = centre
    box = (x - radius, y - radius, x + radius, y + radius)
    return shape(size, lambda pen, k: pen.ellipse([value * k for value in box], fill=255))


def cover(image: Image.Image, mask: Image.Image, colour: Colour) -> None:
    """Paint a flat colour onto the image where the mask is bright."""
    image.paste(
        Image.new("RGB", image.size, colour), mask=mask
    )  # many times quicker than pasting a bare colour


def shift(mask: Image.Image, right: float, down: float) -> Image.Image:
    """Move a mask by whole pixels; what comes in from outside is empty."""
    moved = Image.new("L", mask.size)
    moved.paste(mask, (round(right), round(down)))
    return moved


def light(image: Image.Image, mask: Image.Image, colour: Colour, strength: float = 1.0) -> Image.Image:
    """Add coloured light where the mask is bright."""
    bands = [mask.point([round(level * part / 255 * strength) for level in range(256)]) for part in colour]
    return ImageChops.screen(image, Image.merge("RGB", bands))


def shade(image: Image.Image, mask: Image.Image, strength: float) -> Image.Image:
    """Darken the image where the mask is bright; `strength` 1 makes black of full brightness."""
    dark = mask.point([round(255 - level * strength) for level in range(256)])
    return ImageChops.multiply(image, Image.merge("RGB", (dark, dark, dark)))  # quicker than pasting black


def grain(rng: random.Random, image: Image.Image, strength: int) -> Image.Image:
    """Add film grain of up to `strength` levels, which also hides the steps of soft gradients."""
    raw = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    speck = raw.point([128 + round((level - 127.5) / 127.5 * strength) for level in range(256)])
    return ImageChops.add(image, Image.merge("RGB", (speck, speck, speck)), 1, -128)
