"""Animations that kitty plays by itself: https://sw.kovidgoyal.net/kitty/graphics-protocol/#animation."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

from imgcli.output.images.kitty import KittyRenderer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.output.images.animation import Animation


_CHUNK = 4096  # bytes of base64, the protocol's limit


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
