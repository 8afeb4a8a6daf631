"""Arithmetic on whole images of numbers, by Pillow's ImageMath."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageMath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from PIL.Image import Image as PILImage


def mean_row(rows: PILImage) -> PILImage:
    """Return the mean of all rows."""
    total = folded(lambda a, b: a + b, rows)
    return calc(lambda a: a * (1 / rows.height), total)


def folded(rule: Callable[[Any, Any], Any], rows: PILImage) -> PILImage:
    """Return one row: the rule applied between all of them, in any order."""
    odd = []
    while rows.height > 1:
        half = rows.height // 2
        if rows.height % 2:
            odd.append(row_at(rows, rows.height - 1))
        rows = calc(rule, *(rows.crop((0, top, rows.width, top + half)) for top in (0, half)))
    return functools.reduce(functools.partial(calc, rule), odd, rows)


def calc(rule: Callable[..., Any], *images: PILImage) -> PILImage:
    """Return the image whose pixels are the rule's results for the pixels of the given ones."""
    named = {f"image{i}": image for i, image in enumerate(images)}
    found: PILImage = ImageMath.lambda_eval(lambda known: rule(*(known[name] for name in named)), **named)
    return found


def total(images: Iterable[PILImage]) -> PILImage:
    """Return the sum of images."""
    return calc(lambda *images: functools.reduce(operator.add, images), *images)


def stacked(images: Sequence[PILImage]) -> PILImage:
    """Stack images of one width, one under another."""
    size = images[0].width, sum(image.height for image in images)
    found = Image.new(images[0].mode, size, None)  # not filled: all of it is pasted over
    top = 0
    for image in images:
        found.paste(image, (0, top))
        top += image.height
    return found


def row_at(rows: PILImage, index: int) -> PILImage:
    """Return one row."""
    return rows.crop((0, index, rows.width, index + 1))


def repeated(row: PILImage, count: int) -> PILImage:
    """Return so many copies of a row, one under another."""
    return stacked([row] * count)  # `resize` looks every pixel up


def beside(images: Sequence[PILImage]) -> PILImage:
    """Put images of one size beside each other."""
    width, height = images[0].size
    found = Image.new(images[0].mode, (len(images) * width, height), None)
    for number, image in enumerate(images):
        found.paste(image, (number * width, 0))
    return found


def cut(rows: PILImage, count: int) -> list[PILImage]:
    """Cut an image into so many of equal width."""
    width = rows.width // count
    return [rows.crop((left, 0, left + width, rows.height)) for left in range(0, rows.width, width)]


def constant_rows(mode: str, width: int, values: Sequence[float]) -> PILImage:
    """Return an image of constant rows."""
    column = Image.new(mode, (1, len(values)))
    column.putdata(values)
    return column.resize((width, len(values)), Image.Resampling.NEAREST)
