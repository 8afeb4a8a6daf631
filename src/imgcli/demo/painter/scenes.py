"""Scenes with a horizon: hills in mist, and a sea under a low sun."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imgcli.demo.painter import drawing as tx
from imgcli.demo.painter.drawing import mix

if TYPE_CHECKING:
    import random

    from imgcli.demo.painter.drawing import Colour, Palette


def hills(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """Ridge behind ridge under a sun or moon, each nearer one darker, mist between them, firs in front."""
    width, height = size
    night = rng.random() < 0.4  # noqa: PLR2004
    image = _sky(rng, size, palette, night=night)
    ridges = 6 + detail // 2
    for number in range(ridges):
        near = (number + 1) / ridges
        base = height * (0.46 + 0.46 * near**1.25)
        crest = _crest(rng, width, base, height * (0.05 + 0.11 * (1 - near) + 0.03 * near))
        colour = palette.at((0.62 if night else 0.74) * (1 - near) ** 1.15)
        mist = mix(colour, palette.at(0.55 if night else 0.86), 0.55 * (1 - near) + 0.08)
        mask = tx.polygon(size, [(0, height), *crest, (width, height)])
        if number == ridges - 1:
            mask = ImageChops.lighter(mask, _firs(rng, size, crest))
        top = min(y for _, y in crest)
        image.paste(_slope(size, top, colour, mist), mask=mask)
    return image


def sea(rng: random.Random, size: tx.Size, palette: Palette, detail: int) -> Image.Image:
    """Open water that carries the path of a low sun, islands on the horizon."""
    width, height = size
    horizon = round(height * rng.uniform(0.5, 0.6))
    sun = (width * rng.uniform(0.3, 0.7), horizon - height * rng.uniform(0.04, 0.16))
    above = _sunset(rng, (width, horizon), palette, sun)
    for number in range(2):
        crest = _crest(rng, width, horizon - height * (0.012 + 0.01 * number), height * 0.07)
        shore = [(x, max(y, horizon - height * 0.12)) for x, y in _taper(rng, crest, width, horizon)]
        island = tx.polygon(above.size, [(0, horizon), *shore, (width, horizon)])
        tx.cover(above, island, palette.at(0.3 - 0.16 * number))
    image = Image.new("RGB", size)
    image.paste(above, (0, 0))
    image.paste(_water(rng, above, (width, height - horizon), palette, (sun[0], detail)), (0, horizon))
    return image


def _sky(rng: random.Random, size: tx.Size, palette: Palette, *, night: bool) -> Image.Image:
    tones = (0.0, 0.12, 0.3, 0.5) if night else (0.42, 0.62, 0.82, 0.97)
    star = (size[0] * rng.uniform(0.22, 0.78), size[1] * rng.uniform(0.2, 0.36))
    radius = min(size) * rng.uniform(0.055, 0.085)
    soft = tx.soft_size(size)
    veil = tx.warp(rng, tx.clouds(rng, soft, 3, 4, 2.4), 0.12)
    veil = veil.point([max(0, level - 110) for level in range(256)])
    sky = tx.gradient(soft, [palette.at(tone) for tone in (*tones, tones[-1])])
    sky = tx.light(sky, veil, palette.at(0.62 if night else 0.95), 0.8)
    sky = tx.enlarge(_shine(sky, size, (star, radius * 8, radius * 3), palette), size)
    if night:
        sky = tx.light(sky, stars(rng, size, 160), palette.at(1.0), 0.9)
    tx.cover(sky, tx.disc(size, star, radius), palette.at(1.0))
    return sky


def _sunset(rng: random.Random, size: tx.Size, palette: Palette, sun: tx.Point) -> Image.Image:
    soft, radius = tx.soft_size(size), min(size) * 0.1
    veil = tx.warp(rng, tx.clouds(rng, soft, 2.2, 6, 3.5), 0.16, 2)
    veil = veil.point([max(0, level - 96) for level in range(256)])
    sky = tx.gradient(soft, [palette.at(tone) for tone in (0.12, 0.26, 0.46, 0.68, 0.86)])
    sky = tx.shade(sky, veil, 0.35)
    shrink = soft[0] / size[0]
    near = tx.glow(soft, (sun[0] * shrink, sun[1] * shrink), max(soft) * 0.7)
    lit = ImageChops.multiply(veil, near).point([min(255, level * 2) for level in range(256)])
    sky = tx.light(sky, lit, palette.at(0.78))
    sky = tx.enlarge(_shine(sky, size, (sun, radius * 7, radius * 2.4), palette), size)
    tx.cover(sky, tx.disc(size, sun, radius), palette.at(1.0))
    return sky


def _shine(
    sky: Image.Image, size: tx.Size, lamp: tuple[tx.Point, float, float], palette: Palette
) -> Image.Image:
    """The small `sky` of an image of `size`, with a wide and a narrow halo around a place."""
    place, wide, narrow = lamp
    shrink = sky.width / size[0]
    centre = (place[0] * shrink, place[1] * shrink)
    sky = tx.light(sky, tx.glow(sky.size, centre, wide * shrink), palette.at(0.78), 0.6)
    return tx.light(sky, tx.glow(sky.size, centre, narrow * shrink), palette.at(0.94), 0.65)


def _water(
    rng: random.Random, above: Image.Image, size: tx.Size, palette: Palette, sun: tuple[float, int]
) -> Image.Image:
    """Mirror image of the sky, darkened, rippled in perspective, with the sun's glitter."""
    width, height = size
    mirror = ImageOps.flip(above).resize(size, Image.Resampling.BILINEAR)
    mirror = mirror.filter(ImageFilter.BoxBlur((width * 0.02, height * 0.004)))
    deep = tx.gradient(size, [palette.at(0.2), palette.at(0.02)])
    water = Image.blend(mirror, deep, 0.42)
    ripples = _ripples(rng, size, sun[1])
    water = tx.shade(water, ripples.point([max(0, 140 - level) for level in range(256)]), 0.75)
    path = ImageChops.multiply(_path(size, sun[0]), ripples)
    glitter = path.point([min(255, max(0, (level - 62) * 4)) for level in range(256)])
    return tx.light(water, glitter, palette.at(0.93), 0.95)


def _ripples(rng: random.Random, size: tx.Size, detail: int) -> Image.Image:
    """Wave noise, finer towards the horizon at the top."""
    width, height = size
    flat = tx.noise(rng, (width, height * 2), 34, 5)
    for cells in (70, 130)[: 1 + detail // 2]:
        flat = Image.blend(flat, tx.noise(rng, (width, height * 2), cells, 4), 0.45)
    squeezed = Image.new("L", size)
    bands = 40
    for band in range(bands):
        top, bottom = (height * number // bands for number in (band, band + 1))
        source = [2 * height * _depth(number / bands) for number in (band, band + 1)]
        if bottom > top:
            strip = flat.resize(
                (width, bottom - top), Image.Resampling.BOX, box=(0, source[0], width, source[1])
            )
            squeezed.paste(strip, (0, top))
    return ImageOps.autocontrast(squeezed, cutoff=1)


def _depth(share: float) -> float:
    """How much of the water lies above a place `share` of the way from the horizon to the viewer."""
    left = 1.0 - share
    return 0.3 * share + 0.7 * (1 - math.pow(left, 2.6))


def _path(size: tx.Size, sun: float) -> Image.Image:
    width, height = size
    near, far = width * 0.16, width * 0.05
    corners = [(sun - far, 0), (sun + far, 0), (sun + near, height), (sun - near, height)]
    small = tx.soft_size(size)
    return tx.enlarge(
        tx.polygon(size, corners).resize(small).filter(ImageFilter.GaussianBlur(small[0] * 0.03)), size
    )


def _crest(rng: random.Random, width: int, base: float, rise: float) -> list[tx.Point]:
    """A ridge line around the height `base`, from left to right: a sum of waves, finer ones smaller."""
    waves = [
        (rise / 1.9**octave, rng.uniform(0.7, 1.3) * 1.2 * 2**octave, rng.uniform(0, 2 * math.pi))
        for octave in range(7)
    ]
    columns = [width * column / 240 for column in range(241)]
    return [
        (
            x,
            base
            - sum(high * math.sin(often * math.pi * x / width + start) for high, often, start in waves) / 1.6,
        )
        for x in columns
    ]


def _taper(rng: random.Random, crest: list[tx.Point], width: int, horizon: int) -> list[tx.Point]:
    """The ridge sunk into the sea away from one place, so that it becomes an island."""
    middle, reach = rng.choice((0.0, 0.12, 0.9, 1.0)), rng.uniform(0.22, 0.4)
    faded = []
    for x, y in crest:
        stand = max(0.0, 1 - abs(x / width - middle) / reach) ** 0.7
        faded.append((x, horizon + (y - horizon - 12) * stand + 2))
    return faded


def _slope(size: tx.Size, top: float, colour: Colour, mist: Colour) -> Image.Image:
    width, height = size
    above = max(0, min(height - 2, round(top)))
    slope = Image.new("RGB", size, colour)
    reach = min(height - above, round(height * 0.26))
    slope.paste(tx.gradient((width, reach), [colour, mix(colour, mist, 0.5), mist]), (0, above))
    slope.paste(mist, (0, above + reach, width, height))
    return slope


def _firs(rng: random.Random, size: tx.Size, crest: list[tx.Point]) -> Image.Image:
    """Mask of fir trees that stand on the ridge."""
    unit = min(size)
    clearing = rng.uniform(0.2, 0.8) * size[0]

    def draw(pen: ImageDraw.ImageDraw, scale: float) -> None:
        for x, y in crest:
            away = min(1.0, abs(x - clearing) / (size[0] * 0.5))
            if rng.random() < 0.15 + 0.6 * away:
                _fir(
                    pen,
                    (x * scale, (y + unit * 0.01) * scale),
                    unit * scale * rng.uniform(0.02, 0.035 + 0.07 * away),
                )

    return tx.shape(size, draw)


def _fir(pen: ImageDraw.ImageDraw, foot: tx.Point, tall: float) -> None:
    x, y = foot
    for tier in range(4):
        low, high = y - tall * tier * 0.22, y - tall * (0.4 + tier * 0.2)
        half = tall * 0.2 * (1 - tier * 0.2)
        pen.polygon([(x - half, low), (x + half, low), (x, high)], fill=255)


def stars(rng: random.Random, size: tx.Size, count: int) -> Image.Image:
    """Grey mask of stars: many faint ones, a few bright."""
    width, height = size
    sky = Image.new("L", (width * 2, height * 2))
    pen = ImageDraw.Draw(sky)
    unit = min(size) / 512
    for _ in range(count):
        x, y, bright = rng.uniform(0, width * 2), rng.uniform(0, height * 2), rng.random() ** 4
        radius = (0.7 + 1.9 * bright) * unit
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(110 + 145 * bright))
    return sky.reduce(2)
