"""Colours mixed out of a terminal's few, true close up and from afar: error diffusion over cells.

Close up, the eye sees brightness before colour, so a wrong brightness counts for most there. From afar it
sees the light of many cells together, so what a cell has too much or too little of is owed by its neighbours.
A cell pays only where that costs little of what is seen close up: most of it in colour, next to nothing in
brightness. So edges and flat parts stay as calm as without diffusion.
"""

from __future__ import annotations

from functools import cache
from itertools import chain, product
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as PILImage

RGB = tuple[int, int, int]
Amounts = tuple[float, float, float]  # of red, green and blue: levels, or light

_TINT = 0.16  # how much a wrong colour counts close up, where wrong brightness counts 1
_SPREAD = ((0, 1, 7 / 16), (1, -1, 3 / 16), (1, 0, 5 / 16), (1, 1, 1 / 16))
# That of Floyd and Steinberg: how far down, how far ahead, how much.
_TIMES = (0.5, 1)  # that a debt is added to a colour: what pays half of it may be nearer
_TOP = 255
_STEP, _FINE = 8, 33  # every so many levels a colour is looked up, and how many such levels there are
_DARKEST = 8  # the level below which a little light is taken for no more levels than there
# From red, green and blue to brightness and two differences from it, which are as far apart as they look.
_AXES = (0.299, 0.587, 0.114, 0, 0.28, -0.235, -0.045, 128, -0.12, -0.235, 0.355, 128)


class Diffusion(NamedTuple):
    """How errors are diffused."""

    far: float
    """How much a wrong sum of light counts, where the same close up counts 1."""
    share: float
    """How much of what is owed goes to the neighbours: with all of it an old error would show far away."""
    most: int
    """How many levels a cell may be owed: more than that no colour nearby could pay."""


def mixed(
    foreground: PILImage,
    background: PILImage,
    shares: Sequence[float],
    colours: Sequence[RGB],
    diffusion: Diffusion,
) -> tuple[PILImage, PILImage]:
    """Return the numbers of the colours that cells get for their two RGB colours; mode L.

    `shares` says how much of each cell is in its foreground.
    """
    mixer = _Mixer(colours, diffusion)
    width, height = foreground.size
    pairs = list(zip(_pixels(foreground), _pixels(background), shares, strict=True))
    inks, papers = bytearray(width * height), bytearray(width * height)
    rows = [_nothing(width), _nothing(width)]  # what the cells of this row and of the next are owed
    for y in range(height):
        step = -1 if y % 2 else 1  # to and fro: errors that always went to one side would show
        for x in range(width)[::step]:
            place = y * width + x
            inks[place], papers[place], rest = mixer.pair(*pairs[place], rows[0][x])
            for down, ahead, part in _SPREAD:
                debt = rows[down][x + step * ahead]  # beyond both edges there is one more, which nobody reads
                debt[0] += part * rest[0]
                debt[1] += part * rest[1]
                debt[2] += part * rest[2]
        rows = [rows[1], _nothing(width)]
    size = width, height
    return Image.frombytes("L", size, bytes(inks)), Image.frombytes("L", size, bytes(papers))


class _Mixer:
    """Chooses from a terminal's colours for one cell after the other."""

    def __init__(self, colours: Sequence[RGB], diffusion: Diffusion) -> None:
        self._light, self._steps = _light(), _steps()
        self._diffusion = diffusion
        self._colours = colours
        self._lights = [(self._light[r], self._light[g], self._light[b]) for r, g, b in colours]
        self._numbers = {colour: number for number, colour in enumerate(colours)}
        self._bins, self._nearest = _bins(), _nearest(colours)

    def pair(self, fore: RGB, back: RGB, share: float, debt: Sequence[float]) -> tuple[int, int, Amounts]:
        """Return the numbers of two colours, and the light that the neighbours are owed."""
        light, levels, rest = self._light, self._steps, 1 - share
        far, passed, most = self._diffusion
        (red_f, green_f, blue_f), (red_b, green_b, blue_b) = fore, back
        red_step = levels[int(share * red_f + rest * red_b)]
        green_step = levels[int(share * green_f + rest * green_b)]
        blue_step = levels[int(share * blue_f + rest * blue_b)]
        owed = red, green, blue = (
            max(-most, min(most, red_step * debt[0])),
            max(-most, min(most, green_step * debt[1])),
            max(-most, min(most, blue_step * debt[2])),
        )
        red_light = share * light[red_f] + rest * light[red_b] + red / red_step
        green_light = share * light[green_f] + rest * light[green_b] + green / green_step
        blue_light = share * light[blue_f] + rest * light[blue_b] + blue / blue_step
        fores = self._candidates(fore, share, owed) if share else [(0, 0.0)]
        backs = self._candidates(back, rest, owed)
        best, found = inf, (0, 0, (0.0, 0.0, 0.0))
        for (ink, cost), (paper, more) in product(fores, backs):
            one, other = self._lights[ink], self._lights[paper]
            red = red_light - share * one[0] - rest * other[0]
            green = green_light - share * one[1] - rest * other[1]
            blue = blue_light - share * one[2] - rest * other[2]
            total = cost + more + far * _seen(red * red_step, green * green_step, blue * blue_step, 1)
            if total < best:
                best, found = total, (ink, paper, (passed * red, passed * green, passed * blue))
        return found

    def _candidates(self, colour: RGB, share: float, owed: Sequence[float]) -> list[tuple[int, float]]:
        """Return the numbers that this colour may become, and what each costs close up.

        They are that of the very colour, where there is one, of the nearest, and of the nearest that pays.
        """
        red, green, blue = colour
        bins, nearest = self._bins, self._nearest
        found = {nearest[(bins[red] * _FINE + bins[green]) * _FINE + bins[blue]]}
        for times in _TIMES:
            paid_red, paid_green = bins[int(red + times * owed[0])], bins[int(green + times * owed[1])]
            found.add(nearest[(paid_red * _FINE + paid_green) * _FINE + bins[int(blue + times * owed[2])]])
        if (exact := self._numbers.get(colour)) is not None:
            found.add(exact)
        near = [(number, self._colours[number]) for number in found]
        return [(number, share * _seen(red - r, green - g, blue - b, _TINT)) for number, (r, g, b) in near]


def _seen(red: float, green: float, blue: float, tint: float) -> float:
    """Return how much of these differences is seen, squared: brightness once, colour `tint` times."""
    bright = 0.299 * red + 0.587 * green + 0.114 * blue
    return bright * bright + tint * ((red - bright) ** 2 + (blue - bright) ** 2)


def _nearest(colours: Sequence[RGB]) -> bytes:
    """Return the number of the colour that looks nearest in each of the `_bins` of red, green and blue."""
    levels = [min(_STEP * index, _TOP) for index in range(_FINE)]
    places = Image.frombytes("RGB", (_FINE**2, _FINE), bytes(chain.from_iterable(product(levels, repeat=3))))
    known = Image.frombytes("RGB", (len(colours), 1), bytes(chain.from_iterable(colours)))
    table = Image.new("P", (1, 1))
    table.putpalette(known.convert("RGB", _AXES).tobytes())
    return places.convert("RGB", _AXES).quantize(palette=table, dither=Image.Dither.NONE).tobytes()


def _bins() -> list[int]:
    """Return where a level is looked up, rounded: cut off, colours would be too dark.

    Levels above the highest are that, and those below the lowest, which Python counts from the end, are none.
    """
    inner = [(level + _STEP // 2) // _STEP for level in range(_TOP + 1)]
    return inner + inner[-1:] * _TOP + inner[:1] * _TOP


def _pixels(image: PILImage) -> Iterator[RGB]:
    data = image.tobytes()
    return zip(data[0::3], data[1::3], data[2::3], strict=True)


def _nothing(width: int) -> list[list[float]]:
    """Return no amounts for a row of cells, with one more place that is beyond either edge."""
    return [[0.0, 0.0, 0.0] for _ in range(width + 1)]


@cache
def _light() -> list[float]:
    """Return the light, up to 255, of each level of sRGB."""
    levels = [level / _TOP for level in range(_TOP + 1)]
    return [_TOP * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4) for v in levels]  # noqa: PLR2004 - sRGB's own


@cache
def _steps() -> list[float]:
    """Return how many levels of sRGB a little light is at each level."""
    light = _light()
    inner = [2 / (light[level + 1] - light[level - 1]) for level in range(_DARKEST, _TOP)]
    return [inner[0]] * _DARKEST + inner + inner[-1:]
