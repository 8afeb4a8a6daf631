"""A painter for tests of everything but the painting: valid images of one colour, in no time."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from imgcli.demo.painter import painter
from imgcli.demo.provenance import mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.demo.painter.painter import PaintJob
    from imgcli.demo.validation import Encoding


_REAL = painter.PaintedImage


class FlatPainting:
    """Takes the place of `painter.PaintedImage`: every image and partial has a colour of its own."""

    def __init__(self, job: PaintJob) -> None:
        self._job = job

    def final(self, encoding: Encoding) -> bytes:
        """Return the image, encoded; a drawing is the real one, which costs no time."""
        if encoding.format == "svg":
            return _REAL(self._job).final(encoding)
        return mark(self._flat("final", encoding))

    def partial(self, index: int, count: int, encoding: Encoding) -> bytes:
        """Return partial number `index`, from 0, of `count`, encoded."""
        return self._flat(f"{index}/{count}", encoding)

    def _flat(self, purpose: str, encoding: Encoding) -> bytes:
        red, green, blue = random.Random(f"{purpose} {self._job}").randbytes(3)
        mode = "RGBA" if self._job.transparent else "RGB"
        return painter.encode(Image.new(mode, self._job.size, (red, green, blue)), encoding)


@contextmanager
def painted_flat() -> Iterator[None]:
    """Let every demo server in this process paint flat."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter, "PaintedImage", FlatPainting)
        yield
