"""Cells for a terminal with few colors or none: error diffusion."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, reduce
from itertools import chain, product
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from imgcli.core.params import PreviewProtocol
from imgcli.output.images.block_image import BlockImage
from imgcli.output.images.cells import mosaic, part, sample
from imgcli.output.images.diffusion import Diffusion, mixed
from imgcli.output.images.glyphs import HALVES, OCTANTS, QUADRANTS, SEXTANTS, Glyph, Grid, dots, splits
from imgcli.output.terminal.capabilities import ColorDepth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PILImage

    from imgcli.output.images.glyphs import Shape


_RAMP = " .:-=+*#%@"  # by how much of a cell a letter lights
_SHARE = 0.75  # of an error in brightness that goes to the neighbours: the rest would be noise close up
_FIXED = 16  # the first of the 256 colours that no theme redefines
# The fewer the colours the farther they are apart, and the less is true without what the neighbours pay.
_DIFFUSIONS = {
    ColorDepth.ANSI_256: Diffusion(far=0.1, share=0.75, most=64),
    ColorDepth.ANSI_16: Diffusion(far=0.25, share=1, most=192),
}
_LUMINANCE = (0.2126, 0.7152, 0.0722, 0.0)  # of linear red, green and blue
_WHOLE = Grid(1, 1)
_FINEST = {
    PreviewProtocol.HALF: HALVES,
    PreviewProtocol.BLOCKS: QUADRANTS,
    PreviewProtocol.SEXTANTS: SEXTANTS,
    PreviewProtocol.OCTANTS: OCTANTS,
}


RGB = tuple[int, int, int]


def dithered(
    image: PILImage,
    cells: tuple[int, int],
    symbols: PreviewProtocol,
    depth: ColorDepth,
    sixteen: Sequence[RGB] = (),
) -> BlockImage:
    """Draw an RGB image into (columns, rows) cells in 256 or `sixteen` colours, mixed where none fits."""
    return _in_few(mosaic(image, cells, splits(symbols)), splits(symbols), depth, sixteen)


def monochrome(
    image: PILImage, cells: tuple[int, int], symbols: PreviewProtocol, *, dark: bool
) -> BlockImage:
    """Draw an RGB image into (columns, rows) cells with the finest dots of a set.

    Light dots are lit on a dark background, dark ones on a light one. They are mixed in linear light, as the
    eye does from afar: half of the dots are not half as bright as sRGB has it.
    """
    grid = _FINEST[symbols]
    light = sample(image, cells, grid).point(_linear() * 3).convert("L", _LUMINANCE)
    mixed = (light if dark else ImageChops.invert(light)).convert("1").convert("L")
    bits = [part(mixed, grid, i).point([0, *[1 << i] * 255]) for i in range(grid.parts)]
    return BlockImage(cells[0], _spelled(reduce(ImageChops.add, bits), dots(grid)), None, None)


def letters(
    image: PILImage,
    cells: tuple[int, int],
    depth: ColorDepth,
    sixteen: Sequence[RGB] = (),
    *,
    dark: bool,
) -> BlockImage:
    """Draw an RGB image into (columns, rows) letters of ASCII, each the one that is most like its place.

    Without colours it is by how dense they are: the denser the farther from the background.
    """
    if depth <= ColorDepth.MONO:
        small = sample(image, cells, _WHOLE)
        return BlockImage(
            cells[0], _ramp((small if dark else ImageChops.invert(small)).convert("L")), None, None
        )
    exact = mosaic(image, cells, splits(PreviewProtocol.ASCII))
    if depth is ColorDepth.TRUECOLOR:
        return exact
    return _in_few(exact, splits(PreviewProtocol.ASCII), depth, sixteen)


@cache
def palette(depth: ColorDepth) -> tuple[RGB, ...]:
    """Return the colours of a terminal that has 256, or VGA's 16, as (red, green, blue) by number."""
    colours = [(170 * (n & 1), 170 * (n >> 1 & 1), 170 * (n >> 2)) for n in range(8)]
    colours[3] = (170, 85, 0)  # brown, not dark yellow
    colours += [(85 + 170 * (n & 1), 85 + 170 * (n >> 1 & 1), 85 + 170 * (n >> 2)) for n in range(8)]
    if depth is ColorDepth.ANSI_256:
        steps = (0, 95, 135, 175, 215, 255)
        colours += [*product(steps, steps, steps), *((n, n, n) for n in range(8, 248, 10))]
    return tuple(colours)


@cache
def _linear() -> list[int]:
    """Return the light, up to 255, of each level of sRGB."""
    levels = (level / 255 for level in range(256))
    return [round(255 * (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)) for v in levels]  # noqa: PLR2004 - sRGB's own


def _ramp(brightness: PILImage) -> str:
    """Return a letter for each pixel of mode L."""
    steps = range(len(_RAMP))
    greys = tuple((255 * step // steps[-1],) * 3 for step in steps)
    return _spelled(_diffused(brightness.convert("RGB"), greys), _RAMP)


def _in_few(
    exact: BlockImage, choices: Sequence[Glyph | Shape], depth: ColorDepth, sixteen: Sequence[RGB]
) -> BlockImage:
    """Return an image in true colours in those of a terminal that has few."""
    if exact.foreground is None or exact.background is None:
        return exact
    first = _FIXED if depth is ColorDepth.ANSI_256 else 0
    own = sixteen if depth is ColorDepth.ANSI_16 and sixteen else palette(depth)[first:]
    share = {choice.char: choice.share / choice.grid.parts for choice in choices} | {" ": 0}
    shares = [share[char] for char in exact.text]
    pair = mixed(exact.foreground, exact.background, shares, own, _DIFFUSIONS[depth])
    ink, paper = (numbers.point([min(number + first, 255) for number in range(256)]) for numbers in pair)
    return replace(exact, foreground=ink, background=paper)


def _diffused(image: PILImage, colours: Sequence[RGB]) -> PILImage:
    """Return an RGB image in these colours, by Floyd and Steinberg; mode L, with places in the sequence."""
    table = Image.new("P", (1, 1))
    table.putpalette(bytes(chain.from_iterable(colours)))
    nearest = image.quantize(palette=table, dither=Image.Dither.NONE).convert("RGB")
    found = Image.blend(nearest, image, _SHARE).quantize(palette=table, dither=Image.Dither.FLOYDSTEINBERG)
    return Image.frombytes("L", found.size, found.tobytes())


def _spelled(numbers: PILImage, alphabet: str) -> str:
    return numbers.tobytes().decode("latin-1").translate(dict(enumerate(alphabet)))
