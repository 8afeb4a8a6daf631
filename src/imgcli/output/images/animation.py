"""Animated images: GIF and WebP as frames, one after the other, and kitty's way to play them by itself."""

from __future__ import annotations

import io
import warnings
from binascii import b2a_base64
from typing import TYPE_CHECKING, NamedTuple, Self

from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.output.images.decode import opened
from imgcli.output.images.kitty import KittyRenderer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image as PILImage


_ANIMATED = frozenset({ImageFormat.GIF, ImageFormat.WEBP})
_SHORTEST, _USUAL = 0.011, 0.1  # seconds; browsers show a frame of 10 ms or less for 100
_LONGEST = 60.0
_CHUNK = 4096  # bytes of base64, the protocol's limit
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
        if encoded.format not in _ANIMATED:
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


class PlayingKittyRenderer(KittyRenderer):
    """A kitty that plays animations: it goes on when we have ended, and needs no cleaning up."""

    def play(self, animation: Animation, *, is_endless: bool) -> Iterator[str] | None:
        """Return what plays an animation in the place of its first frame, which is shown.

        None where it is too large to be kept in a terminal.
        """
        image_id = self.shown_id
        return self._played(image_id, animation, is_endless) if image_id and animation.is_small else None

    @staticmethod
    def _played(image_id: int, animation: Animation, is_endless: bool) -> Iterator[str]:  # noqa: FBT001
        control, first = f"a=a,q=2,i={image_id}", True
        for image, seconds in animation.frames():
            gap = round(seconds * 1000)
            if first:  # it is there; from now on, others are shown as they come
                yield f"\x1b_G{control},r=1,z={gap}\x1b\\\x1b_G{control},s=2\x1b\\"
                first = False
                continue
            yield from _chunks(image.data, f"i={image_id},f=100,z={gap}")
        yield f"\x1b_G{control},s=3,v={1 if is_endless else 2}\x1b\\"


def _chunks(png: bytes, keys: str) -> Iterator[str]:
    payload = b2a_base64(png, newline=False).decode()
    for start in range(0, len(payload), _CHUNK):
        more = int(start + _CHUNK < len(payload))
        own = "" if start else f"{keys},"
        yield f"\x1b_Ga=f,q=2,{own}m={more};{payload[start : start + _CHUNK]}\x1b\\"
