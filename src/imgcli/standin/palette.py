"""Harmonious colours for the painter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

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
        """Colour of a tone from 0 (darkest) to 1 (lightest)."""
        place = min(max(tone, 0.0), 1.0) * (len(self.stops) - 1)
        low = min(int(place), len(self.stops) - 2)
        return mix(self.stops[low], self.stops[low + 1], place - low)

    def curves(self, tones: Sequence[float]) -> tuple[list[int], list[int], list[int]]:
        """Three lookup tables of 256 entries: a grey value in this palette, bent through `tones`."""
        last = len(tones) - 1
        places = [level / 255 * last for level in range(256)]
        lows = [min(int(place), last - 1) for place in places]
        pairs = zip(places, lows, strict=True)
        colours = [
            self.at(tones[low] + (tones[low + 1] - tones[low]) * (place - low)) for place, low in pairs
        ]
        return [c[0] for c in colours], [c[1] for c in colours], [c[2] for c in colours]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend of two colours; `share` is the part of the second, 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def choose(rng: random.Random) -> Palette:
    """One of the moods."""
    *stops, accent = (_colour(code) for code in rng.choice(_MOODS).split())
    return Palette(tuple(stops), accent)


def _colour(code: str) -> Colour:
    red, green, blue = bytes.fromhex(code)
    return red, green, blue
