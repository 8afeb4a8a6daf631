"""Runs of one colour in an image with a palette, made longer: a change of colour costs bytes as sixels.

A pixel takes the colour of one beside it or above it in its row of sixels, where that is nearer to the image
than its own (Pillow looks up a palette only roughly), or hardly farther. A colour that goes on needs no bytes
for a gap, and a column of six pixels is sent once for each of its colours.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

_BAND = 6  # rows of pixels that a row of sixels has
_STRIDE = 4  # columns of pixels in a stride; the same one of all strides is done at once
_ABOVE = 2  # pixels above that are looked at: more of them save next to nothing
_TOP = 255
_SCALE = 8  # squares of a level that are one step of an error: then those of 45 levels fit a byte
_WEIGHTS = (0.3, 0.5, 0.2, 0)  # of red, green and blue in an error


def lengthened(indexed: Image, image: Image, tolerance: Image) -> Image:
    """Return an image of mode P with longer runs of its colours; `image` is what it should look like, in RGB.

    `tolerance`, mode L, says for each pixel by how many steps of an error it may be farther from that.
    Columns are done one after the other, so that each goes on with what the one before was given.
    """
    from PIL import Image as Pillow
    from PIL import ImageChops

    from imgcli.output.images.cells import part
    from imgcli.output.images.glyphs import Grid

    width, height = indexed.size
    whole = (0, 0, width + -width % _STRIDE, height + -height % _BAND)
    numbers = Pillow.frombytes("L", indexed.size, indexed.tobytes())
    cut = [one.crop(whole) for one in (numbers, image, tolerance)]
    levels, grid = indexed.getpalette() or [], Grid(_STRIDE, _BAND)
    found: dict[tuple[int, int], Image] = {}
    for column, row in product(range(_STRIDE), range(_BAND)):
        own, target, more = (part(one, grid, _STRIDE * row + column) for one in cut)
        near = [found[column, above] for above in range(max(0, row - _ABOVE), row)]
        if column:
            near.append(found[column - 1, row])
        if column == _STRIDE - 1:
            near.append(ImageChops.offset(found[0, row], -1, 0))
        found[column, row] = _chosen(own, near, target, more, levels)
    joined = Pillow.frombytes("P", (whole[2], whole[3]), _joined(found, whole[2])).crop((0, 0, width, height))
    joined.putpalette(levels)
    return joined


def _chosen(
    own: Image, near: Sequence[Image], target: Image, tolerance: Image, levels: Sequence[int]
) -> Image:
    """Return for each pixel the colour nearest to the target of those near it, or else its own."""
    from PIL import ImageChops

    least = ImageChops.add(_errors(own, target, levels), tolerance)
    found = own.copy()
    for numbers in near:
        errors = _errors(numbers, target, levels)
        is_less = ImageChops.subtract(least, errors).point([0] + [_TOP] * _TOP)
        found.paste(numbers, mask=is_less)
        least = ImageChops.darker(least, errors)
    return found


def _errors(numbers: Image, target: Image, levels: Sequence[int]) -> Image:
    """Return how far each pixel's colour is from the target, mode L: squares, in steps."""
    from PIL import Image as Pillow
    from PIL import ImageChops

    shown = Pillow.frombytes("P", numbers.size, numbers.tobytes())
    shown.putpalette(levels)
    squares = [min(_TOP, level * level // _SCALE) for level in range(_TOP + 1)]
    return ImageChops.difference(shown.convert("RGB"), target).point(squares * 3).convert("L", _WEIGHTS)


def _joined(planes: dict[tuple[int, int], Image], width: int) -> bytes:
    """Return the pixels of images that have every other column, and one row of each band."""
    found, step = bytearray(), width // _STRIDE
    rows = {place: plane.tobytes() for place, plane in planes.items()}
    for start in range(0, len(rows[0, 0]), step):
        for row in range(_BAND):
            line = bytearray(width)
            for column in range(_STRIDE):
                line[column::_STRIDE] = rows[column, row][start : start + step]
            found += line
    return bytes(found)
