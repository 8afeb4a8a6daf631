"""Prints how close imgcli and other programs come to sixteen images that nobody tuned to, class by class.

Everybody's output is replayed and painted by the same painter, 8x16 pixels a cell, letters in DejaVu Sans
Mono, and compared with the image scaled to that size: PSNR in dB, and SSIM, the mean over every 7x7 window
of the luma. What counts is to be above the best rival in the same run, on the mean of all images. Every
program is optional; `--chafa PATH` adds another chafa, such as a newer one than the system's.
"""

from __future__ import annotations

import argparse
import functools
import io
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

from bench.images import IMAGES  # noqa: E402
from bench.measures import far, light, psnr, ssim, worst  # noqa: E402
from bench.photographs import PHOTOGRAPHS, photograph, shipped  # noqa: E402

from glyphpaint import HEIGHT, WIDTH, bitmap, paint, replay  # noqa: E402
from imgcli.core.params import PreviewProtocol  # noqa: E402
from imgcli.output.images.blocks import TerminalPalette, ansi_lines, draw  # noqa: E402
from imgcli.output.images.decode import fit, flatten  # noqa: E402
from imgcli.output.images.sixel import encode  # noqa: E402
from imgcli.output.terminal.capabilities import ColorDepth  # noqa: E402
from test_sixel import draw as replay_sixels  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COLUMNS, ROWS = 80, 40
PIXELS = 720, 438  # of a sixel image in 80 columns and 22 rows
BLACK = (0, 0, 0)
RGB = tuple[int, int, int]
OURS = "imgcli"
_ABLE = TerminalPalette(has_wedges=True)
_FONT_SIZE = 13  # at which a letter of the font is 8 pixels wide


class Sample(NamedTuple):
    """An image without transparency, which is best for chafa, and a PNG file of it."""

    name: str
    image: Image.Image
    path: Path


class Painting(NamedTuple):
    """What a terminal shows, what it should, and for how many bytes."""

    shown: Image.Image
    target: Image.Image
    size: int


class Measure(NamedTuple):
    """A figure of a painting; `sign` is 1 where more of it is better, -1 where less is."""

    name: str
    digits: int
    sign: int
    of: Callable[[Painting], float]


class Contest(NamedTuple):
    """A class: how each contestant paints, ours first, and what is compared."""

    name: str
    measures: Sequence[Measure]
    contestants: dict[str, Callable[[Sample], Painting]]


PSNR = Measure("PSNR", 2, 1, lambda painting: psnr(painting.shown, painting.target))
SSIM = Measure("SSIM", 4, 1, lambda painting: ssim(painting.shown, painting.target))
WORST = Measure("worst 8x8", 1, -1, lambda painting: worst(painting.shown, painting.target))
SIZE = Measure("kB", 0, -1, lambda painting: painting.size / 1000)

FAR = Measure("far", 2, -1, lambda painting: far(painting.shown, painting.target))
LIGHT = Measure("light", 2, -1, lambda painting: light(painting.shown, painting.target))

_WINDOWS = [  # the 16 colours of Windows' terminals, by their numbers
    *((12, 12, 12), (197, 15, 31), (19, 161, 14), (193, 156, 0)),
    *((0, 55, 218), (136, 23, 152), (58, 150, 221), (204, 204, 204)),
    *((118, 118, 118), (231, 72, 86), (22, 198, 12), (249, 241, 165)),
    *((59, 120, 255), (180, 0, 158), (97, 214, 214), (242, 242, 242)),
]


class Colours(NamedTuple):
    """A class of terminals with few colours: how many, and chafa's word for them; VGA's where no others."""

    depth: ColorDepth
    word: str
    measures: Sequence[Measure]
    sixteen: Sequence[RGB] = ()


_FEW = {
    "256 colours": Colours(ColorDepth.ANSI_256, "240", (PSNR, SSIM, FAR)),
    "16 colours, VGA's": Colours(ColorDepth.ANSI_16, "16", (PSNR, SSIM, FAR)),
    "16 colours, Windows'": Colours(ColorDepth.ANSI_16, "16", (PSNR, SSIM, FAR), _WINDOWS),
    "mono": Colours(ColorDepth.MONO, "none", (LIGHT,)),
}
_DITHERS = ("none", "diffusion")  # of chafa's

_CHAFAS: dict[str, tuple[str, ...]] = {
    "half": ("vhalf",),
    "blocks": ("block", "block+border"),
    "sextants": ("block+sextant", "block+border+sextant", "block+border+sextant+wedge"),
    "octants": ("block+octant", "block+border+octant+sextant+wedge"),
    "ascii": ("ascii",),
}
_TIMGS = {"half": "half", "blocks": "quarter"}


class Program(NamedTuple):
    """Another program: how to start it, and its name with its version."""

    path: str
    title: str

    @classmethod
    def found(cls, name: str, *flags: str) -> Iterator[Program]:
        """Yield the program of this name or path, if there is one; `flags` ask it for its version."""
        if path := shutil.which(name):
            told = subprocess.run([path, *flags], capture_output=True, text=True, check=False)
            words = (told.stdout or told.stderr).replace("Version: ", "").split()
            version = next(word for word in words if word[0].isdigit())
            yield cls(path, f"{Path(path).name} {version}")


def ours(symbols: PreviewProtocol, depth: ColorDepth, sample: Sample) -> Painting:
    """Paint the rows that imgcli would write."""
    cells = fit(sample.image.size, COLUMNS, ROWS)
    lines = ansi_lines(draw(sample.image, cells, symbols, depth, _ABLE))
    return _painting(sample, lines)


def ours_of_few(colours: Colours, sample: Sample) -> Painting:
    """Paint the rows that imgcli would write for a terminal that has told its colours."""
    cells, palette = fit(sample.image.size, COLUMNS, ROWS), TerminalPalette(None, colours.sixteen)
    lines = ansi_lines(draw(sample.image, cells, PreviewProtocol.BLOCKS, colours.depth, palette))
    return _painting(sample, lines, colours.sixteen)


def chafas(program: Program, options: Sequence[str], sample: Sample, sixteen: Sequence[RGB] = ()) -> Painting:
    """Paint the rows that a chafa writes; `options` are its symbols and the others."""
    command = [program.path, "-f", "symbols", "-s", f"{COLUMNS}x{ROWS}", "--symbols", *options]
    done = subprocess.run([*command, str(sample.path)], capture_output=True, text=True, check=True)
    return _painting(sample, _rows(done.stdout), sixteen)


def timgs(program: Program, blocks: str, sample: Sample) -> Painting:
    """Paint the rows that timg writes."""
    command = [program.path, f"-p{blocks}", f"-g{COLUMNS}x{ROWS}", str(sample.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return _painting(sample, _rows(done.stdout))


def _rows(text: str) -> list[str]:
    return text.replace("\x1b[?25l", "").replace("\x1b[?25h", "").rstrip("\n").splitlines()


def _painting(sample: Sample, lines: list[str], sixteen: Sequence[RGB] = ()) -> Painting:
    """Paint rows; `sixteen` are the terminal's first colours, VGA's where there are none."""
    cells = [
        [
            replace(
                cell,
                foreground=_themed(cell.foreground, sixteen),
                background=_themed(cell.background, sixteen),
            )
            for cell in row
        ]
        for row in replay(lines)
    ]
    shown = paint(cells, glyph=glyph)
    target = sample.image.resize(shown.size, Image.Resampling.LANCZOS)
    return Painting(shown, target, sum(len(line.encode()) + 1 for line in lines))


def _themed(colour: Any, sixteen: Sequence[RGB]) -> Any:
    return sixteen[colour] if isinstance(colour, int) and colour < len(sixteen) else colour


@functools.cache
def glyph(char: str) -> Image.Image:
    """Return how a terminal draws a character: by the font if it is ASCII, by itself if it is a block."""
    if not char.isascii():
        return bitmap(char)
    found = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(found).text((0, 0), char, 255, _font())
    return found


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(shipped("font")), _FONT_SIZE)


def sixels(encoded: Callable[[Image.Image, Path], str], sample: Sample) -> Painting:
    """Paint sixels of the image at the size that it has on the screen."""
    image = sample.image.resize(fit(sample.image.size, *PIXELS, (1, 1)), reducing_gap=2.0)
    path = sample.path.with_suffix(".sixel.png")
    image.save(path)
    text = encoded(image, path).strip()
    return Painting(replay_sixels(text).image(), image, len(text))


def our_sixels(image: Image.Image, _path: Path) -> str:
    """Return what imgcli sends."""
    return encode(image)


def converts(program: Program, _image: Image.Image, path: Path) -> str:
    """Return what ImageMagick sends."""
    command = [program.path, str(path), "sixel:-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def contests(more_chafas: Sequence[str] = ()) -> Iterator[Contest]:
    """Yield every class, with the programs that are installed."""
    chafa = [program for name in ("chafa", *more_chafas) for program in Program.found(name, "--version")]
    timg = list(Program.found("timg", "--version"))
    for name, sets in _CHAFAS.items():
        found: dict[str, Callable[[Sample], Painting]] = {
            OURS: functools.partial(ours, PreviewProtocol(name), ColorDepth.TRUECOLOR)
        }
        for program, symbols in product(chafa, sets):
            if _draws(program, symbols):  # with the most work that it can be asked to do
                options = (symbols, "-c", "full", "--work", "9")
                found[f"{program.title} {symbols}"] = functools.partial(chafas, program, options)
        for program in timg if name in _TIMGS else ():
            found[f"{program.title} {_TIMGS[name]}"] = functools.partial(timgs, program, _TIMGS[name])
        yield Contest(name, (PSNR, SSIM), found)
    yield from few_colours(chafa)
    found = {OURS: functools.partial(sixels, our_sixels)}
    for program in Program.found("convert", "-version"):
        found[program.title] = functools.partial(sixels, functools.partial(converts, program))
    yield Contest("sixel", (PSNR, WORST, SIZE), found)


def few_colours(chafa: Sequence[Program]) -> Iterator[Contest]:
    """Yield the classes of terminals with few colours, all in blocks."""
    for name, colours in _FEW.items():
        found: dict[str, Callable[[Sample], Painting]] = {OURS: functools.partial(ours_of_few, colours)}
        for program, dither in product(chafa, _DITHERS):
            options = ("block", "-c", colours.word, "--dither", dither, "--work", "9")
            painted = functools.partial(chafas, program, options, sixteen=colours.sixteen)
            found[f"{program.title} dither {dither}"] = painted
        yield Contest(name, colours.measures, found)


@functools.cache
def _draws(program: Program, symbols: str) -> bool:
    """Return whether a chafa knows these symbols: octants came with 1.16."""
    command = [program.path, "--symbols", symbols, "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def samples(names: Sequence[str], folder: Path) -> Iterator[Sample]:
    """Yield photographs, and images of `bench/images.py`, by name."""
    for name in names:
        image = flatten(IMAGES[name]() if name in IMAGES else photograph(name), BLACK)
        path = folder / f"{name}.png"
        image.save(path)
        yield Sample(name, image, path)


def figures(
    contest: Contest, shown: Sequence[Sample], keep: Path | None = None
) -> dict[str, list[list[float]]]:
    """Return for each contestant a row of figures for each image."""
    found = {}
    for title, contestant in contest.contestants.items():
        paintings = [contestant(sample) for sample in shown]
        if keep:
            for sample, painting in zip(shown, paintings, strict=True):
                painting.shown.save(keep / f"{sample.name}-{contest.name}-{title.replace('/', '-')}.png")
        found[title] = [[measure.of(painting) for measure in contest.measures] for painting in paintings]
    return found


def table(contest: Contest, found: dict[str, list[list[float]]]) -> Iterator[str]:
    """Yield the rows of a class: means, and on how many images ours is at least as good in each measure."""
    means = {
        title: [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        for title, rows in found.items()
    }
    headings = " | ".join(measure.name for measure in contest.measures)
    yield f"| {contest.name} | {headings} | imgcli is ahead on |\n|---|{'---|' * (len(contest.measures) + 1)}"
    for title, mean in means.items():
        cells = " | ".join(f"{value:.{m.digits}f}" for m, value in zip(contest.measures, mean, strict=True))
        yield f"| {title} | {cells} | {_won(contest, found[OURS], found[title]) if title != OURS else ''} |"
    yield from verdicts(contest, means)


def verdicts(contest: Contest, means: dict[str, list[float]]) -> Iterator[str]:
    """Yield for each measure whether ours is above the best rival, and by how much."""
    rivals = [title for title in means if title != OURS]
    for i, measure in enumerate(contest.measures if rivals else ()):
        best = max(rivals, key=lambda title: measure.sign * means[title][i])
        lead = measure.sign * (means[OURS][i] - means[best][i])
        answer = "reached" if lead > 0 else "NOT reached"
        yield f"{measure.name}: {answer}, {lead:+.{measure.digits}f} to the best rival, {best}"


def _won(contest: Contest, one: list[list[float]], other: list[list[float]]) -> str:
    pairs = [zip(*rows, strict=True) for rows in zip(one, other, strict=True)]
    wins = [
        [m.sign * (a - b) >= 0 for m, (a, b) in zip(contest.measures, pair, strict=True)] for pair in pairs
    ]
    return " ".join(f"{sum(column)}/{len(wins)}" for column in zip(*wins, strict=True))


def main() -> None:
    """Prints a table for each class; with --keep also leaves the paintings in a folder to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the paintings")
    parser.add_argument("--chafa", action="append", default=[], metavar="PATH", help="one more chafa")
    parser.add_argument("--painted", action="store_true", help="take the nine images that Pillow paints")
    parser.add_argument("classes", nargs="*", help="of half, blocks, sextants, ...: all of them")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        shown = list(samples(list(IMAGES) if options.painted else PHOTOGRAPHS, Path(temporary)))
        print(f"{len(shown)} images, {COLUMNS}x{ROWS} cells of {WIDTH}x{HEIGHT} pixels\n")
        for contest in contests(options.chafa):
            if not options.classes or contest.name in options.classes:
                print(
                    "\n".join(table(contest, figures(contest, shown, options.keep))), end="\n\n", flush=True
                )


if __name__ == "__main__":
    main()
