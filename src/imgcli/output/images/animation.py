"""Animated images, GIF and WebP, decoded frame by frame."""

from __future__ import annotations

import io
import warnings
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self

from imgcli.core.formats import gif, webp
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.output.images.decode import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image as PILImage


_SHORTEST, _USUAL = 0.011, 0.1  # seconds; browsers show a frame of 10 ms or less for 100
_LONGEST = 60.0
_MOST_BYTES = 64_000_000  # that a terminal is to keep of an animation, four for each pixel of each frame


class AnimationFrame(NamedTuple):
    """A frame as a PNG, composed with those before it, and the seconds for which it is shown."""

    image: EncodedImage
    seconds: float


class Animation:
    """An animated image, one frame of it decoded at a time, each at most `enough` pixels wide and high."""

    def __init__(self, data: bytes, enough: tuple[int, int], first: AnimationFrame) -> None:
        self._data = data
        self._enough = enough
        self.first = first

    @classmethod
    def of(cls, encoded: EncodedImage, enough: tuple[int, int]) -> Self | None:
        """Return the animation, None for what has fewer than two frames that can be shown."""
        if not _has_frames(encoded):
            return None
        frames = _frames(encoded.data, enough)
        first = next(frames, None)
        return cls(encoded.data, enough, first) if first and next(frames, None) else None

    def frames(self) -> Iterator[AnimationFrame]:
        """Yield the frames, up to the first that is damaged: what is cut short is shown as far as it goes."""
        return _frames(self._data, self._enough)

    @property
    def is_small(self) -> bool:
        """Whether a terminal can keep all of it."""
        try:
            image = opened(self._data)
            count = getattr(image, "n_frames", 1)
        except Exception:  # noqa: BLE001 - decoders raise what they like on damaged bytes
            return False
        sides = zip(image.size, self._enough, strict=True)
        width, height = (min(side, most) for side, most in sides)
        return bool(count * width * height * 4 <= _MOST_BYTES)


def _has_frames(encoded: EncodedImage) -> bool:
    """Return whether a file has more than one frame; decoding a large one to find out takes long."""
    match encoded.format:
        case ImageFormat.GIF:
            kinds, frame = (block.kind for block in gif.blocks(encoded.data)), gif.IMAGE
        case ImageFormat.WEBP:
            kinds, frame = (chunk.kind for chunk in webp.chunks(encoded.data)), webp.FRAME
        case _:
            return False
    return sum(1 for _ in islice((kind for kind in kinds if kind == frame), 2)) > 1


def _frames(data: bytes, enough: tuple[int, int]) -> Iterator[AnimationFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = opened(data)
    number = 0
    while (frame := _frame(image, number, enough)) is not None:
        yield frame
        number += 1


def _frame(image: PILImage, number: int, enough: tuple[int, int]) -> AnimationFrame | None:
    """Decode the next frame; None where there is none, or none that is whole."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.seek(number)
            shown = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Exception:  # noqa: BLE001 - decoders raise what they like on damaged bytes
        return None
    seconds = float(image.info.get("duration") or 0) / 1000
    shown.thumbnail(enough, reducing_gap=2.0)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", compress_level=1)
    seconds = _USUAL if seconds < _SHORTEST else min(seconds, _LONGEST)
    return AnimationFrame(EncodedImage.of(buffer.getvalue()), seconds)
