from __future__ import annotations

import io
import random
import re
import unicodedata
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich_pixels import HalfcellRenderer, Pixels

from glyphpaint import HEIGHT, WIDTH, Cell, bitmap, octant, paint, palette, replay
from imgcli.core.params import PreviewProtocol
from imgcli.output.images.blocks import TerminalPalette, ansi_lines, draw
from imgcli.output.images.glyphs import GLYPH_SETS, OCTANTS, Glyph, glyphs, splits, wedges
from imgcli.output.images.pixels import PixelsRenderer
from imgcli.output.terminal.capabilities import ColorDepth

RGB = tuple[int, int, int]

ORANGE, TEAL = (250, 140, 20), (10, 120, 110)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
DEPTHS = [depth for depth in ColorDepth if depth is not ColorDepth.NONE]
DRAWN = [PreviewProtocol.HALF, PreviewProtocol.BLOCKS, PreviewProtocol.SEXTANTS, PreviewProtocol.OCTANTS]
SHAPES = {(glyph.grid, glyph.mask): glyph for symbols in DRAWN for glyph in glyphs(symbols)}


def scene(size: tuple[int, int] = (320, 320)) -> Image.Image:
    """Smooth colours, edges at all angles and thin lines."""
    grain = Image.frombytes("RGB", (5, 5), random.Random(9).randbytes(75))
    image = grain.resize((640, 640), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    pen.ellipse((90, 60, 400, 380), "#f0c040", "#202020", 9)
    pen.polygon([(300, 600), (620, 560), (480, 250)], "#2050a0")
    for x in range(20, 640, 60):
        pen.line((x, 640, x + 50, 420), "#f8f8f8", 5)
    return image.resize(size, Image.Resampling.LANCZOS)


def painted(
    image: Image.Image,
    cells: tuple[int, int],
    symbols: PreviewProtocol,
    depth: ColorDepth = ColorDepth.TRUECOLOR,
) -> Image.Image:
    """An image as a terminal shows it."""
    return paint(replay(ansi_lines(draw(image, cells, symbols, depth))))


def error(one: Image.Image, other: Image.Image) -> float:
    """The mean squared difference of the channels."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2) / (3 * one.width * one.height)


def cut(glyph: Glyph, lit: RGB, rest: RGB) -> Image.Image:
    """An image of one cell that is exactly this glyph."""
    grid = glyph.grid
    image = Image.new("RGB", (grid.columns, grid.rows), rest)
    for index in range(grid.parts):
        if glyph.mask >> index & 1:
            image.putpixel((index % grid.columns, index // grid.columns), lit)
    return image.resize((8, 24), Image.Resampling.NEAREST)


def test_every_glyph_is_what_its_name_says() -> None:
    """The shape that we expect of a character is the one that Unicode's name for it describes."""
    for glyph in SHAPES.values():
        drawn = cut(glyph, (255,) * 3, (0,) * 3).convert("L")
        assert drawn.tobytes() == bitmap(glyph.char, 8, 24).tobytes(), f"U+{ord(glyph.char):04X}"


@pytest.mark.parametrize(
    ("char", "digits"),
    [
        ("\U0001cd00", "3"),
        ("\U0001cd01", "23"),
        ("\U0001cd02", "123"),
        ("\U0001cd03", "4"),
        ("\U0001cd0b", "25"),
        ("\U0001cde5", "2345678"),
        ("\U0001cea3", "7"),
        ("\U0001cea0", "8"),
    ],
)
def test_octants_stand_where_unicode_put_them(char: str, digits: str) -> None:
    """The octants that we write are those of Unicode 16, in its order."""
    assert digits == octant(char)
    if unicodedata.name(char, "").startswith("BLOCK OCTANT"):
        assert f"BLOCK OCTANT-{digits}" == unicodedata.name(char)


@pytest.mark.parametrize(
    ("symbols", "count"),
    [
        (PreviewProtocol.HALF, 1),
        (PreviewProtocol.BLOCKS, 19),
        (PreviewProtocol.SEXTANTS, 49),
        (PreviewProtocol.OCTANTS, 179),
    ],
)
def test_every_split_is_tried_once(symbols: PreviewProtocol, count: int) -> None:
    """No two glyphs of a set that cut a cell alike are both tried, and none that cuts it anew is left out."""
    flat = {bytes(192), b"\xff" * 192}
    shapes = {bitmap(glyph.char, 8, 24).tobytes() for glyph in glyphs(symbols)} - flat
    tried = {bitmap(glyph.char, 8, 24).tobytes() for glyph in splits(symbols)}
    twins = {bytes(255 - value for value in shape) for shape in tried}
    assert count == len(splits(symbols)) == len(tried)
    assert shapes <= tried | twins
    assert not tried & twins


@pytest.mark.parametrize("symbols", [PreviewProtocol.BLOCKS, PreviewProtocol.SEXTANTS])
def test_most_of_a_cell_is_its_background(symbols: PreviewProtocol) -> None:
    """Where glyphs end a pixel before their cell does, no lines of the rarer colour run between cells."""
    shapes = {bitmap(glyph.char, 8, 24).tobytes() for glyph in glyphs(symbols)}
    drawn = [bitmap(split.char, 8, 24).tobytes() for split in splits(symbols)]
    swappable = [shape for shape in drawn if bytes(255 - value for value in shape) in shapes]
    assert [] == [shape for shape in swappable if sum(shape) > 255 * len(shape) / 2]


@pytest.mark.parametrize("depth", DEPTHS)
def test_octants_need_no_glyph_that_some_terminals_lack(depth: ColorDepth) -> None:
    """What kitty 0.40 and foot have no glyph for is drawn by its complement, or its neighbour."""
    lacked = [Glyph("", OCTANTS, mask) for mask in (0x01, 0x02, 0x40, 0x80, 0x14, 0x28)]
    image = Image.new("RGB", (8 * 12, 24))
    for column, (glyph, pair) in enumerate(product(lacked, [(WHITE, BLACK), (BLACK, WHITE)])):
        image.paste(cut(glyph, *pair), (8 * column, 0))
    shown = painted(image, (12, 1), PreviewProtocol.OCTANTS, depth)
    text = draw(image, (12, 1), PreviewProtocol.OCTANTS, depth).text
    assert not set("\U0001cea0\U0001cea3\U0001cea8\U0001ceab\U0001fbe6\U0001fbe7") & set(text)
    if depth is ColorDepth.TRUECOLOR:
        exact = image.resize(shown.size, Image.Resampling.NEAREST)
        assert exact.tobytes() == shown.tobytes()
    most = 1.2 if depth is ColorDepth.ANSI_256 else 1  # where a quarter of an error is not passed on
    assert ImageStat.Stat(image).mean == pytest.approx(ImageStat.Stat(shown).mean, abs=most)


def test_a_glyph_shows_itself() -> None:
    """A cell of exactly two flat parts gets the glyph that cuts it so, and exactly its two colours."""
    tried = [glyph for glyph in splits(PreviewProtocol.OCTANTS) if isinstance(glyph, Glyph)]
    image = Image.new("RGB", (8 * len(tried), 24))
    for column, glyph in enumerate(tried):
        image.paste(cut(glyph, ORANGE, TEAL), (8 * column, 0))
    drawn = draw(image, (len(tried), 1), PreviewProtocol.OCTANTS, ColorDepth.TRUECOLOR)
    cells = replay(ansi_lines(drawn))[0]
    assert [glyph.char for glyph in tried] == [cell.char for cell in cells]
    assert {(ORANGE, TEAL)} == {(cell.foreground, cell.background) for cell in cells}


@pytest.mark.parametrize(
    "symbols", [pytest.param(PreviewProtocol.SEXTANTS, marks=pytest.mark.slow), PreviewProtocol.OCTANTS]
)
def test_a_slanted_edge_is_a_wedge_where_the_terminal_draws_them(symbols: PreviewProtocol) -> None:
    """A cell cut by a slanted line is that character in nearly its two colours; elsewhere none is written."""
    tried = [wedge for wedge in wedges() if wedge.share > 2]  # a tiny corner may be taken for a square one
    image = Image.new("RGB", (8 * len(tried), 24))
    orange, teal = (Image.new("RGB", (16, 48), colour) for colour in (ORANGE, TEAL))
    for column, wedge in enumerate(tried):
        cell = Image.composite(orange, teal, bitmap(wedge.char, 16, 48))
        image.paste(cell.reduce(2), (8 * column, 0))
    cells, able = (len(tried), 1), TerminalPalette(has_wedges=True)
    drawn = draw(image, cells, symbols, ColorDepth.TRUECOLOR, able)
    assert "".join(wedge.char for wedge in tried) == drawn.text
    shown = paint(replay(ansi_lines(drawn)))
    assert error(shown, image.resize(shown.size, Image.Resampling.BOX)) < 300
    assert not set(drawn.text) & set(draw(image, cells, symbols, ColorDepth.TRUECOLOR).text)


@pytest.mark.parametrize("symbols", DRAWN)
def test_two_halves(symbols: PreviewProtocol) -> None:
    """An image of two flat halves is two flat halves, to the last bit, in every set."""
    image = Image.new("RGB", (192, 192), ORANGE)
    image.paste(TEAL, (0, 120, 192, 192))
    expected = image.resize((8 * WIDTH, 4 * HEIGHT), Image.Resampling.NEAREST)
    assert expected.tobytes() == painted(image, (8, 4), symbols).tobytes()


@pytest.mark.parametrize("symbols", DRAWN)
def test_one_colour_is_written_once(symbols: PreviewProtocol) -> None:
    """A flat image costs one colour code a row, and spaces."""
    lines = ansi_lines(draw(Image.new("RGB", (99, 98), ORANGE), (7, 3), symbols, ColorDepth.TRUECOLOR))
    assert ["\x1b[48;2;250;140;20m       \x1b[0m"] * 3 == lines


def test_the_best_split_wins() -> None:
    """No glyph and no two colours come closer to a cell than ours, but for rounding and some contrast."""
    grain = random.Random(5)
    for _ in range(20):
        coarse = Image.frombytes("RGB", (8, 8), grain.randbytes(192))
        cell = coarse.resize((8, 24), Image.Resampling.NEAREST)
        ours = painted(cell, (1, 1), PreviewProtocol.BLOCKS).resize((8, 24), Image.Resampling.NEAREST)
        assert (
            error(ours, cell)
            <= 1.01 * min(best_error(cell, glyph.char) for glyph in splits(PreviewProtocol.BLOCKS)) + 1
        )


def best_error(cell: Image.Image, char: str) -> float:
    """What is left of a cell's mean squared error when both parts of a glyph have their means."""
    mask = bitmap(char, 8, 24)
    parts = [ImageStat.Stat(cell, part) for part in (mask, ImageChops.invert(mask))]
    left = [part.sum2[c] - part.sum[c] ** 2 / part.count[c] for part in parts for c in range(3)]
    return sum(left) / (3 * cell.width * cell.height)


def test_each_set_is_sharper_than_the_one_before() -> None:
    """Blocks come closer to an image than half blocks, sextants closer than blocks, octants closest."""
    target = scene((40 * WIDTH, 20 * HEIGHT))
    errors = [error(painted(scene(), (40, 20), symbols), target) for symbols in DRAWN]
    assert sorted(errors, reverse=True) == errors
    assert errors[1] < 0.75 * errors[0]
    assert errors[3] < 0.65 * errors[0]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_never_wider_or_higher(symbols: PreviewProtocol, depth: ColorDepth) -> None:
    """An image takes exactly the cells it was given, whatever its size."""
    assert_taken([(1, 1), (2, 1), (1, 3), (7, 5)], symbols, depth)


@pytest.mark.slow
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_a_whole_screen(symbols: PreviewProtocol, depth: ColorDepth) -> None:
    """Also on a whole screen."""
    assert_taken([(80, 24), (200, 60)], symbols, depth)


def assert_taken(boxes: list[tuple[int, int]], symbols: PreviewProtocol, depth: ColorDepth) -> None:
    """Draw images of several sizes into boxes of so many columns and rows, and count their cells."""
    for columns, rows in boxes:
        for size in [(1, 1), (3, 500), (160, 120)]:
            lines = ansi_lines(draw(scene(size), (columns, rows), symbols, depth))
            assert [columns] * rows == [len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines]


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(1, 12), st.integers(1, 6)),
    symbols=st.sampled_from(GLYPH_SETS),
    depth=st.sampled_from(DEPTHS),
    seed=st.integers(0, 99),
)
def test_any_image_can_be_drawn(
    size: tuple[int, int], cells: tuple[int, int], symbols: PreviewProtocol, depth: ColorDepth, seed: int
) -> None:
    """Any pixels in any size make rows of one width whose characters are all of the set."""
    image = Image.frombytes("RGB", size, random.Random(seed).randbytes(3 * size[0] * size[1]))
    rows = replay(ansi_lines(draw(image, cells, symbols, depth)))
    allowed = {glyph.char for glyph in glyphs(symbols)} if symbols in DRAWN else set(map(chr, range(32, 127)))
    assert [cells[0]] * cells[1] == [len(row) for row in rows]
    assert {cell.char for row in rows for cell in row} <= allowed


@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_sixteen_colours_are_the_sixteen(symbols: PreviewProtocol) -> None:
    """Where a terminal has 16 colours only their own codes are written, and several of them are mixed."""
    lines = ansi_lines(draw(scene(), (40, 20), symbols, ColorDepth.ANSI_16))
    codes = {
        code for line in lines for run in re.findall(r"\x1b\[([0-9;]*)m", line) for code in run.split(";")
    }
    allowed = {str(base + n) for base, n in product((30, 40, 90, 100), range(8))} | {"0"}
    assert codes <= allowed
    assert len(codes) > 6


@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_of_256_colours_no_theme_changes_ours(symbols: PreviewProtocol) -> None:
    """Where a terminal has 256 colours, the sixteen that themes redefine are avoided."""
    rows = replay(ansi_lines(draw(scene(), (40, 20), symbols, ColorDepth.ANSI_256)))
    used = {colour for row in rows for cell in row for colour in (cell.foreground, cell.background)} - {None}
    assert all(isinstance(colour, int) and 16 <= colour <= 255 for colour in used)


@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_mono_writes_no_codes(symbols: PreviewProtocol) -> None:
    """Without colours the rows are plain text."""
    lines = ansi_lines(draw(scene(), (40, 20), symbols, ColorDepth.MONO))
    assert "\x1b" not in "".join(lines)
    assert len(set("".join(lines))) > 2


@pytest.mark.parametrize("depth", [ColorDepth.ANSI_256, ColorDepth.ANSI_16])
def test_dithering_keeps_the_shade(depth: ColorDepth) -> None:
    """A shade that a terminal does not have is mixed of those that it has: from afar it is the same."""
    for grey in (60, 100, 128, 190):
        mixed = painted(Image.new("RGB", (64, 64), (grey,) * 3), (32, 16), PreviewProtocol.BLOCKS, depth)
        assert [grey] * 3 == pytest.approx(ImageStat.Stat(mixed).mean, abs=12)


def test_mono_keeps_the_light() -> None:
    """Without colours as much light comes from a grey as it has: half as bright is a fifth of the dots."""
    for grey, light in ((60, 0.045), (128, 0.216), (188, 0.503)):
        mixed = painted(
            Image.new("RGB", (64, 64), (grey,) * 3), (32, 16), PreviewProtocol.BLOCKS, ColorDepth.MONO
        )
        assert [light] * 3 == pytest.approx([level / 255 for level in ImageStat.Stat(mixed).mean], abs=0.02)


@pytest.mark.parametrize("symbols", [PreviewProtocol.ASCII, PreviewProtocol.BLOCKS])
def test_sixteen_colours_may_be_anybodys(symbols: PreviewProtocol) -> None:
    """Where a theme made blue of red, red is drawn with the number that is red there."""
    theme = [*palette()[:16]]
    theme[1], theme[4] = theme[4], (200, 0, 0)
    red = Image.new("RGB", (40, 40), (200, 0, 0))
    rows = replay(ansi_lines(draw(red, (4, 2), symbols, ColorDepth.ANSI_16, TerminalPalette(None, theme))))
    used = {cell.foreground if cell.background is None else cell.background for row in rows for cell in row}
    assert {4} == used if symbols is PreviewProtocol.BLOCKS else 1 not in used


@pytest.mark.parametrize("depth", [ColorDepth.ANSI_256, ColorDepth.ANSI_16])
def test_dithering_beats_nearest_colours(depth: ColorDepth) -> None:
    """Seen from afar a mixed image is closer than one of nearest colours."""
    small = (40, 20)
    far = scene(small)
    first = 16 if depth is ColorDepth.ANSI_256 else 0
    table = Image.new("P", (1, 1))
    table.putpalette([part for colour in palette()[first : 256 if first else 16] for part in colour])
    nearest = scene((40, 40)).quantize(palette=table, dither=Image.Dither.NONE).convert("RGB")
    ours = painted(scene(), small, PreviewProtocol.BLOCKS, depth).resize(small, Image.Resampling.BOX)
    blurred = (10, 5)
    assert error(
        ours.resize(blurred, Image.Resampling.BOX), far.resize(blurred, Image.Resampling.BOX)
    ) < error(nearest.resize(blurred, Image.Resampling.BOX), far.resize(blurred, Image.Resampling.BOX))


def test_letters_without_colours_are_denser_where_it_is_lighter() -> None:
    """In ASCII a dark background shows through dark parts; a light background through light ones."""
    depth = ColorDepth.MONO
    steps = Image.new("L", (3, 1))
    steps.putdata([0, 128, 255])
    dark = draw(steps, (3, 1), PreviewProtocol.ASCII, depth).text
    light = draw(steps, (3, 1), PreviewProtocol.ASCII, depth, dark=False).text
    assert (" ", "@") == (dark[0], dark[-1])
    assert ("@", " ") == (light[0], light[-1])
    assert dark[1] not in " @"


@pytest.mark.parametrize("colours", [(ORANGE, TEAL), (TEAL, ORANGE)])
@pytest.mark.parametrize(
    ("letter", "line"),
    [("/", (34, 20, 4, 112)), ("-", (9, 74, 28, 74)), ("_", (0, 124, 40, 124))],
)
def test_a_coloured_letter_has_the_shape_of_its_place(
    letter: str, line: tuple[int, int, int, int], colours: tuple[RGB, RGB]
) -> None:
    """In ASCII with colours a line becomes the letter that runs as it does, over the colour around it."""
    ink, paper = colours
    image = Image.new("RGB", (40, 80), paper)
    ImageDraw.Draw(image).line(
        [value * 80 // 128 if i % 2 else value for i, value in enumerate(line)], ink, 5
    )
    drawn = draw(image, (1, 1), PreviewProtocol.ASCII, ColorDepth.TRUECOLOR)
    assert letter == drawn.text
    (cell,) = replay(ansi_lines(drawn))[0]
    assert isinstance(cell.background, tuple)
    assert 30 > max(abs(a - b) for a, b in zip(cell.background, paper, strict=True))


@pytest.mark.parametrize("depth", [ColorDepth.ANSI_16, ColorDepth.ANSI_256, ColorDepth.TRUECOLOR])
def test_letters_come_close_to_the_image(depth: ColorDepth) -> None:
    """In ASCII the colours behind the letters show what a cell of it is, from afar also in few colours."""
    cells = replay(ansi_lines(draw(scene(), (40, 20), PreviewProtocol.ASCII, depth)))
    assert {False} == {cell.background is None for row in cells for cell in row}
    assert len({cell.char for row in cells for cell in row}) > 20


def test_mono_on_a_light_background() -> None:
    """Without colours light parts are lit on a dark background, and left empty on a light one."""
    white = Image.new("L", (8, 8), 255)
    assert "█" == draw(white, (1, 1), PreviewProtocol.BLOCKS, ColorDepth.MONO).text
    assert " " == draw(white, (1, 1), PreviewProtocol.BLOCKS, ColorDepth.MONO, dark=False).text


def sticker() -> Image.Image:
    """An orange square on nothing, half over its edge cells, and a soft shadow at its right."""
    image = Image.new("RGBA", (80, 80))
    image.paste((*ORANGE, 255), (25, 25, 60, 60))
    image.paste((0, 0, 0, 60), (60, 30, 70, 60))
    return image


@pytest.mark.parametrize("background", [None, (255, 255, 255)])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_transparent_parts_show_the_terminal_itself(
    symbols: PreviewProtocol, depth: ColorDepth, background: RGB | None
) -> None:
    """Around a sticker nothing is painted, whatever the terminal's background: no board, no box."""
    drawn = draw(sticker(), (8, 8), symbols, depth, TerminalPalette(background))
    lines = ansi_lines(drawn)
    rows = replay(lines)
    around = [row[column] for row in (*rows[:2], rows[7]) for column in range(8)]
    around += [row[column] for row in rows for column in (0, 1, 7)]
    assert {(" ", None)} == {(cell.char, cell.background) for cell in around}
    assert ["        "] * 2 == lines[:2]
    # Without colours, orange on white is light: a cell of two dots may have none.
    middle = [cell for row in rows[3:6] for cell in row[3:6]] if depth is ColorDepth.MONO else [rows[4][4]]
    assert {(" ", None)} != {(cell.char, cell.background) for cell in middle}
    renderer = PixelsRenderer(symbols, depth, background)
    assert visible(rows) == visible(replay(printed(sticker(), (8, 8), renderer)))


@pytest.mark.parametrize("paper", [(0, 0, 0), (255, 255, 255), (90, 20, 60)])
def test_a_sticker_has_no_fringe(paper: RGB) -> None:
    """Its edges melt into the background that is known; where none is, they keep to the sticker's colour."""
    image, cells = sticker(), (8, 8)
    lines = ansi_lines(
        draw(image, cells, PreviewProtocol.OCTANTS, ColorDepth.TRUECOLOR, TerminalPalette(paper))
    )
    flat = Image.new("RGB", image.size, paper)
    flat.paste(image, mask=image)
    shown = paint(replay(lines), paper=paper)
    assert error(shown, flat.resize(shown.size, Image.Resampling.NEAREST)) < 60
    blind = replay(ansi_lines(draw(image, cells, PreviewProtocol.HALF, ColorDepth.TRUECOLOR)))
    assert {ORANGE, None} == {cell.background for row in blind for cell in row}


def printed(image: Image.Image, cells: tuple[int, int], renderer: PixelsRenderer) -> list[str]:
    """The lines that rich prints of an image."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as captured:
        console.print(Pixels.from_image(image, cells, renderer), end="")
    return captured.get().splitlines()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_rich_prints_the_same_cells(symbols: PreviewProtocol, depth: ColorDepth) -> None:
    """Printed by rich, as a rich-pixels renderable, an image has the very cells that we write ourselves."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as captured:
        console.print(Pixels.from_image(scene(), (30, 10), PixelsRenderer(symbols, depth)), end="")
    ours = replay(ansi_lines(draw(scene(), (30, 10), symbols, depth)))
    assert visible(ours) == visible(replay(captured.get().splitlines()))


@pytest.mark.parametrize("symbols", GLYPH_SETS)
def test_rich_knows_how_wide_an_image_is(symbols: PreviewProtocol) -> None:
    """In a panel of rich's, and in its table, an image has its own width and its own cells, and no more."""
    image = draw(scene(), (30, 10), symbols, ColorDepth.TRUECOLOR)
    ours = visible(replay(ansi_lines(image)))
    table = Table.grid(padding=(0, 1))
    table.add_row("left", image, "right")
    for renderable, left, top in ((Panel.fit(image, padding=0), 1, 1), (table, 5, 0)):
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100)
        with console.capture() as captured:
            console.print(renderable)
        rows = replay(captured.get().splitlines())
        assert {32 if top else 41} == {len(row) for row in rows}
        assert ours == visible([row[left : left + 30] for row in rows[top : top + 10]])


def visible(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Cells without what nobody sees: a space's foreground."""
    return [[replace(cell, foreground=None) if cell.char == " " else cell for cell in row] for row in rows]


def test_half_blocks_are_those_of_rich_pixels() -> None:
    """Drawn with half blocks an image looks as rich-pixels itself draws it."""
    image = scene((20, 20))
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as captured:
        console.print(Pixels.from_image(image, renderer=HalfcellRenderer()), end="")
    theirs = paint(replay(captured.get().splitlines()))
    assert theirs.tobytes() == painted(image, (20, 10), PreviewProtocol.HALF).tobytes()
    with console.capture() as captured:
        console.print(Pixels.from_image(image, renderer=PixelsRenderer(PreviewProtocol.HALF)), end="")
    assert theirs.tobytes() == paint(replay(captured.get().splitlines())).tobytes()
