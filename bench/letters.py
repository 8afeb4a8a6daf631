"""Prints the tables of `output/images/letters.py`, of ASCII in DejaVu Sans Mono: python bench/letters.py."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import ImageStat

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

from bench.fidelity import glyph  # noqa: E402

from glyphpaint import HEIGHT, WIDTH  # noqa: E402
from imgcli.output.images.glyphs import LETTERS  # noqa: E402

STEPS = 15
MOST = 255**2 / 4  # which is the variance of half black, half white


def main() -> None:
    """Prints a row for each part of a cell, then two of the variance of its pixels."""
    drawn = [glyph(chr(code)) for code in range(33, 127)]
    step = WIDTH // LETTERS.columns, HEIGHT // LETTERS.rows
    parts = [image.reduce(step).tobytes() for image in drawn]
    for row in zip(*parts, strict=True):
        print(f'    "{"".join(f"{round(level / 255 * STEPS):x}" for level in row)}"')
    spreads = [f"{round(ImageStat.Stat(image).var[0] / MOST * 255):02x}" for image in drawn]
    for row in zip(*spreads, strict=True):
        print(f'    "{"".join(row)}"')


if __name__ == "__main__":
    main()
