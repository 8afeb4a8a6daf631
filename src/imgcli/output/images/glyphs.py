"""The block glyphs of Unicode, and which parts of a cell each of them fills."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from imgcli.output.terminal.database import PreviewProtocol

GLYPH_SETS = (
    PreviewProtocol.ASCII,
    PreviewProtocol.HALF,
    PreviewProtocol.BLOCKS,
    PreviewProtocol.SEXTANTS,
    PreviewProtocol.OCTANTS,
)
"""The protocols that show an image as text, in the order of how much a terminal must know to draw them."""


@dataclass(frozen=True, slots=True)
class Grid:
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


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character that fills some parts of a grid: bit i of `mask` is part i."""

    char: str
    grid: Grid
    mask: int


HALVES = Grid(1, 2)
QUADRANTS = Grid(2, 2)
BARS = Grid(1, 8)  # horizontal eighths
COLUMNS = Grid(8, 1)  # vertical eighths
SEXTANTS = Grid(2, 3)
OCTANTS = Grid(2, 4)

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

_CORNERS = {0x01: 0x04, 0x02: 0x08, 0x40: 0x10, 0x80: 0x20}
"""The octants that fill a corner alone, and the part beside that corner.

Terminals that draw octants do not all draw these, which are in a range of their own: kitty from 0.47 on.
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
    """Return the characters that all terminals with this grid draw, by mask; a corner moves by a part."""
    chars = by_mask(grid)
    if grid != OCTANTS:
        return chars
    return "".join(chars[_CORNERS.get(mask, mask)] for mask in range(len(chars)))


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
def splits(symbols: PreviewProtocol) -> tuple[Glyph, ...]:
    """Return a glyph for every way in which a set can cut a cell in two (a complement swaps the colours)."""
    known = {(glyph.grid, glyph.mask): glyph for glyph in glyphs(symbols)}
    seen = {" ", "█"}
    found = []
    for glyph in glyphs(symbols):
        twin = known.get((glyph.grid, glyph.grid.full ^ glyph.mask), glyph)
        if seen.isdisjoint((glyph.char, twin.char)):
            is_corner = glyph.grid == OCTANTS and glyph.mask in _CORNERS
            found.append(twin if is_corner else glyph)
        seen |= {glyph.char, twin.char}
    return tuple(found)
