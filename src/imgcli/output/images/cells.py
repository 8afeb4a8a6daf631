"""An image in cells: for each the glyph and the two colours with the least squared error.

For a fixed split of a cell the best two colours are the means of its parts, and what it wins over one colour
follows from one part's sum of differences from the cell's mean. So every split of every cell is tried: Pillow
computes these sums for all cells at once, and the largest win decides. "Planes" are an image of mode F with a
column for each cell and three rows: red, green and blue.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageMath

from imgcli.output.images.glyphs import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from PIL.Image import Image as PILImage

    from imgcli.output.images.glyphs import Glyph


_STEPS = 128  # wins are compared in steps of 1/128: with a split's number beside it that still fits 31 bits
_LAST = 255  # splits are numbered from 1; 0 is a cell of one colour

EVEN = (1.0, 1.0, 1.0)
"""How much an error in red, green and blue counts in the choice of a split: all alike."""
BRIGHTNESS = (0.6, 2.1, 0.3)
"""Likewise, green before all: where errors are small anyway, brightness is what the eye, and SSIM, see."""

# Means have less contrast than what they stand for. A little more of it costs next to no squared error and
# brings back structure that the eye (and SSIM) misses; where two colours show all there is they stay exact.
_CONTRAST, _NEARLY = 0.04, 0.1

# Colours are rounded down more often than up: one too bright shows in the dark, one too dark shows nowhere.
_ROUNDING = 0.2


@dataclass(frozen=True, slots=True)
class BlockImage:
    """An image in cells: their characters row by row, and two images of their colours with a pixel a cell.

    The images are RGB; or L with numbers of the terminal's colours; or None, where its own two serve. `clear`
    is a mask of the cells that show the terminal's own background, None where there are none.
    """

    columns: int
    text: str
    foreground: PILImage | None
    background: PILImage | None
    clear: PILImage | None = None


def mosaic(
    image: PILImage,
    cells: tuple[int, int],
    choices: Sequence[Glyph],
    emphasis: tuple[float, float, float] = EVEN,
) -> BlockImage:
    """Draw an RGB image into (columns, rows) cells with these splits, in true colour.

    `emphasis` says how much each colour counts in the choice of a split; their mean is 1.
    """
    samples = _samples(image, cells, list({glyph.grid: None for glyph in choices}))
    families = _families(samples, choices)
    winner, saved = _winner(families, emphasis)
    three = winner.resize((winner.width, 3), Image.Resampling.NEAREST)
    mean, lit = families[0].mean, _total(family.lit(three) for family in families)
    lit = _calc(lambda c, k: c * k, lit, _contrast(samples, mean, saved, emphasis))
    shares = _valued(three, [glyph.mask.bit_count() for glyph in choices])
    rests = _valued(three, [glyph.grid.parts - glyph.mask.bit_count() for glyph in choices])
    characters = dict(enumerate([" ", *(glyph.char for glyph in choices)]))
    return BlockImage(
        cells[0],
        winner.tobytes().decode("latin-1").translate(characters),
        _colours(_calc(lambda m, c, n: m + c / n, mean, lit, shares), cells),
        _colours(_calc(lambda m, c, n: m - c / n, mean, lit, rests), cells),
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
class _Family:
    """The splits of one grid, as (number, mask), and planes: its parts' mean and differences from it."""

    grid: Grid
    splits: Sequence[tuple[int, int]]
    mean: PILImage
    differences: Sequence[PILImage]

    def sums(self, emphasis: Sequence[float]) -> list[PILImage]:
        """Return for each split the sum over the parts it lights; its square counts each colour by it."""
        known = {1 << i: _scaled(planes, emphasis, 0.5) for i, planes in enumerate(self.differences)}
        return [self._sum(mask, known) for _, mask in self.splits]

    def _sum(self, mask: int, known: dict[int, PILImage]) -> PILImage:
        """Return the sum of the parts in `mask`, by one addition where the sum of one part less is known."""
        if mask not in known:
            low, high = mask & -mask, 1 << mask.bit_length() - 1
            last = low if mask ^ low in known else high
            known[mask] = _calc(lambda a, b: a + b, self._sum(mask ^ last, known), known[last])
        return known[mask]

    def weights(self) -> list[float]:
        """Return the factors from a sum's mean square to the squared error that its split saves, in steps."""
        shares = [mask.bit_count() for _, mask in self.splits]
        return [3 * _STEPS / (share * (self.grid.parts - share)) for share in shares]

    def lit(self, winner: PILImage) -> PILImage:
        """Return the sum over the parts that each cell's winner lights; 0 where it is of another family."""
        return _total(starmap(functools.partial(self._lit, winner), enumerate(self.differences)))

    def _lit(self, winner: PILImage, index: int, planes: PILImage) -> PILImage:
        lit = {number for number, mask in self.splits if mask >> index & 1}
        member = winner.point([number in lit for number in range(_LAST + 1)])
        return _calc(lambda a, b: a * b, planes, member.convert("F"))


def _samples(image: PILImage, cells: tuple[int, int], grids: Sequence[Grid]) -> dict[Grid, PILImage]:
    """Return the image's bands on each grid, the raster that all of them divide first."""
    raster = Grid(math.lcm(*(grid.columns for grid in grids)), math.lcm(*(grid.rows for grid in grids)))
    fine = _bands(sample(image, cells, raster))
    steps = {grid: (raster.columns // grid.columns, raster.rows // grid.rows) for grid in grids}
    return {raster: fine} | {grid: fine.reduce(step) for grid, step in steps.items()}


def _families(samples: Mapping[Grid, PILImage], choices: Sequence[Glyph]) -> list[_Family]:
    members: dict[Grid, list[tuple[int, int]]] = {}
    for number, glyph in enumerate(choices, 1):
        members.setdefault(glyph.grid, []).append((number, glyph.mask))
    return [_family(samples[grid], grid, members[grid]) for grid in members]


def _family(fine: PILImage, grid: Grid, members: list[tuple[int, int]]) -> _Family:
    parts = [_planes(part(fine, grid, index)) for index in range(grid.parts)]
    mean = _calc(lambda total: total * (1 / grid.parts), _total(parts))
    return _Family(grid, members, mean, [_calc(lambda a, b: a - b, values, mean) for values in parts])


def _winner(families: Sequence[_Family], emphasis: Sequence[float]) -> tuple[PILImage, PILImage]:
    """Return for each cell the number of the split that saves most squared error, and what it saves."""
    stack = _stack([planes for family in families for planes in family.sums(emphasis)])
    squares = _calc(lambda a: a * a, stack).reduce((1, 3))
    weights = _rows("F", stack.width, [weight for family in families for weight in family.weights()])
    numbers = [number for family in families for number, _ in family.splits]
    names = _rows("I", stack.width, [_LAST - number for number in numbers])
    saved = _calc(lambda a, b: a * b, squares, weights).convert("I")
    best = _greatest(_calc(lambda a, b: a * (_LAST + 1) + b, saved, names))
    number = _calc(lambda key: _LAST - (ImageMath.imagemath_max(key, _LAST) & _LAST), best).convert("L")
    return number, _calc(lambda key: key / float((_LAST + 1) * _STEPS), best.convert("F"))


def _contrast(
    samples: Mapping[Grid, PILImage], mean: PILImage, saved: PILImage, emphasis: Sequence[float]
) -> PILImage:
    """Return the stretch of each cell's differences, as planes: by what its two colours do not show."""
    raster, fine = next(iter(samples.items()))
    squares = _calc(lambda a: a * a, fine).reduce((raster.columns, raster.rows))
    variance = _calc(lambda a, m: a - m * m, _planes(squares), mean)
    error = _scaled(variance, emphasis, 1).reduce((1, 3))
    missed = _calc(lambda a, b: 1 - (b + 1) / (a * 3 + 1), error, saved)
    share = _calc(lambda a: ImageMath.imagemath_max(ImageMath.imagemath_min(a / _NEARLY, 1.0), 0.0), missed)
    return _calc(lambda a: a * _CONTRAST + 1, share).resize(mean.size, Image.Resampling.NEAREST)


def _scaled(planes: PILImage, emphasis: Sequence[float], power: float) -> PILImage:
    """Return planes, each colour times this power of its emphasis."""
    return _calc(lambda a, b: a * b, planes, _rows("F", planes.width, [share**power for share in emphasis]))


def _greatest(rows: PILImage) -> PILImage:
    """Return the greatest value of each column."""
    while rows.height > 1:
        half = (rows.height + 1) // 2
        halves = [rows.crop((0, top, rows.width, top + half)) for top in (0, rows.height - half)]
        rows = _calc(ImageMath.imagemath_max, *halves)
    return rows


def _calc(rule: Callable[..., Any], *images: PILImage) -> PILImage:
    """Return the image whose pixels are the rule's results for the pixels of the given ones."""
    named = {f"image{i}": image for i, image in enumerate(images)}
    found: PILImage = ImageMath.lambda_eval(lambda known: rule(*(known[name] for name in named)), **named)
    return found


def _total(images: Iterable[PILImage]) -> PILImage:
    return functools.reduce(functools.partial(_calc, lambda a, b: a + b), images)


def _stack(images: Sequence[PILImage]) -> PILImage:
    """Stack images of one size, one under another."""
    width, height = images[0].size
    found = Image.new(images[0].mode, (width, height * len(images)))
    for i, image in enumerate(images):
        found.paste(image, (0, i * height))
    return found


def _rows(mode: str, width: int, values: Sequence[float]) -> PILImage:
    """Return an image of constant rows."""
    column = Image.new(mode, (1, len(values)))
    column.putdata(values)
    return column.resize((width, len(values)), Image.Resampling.NEAREST)


def _valued(winner: PILImage, values: Sequence[int]) -> PILImage:
    """Return each winner's value; 1 where there is none."""
    return winner.point([1, *values] + [1] * (_LAST - len(values))).convert("F")


def _bands(image: PILImage) -> PILImage:
    """Return the red, the green and the blue of an RGB image, one under another, in mode F."""
    return _stack([band.convert("F") for band in image.split()])


def _planes(bands: PILImage) -> PILImage:
    """Return bands of one pixel a cell as planes."""
    return Image.frombytes("F", (bands.width * bands.height // 3, 3), bands.tobytes())


def _colours(planes: PILImage, cells: tuple[int, int]) -> PILImage:
    """Return planes as an RGB image, rounded."""
    rounded = _calc(lambda a: a + _ROUNDING, planes).convert("L")
    rows = [rounded.crop((0, y, rounded.width, y + 1)).tobytes() for y in range(3)]
    return Image.merge("RGB", [Image.frombytes("L", cells, row) for row in rows])
