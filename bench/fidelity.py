"""Prints how close our block glyphs and chafa's come to nine images: PSNR and SSIM, side by side.

Both outputs are replayed and painted by the same painter, 8x16 pixels a cell, and compared with the image
scaled to that size. SSIM is the mean over every 7x7 window of the luma, as in the literature. Then come
sixels, ours and ImageMagick's: PSNR, the worst mean error of any 8x8 pixels, and the bytes that are sent.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageMath, ImageStat

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

from bench.images import IMAGES  # noqa: E402

from glyphpaint import paint, replay  # noqa: E402
from imgcli.output.images.blocks import ansi_lines, draw  # noqa: E402
from imgcli.output.images.decode import fit, flatten  # noqa: E402
from imgcli.output.images.sixel import encode  # noqa: E402
from imgcli.output.terminal.capabilities import ColorDepth  # noqa: E402
from imgcli.output.terminal.database import PreviewProtocol  # noqa: E402
from test_sixel import draw as replay_sixels  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS, ROWS = 80, 40
PIXELS = 720, 438  # of a sixel image in 80 columns and 22 rows
WINDOW = 7
BLACK = (0, 0, 0)
OURS = (PreviewProtocol.HALF, PreviewProtocol.BLOCKS, PreviewProtocol.SEXTANTS, PreviewProtocol.OCTANTS)
CHAFAS = {  # its defaults, then the most work it can be asked to do
    "chafa block": ("block",),
    "block w9": ("block", "--work", "9"),
    "+sextant w9": ("block+sextant", "--work", "9"),
    "+border w9": ("block+border+sextant", "--work", "9"),
}


@dataclass(frozen=True, slots=True)
class Score:
    """How close a painting comes: decibels, and likeness of structure up to 1."""

    psnr: float
    ssim: float


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Peak signal to noise in dB over the three channels."""
    error = sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2) / (3 * one.width * one.height)
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Structural similarity (Wang et al. 2004) of the luma, uniform windows at every place."""
    x, y = (image.convert("L").convert("F") for image in (one, other))
    moments = [x, y, *(_calc(lambda a, b: a * b, *pair) for pair in ((x, x), (y, y), (x, y)))]
    total = [
        _mean_ssim([image.crop((left, top, *image.size)) for image in moments]) for left, top in _offsets()
    ]
    return sum(total) / len(total)


def _offsets() -> Iterator[tuple[int, int]]:
    return ((left, top) for left in range(WINDOW) for top in range(WINDOW))


def _mean_ssim(moments: list[Image.Image]) -> float:
    size = moments[0].width // WINDOW * WINDOW, moments[0].height // WINDOW * WINDOW
    local = [image.crop((0, 0, *size)).reduce(WINDOW) for image in moments]
    return _mean(_calc(_ssim, *local))


def _mean(image: Image.Image) -> float:
    value = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    if not isinstance(value, float):
        raise TypeError(f"an image of mode F has floats, not {value!r}")
    return value


def _ssim(x: Any, y: Any, xx: Any, yy: Any, xy: Any) -> Any:
    small, medium = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    product, squares = x * y, x * x + y * y
    likeness = (product * 2 + small) * ((xy - product) * 2 + medium)
    return likeness / ((squares + small) * (xx + yy - squares + medium))


def _calc(rule: Callable[..., Any], *images: Image.Image) -> Image.Image:
    named = {f"image{i}": image for i, image in enumerate(images)}
    found: Image.Image = ImageMath.lambda_eval(lambda known: rule(*(known[name] for name in named)), **named)
    return found


def ours(shown: Image.Image, symbols: PreviewProtocol, depth: ColorDepth = ColorDepth.TRUECOLOR) -> list[str]:
    """The rows that imgcli would write."""
    return ansi_lines(draw(shown, fit(shown.size, COLUMNS, ROWS), symbols, depth))


def chafas(path: Path, symbols: str, *options: str) -> list[str]:
    """The rows that chafa writes."""
    command = ["chafa", "-f", "symbols", "-c", "full", "-s", f"{COLUMNS}x{ROWS}", "--symbols", symbols]
    done = subprocess.run([*command, *options, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def scored(lines: list[str], shown: Image.Image, kept: Path | None = None) -> Score:
    """The rows, painted, against the image at the same size; `kept` is where to keep the painting."""
    painted = paint(replay(lines))
    if kept:
        painted.save(kept)
    target = shown.resize(painted.size, Image.Resampling.LANCZOS)
    return Score(psnr(painted, target), ssim(painted, target))


def compared(name: str, folder: Path, *, has_chafa: bool) -> dict[str, Score]:
    """Every contestant's score for one image. All get it without transparency, which is best for chafa."""
    shown = flatten(IMAGES[name](), BLACK)
    path = folder / f"{name}.png"
    shown.save(path)
    lines = {symbols.value: ours(shown, symbols) for symbols in OURS}
    if has_chafa:
        lines |= {title: chafas(path, *options) for title, options in CHAFAS.items()}
    return {title: scored(rows, shown, folder / f"{name}-{title}.png") for title, rows in lines.items()}


def sixels(shown: Image.Image, folder: Path) -> str:
    """The row of an image in sixels; ImageMagick's beside it, where it is installed."""
    image = shown.resize(fit(shown.size, *PIXELS, (1, 1)), reducing_gap=2.0)
    found = [encode(image)]
    if shutil.which("convert"):
        path = folder / "shown.png"
        image.save(path)
        done = subprocess.run(["convert", str(path), "sixel:-"], capture_output=True, text=True, check=True)
        found.append(done.stdout)
    return "".join(_sixel_score(image, text) for text in found)


def _sixel_score(image: Image.Image, text: str) -> str:
    seen = replay_sixels(text.strip()).image()
    bands = ImageChops.difference(image.reduce(8), seen.reduce(8)).split()
    worst = max(max(band.tobytes()) for band in bands)
    return f"{psnr(image, seen):9.2f} {worst:5} {len(text) / 1000:6.0f} kB"


def verdict(scores: dict[str, Score]) -> str:
    """Whether blocks are at least chafa's blocks, and octants above its best."""
    blocks = all(_reaches(scores["blocks"], scores[title]) for title in ("chafa block", "block w9"))
    octants = all(_reaches(scores["octants"], scores[title]) for title in CHAFAS)
    return f"{'yes' if blocks else 'NO':6}{'yes' if octants else 'NO'}"


def _reaches(one: Score, other: Score) -> bool:
    return one.psnr >= other.psnr and one.ssim >= other.ssim


def main() -> None:
    """Prints the table; with --keep also leaves the paintings in a folder to look at."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", type=Path, help="a folder for the paintings")
    kept: Path | None = options.parse_args().keep
    has_chafa = shutil.which("chafa") is not None
    if not has_chafa:
        print("chafa is not installed: ours alone\n")
    titles = [symbols.value for symbols in OURS] + (list(CHAFAS) if has_chafa else [])
    print(
        f"{'PSNR, SSIM':10}",
        *(f"{title:>13}" for title in titles),
        " blocks>= octants>=" if has_chafa else "",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in IMAGES:
            scores = compared(name, folder, has_chafa=has_chafa)
            cells = (f"{score.psnr:6.2f} {score.ssim:.4f}" for score in scores.values())
            print(f"{name:10}", *cells, " " + verdict(scores) if has_chafa else "", flush=True)
        print(f"\n{'sixels':10}{'ours: dB, worst, size':>26}{'ImageMagick':>26}")
        for name in IMAGES:
            print(f"{name:10}{sixels(flatten(IMAGES[name](), BLACK), folder)}", flush=True)


if __name__ == "__main__":
    main()
