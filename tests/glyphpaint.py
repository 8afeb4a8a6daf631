"""Knows how a terminal paints: text with colours in it becomes an image, glyph by glyph.

The shapes come from the names that Unicode gives its characters, not from the tables under test.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, HEIGHT = 8, 16  # pixels of a painted cell

RGB = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom in parts of a cell

_NUMBERS = {"ONE": 1, "THREE": 3, "FIVE": 5, "SEVEN": 7}
_UNITS = {"QUARTER": 4, "QUARTERS": 4, "EIGHTH": 8, "EIGHTHS": 8}
_QUADRANTS: dict[str, Box] = {
    "UPPER LEFT": (0, 0, 1 / 2, 1 / 2),
    "UPPER RIGHT": (1 / 2, 0, 1, 1 / 2),
    "LOWER LEFT": (0, 1 / 2, 1 / 2, 1),
    "LOWER RIGHT": (1 / 2, 1 / 2, 1, 1),
}
_LEVELS = {"UPPER MIDDLE": 1 / 3, "LOWER MIDDLE": 2 / 3, "UPPER": 0.0, "LOWER": 1.0}
_FINE = 4  # times as many pixels, each way, tell how much of one is covered
_ARMS = {"UP": (0, -1), "DOWN": (0, 1), "LEFT": (-1, 0), "RIGHT": (1, 0)}
# Octants that had a character before Unicode 16; all others follow U+1CD00 in the order of their bits.
_OLDER_OCTANTS = {
    *("", "1", "2", "7", "8", "12", "78", "13", "24", "57", "68", "35", "46", "1234", "5678", "1357", "2468"),
    *("2457", "1368", "123457", "123468", "135678", "245678", "123456", "345678", "12345678"),
}
_QUARTERS_16 = {"\U0001cea8": "1", "\U0001ceab": "2", "\U0001cea3": "7", "\U0001cea0": "8"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What a terminal holds in one place; colours as numbers of the palette, true colours or none."""

    char: str = " "
    foreground: RGB | int | None = None
    background: RGB | int | None = None
    is_reversed: bool = False


def replay(lines: list[str]) -> list[list[Cell]]:
    """The cells that these lines put on a screen; only colours (SGR) and text are understood."""
    return [_replay_line(line) for line in lines]


def _replay_line(line: str) -> list[Cell]:
    cells: list[Cell] = []
    pen = Cell()
    for sequence, text in re.findall(r"(?:\x1b\[([0-9;]*)m)|([^\x1b])", line):
        if text:
            cells.append(replace(pen, char=text))
        else:
            pen = _sgr(pen, [int(code or 0) for code in sequence.split(";")])
    return cells


def _sgr(pen: Cell, codes: list[int]) -> Cell:
    while codes:
        code = codes.pop(0)
        if code == 0:
            pen = Cell()
        elif code in {7, 27}:
            pen = replace(pen, is_reversed=code == 7)
        elif code in {38, 48}:
            colour = _extended(codes)
            pen = replace(pen, foreground=colour) if code == 38 else replace(pen, background=colour)
        elif code in {39, 49}:
            pen = replace(pen, foreground=None) if code == 39 else replace(pen, background=None)
        elif code // 10 in {3, 9}:
            pen = replace(pen, foreground=code % 10 + (8 if code >= 90 else 0))
        elif code // 10 in {4, 10}:
            pen = replace(pen, background=code % 10 + (8 if code >= 100 else 0))
        else:
            raise ValueError(f"SGR {code} is none of the colours")
    return pen


def _extended(codes: list[int]) -> RGB | int:
    if codes.pop(0) == 5:
        return codes.pop(0)
    return codes.pop(0), codes.pop(0), codes.pop(0)


def paint(
    cells: list[list[Cell]],
    ink: RGB = (255, 255, 255),
    paper: RGB = (0, 0, 0),
    glyph: Callable[[str], Image.Image] | None = None,
) -> Image.Image:
    """The screen as an RGB image of 8x16 pixels a cell; where no colour was set, `ink` on `paper`.

    `glyph` draws a character, `bitmap` where there is none.
    """
    size = len(cells[0]), len(cells)
    foreground, background = Image.new("RGB", size), Image.new("RGB", size)
    mask = Image.new("L", (size[0] * WIDTH, size[1] * HEIGHT))
    for (y, row), x in product(enumerate(cells), range(size[0])):
        pair = _rgb(row[x].foreground, ink), _rgb(row[x].background, paper)
        front, back = pair[::-1] if row[x].is_reversed else pair
        foreground.putpixel((x, y), front)
        background.putpixel((x, y), back)
        mask.paste((glyph or bitmap)(row[x].char), (x * WIDTH, y * HEIGHT))
    near = Image.Resampling.NEAREST
    return Image.composite(foreground.resize(mask.size, near), background.resize(mask.size, near), mask)


def _rgb(colour: RGB | int | None, default: RGB) -> RGB:
    if isinstance(colour, int):
        return palette()[colour]
    return default if colour is None else colour


@cache
def palette() -> list[RGB]:
    """The 256 colours of a terminal: VGA's sixteen, a 6x6x6 cube, 24 greys."""
    low = [(170 * (n & 1), 170 * (n >> 1 & 1), 170 * (n >> 2)) for n in range(8)]
    low[3] = (170, 85, 0)
    high = [(85 + 170 * (n & 1), 85 + 170 * (n >> 1 & 1), 85 + 170 * (n >> 2)) for n in range(8)]
    steps = (0, 95, 135, 175, 215, 255)
    return [*low, *high, *product(steps, steps, steps), *((n, n, n) for n in range(8, 248, 10))]


@cache
def bitmap(char: str, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A glyph as an image of mode L: 255 where the foreground shows; hard edges, rounded to whole pixels."""
    name = unicodedata.name(char, "")
    if " BLOCK DIAGONAL " in name or " TRIANGULAR " in name:
        return _slanted(name, width, height)
    found = Image.new("L", (width, height))
    pen = ImageDraw.Draw(found)
    for left, top, right, bottom in boxes(char):
        x, y = round(left * width), round(top * height)
        pen.rectangle((x, y, round(right * width) - 1, round(bottom * height) - 1), 255)
    if "RIGHT TO LOWER LEFT" in name or "CROSS" in name:
        pen.line((0, height - 1, width - 1, 0), 255)
    if "LEFT TO LOWER RIGHT" in name or "CROSS" in name:
        pen.line((0, 0, width - 1, height - 1), 255)
    return found


def boxes(char: str) -> list[Box]:
    """The rectangles that a character fills."""
    if digits := octant(char):
        return _cut(digits, 4)
    name = unicodedata.name(char, "")
    if match := re.fullmatch(r"BLOCK SEXTANT-(\d+)", name):
        return _cut(match[1], 3)
    if match := re.fullmatch(r"(VERTICAL|HORIZONTAL) ONE EIGHTH BLOCK-(\d)", name):
        edge = int(match[2]) / 8
        upright = match[1] == "VERTICAL"
        return [(edge - 1 / 8, 0, edge, 1) if upright else (0, edge - 1 / 8, 1, edge)]
    if name.startswith("QUADRANT "):
        return [_QUADRANTS[corner] for corner in name.removeprefix("QUADRANT ").split(" AND ")]
    if name.startswith("BOX DRAWINGS "):
        return [] if "DIAGONAL" in name else _box_drawing(name.removeprefix("BOX DRAWINGS "))
    return _edge(name)


def _slanted(name: str, width: int, height: int) -> Image.Image:
    """A shape with slanted edges, which terminals draw smoothly: each pixel by how much of it is covered."""
    fine = Image.new("L", (width * _FINE, height * _FINE))
    places = product(range(fine.height), range(fine.width))
    inside = (_is_inside(name, (x + 0.5) / fine.width, (y + 0.5) / fine.height) for y, x in places)
    fine.putdata([255 * one for one in inside])
    return fine.reduce(_FINE)


def _is_inside(name: str, x: float, y: float) -> bool:
    """Whether a place, in parts of a cell, belongs to a `BLOCK DIAGONAL`, or to triangles."""
    if " TRIANGULAR " in name:
        side = max(("LEFT", -x), ("RIGHT", x - 1), ("UPPER", -y), ("LOWER", y - 1), key=lambda side: side[1])
        return side[0] in name.split()
    corner, line = name.split(" BLOCK DIAGONAL ")
    start, end = map(_place, line.split(" TO "))
    return _side(start, end, (x, y)) * _side(start, end, _place(corner)) > 0


@cache
def _place(words: str) -> tuple[float, float]:
    level = next(level for name, level in _LEVELS.items() if words.startswith(name))
    return {"LEFT": 0.0, "CENTRE": 0.5, "RIGHT": 1.0}[words.rsplit(maxsplit=1)[-1]], level


def _side(start: tuple[float, float], end: tuple[float, float], place: tuple[float, float]) -> float:
    return (end[0] - start[0]) * (place[1] - start[1]) - (end[1] - start[1]) * (place[0] - start[0])


def octant(char: str) -> str:
    """The digits in the name of an octant of Unicode 16, nothing for another character."""
    if char in _QUARTERS_16:
        return _QUARTERS_16[char]
    if char in "\U0001fbe6\U0001fbe7":
        return "35" if char == "\U0001fbe6" else "46"
    return _octants()[ord(char) - 0x1CD00] if 0x1CD00 <= ord(char) <= 0x1CDE5 else ""


@cache
def _octants() -> list[str]:
    every = ["".join(str(i + 1) for i in range(8) if n >> i & 1) for n in range(256)]
    return [digits for digits in every if digits not in _OLDER_OCTANTS]


def _cut(digits: str, rows: int) -> list[Box]:
    places = [divmod(int(digit) - 1, 2) for digit in digits]
    return [(column / 2, row / rows, (column + 1) / 2, (row + 1) / rows) for row, column in places]


def _edge(name: str) -> list[Box]:
    """Names such as LOWER THREE EIGHTHS BLOCK, RIGHT HALF BLOCK and FULL BLOCK."""
    if name in {"SPACE", "FULL BLOCK"}:
        return [(0, 0, 1, 1)] if name == "FULL BLOCK" else []
    side, *size, block = name.split()
    if block != "BLOCK":
        raise ValueError(f"no shape is known for {name!r}")
    share = 1 / 2 if size == ["HALF"] else _NUMBERS[size[0]] / _UNITS[size[1]]
    sides: dict[str, Box] = {
        "UPPER": (0, 0, 1, share),
        "LOWER": (0, 1 - share, 1, 1),
        "LEFT": (0, 0, share, 1),
        "RIGHT": (1 - share, 0, 1, 1),
    }
    return [sides[side]]


def _box_drawing(name: str) -> list[Box]:
    """Lines from the middle to the sides: light ones an eighth of the width, heavy ones a quarter."""
    words = name.replace("VERTICAL", "UP AND DOWN").replace("HORIZONTAL", "LEFT AND RIGHT").split()
    found, heavy = [], words[0] == "HEAVY"
    arms = [(word in _ARMS, word) for word in words]
    weights = _weights(words, heavy=heavy)
    for is_arm, word in arms:
        if is_arm:
            found.append(_arm(*_ARMS[word], 1 / 4 if weights[word] else 1 / 8))
    return found


def _weights(words: list[str], *, heavy: bool) -> dict[str, bool]:
    """Whether an arm is heavy: a weight stands before its arms, or after them ("DOWN LIGHT AND UP HEAVY")."""
    found: dict[str, bool] = {}
    pending: list[str] = []
    trailing = words[0] in _ARMS
    for word in words:
        if word in _ARMS:
            pending.append(word)
            found[word] = heavy
        elif word in {"LIGHT", "HEAVY"}:
            heavy = word == "HEAVY"
            if trailing:
                found.update(dict.fromkeys(pending, heavy))
                pending = []
    return found


def _arm(x: int, y: int, width: float) -> Box:
    left, top = 3 / 8, 7 / 16  # whole pixels; a cell is twice as high as wide
    right, bottom = left + width, top + width / 2
    return (
        0 if x < 0 else left,
        0 if y < 0 else top,
        1 if x > 0 else right,
        1 if y > 0 else bottom,
    )
