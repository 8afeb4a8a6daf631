"""Fits an image to cells: for each, the glyph and the two colors with the least squared error.

For a fixed split of a cell the best two colours are the means of its parts, and what it wins over one colour
follows from one part's sum of differences from the cell's mean. So every split of every cell is tried: Pillow
computes these sums for many cells at once, and the largest win decides. "Planes" are rows of an image of mode
F: the red of all cells, then their green, then their blue.
"""

from __future__ import annotations

import functools
import math
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image, ImageMath

from imgcli.output.images.block_image import BlockImage
from imgcli.output.images.glyphs import COLUMNS, OCTANTS, Glyph, Grid, Shape
from imgcli.output.images.planes import (
    beside,
    calc,
    constant_rows,
    cut,
    folded,
    mean_row,
    repeated,
    row_at,
    total,
)
from imgcli.output.images.split_family import families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from PIL.Image import Image as PILImage

    from imgcli.output.images.split_family import SplitFamily

    Constant: TypeAlias = Callable[[str, int, tuple[float, ...]], PILImage]

Emphasis: TypeAlias = tuple[float, float, float]

_STEPS = 128  # wins are compared in steps of 1/128: with a split's number beside it that still fits 31 bits
_LAST = 255  # splits are numbered from 0, a cell of one colour
_TOGETHER = 6400  # cells that are computed at once: fewer take more time, more take more memory
_CLOSE = OCTANTS  # how closely to look, whatever the glyphs
_LARGE = 3_000_000  # pixels of a raster that are not worth their time
_ROWS = 16  # of sums that are computed at once: they stay in the processor's cache

EVEN: Emphasis = (1.0, 1.0, 1.0)
"""How much an error in red, green and blue counts in the choice of a split: all alike."""
BRIGHTNESS: Emphasis = (0.6, 2.1, 0.3)
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
    emphasis: Emphasis = EVEN,
) -> BlockImage:
    """Draw an RGB image into (columns, rows) cells with these splits, in true colour.

    `emphasis` says how much each colour counts in the choice of a split; their mean is 1.
    """
    columns, rows = cells
    found = families(tuple(choices))
    samples = _samples(image, cells, {family.grid for family in found})
    constant, high = functools.cache(constant_rows), max(1, _TOGETHER // columns)
    strips = [
        _strip(_cropped(samples, top, min(top + high, rows)), found, emphasis, constant)
        for top in range(0, rows, high)
    ]
    numbers, foregrounds, backgrounds = (b"".join(parts) for parts in zip(*strips, strict=True))
    characters = dict(enumerate([split.char for family in found for split in family.splits]))
    return BlockImage(
        columns,
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
    smooth = Image.Resampling.HAMMING if _shrinks(image, cells, grid) else Image.Resampling.BICUBIC
    return image.resize(size, Image.Resampling.BOX if is_even else smooth, reducing_gap=2.0)


def part(fine: PILImage, grid: Grid, index: int) -> PILImage:
    """Return the image of one part of all cells, from an image of one pixel a part."""
    y, x = divmod(index, grid.columns)
    stride = (grid.columns, 0, x + (1 - grid.columns) / 2, 0, grid.rows, y + (1 - grid.rows) / 2)
    size = fine.width // grid.columns, fine.height // grid.rows
    return fine.transform(size, Image.Transform.AFFINE, stride, Image.Resampling.NEAREST)


def _raster(grids: Iterable[Grid]) -> Grid:
    """Return the coarsest grid that divides all of these."""
    columns, rows = zip(*((grid.columns, grid.rows) for grid in grids), strict=True)
    return Grid(math.lcm(*columns), math.lcm(*rows))


def _samples(image: PILImage, cells: tuple[int, int], grids: set[Grid]) -> dict[Grid, PILImage]:
    """Return for each grid, and for one to look closely, the image with one pixel for each part of a cell."""
    raster = _raster(grids)
    if image.width % (cells[0] * raster.columns) or image.height % (cells[1] * raster.rows):
        raster = _raster([raster, _CLOSE])  # the mean of smaller pieces is nearer to that of the cell
    wanted = grids | {_CLOSE if raster.divides(_CLOSE) else raster}
    level = wanted - {COLUMNS}
    is_small = cells[0] * cells[1] * raster.parts <= _LARGE
    if is_small or level == wanted or _shrinks(image, cells, raster):
        return _reduced(sample(image, cells, raster), raster, wanted)
    # Only one grid has many columns, and it has a single row: no image needs as many of both. What is between
    # is rounded twice, which can be measured and not seen.
    wide = sample(image, (cells[0], image.height), Grid(raster.columns, 1))
    few = Grid(raster.columns, _CLOSE.rows)
    high = Grid(_raster(level).columns, raster.rows)
    narrow = wide.reduce((raster.columns // high.columns, 1))
    found = _reduced(sample(narrow, cells, high), high, level)
    return found | _reduced(sample(wide, cells, few), few, {COLUMNS})


def _shrinks(image: PILImage, cells: tuple[int, int], grid: Grid) -> bool:
    """Return whether each part of each cell has a pixel of the image or more."""
    return image.width >= cells[0] * grid.columns and image.height >= cells[1] * grid.rows


def _reduced(fine: PILImage, raster: Grid, wanted: set[Grid]) -> dict[Grid, PILImage]:
    """Return an image of one pixel for each part of a raster as images of one for each of coarser grids."""
    known = {raster: fine}
    for grid in sorted(wanted, key=lambda grid: -grid.parts):
        near = min((one for one in known if one.divides(grid)), key=lambda one: one.parts)
        known[grid] = known[near].reduce((near.columns // grid.columns, near.rows // grid.rows))
    return {grid: known[grid] for grid in wanted}


def _cropped(samples: Mapping[Grid, PILImage], top: int, bottom: int) -> dict[Grid, PILImage]:
    """Return some rows of cells."""
    return {
        grid: fine.crop((0, top * grid.rows, fine.width, bottom * grid.rows))
        for grid, fine in samples.items()
    }


def _strip(
    samples: Mapping[Grid, PILImage], found: Sequence[SplitFamily], emphasis: Emphasis, constant: Constant
) -> tuple[bytes, bytes, bytes]:
    """Draw some rows of cells: for each the number of its split, and the bytes of its two colours."""
    parts = {grid: _split_up(fine, grid) for grid, fine in samples.items()}
    means = [mean_row(parts[family.grid]) for family in found]
    differences = [
        calc(lambda a, b: a - b, parts[family.grid], repeated(mean, family.grid.parts))
        for family, mean in zip(found, means, strict=True)
    ]
    number, saved = _winner(differences, found, emphasis, constant)
    thrice = beside([number] * 3)
    won = _sums(differences, found, thrice)
    close = _CLOSE if _CLOSE in parts else max(parts, key=lambda grid: grid.parts)
    won = calc(lambda a, b: a * b, won, _contrast(parts[close], saved, emphasis))
    mean = _by_family(means, found, thrice)
    near, far = zip(*(gain for family in found for gain in family.gains()), strict=True)
    one = _rounded(calc(lambda m, c, n: m + c * n, mean, won, thrice.point(_table(near), "F")))
    other = _rounded(calc(lambda m, c, n: m - c * n, mean, won, thrice.point(_table(far), "F")))
    twins = thrice.point(_table([255 * split.is_twin for family in found for split in family.splits]))
    lit, rest = (_interleaved(Image.composite(*pair, twins)) for pair in ((other, one), (one, other)))
    return number.tobytes(), lit, rest


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


def _winner(
    differences: Sequence[PILImage], found: Sequence[SplitFamily], emphasis: Emphasis, constant: Constant
) -> tuple[PILImage, PILImage]:
    """Return for each cell the number of the split that saves most squared error, and what it saves."""
    first, best = 0, []
    for rows, family in zip(differences, found, strict=True):
        worths = [worth * _STEPS for worth in family.worths()]
        for squares in family.squares(_emphasized(rows, emphasis, 0.5)):
            for top in range(0, squares.height, _ROWS):
                some = squares.crop((0, top, squares.width, min(top + _ROWS, squares.height)))
                keys = _best(some, worths[: some.height], constant)
                best.append(calc(lambda key, n=first: key - n, keys))
                first, worths = first + some.height, worths[some.height :]
    key = functools.reduce(functools.partial(calc, ImageMath.imagemath_max), best)
    number = calc(lambda key: _LAST - (key & _LAST), key).convert("L")
    return number, calc(lambda key: key / float((_LAST + 1) * _STEPS), key.convert("F"))


def _best(squares: PILImage, worths: Sequence[float], constant: Constant) -> PILImage:
    """Return for each cell the most that one of some splits saves, in steps, and 255 less its row."""
    width, rows = squares.size
    saved = calc(lambda a, b: a * b, squares, constant("F", width, tuple(worths))).convert("I")
    names = constant("I", width, tuple(range(_LAST, _LAST - rows, -1)))
    shift = constant("I", width, (_LAST + 1,) * rows)
    return folded(ImageMath.imagemath_max, calc(lambda a, s, b: a * s + b, saved, shift, names))


def _emphasized(planes: PILImage, emphasis: Emphasis, power: float = 1) -> PILImage:
    """Return planes, each colour times this power of its emphasis."""
    if emphasis == EVEN:
        return planes
    factors = [share**power for share in emphasis]
    return beside([calc(lambda a, f=f: a * f, band) for f, band in zip(factors, cut(planes, 3), strict=True)])


def _sums(differences: Sequence[PILImage], found: Sequence[SplitFamily], thrice: PILImage) -> PILImage:
    """Return for each cell the sum that its split has, as planes."""
    terms, first = [], 0
    for rows, family in zip(differences, found, strict=True):
        for index in range(family.grid.parts):
            weights = [0.0] * first + [split.weights[index] for split in family.splits]
            terms.append(calc(lambda a, b: a * b, row_at(rows, index), thrice.point(_table(weights), "F")))
        first += len(family.splits)
    return total(terms)


def _table(values: Sequence[float]) -> list[float]:
    """Return what a byte means, for `Image.point`: these values, then nothing."""
    return [*values, *[0] * (_LAST + 1 - len(values))]


def _by_family(means: Sequence[PILImage], found: Sequence[SplitFamily], numbers: PILImage) -> PILImage:
    """Return the mean as each cell's family has it: that of another one is rounded otherwise."""
    chosen, first = means[0].copy(), len(found[0].splits)
    for mean, family in zip(means[1:], found[1:], strict=True):
        last = first + len(family.splits)
        chosen.paste(mean, mask=numbers.point([255 * (first <= n < last) for n in range(_LAST + 1)], "1"))
        first = last
    return chosen


def _contrast(close: PILImage, saved: PILImage, emphasis: Emphasis) -> PILImage:
    """Return the stretch of each cell's differences, as planes: by what its two colours do not show."""
    mean, square = mean_row(close), mean_row(calc(lambda a: a * a, close))
    deviations = _emphasized(calc(lambda a, m: a - m * m, square, mean), emphasis)
    missed = calc(lambda a, b: 1 - (b + 1) / (a + 1), total(cut(deviations, 3)), saved)
    share = calc(lambda a: ImageMath.imagemath_max(ImageMath.imagemath_min(a / _NEARLY, 1.0), 0.0), missed)
    return beside([calc(lambda a: a * _CONTRAST + 1, share)] * 3)


def _rounded(planes: PILImage) -> PILImage:
    return calc(lambda a: a + _ROUNDING, planes).convert("L")


def _interleaved(planes: PILImage) -> bytes:
    """Return the bytes of an RGB image."""
    data, width = planes.tobytes(), planes.width // 3
    bands = [
        Image.frombytes("L", (width, 1), data[left : left + width]) for left in range(0, 3 * width, width)
    ]
    return Image.merge("RGB", bands).tobytes()
