"""The scenes: hills in mist, cut paper, a geometric mosaic; and the hills of an SVG."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imgcli.demo.painter import drawing

if TYPE_CHECKING:
    import random

    from imgcli.demo.painter.drawing import Colour, Palette
    from imgcli.demo.painter.label import Caption


def hills(rng: random.Random, size: drawing.Size, palette: Palette, detail: int) -> Image.Image:
    """Paint ridges under a sun or moon, each nearer one darker, mist between them, firs in front."""
    width, height = size
    night = rng.random() < 0.4  # noqa: PLR2004
    image = _sky(rng, size, palette, night=night)
    ridges = 6 + detail // 2
    for number in range(ridges):
        near = (number + 1) / ridges
        base = height * (0.46 + 0.46 * near**1.25)
        crest = _crest(rng, width, base, height * (0.05 + 0.11 * (1 - near) + 0.03 * near))
        colour = palette.at((0.62 if night else 0.74) * (1 - near) ** 1.15)
        mist = drawing.mix(colour, palette.at(0.55 if night else 0.86), 0.55 * (1 - near) + 0.08)
        mask = drawing.polygon(size, [(0, height), *crest, (width, height)])
        if number == ridges - 1:
            mask = ImageChops.lighter(mask, _firs(rng, size, crest))
        top = min(y for _, y in crest)
        image.paste(_slope(size, top, colour, mist), mask=mask)
    return image


def _sky(rng: random.Random, size: drawing.Size, palette: Palette, *, night: bool) -> Image.Image:
    tones = (0.0, 0.12, 0.3, 0.5) if night else (0.42, 0.62, 0.82, 0.97)
    star = (size[0] * rng.uniform(0.22, 0.78), size[1] * rng.uniform(0.2, 0.36))
    radius = min(size) * rng.uniform(0.055, 0.085)
    soft = drawing.soft_size(size)
    veil = drawing.clouds(rng, soft, 3, 4, 2.4)
    veil = veil.point([max(0, level - 110) for level in range(256)])
    sky = drawing.gradient(soft, [palette.at(tone) for tone in (*tones, tones[-1])])
    sky = drawing.light(sky, veil, palette.at(0.62 if night else 0.95), 0.8)
    shrink = soft[0] / size[0]
    centre = (star[0] * shrink, star[1] * shrink)
    sky = drawing.light(sky, drawing.glow(soft, centre, radius * 8 * shrink), palette.at(0.78), 0.6)
    sky = drawing.light(sky, drawing.glow(soft, centre, radius * 3 * shrink), palette.at(0.94), 0.65)
    sky = drawing.enlarge(sky, size)
    if night:
        sky = drawing.light(sky, _stars(rng, size, 160), palette.at(1.0), 0.9)
    drawing.cover(sky, drawing.disc(size, star, radius), palette.at(1.0))
    return sky


def _crest(rng: random.Random, width: int, base: float, rise: float) -> list[drawing.Point]:
    """Return a ridge line around the height `base`: a sum of waves, finer ones smaller."""
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


def _slope(size: drawing.Size, top: float, colour: Colour, mist: Colour) -> Image.Image:
    width, height = size
    above = max(0, min(height - 2, round(top)))
    slope = Image.new("RGB", size, colour)
    reach = min(height - above, round(height * 0.26))
    slope.paste(drawing.gradient((width, reach), [colour, drawing.mix(colour, mist, 0.5), mist]), (0, above))
    slope.paste(mist, (0, above + reach, width, height))
    return slope


def _firs(rng: random.Random, size: drawing.Size, crest: list[drawing.Point]) -> Image.Image:
    """Make a mask of firs along the ridge."""
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

    return drawing.shape(size, draw)


def _fir(pen: ImageDraw.ImageDraw, foot: drawing.Point, tall: float) -> None:
    x, y = foot
    for tier in range(4):
        low, high = y - tall * tier * 0.22, y - tall * (0.4 + tier * 0.2)
        half = tall * 0.2 * (1 - tier * 0.2)
        pen.polygon([(x - half, low), (x + half, low), (x, high)], fill=255)


def _stars(rng: random.Random, size: drawing.Size, count: int) -> Image.Image:
    """Make a mask of stars: many faint ones, a few bright."""
    width, height = size
    sky = Image.new("L", (width * 2, height * 2))
    pen = ImageDraw.Draw(sky)
    unit = min(size) / 512
    for _ in range(count):
        x, y, bright = rng.uniform(0, width * 2), rng.uniform(0, height * 2), rng.random() ** 4
        radius = (0.7 + 1.9 * bright) * unit
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(110 + 145 * bright))
    return sky.reduce(2)


def paper_cutout(rng: random.Random, size: drawing.Size, palette: Palette, detail: int) -> Image.Image:
    """Paint sheets of coloured paper with holes, one above the other, each casting a shadow on the next."""
    width, height = size
    centre = (width * rng.uniform(0.4, 0.6), height * rng.uniform(0.38, 0.55))
    sheets = 6 + detail // 2
    image = drawing.gradient(size, [palette.at(1.0), palette.at(0.9)])
    image = drawing.light(image, drawing.glow(size, centre, max(size) * 0.4), (255, 255, 255), 0.5)
    drawing.cover(image, drawing.disc(size, centre, min(size) * 0.075), palette.accent)
    lobes = [(rng.randint(2, 7), rng.uniform(0, 2 * math.pi)) for _ in range(5)]
    for number in range(sheets):
        near = (number + 1) / sheets
        colour = palette.at(0.93 * (1 - near))
        hole = _blob(rng, centre, (width * (0.12 + 0.47 * near), height * (0.12 + 0.45 * near)), lobes)
        sheet = drawing.polygon(size, hole).point([255 - level for level in range(256)])
        image = drawing.shade(image, _shadow(sheet, min(size) * 0.02), 0.42)
        drawing.cover(image, sheet, colour)
    return drawing.light(image, drawing.glow(size, (width * 0.2, 0), max(size)), palette.at(1.0), 0.16)


def _blob(
    rng: random.Random, centre: drawing.Point, reach: drawing.Point, lobes: list[tuple[int, float]]
) -> list[drawing.Point]:
    """Return a wobbly closed line around `centre`; its lobes drift a little from sheet to sheet."""
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
    """Return the soft shadow of a mask, to its lower right."""
    far = reach / 4
    soft = mask.reduce(4).filter(ImageFilter.BoxBlur(far * 0.7)).filter(ImageFilter.BoxBlur(far * 0.7))
    return drawing.enlarge(drawing.shift(soft, far * 0.6, far), mask.size)


def mosaic(rng: random.Random, size: drawing.Size, palette: Palette, detail: int) -> Image.Image:
    """Paint a wall of geometric tiles: quarter circles, rings, discs, triangles."""
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
    worn = drawing.enlarge(drawing.clouds(rng, drawing.soft_size(size), 5, 5), size)
    image = drawing.shade(image, worn.point([max(0, level - 150) for level in range(256)]), 0.45)
    sun = (size[0] * rng.uniform(0.1, 0.4), size[1] * 0.1)
    image = drawing.light(image, drawing.glow(size, sun, max(size)), palette.at(1.0), 0.22)
    return drawing.shade(image, drawing.glow(size, (size[0] - sun[0], size[1] * 1.05), max(size)), 0.35)


def _tile(
    rng: random.Random,
    pen: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    colours: list[Colour],
) -> None:
    """Draw a quarter circle, quarter rings, a disc of two colours or a triangle; triangles are the rule."""
    left, top, right, bottom = box
    side = right - left
    ground, front, detail = colours
    pen.rectangle(box, fill=ground)
    corner, kind = rng.randrange(4), rng.randrange(6)
    x, y = (left, right)[corner % 2], (top, bottom)[corner // 2]
    match kind:
        case 0 | 1:
            start = (0, 90, 270, 180)[corner]
            for radius, colour in ((1.0, front), (0.62, detail), (0.3, ground))[: 1 + 2 * kind]:
                reach = radius * side
                pen.pieslice((x - reach, y - reach, x + reach, y + reach), start, start + 90, fill=colour)
        case 2:
            edge = side * 0.1
            disc = (left + edge, top + edge, right - edge, bottom - edge)
            pen.ellipse(disc, fill=front)
            pen.pieslice(disc, corner * 90, corner * 90 + 180, fill=detail)
        case _:
            pen.polygon([(left, y), (right, y), (x, top + bottom - y)], fill=front)


_LINES = 3
_LETTERS = 42
"""Letters in a line of the caption, of which three lines fit."""


def svg_drawing(
    rng: random.Random, size: drawing.Size, palette: Palette, caption: Caption, ridges: int, *, is_bare: bool
) -> bytes:
    """Return the drawing as UTF-8; without a sky where the background `is_bare`."""
    width, height = size
    sun = f"{width * rng.uniform(0.25, 0.75):.0f},{height * rng.uniform(0.2, 0.4):.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        "" if is_bare else _svg_sky(palette),
        f'<circle r="{min(size) * 0.1:.0f}" transform="translate({sun})" fill="{_hex(palette.accent)}"/>',
        *(_svg_ridge(rng, size, number / ridges, palette) for number in range(ridges)),
        *_svg_caption(size, caption),
        "</svg>\n",
    ]
    return "\n".join(filter(None, parts)).encode("utf-8", "replace")


def _svg_sky(palette: Palette) -> str:
    high, low = _hex(palette.at(0.75)), _hex(palette.at(1))
    return (
        f'<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{high}"/><stop offset="1" '
        f'stop-color="{low}"/></linearGradient><rect width="100%" height="100%" fill="url(#sky)"/>'
    )


def _svg_ridge(rng: random.Random, size: drawing.Size, near: float, palette: Palette) -> str:
    width, height = size
    crest, start = height * (0.48 + 0.42 * near), rng.uniform(0, 2 * math.pi)
    often, swell = rng.uniform(1, 2.5), height * rng.uniform(0.04, 0.09)
    points = (
        f"L{width * step / 16:.0f},{crest - swell * math.sin(start + often * step * math.pi / 8):.0f}"
        for step in range(17)
    )
    colour = _hex(palette.at(0.6 * (1 - near)))
    return f'<path d="M0,{height}{"".join(points)}L{width},{height}z" fill="{colour}"/>'


def _svg_caption(size: drawing.Size, caption: Caption) -> list[str]:
    width, height = size
    prompt = "".join(letter if letter.isprintable() else " " for letter in caption.prompt)
    text = wrap(prompt, _LETTERS, max_lines=_LINES, placeholder=" …")
    letter = min(size) / _LETTERS
    rows = [*text, caption.facts]
    return [
        f'<text x="{width * 0.05:.0f}" y="{height - (len(rows) - number) * letter * 1.5:.0f}" '
        f'font-family="sans-serif" font-size="{letter * (1.4 if number < len(text) else 0.9):.0f}" '
        f'fill="#fff">{escape(row)}</text>'
        for number, row in enumerate(rows)
    ]


def _hex(colour: drawing.Colour) -> str:
    return "#" + bytes(colour).hex()
