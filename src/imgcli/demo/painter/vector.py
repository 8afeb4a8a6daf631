"""The SVG drawing of a job: a sun over hills, with the caption that every image of the demo has."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    import random

    from imgcli.demo.painter import drawing
    from imgcli.demo.painter.drawing import Palette
    from imgcli.demo.painter.label import Caption


_LINES = 3
_LETTERS = 42
"""Letters in a line of the caption, of which three lines fit."""


def draw(
    rng: random.Random, size: drawing.Size, palette: Palette, caption: Caption, ridges: int, *, is_bare: bool
) -> bytes:
    """Return the drawing as UTF-8; without a sky where the background `is_bare`."""
    width, height = size
    sun = f"{width * rng.uniform(0.25, 0.75):.0f},{height * rng.uniform(0.2, 0.4):.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        "" if is_bare else _sky(palette),
        f'<circle r="{min(size) * 0.1:.0f}" transform="translate({sun})" fill="{_hex(palette.accent)}"/>',
        *(_ridge(rng, size, number / ridges, palette) for number in range(ridges)),
        *_caption(size, caption),
        "</svg>\n",
    ]
    return "\n".join(filter(None, parts)).encode("utf-8", "replace")


def _sky(palette: Palette) -> str:
    high, low = _hex(palette.at(0.75)), _hex(palette.at(1))
    return (
        f'<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{high}"/><stop offset="1" '
        f'stop-color="{low}"/></linearGradient><rect width="100%" height="100%" fill="url(#sky)"/>'
    )


def _ridge(rng: random.Random, size: drawing.Size, near: float, palette: Palette) -> str:
    width, height = size
    crest, start = height * (0.48 + 0.42 * near), rng.uniform(0, 2 * math.pi)
    often, swell = rng.uniform(1, 2.5), height * rng.uniform(0.04, 0.09)
    points = (
        f"L{width * step / 16:.0f},{crest - swell * math.sin(start + often * step * math.pi / 8):.0f}"
        for step in range(17)
    )
    colour = _hex(palette.at(0.6 * (1 - near)))
    return f'<path d="M0,{height}{"".join(points)}L{width},{height}z" fill="{colour}"/>'


def _caption(size: drawing.Size, caption: Caption) -> list[str]:
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
