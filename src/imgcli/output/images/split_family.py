"""Ways to split a cell in two, by the grid on which they are drawn, and the sums of their parts."""

from __future__ import annotations

import functools
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from imgcli.output.images.glyphs import (
    BARS,
    COLUMNS,
    HALVES,
    OCTANTS,
    QUADRANTS,
    SEXTANTS,
    Glyph,
    Grid,
    Shape,
)
from imgcli.output.images.planes import calc, cut, repeated, row_at, stacked, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from PIL.Image import Image as PILImage


_LINES = (BARS, COLUMNS)
_LOW = 4  # parts whose patterns are computed together: 16 rows of sums stay in the processor's cache


class Split(NamedTuple):
    """A way to cut a cell, and the character that draws it; none where nothing does.

    `weights` says how much of each part is on its side, `share` what that comes to; `spread` is as a `Shape`
    has it. The character lights the other side where it `is_twin`.
    """

    char: str
    weights: Sequence[float]
    share: float
    spread: float
    is_twin: bool = False


class SplitFamily:
    """The splits of one grid, in the order in which `sums` has them."""

    def __init__(self, grid: Grid, splits: Sequence[Split]) -> None:
        self.grid = grid
        self.splits = splits

    def squares(self, rows: PILImage) -> Iterator[PILImage]:
        """Yield for some splits after the other a row each: the square of its parts' sum, over all colours.

        `rows` are planes with a row for each part.
        """
        if self.grid in _LINES:
            yield _squared(_running(rows))
        elif len(self.splits) == 1 << self.grid.parts - 1:
            yield from _pattern_squares(rows)
        else:
            parts = [row_at(rows, index) for index in range(self.grid.parts)]
            yield _squared(stacked([_weighted(parts, split.weights) for split in self.splits]))

    def worths(self) -> list[float]:
        """Return the factors from a sum's square to the squared error that its split saves, per part."""
        parts = self.grid.parts
        return [1 / (split.spread * parts) if split.char and split.share else 0 for split in self.splits]

    def gains(self) -> list[tuple[float, float]]:
        """Return how far from the mean, for each sum, the colour of its parts is, and that of the others."""
        return [
            ((1 - share) / split.spread, share / split.spread) if share else (0.0, 0.0)
            for split in self.splits
            for share in [split.share / self.grid.parts]
        ]


@functools.cache
def families(choices: tuple[Glyph | Shape, ...]) -> tuple[SplitFamily, ...]:
    """Return the splits by grid, each on the one of few grids that has it: fewer sums."""
    blocks = [glyph for glyph in choices if isinstance(glyph, Glyph)]
    grids = {glyph.grid for glyph in blocks}
    finest = next((grid for grid in (OCTANTS, QUADRANTS, HALVES) if grid in grids), HALVES)
    moved = [glyph.on(finest) if finest.divides(glyph.grid) else glyph for glyph in blocks]
    known = {(glyph.grid, glyph.mask): glyph.char for glyph in moved}
    found = [
        SplitFamily(grid, [_split(grid, mask, known) for mask in _masks(grid)])
        for grid in (finest, *(grid for grid in (SEXTANTS, *_LINES) if grid in grids))
    ]
    shapes = [shape for shape in choices if isinstance(shape, Shape)]
    for grid in dict.fromkeys(shape.grid for shape in shapes):
        alike = [shape for shape in shapes if shape.grid == grid]
        found.append(
            SplitFamily(grid, [Split(one.char, one.weights, one.share, one.spread) for one in alike])
        )
    return tuple(found)


def _masks(grid: Grid) -> list[int]:
    """Return the masks of a grid's splits in the order of their sums: one of each two complements."""
    if grid in _LINES:
        return [(1 << n) - 1 for n in range(1, grid.parts)] + [1 << n for n in range(1, grid.parts - 1)]
    return list(range(1 << grid.parts - 1))


def _split(grid: Grid, mask: int, known: Mapping[tuple[Grid, int], str]) -> Split:
    weights = [mask >> index & 1 for index in range(grid.parts)]
    if mask == 0:
        return Split(" ", weights, 0, 0)
    char, twin = (known.get((grid, one), "") for one in (mask, grid.full ^ mask))
    share = mask.bit_count()
    return Split(char or twin, weights, share, share * (grid.parts - share) / grid.parts, is_twin=not char)


def _pattern_squares(rows: PILImage) -> Iterator[PILImage]:
    """Yield the squares of all patterns without the last part, in the order of their masks.

    A sum's square is what its parts' products with each other come to. With one part more it grows by that
    part's products with all, which are sums of so few rows that no pattern's own sum is needed.
    """
    free = rows.height - 1
    near, products = min(free, _LOW), _products(rows, free)
    low = calc(lambda a: a - a, products[0, 0])
    for part in range(near):
        low = stacked([low, calc(lambda a, b: a + b, low, _growth(products, part, range(part)))])
    yield low
    done: list[tuple[tuple[int, ...], PILImage]] = [((), low)]
    for part in range(near, free):
        growth = _growth(products, part, range(near))
        for others, before in list(done):
            found = calc(lambda a, b: a + b, before, growth)
            if others:
                more = total(products[other, part] for other in others)
                found = calc(lambda a, b: a + b, found, repeated(more, found.height))
            yield found
            done.append(((*others, part), found))


def _products(rows: PILImage, count: int) -> dict[tuple[int, int], PILImage]:
    """Return the product of every two of the first rows over all colours: twice it where they are two."""
    found = {}
    for index in range(count):
        one = row_at(rows, index)
        found[index, index] = _squared(one)
        if others := count - index - 1:
            below = rows.crop((0, index + 1, rows.width, count))
            twice = repeated(calc(lambda a: a + a, one), others)
            products = _over_colours(calc(lambda a, b: a * b, below, twice))
            found |= {(index, index + 1 + n): row_at(products, n) for n in range(others)}
    return found


def _growth(products: Mapping[tuple[int, int], PILImage], part: int, others: Sequence[int]) -> PILImage:
    """Return by how much a part makes the square of every pattern of some others grow."""
    found = products[part, part]
    for other in others:
        added = repeated(products[other, part], found.height)
        found = stacked([found, calc(lambda a, b: a + b, found, added)])
    return found


def _squared(planes: PILImage) -> PILImage:
    return _over_colours(calc(lambda a: a * a, planes))


def _over_colours(planes: PILImage) -> PILImage:
    """Return the sum of the three colours."""
    return total(cut(planes, 3))


def _running(rows: PILImage) -> PILImage:
    """Return the sums of the first part, of the first two and so on; then the inner parts alone."""
    parts = [row_at(rows, index) for index in range(rows.height - 1)]
    return stacked([*accumulate(parts, functools.partial(calc, lambda a, b: a + b)), *parts[1:]])


def _weighted(rows: Sequence[PILImage], weights: Sequence[float]) -> PILImage:
    """Return the sum of planes, each times its weight."""
    alike: dict[float, list[PILImage]] = {}
    for row, weight in zip(rows, weights, strict=True):
        alike.setdefault(weight, []).append(row)
    sums = {weight: total(some) for weight, some in alike.items() if weight}
    return total(
        some if weight == 1 else calc(lambda a, w=weight: a * w, some) for weight, some in sums.items()
    )
