"""Encodes pictures in kitty's graphics protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/."""

from __future__ import annotations

import io
import secrets
from binascii import b2a_base64
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.core.events import ImageFormat
from imgcli.show.graphics import lay_over
from imgcli.show.painting import Box
from imgcli.show.placeholders import LIMIT, placeholders
from imgcli.show.png import measure
from imgcli.show.shrink import decode, fit
from imgcli.show.tmux import wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.events import Picture
    from imgcli.show.painting import Painting

_CHUNK = 4096  # bytes of base64, the protocol's limit
_ENOUGH = (16, 32)  # pixels of a cell, where nobody knows better
# An id's lowest byte travels through tmux as one of 256 colours, of which the first 16 may be translated.
_FIRST_LOW, _LAST_LOW = 16, 255
_HIGHEST = 255
_TRANSMIT = "a=T,t=d,f=100,q=2"  # a PNG, sent here and shown at once; no answers, for nobody would read them

_LAST_CHUNK = "\x1b_Gq=2,m=0;\x1b\\"


class Route(Enum):
    """The way to the terminal: straight, or through tmux as text that stands for the picture."""

    STRAIGHT = "straight"
    TMUX = "tmux"


def fresh_id() -> int:
    """An image id that no other program on this terminal is likely to use: ids are common to all of them.

    Only its highest and lowest bytes are set, which is as much as placeholders in 256 colours can say.
    """
    low = _FIRST_LOW + secrets.randbelow(_LAST_LOW - _FIRST_LOW)
    return (1 + secrets.randbelow(_HIGHEST)) << 24 | low


def id_after(image_id: int) -> int:
    """The next id of the same kind."""
    low = image_id & _LAST_LOW
    return image_id - low + (low + 1 if low < _LAST_LOW else _FIRST_LOW)


def place(png: bytes, image_id: int, box: Box) -> str:
    """Show a PNG over a box whose top left cell has the cursor, which stays there."""
    return "".join(_chunks(png, f"{_TRANSMIT},i={image_id},c={box.columns},r={box.rows},C=1"))


def place_virtually(png: bytes, image_id: int, box: Box) -> str:
    """Hand a PNG through tmux, to be seen where its placeholders are."""
    control = f"{_TRANSMIT},i={image_id},c={box.columns},r={box.rows},U=1"
    return "".join(map(wrap, _chunks(png, control)))


def delete(image_id: int) -> str:
    """Take an image off the screen and out of the terminal's memory."""
    return f"\x1b_Ga=d,d=I,i={image_id},q=2\x1b\\"


def as_png(picture: Picture, enough: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """A picture's bytes as PNG, and its width and height in pixels; what is PNG already is not touched.

    Others are shrunk to `enough` pixels. Raises Undecodable for what is no picture.
    """
    if picture.format is ImageFormat.PNG:
        return picture.data, measure(picture.data)
    image = decode(picture.data, enough)
    size = image.size
    image.thumbnail(enough, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), size


class KittyPainter:
    """Paints on kitty and its like, at most two images in the terminal's memory at any time.

    `cell` is a cell's width and height in pixels, or in any unit where only their ratio is known.
    """

    def __init__(self, cell: tuple[float, float], route: Route = Route.STRAIGHT) -> None:
        self._cell = cell
        self._route = route
        self._shown: int | None = None
        self._next = fresh_id()

    def paint(self, picture: Picture, box: Box) -> Painting:
        """Show a picture, and only then take the one before away; raises `shrink.Undecodable`."""
        png, size = as_png(picture, (box.columns * _ENOUGH[0], box.rows * _ENOUGH[1]))
        limit = LIMIT if self._route is Route.TMUX else max(box.columns, box.rows)
        cells = Box(*fit(size, min(box.columns, limit), min(box.rows, limit), self._cell))
        image_id, before = self._next, self._shown
        self._shown, self._next = image_id, before or id_after(image_id)
        if self._route is Route.TMUX:
            gone = wrap(delete(before)) if before else ""
            return placeholders(image_id, cells, place_virtually(png, image_id, cells), gone)
        gone = delete(before) if before else ""
        return lay_over(cells, place(png, image_id, cells) + gone)

    def keep(self) -> None:
        """Let what was painted last stay for good: what comes next is another image."""
        if self._shown:
            self._next, self._shown = fresh_id(), None

    def clear(self) -> str:
        """Text that takes the last picture off the screen and out of memory; empty when there is none."""
        if not self._shown:
            return ""
        gone, self._shown = delete(self._shown), None
        return self._routed(gone)

    def abort(self) -> str:
        """Return the end of a transmission: otherwise the next picture, of any program, would be its rest."""
        return self._routed(_LAST_CHUNK)

    def _routed(self, escape: str) -> str:
        return wrap(escape) if self._route is Route.TMUX else escape


def _chunks(png: bytes, control: str) -> Iterator[str]:
    """Cut a transmission into escape sequences; all but the first repeat nothing but `q`."""
    payload = b2a_base64(png, newline=False).decode()
    for start in range(0, len(payload), _CHUNK):
        more = int(start + _CHUNK < len(payload))
        keys = "q=2" if start else control
        yield f"\x1b_G{keys},m={more};{payload[start : start + _CHUNK]}\x1b\\"
