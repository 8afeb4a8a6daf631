"""Scenes without a horizon: a nebula, cut paper, a geometric mosaic, polished agate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imgcli.demo.painter import drawing as tx
from imgcli.demo.painter.scenes import stars

if TYPE_CHECKING:
    import random

    from imgcli.demo.painter.drawing import Colour, Palette


def nebula(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """Glowing gas, dust in front of it, stars, and a planet that hides some of them."""
    width, height = size
    soft = tx.soft_size(size)
    core = (soft[0] * rng.uniform(0.3, 0.7), soft[1] * rng.uniform(0.35, 0.65))
    heart = tx.warp(rng, tx.glow(soft, core, max(soft) * 0.75), 0.5)
    gas = Image.blend(tx.warp(rng, tx.clouds(rng, soft, 2, 7), 0.2, 2), heart, 0.5)
    image = tx.tint(gas, palette, (0.0, 0.02, 0.16, 0.4, 0.68, 0.9, 1.0))
    wisps = tx.warp(rng, tx.clouds(rng, soft, 2.5, 7), 0.25, 2)
    wisps = ImageChops.multiply(wisps.point([max(0, 3 * (level - 150)) for level in range(256)]), heart)
    image = tx.light(image, wisps, palette.accent, 0.9)
    dust = tx.warp(rng, tx.clouds(rng, soft, 2.2, 7), 0.22, 2)
    image = tx.shade(image, dust.point([min(255, max(0, 3 * (level - 140))) for level in range(256)]), 0.8)
    image = tx.enlarge(image, size)
    image = tx.light(image, stars(rng, size, 420 + 160 * detail), palette.at(1.0), 0.95)
    for _ in range(6):
        image = _glint(rng, image, palette.at(1.0))
    place = (width * rng.choice((0.2, 0.78)), height * rng.uniform(0.22, 0.5))
    return _planet(rng, image, palette, place, min(size) * rng.uniform(0.07, 0.13))


def _glint(rng: random.Random, image: Image.Image, colour: Colour) -> Image.Image:
    """One bright star with a halo and rays."""
    unit = min(image.size) * rng.uniform(0.012, 0.03)
    place = (rng.randrange(image.width), rng.randrange(image.height))
    box = [round(value) for value in (place[0] - 4 * unit, place[1] - 4 * unit)]
    side = max(8, round(8 * unit))
    halo = tx.glow((side, side), (side / 2, side / 2), side * 0.3)
    middle, thin = side / 2, max(0.6, unit * 0.07)

    def rays(pen: ImageDraw.ImageDraw, k: float) -> None:
        for across, down in ((side * 0.42, thin), (thin, side * 0.42)):
            tips = [
                (middle - across, middle),
                (middle, middle - down),
                (middle + across, middle),
                (middle, middle + down),
            ]
            pen.polygon([(x * k, y * k) for x, y in tips], fill=255)

    star = ImageChops.screen(
        halo.point([level * level // 255 for level in range(256)]), tx.shape((side, side), rays)
    )
    patch = image.crop((box[0], box[1], box[0] + side, box[1] + side))
    image.paste(tx.light(patch, star, colour), (box[0], box[1]))
    return image


def _planet(
    rng: random.Random, image: Image.Image, palette: Palette, place: tx.Point, radius: float
) -> Image.Image:
    side = max(8, round(radius * 2))
    bands = tx.warp(rng, tx.noise(rng, (side, side), 9, 12), 0.06)
    ball = tx.tint(bands, palette, (0.35, 0.55, 0.75, 0.9))
    lit = tx.glow((side, side), (side * 0.3, side * 0.28), side * 0.95)
    ball = ImageChops.multiply(ball, Image.merge("RGB", (lit, lit, lit)))
    corner = (round(place[0] - side / 2), round(place[1] - side / 2))
    image.paste(ball, corner, tx.disc((side, side), (side / 2, side / 2), side / 2 - 1))
    return image


def papercut(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """Sheets of coloured paper with holes, one above the other, each casting a shadow on the next."""
    width, height = size
    centre = (width * rng.uniform(0.4, 0.6), height * rng.uniform(0.38, 0.55))
    sheets = 6 + detail // 2
    image = tx.gradient(size, [palette.at(1.0), palette.at(0.9)])
    image = tx.light(image, tx.glow(size, centre, max(size) * 0.4), (255, 255, 255), 0.5)
    tx.cover(image, tx.disc(size, centre, min(size) * 0.075), palette.accent)
    lobes = [(rng.randint(2, 7), rng.uniform(0, 2 * math.pi)) for _ in range(5)]
    for number in range(sheets):
        near = (number + 1) / sheets
        colour = palette.at(0.93 * (1 - near))
        hole = _blob(rng, centre, (width * (0.12 + 0.47 * near), height * (0.12 + 0.45 * near)), lobes)
        sheet = tx.polygon(size, hole).point([255 - level for level in range(256)])
        image = tx.shade(image, _shadow(sheet, min(size) * 0.02), 0.42)
        tx.cover(image, sheet, colour)
    return tx.light(image, tx.glow(size, (width * 0.2, 0), max(size)), palette.at(1.0), 0.16)


def _blob(
    rng: random.Random, centre: tx.Point, reach: tx.Point, lobes: list[tuple[int, float]]
) -> list[tx.Point]:
    """A wobbly closed line around `centre`; the lobes drift a little from sheet to sheet."""
    drift = [
        (often, start + rng.uniform(-0.5, 0.5), rng.uniform(0.03, 0.16) / often**0.4)
        for often, start in lobes
    ]
    points = []
    for step in range(300):
        angle = step * 2 * math.pi / 300
        swell = 1 + sum(high * math.sin(often * angle + start) for often, start, high in drift)
        points.append(
            (centre[0] + reach[0] * swell * math.cos(angle), centre[1] + reach[1] * swell * math.sin(angle))
        )
    return points


def _shadow(mask: Image.Image, reach: float) -> Image.Image:
    """Soft shadow of a mask, fallen to the lower right."""
    far = reach / 4
    soft = mask.reduce(4).filter(ImageFilter.BoxBlur(far * 0.7)).filter(ImageFilter.BoxBlur(far * 0.7))
    return tx.enlarge(tx.shift(soft, far * 0.6, far), mask.size)


def mosaic(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """A wall of geometric tiles: quarter circles, leaves, rings, triangles."""
    unit = min(size) / (5 + detail // 3)
    columns, rows = math.ceil(size[0] / unit), math.ceil(size[1] / unit)
    colours = [palette.at(tone) for tone in (0.04, 0.2, 0.4, 0.6, 0.8, 1.0)] + [palette.accent]
    large = Image.new("RGB", (size[0] * 2, size[1] * 2))
    pen = ImageDraw.Draw(large)
    for row in range(rows):
        for column in range(columns):
            box = (column * unit * 2, row * unit * 2, (column + 1) * unit * 2, (row + 1) * unit * 2)
            _tile(rng, pen, box, rng.sample(colours, 3))
    image = large.reduce(2)
    worn = tx.enlarge(tx.clouds(rng, tx.soft_size(size), 5, 5), size)
    image = tx.shade(image, worn.point([max(0, level - 150) for level in range(256)]), 0.45)
    sun = (size[0] * rng.uniform(0.1, 0.4), size[1] * 0.1)
    image = tx.light(image, tx.glow(size, sun, max(size)), palette.at(1.0), 0.22)
    return tx.shade(image, tx.glow(size, (size[0] - sun[0], size[1] * 1.05), max(size)), 0.35)


def _tile(
    rng: random.Random,
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    colours: list[Colour],
) -> None:
    left, top, right, bottom = box
    side = right - left
    ground, front, detail = colours
    pen.rectangle(box, fill=ground)
    corner = rng.randrange(4)
    x, y = (left, right)[corner % 2], (top, bottom)[corner // 2]
    kind = rng.randrange(6)
    if kind in {0, 1}:
        radii = ((1.0, front), (0.62, detail), (0.3, ground)) if kind else ((1.0, front),)
        for radius, colour in radii:
            _slice(pen, box, (x, y), (radius * side, colour))
    elif kind == 2:  # noqa: PLR2004
        pen.ellipse(
            (left + side * 0.1, top + side * 0.1, right - side * 0.1, bottom - side * 0.1), fill=front
        )
        pen.pieslice(
            (left + side * 0.1, top + side * 0.1, right - side * 0.1, bottom - side * 0.1),
            corner * 90,
            corner * 90 + 180,
            fill=detail,
        )
    else:
        pen.polygon([(left, y), (right, y), (x, top + bottom - y)], fill=front)


def _slice(
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    centre: tx.Point,
    piece: tuple[float, Colour],
) -> None:
    radius, colour = piece
    x, y = centre
    start = {(True, True): 0, (False, True): 90, (False, False): 180, (True, False): 270}[
        (x == box[0], y == box[1])
    ]
    pen.pieslice((x - radius, y - radius, x + radius, y + radius), start, start + 90, fill=colour)


def agate(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """A polished stone: bands of colour that flow around each other, lit from the upper left."""
    soft = tx.soft_size(size)
    field = tx.warp(rng, tx.clouds(rng, soft, 1.6, 3), 0.34, 2.5)
    centre = (soft[0] * rng.uniform(0.25, 0.75), soft[1] * rng.uniform(0.25, 0.75))
    field = Image.blend(field, tx.glow(soft, centre, max(soft) * 0.8), 0.35)
    tones = [rng.random() for _ in range(2 * (10 + detail))]
    # Coloured while small, then blurred: the grey field has too few levels for such steep colours.
    stone = tx.tint(field, palette, tones).filter(ImageFilter.GaussianBlur(1.3))
    stone = stone.resize(size, Image.Resampling.BICUBIC)
    return tx.light(stone, tx.glow(size, (size[0] * 0.15, 0), max(size)), palette.at(1.0), 0.2)
