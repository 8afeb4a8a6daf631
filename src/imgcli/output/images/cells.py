"""Fits an image to cells: for each, the glyph and the two colors with the least squared error.

For a fixed split of a cell the best two colours are the means of its parts, and what it wins over one colour
follows from one part's sum of differences from the cell's mean. So every split of every cell is tried: Pillow
computes these sums for many cells at once, and the largest win decides. "Planes" are rows of an image of mode
F: the red of all cells, then their green, then their blue.
"""

from __future__ import annotations

import functools
import math
from array import array
from dataclasses import dataclass
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageMath

from imgcli.output.images.block_image import BlockImage
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
from imgcli.output.images.planes import (
    calc,
    constant_rows,
    folded,
    mean_row,
    repeated,
    row_at,
    stacked,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image as PILImage


_STEPS = 128  # wins are compared in steps of 1/128: with a split's number beside it that still fits 31 bits
_LAST = 255  # splits are numbered from 0, a cell of one colour
_TOGETHER = 3200  # cells that are computed at once: fewer take more time, more take more memory
_CLOSE = OCTANTS  # how closely to look, whatever the glyphs
_ROWS = 16  # of sums that are computed at once: they stay in the processor's cache
_LINES = (BARS, COLUMNS)

EVEN = (1.0, 1.0, 1.0)
"""How much an error in red, green and blue counts in the choice of a split: all alike."""
BRIGHTNESS = (0.6, 2.1, 0.3)
"""Likewise, green before all: where errors are small anyway, brightness is what the eye, and SSIM, see."""

# Means have less contrast than what they stand for. A little more of it costs next to no squared error and
# brings back structure that the eye (and SSIM) misses; where two colours show all there is they stay exact.
_CONTRAST, _NEARLY = 0.04, 0.1

# Colours are rounded down more often than up: one too bright shows in the dark, one too dark shows nowhere.
_ROUNDING = 0.2


def mosaic(
    image: PILImage,
    cells: tuple[int, int],
    choices: Sequence[Glyph | Shape],
    emphasis: tuple[float, float, float] = EVEN,
) -> BlockImage:
    """Draw an RGB image into (columns, rows) cells with these splits, in true colour.

    `emphasis` says how much each colour counts in the choice of a split; their mean is 1.
    """
    families = _families(tuple(choices))
    raster = _raster([family.grid for family in families])
    if image.width % (cells[0] * raster.columns) or image.height % (cells[1] * raster.rows):
        raster = _raster([raster, _CLOSE])  # the mean of smaller pieces is nearer to that of the cell
    fine = sample(image, cells, raster)
    high = max(1, _TOGETHER // cells[0]) * raster.rows
    strips = [
        _strip(fine.crop((0, top, fine.width, min(top + high, fine.height))), raster, families, emphasis)
        for top in range(0, fine.height, high)
    ]
    numbers, foregrounds, backgrounds = (b"".join(parts) for parts in zip(*strips, strict=True))
    characters = dict(enumerate([split.char for family in families for split in family.splits]))
    return BlockImage(
        cells[0],
        numbers.decode("latin-1").translate(characters),
        Image.frombytes("RGB", cells, foregrounds),
        Image.frombytes("RGB", cells, backgrounds),
    )


def sample(image: PILImage, cells: tuple[int, int], grid: Grid) -> PILImage:
    """Return the image with one pixel for each part of each cell: averages where it shrinks."""
    size = cells[0] * grid.columns, cells[1] * grid.rows
    if image.size == size:
        return image
    is_even = image.width % size[0] == image.height % size[1] == 0
    shrinks = image.width >= size[0] and image.height >= size[1]
    smooth = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return image.resize(size, Image.Resampling.BOX if is_even else smooth, reducing_gap=2.0)


def part(fine: PILImage, grid: Grid, index: int) -> PILImage:
    """Return the image of one part of all cells, from an image of one pixel a part."""
    y, x = divmod(index, grid.columns)
    stride = (grid.columns, 0, x + (1 - grid.columns) / 2, 0, grid.rows, y + (1 - grid.rows) / 2)
    size = fine.width // grid.columns, fine.height // grid.rows
    return fine.transform(size, Image.Transform.AFFINE, stride, Image.Resampling.NEAREST)


@dataclass(frozen=True, slots=True)
class _Split:
    """A way to cut a cell, and the character that draws it; none where nothing does.

    `share` is how many parts the sum is over, or what their `weights` come to; `spread` as a `Shape` has it.
    The character lights the others where it `is_twin`.
    """

    char: str
    share: float
    spread: float
    is_twin: bool = False
    weights: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class _Family:
    """The splits of one grid, in the order in which `sums` has them."""

    grid: Grid
    splits: tuple[_Split, ...]

    def sums(self, differences: PILImage) -> PILImage:
        """Return planes with the sum of each split's parts, from planes of each part."""
        if self.grid in _LINES:
            return _running(differences)
        if self.splits[-1].weights:
            rows = [row_at(differences, index) for index in range(self.grid.parts)]
            return stacked([_weighted(rows, split.weights) for split in self.splits])
        return _doubled(differences)

    def weights(self) -> list[float]:
        """Return the factors from a sum's square to the squared error that its split saves, in steps."""
        parts = self.grid.parts
        return [_STEPS / (split.spread * parts) if split.char and split.share else 0 for split in self.splits]

    def gains(self) -> list[tuple[float, float]]:
        """Return how far from the mean, for each sum, the colour of its parts is, and that of the others."""
        return [
            ((1 - share) / split.spread, share / split.spread) if share else (0.0, 0.0)
            for split in self.splits
            for share in [split.share / self.grid.parts]
        ]


def _raster(grids: Sequence[Grid]) -> Grid:
    """Return the coarsest grid that divides all of these."""
    return Grid(math.lcm(*(grid.columns for grid in grids)), math.lcm(*(grid.rows for grid in grids)))


@functools.cache
def _families(choices: tuple[Glyph | Shape, ...]) -> tuple[_Family, ...]:
    """Return the splits by grid, each on the one of few grids that has it: fewer sums."""
    blocks = [glyph for glyph in choices if isinstance(glyph, Glyph)]
    grids = {glyph.grid for glyph in blocks}
    finest = next((grid for grid in (OCTANTS, QUADRANTS, HALVES) if grid in grids), HALVES)
    moved = [glyph.on(finest) if finest.divides(glyph.grid) else glyph for glyph in blocks]
    known = {(glyph.grid, glyph.mask): glyph.char for glyph in moved}
    found = [
        _Family(grid, tuple(_split(grid, mask, known) for mask in _masks(grid)))
        for grid in (finest, *(grid for grid in (SEXTANTS, *_LINES) if grid in grids))
    ]
    shapes = [shape for shape in choices if isinstance(shape, Shape)]
    for grid in dict.fromkeys(shape.grid for shape in shapes):
        alike = [shape for shape in shapes if shape.grid == grid]
        splits = (_Split(one.char, one.share, one.spread, weights=one.weights) for one in alike)
        found.append(_Family(grid, tuple(splits)))
    return tuple(found)


def _masks(grid: Grid) -> list[int]:
    """Return the masks of a grid's splits in the order of their sums: one of each two complements."""
    if grid in _LINES:
        return [(1 << n) - 1 for n in range(1, grid.parts)] + [1 << n for n in range(1, grid.parts - 1)]
    return list(range(1 << grid.parts - 1))


def _split(grid: Grid, mask: int, known: Mapping[tuple[Grid, int], str]) -> _Split:
    if mask == 0:
        return _Split(" ", 0, 0)
    char, twin = (known.get((grid, one), "") for one in (mask, grid.full ^ mask))
    share = mask.bit_count()
    return _Split(char or twin, share, share * (grid.parts - share) / grid.parts, is_twin=not char)


def _doubled(differences: PILImage) -> PILImage:
    """Return the sums of all patterns without the last part, in the order of their masks."""
    width, parts = differences.size
    found = Image.new("F", (width, 1 << parts - 1))
    for index in range(parts - 1):
        done = 1 << index
        added = repeated(row_at(differences, index), done)
        found.paste(calc(lambda a, b: a + b, found.crop((0, 0, width, done)), added), (0, done))
    return found


def _running(differences: PILImage) -> PILImage:
    """Return the sums of the first part, of the first two and so on; then the inner parts alone."""
    rows = [row_at(differences, index) for index in range(differences.height - 1)]
    return stacked([*accumulate(rows, functools.partial(calc, lambda a, b: a + b)), *rows[1:]])


def _weighted(rows: Sequence[PILImage], weights: Sequence[float]) -> PILImage:
    """Return the sum of planes, each times its weight."""
    alike: dict[float, list[PILImage]] = {}
    for row, weight in zip(rows, weights, strict=True):
        alike.setdefault(weight, []).append(row)
    sums = {weight: total(some) for weight, some in alike.items() if weight}
    return total(
        some if weight == 1 else calc(lambda a, w=weight: a * w, some) for weight, some in sums.items()
    )


def _strip(
    fine: PILImage, raster: Grid, families: Sequence[_Family], emphasis: tuple[float, float, float]
) -> tuple[bytes, bytes, bytes]:
    """Draw some rows of cells: for each the number of its split, and the bytes of its two colours."""
    close = _CLOSE if raster.divides(_CLOSE) else raster
    parts = _parts(fine, raster, [close, *(family.grid for family in families)])
    means = [mean_row(parts[family.grid]) for family in families]
    sums = []
    for family, mean in zip(families, means, strict=True):
        rows = parts[family.grid]
        differences = calc(lambda a, b: a - b, rows, repeated(mean, rows.height))
        sums.append(family.sums(_emphasized(differences, emphasis, 0.5)))
    stack = stacked(sums)
    number, saved = _winner(stack, [weight for family in families for weight in family.weights()])
    thrice = Image.frombytes("L", (3 * number.width, 1), 3 * number.tobytes())
    won = _emphasized(_picked(stack, thrice), emphasis, -0.5)
    won = calc(lambda a, b: a * b, won, _contrast(parts[close], saved, emphasis))
    mean = _by_family(means, families, thrice)
    splits = [split for family in families for split in family.splits]
    gains = zip(*(gain for family in families for gain in family.gains()), strict=True)
    near, far = (_valued(number, some) for some in gains)
    one = _rounded(calc(lambda m, c, n: m + c * n, mean, won, near))
    other = _rounded(calc(lambda m, c, n: m - c * n, mean, won, far))
    twins = thrice.point([255 * split.is_twin for split in splits] + [0] * (_LAST + 1 - len(splits)))
    lit, rest = (_interleaved(Image.composite(*pair, twins)) for pair in ((other, one), (one, other)))
    return number.tobytes(), lit, rest


def _parts(fine: PILImage, raster: Grid, grids: Sequence[Grid]) -> dict[Grid, PILImage]:
    """Return for each grid planes of each part, from an image of one pixel a part of the raster."""
    known, found = {raster: fine}, {}
    for grid in sorted(grids, key=lambda grid: -grid.parts):
        near = min((one for one in known if one.divides(grid)), key=lambda one: one.parts)
        step = near.columns // grid.columns, near.rows // grid.rows
        known[grid] = known[near].reduce(step)
        found[grid] = _split_up(known[grid], grid)
    return found


def _split_up(small: PILImage, grid: Grid) -> PILImage:
    """Return planes of each part, from an image of one pixel a part."""
    columns, rows = small.width // grid.columns, small.height // grid.rows
    bands = [band.tobytes() for band in small.split()]
    # Every so many pixels are one column of the parts; its rows are side by side, cell by cell.
    upright = [
        [Image.frombytes("L", (columns * grid.rows, rows), band[x :: grid.columns]) for band in bands]
        for x in range(grid.columns)
    ]
    data = b"".join(
        column.crop((columns * y, 0, columns * (y + 1), rows)).tobytes()
        for y, x in product(range(grid.rows), range(grid.columns))
        for column in upright[x]
    )
    return Image.frombytes("L", (3 * columns * rows, grid.parts), data).convert("F")


def _winner(sums: PILImage, weights: Sequence[float]) -> tuple[PILImage, PILImage]:
    """Return for each cell the number of the split that saves most squared error, and what it saves."""
    tops = range(0, sums.height, _ROWS)
    best = functools.reduce(
        functools.partial(calc, ImageMath.imagemath_max),
        (_best(sums, top, weights[top : top + _ROWS]) for top in tops),
    )
    number = calc(lambda key: _LAST - (key & _LAST), best).convert("L")
    return number, calc(lambda key: key / float((_LAST + 1) * _STEPS), best.convert("F"))


def _best(sums: PILImage, top: int, weights: Sequence[float]) -> PILImage:
    """Return for each cell the most that one of some splits saves, in steps, and 255 less its number."""
    width, rows = sums.width // 3, len(weights)
    bands = [sums.crop((left, top, left + width, top + rows)) for left in range(0, sums.width, width)]
    saved = calc(lambda r, g, b, w: (r * r + g * g + b * b) * w, *bands, constant_rows("F", width, weights))
    names = constant_rows("I", width, [_LAST - number for number in range(top, top + rows)])
    keys = calc(lambda a, b: a * (_LAST + 1) + b, saved.convert("I"), names)
    return folded(ImageMath.imagemath_max, keys)


def _picked(sums: PILImage, numbers: PILImage) -> PILImage:
    """Return from every column the row of its number."""
    pixels: Any = sums.load()
    places = zip(range(sums.width), numbers.tobytes(), strict=True)
    return Image.frombytes("F", numbers.size, array("f", [pixels[place] for place in places]).tobytes())


def _by_family(means: Sequence[PILImage], families: Sequence[_Family], numbers: PILImage) -> PILImage:
    """Return the mean as each cell's family has it: that of another one is rounded otherwise."""
    found, first = means[0].copy(), len(families[0].splits)
    for mean, family in zip(means[1:], families[1:], strict=True):
        last = first + len(family.splits)
        found.paste(mean, mask=numbers.point([255 * (first <= n < last) for n in range(_LAST + 1)], "1"))
        first = last
    return found


def _contrast(close: PILImage, saved: PILImage, emphasis: tuple[float, float, float]) -> PILImage:
    """Return the stretch of each cell's differences, as planes: by what its two colours do not show."""
    mean, square = mean_row(close), mean_row(calc(lambda a: a * a, close))
    variance = _emphasized(calc(lambda a, m: a - m * m, square, mean), emphasis, 1)
    bands = [variance.crop((left, 0, left + saved.width, 1)) for left in range(0, mean.width, saved.width)]
    missed = calc(lambda a, b: 1 - (b + 1) / (a + 1), total(bands), saved)
    share = calc(lambda a: ImageMath.imagemath_max(ImageMath.imagemath_min(a / _NEARLY, 1.0), 0.0), missed)
    stretch = calc(lambda a: a * _CONTRAST + 1, share)
    return Image.frombytes("F", mean.size, 3 * stretch.tobytes())


def _emphasized(planes: PILImage, emphasis: tuple[float, float, float], power: float) -> PILImage:
    """Return planes, each colour times this power of its emphasis."""
    if emphasis == EVEN:
        return planes
    row = Image.frombytes("F", (3, 1), array("f", [share**power for share in emphasis]).tobytes())
    return calc(lambda a, b: a * b, planes, row.resize(planes.size, Image.Resampling.NEAREST))


def _valued(numbers: PILImage, values: Sequence[float]) -> PILImage:
    """Return the value of each number, as planes."""
    row = array("f", [values[number] for number in numbers.tobytes()])
    return Image.frombytes("F", (3 * numbers.width, 1), 3 * row.tobytes())


def _rounded(planes: PILImage) -> PILImage:
    return calc(lambda a: a + _ROUNDING, planes).convert("L")


def _interleaved(planes: PILImage) -> bytes:
    """Return the bytes of an RGB image."""
    data, width = planes.tobytes(), planes.width // 3
    bands = [
        Image.frombytes("L", (width, 1), data[left : left + width]) for left in range(0, 3 * width, width)
    ]
    return Image.merge("RGB", bands).tobytes()
