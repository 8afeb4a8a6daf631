"""Knows nine varied test images and paints them the same on every machine, with Pillow alone."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 1024
_FAINTEST = 0.01  # octave of noise
_TEXT = (
    "An image streams into the terminal while it is being made. Every cell has one glyph and two colours; "
    "the glyph and the colours with the least error win. Small letters are the hardest part of it. "
)


def clouds(size: tuple[int, int], seed: int, roughness: float = 0.6, coarsest: int = 4) -> Image.Image:
    """Noise of many scales in mode L, as in clouds, stone and skin."""
    grain = random.Random(seed)
    total = Image.new("L", size, 128)
    cells, weight = coarsest, 1.0
    while cells < max(size) // 2 and weight > _FAINTEST:
        octave = Image.frombytes("L", (cells, cells), grain.randbytes(cells * cells))
        octave = octave.resize(size, Image.Resampling.BICUBIC).point([_soft(v, weight) for v in range(256)])
        total = ImageChops.add(total, octave, 1, -128)
        cells, weight = cells * 2, weight * roughness
    return ImageOps.autocontrast(total)


def _soft(value: int, weight: float) -> int:
    return round(128 + (value - 128) * weight * 0.6)


def landscape() -> Image.Image:
    """Like a photograph: hazy hills under a sky with a low sun."""
    size = SIDE * 3 // 2, SIDE * 9 // 8
    sky = ImageOps.colorize(Image.linear_gradient("L").resize(size), "#3b6ea8", "#f6d9a8")
    haze = ImageOps.colorize(clouds(size, 1), "#8fb0d0", "#ffffff")
    image = Image.blend(sky, haze, 0.35)
    ImageDraw.Draw(image).ellipse((1000, 330, 1130, 460), "#fff3c8")
    image = image.filter(ImageFilter.GaussianBlur(6))
    for layer, colour in enumerate(["#8c9bb0", "#6d8577", "#4a6b45", "#2c4426"]):
        texture = ImageOps.colorize(clouds(size, 20 + layer, 0.8, 16), "#101408", colour, mid=colour)
        image.paste(texture, mask=_ridge(size, layer))
    return image


def _ridge(size: tuple[int, int], layer: int) -> Image.Image:
    def height(x: float) -> float:
        waves = ((0.004, 60), (0.011, 25), (0.037, 9), (0.13, 3))
        return 480 + layer * 120 + sum(a * math.sin(f * x * (1 + layer / 5) + layer * 2) for f, a in waves)

    mask = Image.new("L", size)
    line = [(x, height(x)) for x in range(0, size[0] + 8, 8)]
    ImageDraw.Draw(mask).polygon([(0, size[1]), *line, (size[0], size[1])], 255)
    return mask.filter(ImageFilter.GaussianBlur(1.2))


def portrait() -> Image.Image:
    """Like a photograph too: a soft face with skin and hair before a blurred room."""
    size = SIDE, SIDE
    image = ImageOps.colorize(clouds(size, 5, 0.45, 3), "#20302e", "#b9a27c")
    pen = ImageDraw.Draw(image)
    pen.ellipse((240, 120, 790, 860), "#3a2216")
    pen.rectangle((420, 760, 610, 1024), "#b98062")
    pen.ellipse((160, 880, 870, 1300), "#31507a")
    pen.ellipse((310, 210, 720, 830), "#d9a582")
    for x in (430, 600):
        pen.ellipse((x - 45, 455, x + 45, 505), "#f4efe8")
        pen.ellipse((x - 21, 458, x + 21, 500), "#2f4a3a")
        pen.line((x - 60, 425, x, 405, x + 60, 425), "#3a2216", 16)
    pen.line((515, 500, 490, 625, 540, 630), "#b27f60", 10)
    pen.chord((435, 670, 595, 750), 0, 180, "#a3463f")
    skin = ImageOps.colorize(clouds(size, 6, 0.75, 24), "#000000", "#ffffff")
    return Image.blend(image.filter(ImageFilter.GaussianBlur(5)), ImageChops.soft_light(image, skin), 0.5)


def drawing() -> Image.Image:
    """A children's book drawing: flat colours within dark outlines."""
    image = Image.new("RGB", (SIDE, SIDE), "#9fd8ef")
    pen = ImageDraw.Draw(image)
    ink = "#222233"
    pen.rectangle((0, 720, 1024, 1024), "#7cc25a", ink, 8)
    pen.rectangle((170, 430, 560, 830), "#f2e2b6", ink, 10)
    pen.polygon([(120, 440), (365, 220), (610, 440)], "#d2503c", ink, 10)
    pen.rectangle((310, 620, 420, 830), "#8a5a33", ink, 8)
    for x in (205, 450):
        pen.rectangle((x, 500, x + 80, 580), "#bfe6ff", ink, 8)
    pen.ellipse((780, 80, 930, 230), "#ffd83d", ink, 8)
    pen.rectangle((760, 600, 810, 830), "#7a4b2a", ink, 8)
    pen.ellipse((660, 380, 910, 640), "#3f9a4d", ink, 10)
    pen.ellipse((640, 830, 900, 930), "#5aa7d6", ink, 8)
    return image


def text() -> Image.Image:
    """A page of dark letters in three sizes."""
    image = Image.new("RGB", (SIDE, SIDE), "#fbfaf5")
    pen = ImageDraw.Draw(image)
    y = 30
    for size, lines in ((110, 2), (56, 5), (30, 12)):
        font = ImageFont.load_default(size)
        letters = int(SIDE * 1.9 / size)
        for line in range(lines):
            start = line * letters % len(_TEXT)
            pen.text((30, y), (_TEXT * 3)[start : start + letters], "#1c1c28", font)
            y += int(size * 1.22)
    return image


def gradients() -> Image.Image:
    """Smooth transitions: colour wheel, sky, and a soft ball."""
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    ball = Image.radial_gradient("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.ROTATE_90), ImageOps.invert(ball)))


def noise() -> Image.Image:
    """Coloured grain without any form, three pixels wide."""
    side = SIDE // 3
    grain = Image.frombytes("RGB", (side, side), random.Random(7).randbytes(3 * side * side))
    return grain.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def sticker() -> Image.Image:
    """A cut-out with soft edges and half-transparent glass, on nothing."""
    image = Image.new("RGBA", (SIDE, SIDE))
    body = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(body).regular_polygon((512, 512, 460), 7, 10, 255)
    image.paste(gradients(), mask=body.filter(ImageFilter.GaussianBlur(8)))
    pen = ImageDraw.Draw(image)
    pen.ellipse((330, 330, 700, 700), (255, 255, 255, 90), (20, 20, 60, 255), 14)
    pen.line((250, 760, 780, 260), (240, 60, 60, 255), 40)
    return image


def lines() -> Image.Image:
    """High contrast line art: thin black curves, rays and hatching on white."""
    image = Image.new("L", (SIDE * 2, SIDE * 2), 255)
    pen = ImageDraw.Draw(image)
    for turn in range(0, 360, 9):
        angle = math.radians(turn)
        pen.line((1400, 600, 1400 + 560 * math.cos(angle), 600 + 560 * math.sin(angle)), 0, 7)
    for radius in range(60, 640, 58):
        pen.ellipse((640 - radius, 1360 - radius, 640 + radius, 1360 + radius), outline=0, width=9)
    for offset in range(0, 900, 45):
        pen.line((1250 + offset, 1250, 1250, 1250 + offset), 0, 6)
    pen.line([(x, 300 + 180 * math.sin(x / 90)) for x in range(60, 900, 6)], 0, 12)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGB")


def night() -> Image.Image:
    """A dark scene: a street with few lights and their glow."""
    size = SIDE, SIDE
    image = ImageOps.colorize(clouds(size, 11, 0.7), "#05060c", "#1c2233")
    grain = random.Random(12)
    pen = ImageDraw.Draw(image)
    for left in range(0, SIDE, 128):
        top = grain.randrange(260, 640)
        pen.rectangle((left, top, left + 118, SIDE), "#0a0c14")
        for x, y in ((left + 14 + 34 * i, top + 20 + 44 * j) for i in range(3) for j in range(8)):
            if grain.randrange(4) == 0:
                pen.rectangle((x, y, x + 16, y + 24), grain.choice(["#d8a24a", "#8a6a3a", "#4a5a7a"]))
    light = Image.new("RGB", size)
    for x in range(90, SIDE, 210):
        ImageDraw.Draw(light).ellipse((x - 26, 690, x + 26, 742), "#ffd9a0")
    glow = light.filter(ImageFilter.GaussianBlur(48))
    return ImageChops.screen(ImageChops.screen(image, light), ImageChops.add(glow, glow))


IMAGES: dict[str, Callable[[], Image.Image]] = {
    "landscape": landscape,
    "portrait": portrait,
    "drawing": drawing,
    "text": text,
    "gradients": gradients,
    "noise": noise,
    "sticker": sticker,
    "lines": lines,
    "night": night,
}
