"""Block glyphs of Unicode, and the parts of a cell that each fills."""

from __future__ import annotations

from functools import cache, partial
from itertools import chain, product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from imgcli.core.params import PreviewProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

Weights: TypeAlias = tuple[float, ...]

GLYPH_SETS = (
    PreviewProtocol.ASCII,
    PreviewProtocol.HALF,
    PreviewProtocol.BLOCKS,
    PreviewProtocol.SEXTANTS,
    PreviewProtocol.OCTANTS,
)
"""The protocols that show an image as text, in the order of how much a terminal must know to draw them."""


class Grid(NamedTuple):
    """A cell cut into `columns` by `rows` equal parts, numbered row by row from the top left."""

    columns: int
    rows: int

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return self.columns * self.rows

    @property
    def full(self) -> int:
        """The mask of all of them."""
        return (1 << self.parts) - 1

    def divides(self, other: Grid) -> bool:
        """Return whether every part of the other grid is cut into whole parts of this one."""
        return self.columns % other.columns == self.rows % other.rows == 0


class Glyph(NamedTuple):
    """A character that fills some parts of a grid: bit i of `mask` is part i."""

    char: str
    grid: Grid
    mask: int

    @property
    def share(self) -> int:
        """How many parts it fills."""
        return self.mask.bit_count()

    def on(self, grid: Grid) -> Glyph:
        """Return the same glyph on a grid that divides its own."""
        wide, high = grid.columns // self.grid.columns, grid.rows // self.grid.rows
        mask = 0
        for index in range(grid.parts):
            y, x = divmod(index, grid.columns)
            mask |= (self.mask >> y // high * self.grid.columns + x // wide & 1) << index
        return Glyph(self.char, grid, mask)


class Shape(NamedTuple):
    """A character that fills parts of a grid by halves: how much of each.

    `spread` is how far its pixels are from their mean, in squares of the whole, as a sum over the parts.
    """

    char: str
    grid: Grid
    weights: Weights
    spread: float

    @property
    def share(self) -> float:
        """How many parts that makes together."""
        return sum(self.weights)


HALVES = Grid(1, 2)
QUADRANTS = Grid(2, 2)
BARS = Grid(1, 8)  # horizontal eighths
COLUMNS = Grid(8, 1)  # vertical eighths
SEXTANTS = Grid(2, 3)
OCTANTS = Grid(2, 4)
WEDGES = Grid(4, 6)
LETTERS = Grid(4, 8)

# The edges of wedges, as lines on that grid. The characters are what is to the left of it and below, then
# that mirrored left to right, upside down, and both.
_EDGES = {
    ((0, 4), (2, 6)): "\U0001fb3c\U0001fb47\U0001fb57\U0001fb62",
    ((0, 4), (4, 6)): "\U0001fb3d\U0001fb48\U0001fb58\U0001fb63",
    ((0, 2), (2, 6)): "\U0001fb3e\U0001fb49\U0001fb59\U0001fb64",
    ((0, 2), (4, 6)): "\U0001fb3f\U0001fb4a\U0001fb5a\U0001fb65",
    ((0, 0), (2, 6)): "\U0001fb40\U0001fb4b\U0001fb5b\U0001fb66",
    ((0, 2), (4, 4)): "\U0001fb51\U0001fb46",
}
_TRIANGLES = "\U0001fb6c\U0001fb6e\U0001fb6d\U0001fb6f"  # from the left, the right, above and below
_FINE = 12  # lines through a part that tell how much of it is filled

_BY_QUADRANT = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"  # by mask

# Patterns that Unicode had named before it added sextants (13) and octants (16).
_OLDER_SEXTANTS = {0: " ", 0b010101: "▌", 0b101010: "▐", 0b111111: "█"}
_OLDER_OCTANTS = {
    0x00: " ",
    0x01: "\U0001cea8",
    0x02: "\U0001ceab",
    0x03: "\U0001fb82",
    0x05: "▘",
    0x0A: "▝",
    0x0F: "▀",
    0x14: "\U0001fbe6",
    0x28: "\U0001fbe7",
    0x3F: "\U0001fb85",
    0x40: "\U0001cea3",
    0x50: "▖",
    0x55: "▌",
    0x5A: "▞",
    0x5F: "▛",
    0x80: "\U0001cea0",
    0xA0: "▗",
    0xA5: "▚",
    0xAA: "▐",
    0xAF: "▜",
    0xC0: "▂",
    0xF0: "▄",
    0xF5: "▙",
    0xFA: "▟",
    0xFC: "▆",
    0xFF: "█",
}

_APART = {0x01: 0x04, 0x02: 0x08, 0x40: 0x10, 0x80: 0x20, 0x14: 0x05, 0x28: 0x0A}
"""The octants whose characters are apart from the others, such as U+1CEA0 and U+1FBE6, and one beside each.

Terminals that draw octants do not all draw these: Kitty draws U+1CEA0 from 0.47 on, Ghostty from 1.2 on, and
foot 1.27 none of them (`GLYPH_OCTANTS_LAST`, `GLYPH_LEGACY_LAST` in its terminal.h).
"""


def _by_mask(patterns: int, first: int, older: dict[int, str]) -> str:
    """Return every pattern's character: new ones are encoded from `first` in order of their masks."""
    code = iter(range(first, first + patterns))
    return "".join(older[mask] if mask in older else chr(next(code)) for mask in range(patterns))


@cache
def by_mask(grid: Grid) -> str:
    """Return the characters of a grid that has one for every pattern, indexed by mask."""
    if grid == HALVES:
        return " ▀▄█"
    if grid == QUADRANTS:
        return _BY_QUADRANT
    if grid == SEXTANTS:
        return _by_mask(64, 0x1FB00, _OLDER_SEXTANTS)
    if grid == OCTANTS:
        return _by_mask(256, 0x1CD00, _OLDER_OCTANTS)
    raise ValueError(f"not every pattern of a {grid.columns}x{grid.rows} grid is a character")


@cache
def dots(grid: Grid) -> str:
    """Return the characters that all terminals with this grid draw, by mask; some move by a part."""
    chars = by_mask(grid)
    if grid != OCTANTS:
        return chars
    return "".join(chars[_APART.get(mask, mask)] for mask in range(len(chars)))


def _eighths() -> list[Glyph]:
    lower = [Glyph(chr(0x2580 + n), BARS, 0xFF << 8 - n & 0xFF) for n in range(1, 8)]
    left = [Glyph(chr(0x2590 - n), COLUMNS, (1 << n) - 1) for n in range(1, 8)]
    edges = [Glyph("▔", BARS, 0x01), Glyph("▕", COLUMNS, 0x80)]
    return lower + left + edges


def _single_eighths() -> list[Glyph]:
    """Return the thin lines inside the cell, from the same block as the sextants."""
    upright = [Glyph(chr(0x1FB70 + n - 1), COLUMNS, 1 << n) for n in range(1, 7)]
    level = [Glyph(chr(0x1FB76 + n - 1), BARS, 1 << n) for n in range(1, 7)]
    return upright + level


def _patterns(grid: Grid) -> list[Glyph]:
    return [Glyph(char, grid, mask) for mask, char in enumerate(by_mask(grid))]


@cache
def glyphs(symbols: PreviewProtocol) -> tuple[Glyph, ...]:
    """Return every glyph of a set on every grid that can express it, those that more fonts have first."""
    found = _patterns(HALVES)
    if symbols in {PreviewProtocol.BLOCKS, PreviewProtocol.SEXTANTS, PreviewProtocol.OCTANTS}:
        found += _patterns(QUADRANTS) + _eighths()
    if symbols in {PreviewProtocol.SEXTANTS, PreviewProtocol.OCTANTS}:
        found += _patterns(SEXTANTS)
    if symbols is PreviewProtocol.OCTANTS:
        found += _patterns(OCTANTS) + _single_eighths()
    return tuple(found)


@cache
def splits(symbols: PreviewProtocol, *, slanted: bool = False) -> tuple[Glyph | Shape, ...]:
    """Return a glyph for every way in which a set can cut a cell in two (a complement swaps the colours).

    Wedges, where they are wanted too, are a supplement to sextants.
    """
    if symbols is PreviewProtocol.ASCII:
        return letters()
    known = {(glyph.grid, glyph.mask): glyph for glyph in glyphs(symbols)}
    seen = {" ", "█"}
    found: list[Glyph | Shape] = []
    for glyph in glyphs(symbols):
        twin = known.get((glyph.grid, glyph.grid.full ^ glyph.mask), glyph)
        if seen.isdisjoint((glyph.char, twin.char)):
            found.append(min(glyph, twin, key=_rank))
        seen |= {glyph.char, twin.char}
    if slanted and symbols in {PreviewProtocol.SEXTANTS, PreviewProtocol.OCTANTS}:
        found += wedges()
    return tuple(found)


def _rank(glyph: Glyph) -> tuple[bool, int]:
    """Return a key that puts what every terminal draws first, then what fills least of a cell.

    A font's glyph rarely reaches the cell's edges to the pixel: there the background shows. It should be the
    colour of most of the cell.
    """
    return glyph.grid == OCTANTS and glyph.mask in _APART, glyph.mask.bit_count()


@cache
def letters() -> tuple[Shape, ...]:
    """Return the printable characters of ASCII."""
    from imgcli.output.images.letters import COVERAGE, FIRST, FULL, MOST, VARIANCES

    found = []
    columns = (zip(*table, strict=True) for table in (COVERAGE, VARIANCES))
    for code, (digits, variance) in enumerate(zip(*columns, strict=True), FIRST):
        weights = tuple(int(digit, 16) / FULL for digit in digits)
        spread = int("".join(variance), 16) / MOST * LETTERS.parts
        found.append(Shape(chr(code), LETTERS, weights, spread))
    return tuple(found)


@cache
def wedges() -> tuple[Shape, ...]:
    """Return a wedge for every way in which one can cut a cell in two."""
    found = []
    for edge, chars in _EDGES.items():
        mirrored = _mirrored(_spans(partial(_left_of, *edge)))
        found += [_wedge(char, weights) for char, weights in zip(chars, mirrored, strict=False)]
    middle, across = WEDGES.rows / 2, WEDGES.columns / 2
    lying = _spans(lambda y: (0, across * (1 - abs(y / middle - 1))))
    hanging = _spans(lambda y: (across * y / middle, WEDGES.columns - across * y / middle))
    triangles = [*_mirrored(lying)[:2], *_mirrored(hanging)[::2]]
    return (*found, *(_wedge(*pair) for pair in zip(_TRIANGLES, triangles, strict=True)))


def _wedge(char: str, weights: Weights) -> Shape:
    """Return a shape of pixels that are all filled or not, as those of the blocks are."""
    share = round(sum(weights))
    return Shape(char, WEDGES, weights, share * (WEDGES.parts - share) / WEDGES.parts)


def _left_of(start: tuple[int, int], end: tuple[int, int], y: float) -> tuple[float, float]:
    """Return from where to where a height is to the left of an edge, or below it."""
    share = (y - start[1]) / (end[1] - start[1])
    return 0, start[0] + (end[0] - start[0]) * share if share < 1 else WEDGES.columns


def _spans(span: Callable[[float], tuple[float, float]]) -> Weights:
    """Return how much of each part is between two edges, which depend on the height."""
    columns, steps = WEDGES.columns, range(_FINE)
    found = []
    for y, x in product(range(WEDGES.rows), range(columns)):
        lines = [span(y + (step + 0.5) / _FINE) for step in steps]
        covered = sum(max(0, min(end, x + 1) - max(start, x)) for start, end in lines)
        found.append(round(covered) / _FINE)
    return tuple(found)


def _mirrored(weights: Weights) -> list[Weights]:
    """Return them as they are, left to right, upside down, and both."""
    columns = WEDGES.columns
    rows = [weights[start : start + columns] for start in range(0, len(weights), columns)]
    across = [row[::-1] for row in rows]
    return [tuple(chain.from_iterable(some)) for some in (rows, across, rows[::-1], across[::-1])]
