"""Images encoded in kitty's graphics protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/."""

from __future__ import annotations

import io
import secrets
from binascii import b2a_base64
from enum import Enum
from functools import cache
from math import inf
from typing import TYPE_CHECKING

from imgcli.core.image import ImageFormat
from imgcli.output.images.decode import decode, fit, measure
from imgcli.output.images.protocol import Box, Frame, Graphic, overlay_frame
from imgcli.output.terminal.answers import wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.image import EncodedImage


_PLACEHOLDER = "\U0010eeee"
# rowcolumn-diacritics.txt of the protocol: the nth of these code points stands for the number n.
_DIACRITICS = (
    "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 "
    "5AB-5AC 5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D "
    "73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 "
    "135D-135F 17DD 193A 1A17 1A75-1A7C 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 "
    "1DCB-1DCC 1DD1-1DE6 1DFE 20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F "
    "A67C-A67D A6F0-A6F1 A8E0-A8F1 AAB0 AAB2-AAB3 AAB7-AAB8 AABE-AABF AAC1 FE20-FE26 10A0F 10A38 1D185-1D189 "
    "1D1AA-1D1AD 1D242-1D244"
)
LIMIT = 297
"""As many rows, or columns, as there are diacritics to number them."""


@cache
def diacritics() -> str:
    """Return the characters that stand for 0, 1, 2 and so on."""
    return "".join(map(_expand, _DIACRITICS.split()))


def placeholders(image_id: int, box: Box, before: str, after: str) -> Frame:
    """Return rows of text that show a virtually placed image in a box of at most LIMIT cells a side.

    Each cell says all there is to know of itself, so that it can be redrawn alone. `before` is written before
    them, `after` when they are there.
    """
    number = diacritics()
    high = number[image_id >> 24]
    colour = f"\x1b[38;5;{image_id & 0xFF}m"
    tails = [number[column] + high for column in range(box.columns)]
    lines = tuple(
        colour + "".join(_PLACEHOLDER + number[row] + tail for tail in tails) + "\x1b[39m"
        for row in range(box.rows)
    )
    return Frame(lines, box.columns, (Graphic(before, is_first=True), *([Graphic(after)] if after else [])))


def _expand(span: str) -> str:
    first, _, last = span.partition("-")
    return "".join(map(chr, range(int(first, 16), int(last or first, 16) + 1)))


_CHUNK = 4096  # bytes of base64, the protocol's limit
_ENOUGH = (16, 32)  # pixels of a cell, where nobody knows better
_SMALL = 2_000_000  # bytes of a PNG that is not worth decoding: sending it takes less time
# An id's lowest byte travels through tmux as one of 256 colours, of which the first 16 may be translated.
_FIRST_LOW, _LAST_LOW = 16, 255
_HIGHEST = 127  # of an id's highest byte: Konsole shows nothing for an id from 2^31 on
_TRANSMIT = "a=T,t=d,f=100,q=2"  # a PNG, sent here and shown at once; no answers, for nobody would read them

_LAST_CHUNK = "\x1b_Gq=2,m=0;\x1b\\"


class Route(Enum):
    """The way to the terminal: straight, or through tmux as text that stands for the image."""

    STRAIGHT = "straight"
    TMUX = "tmux"


def fresh_id() -> int:
    """Return an image id that no other program on this terminal is likely to use: they share all ids.

    Only its highest and lowest bytes are set, which is as much as placeholders in 256 colours can say.
    """
    low = _FIRST_LOW + secrets.randbelow(_LAST_LOW - _FIRST_LOW)
    return (1 + secrets.randbelow(_HIGHEST)) << 24 | low


def id_after(image_id: int) -> int:
    """Return the next id of the same kind."""
    low = image_id & _LAST_LOW
    return image_id - low + (low + 1 if low < _LAST_LOW else _FIRST_LOW)


def fresh_ids() -> Iterator[int]:
    """Yield ids of which neither one nor the id after it comes again among the next 15,000."""
    image_id = fresh_id()
    while True:
        yield image_id
        high, low = image_id >> 24, id_after(id_after(image_id)) & _LAST_LOW
        image_id = (high % _HIGHEST + 1) << 24 | low


def place(png: bytes, image_id: int, box: Box) -> str:
    """Show a PNG over a box whose top left cell has the cursor, which stays there."""
    return "".join(_chunks(png, f"{_TRANSMIT},i={image_id},c={box.columns},r={box.rows},C=1"))


def place_virtually(png: bytes, image_id: int, box: Box) -> str:
    """Send a PNG through tmux, to be seen where its placeholders are."""
    control = f"{_TRANSMIT},i={image_id},c={box.columns},r={box.rows},U=1"
    return "".join(map(wrap, _chunks(png, control)))


def delete(image_id: int) -> str:
    """Take an image off the screen and out of the terminal's memory."""
    return f"\x1b_Ga=d,d=I,i={image_id},q=2\x1b\\"


def as_png(encoded: EncodedImage, enough: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """Return an image's bytes as PNG, and its width and height in pixels; a small PNG is not touched.

    Anything else is shrunk to `enough` pixels, where that is less to send. Raises Undecodable for what is no
    image.
    """
    if encoded.format is not ImageFormat.PNG:
        return _shrunk(encoded, enough)
    size = measure(encoded.data)
    if len(encoded.data) <= _SMALL or (size[0] <= enough[0] and size[1] <= enough[1]):
        return encoded.data, size
    return min((encoded.data, size), _shrunk(encoded, enough), key=lambda png: len(png[0]))


def _shrunk(encoded: EncodedImage, enough: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    image = decode(encoded.data, enough)
    size = image.size
    image.thumbnail(enough, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), size


class KittyRenderer:
    """Paints on kitty and its like, at most two images in the terminal's memory at any time.

    `cell` is a cell's width and height in pixels, or in any unit where only their ratio is known. `enough` is
    how many pixels of an image a cell can show, `zoom` how many of the unit a pixel may take. `ids` are those
    that it may use, each with the id after it.
    """

    def __init__(
        self,
        cell: tuple[float, float],
        route: Route = Route.STRAIGHT,
        ids: Iterator[int] | None = None,
        enough: tuple[int, int] = _ENOUGH,
        zoom: float = inf,
    ) -> None:
        self._zoom = zoom
        self._cell = cell
        self._enough = enough
        self._route = route
        self._shown: int | None = None
        self._ids = ids or fresh_ids()
        self._next = next(self._ids)

    def sibling(self) -> KittyRenderer:
        """Return a renderer for another image on the same screen."""
        return KittyRenderer(self._cell, self._route, self._ids, self._enough, self._zoom)

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Show an image, and only then take the one before away; raises `decode.Undecodable`."""
        png, size = as_png(encoded, (box.columns * self._enough[0], box.rows * self._enough[1]))
        limit = LIMIT if self._route is Route.TMUX else max(box.columns, box.rows)
        cells = Box(*fit(size, min(box.columns, limit), min(box.rows, limit), self._cell, self._zoom))
        image_id, before = self._next, self._shown
        self._shown, self._next = image_id, before or id_after(image_id)
        if self._route is Route.TMUX:
            gone = wrap(delete(before)) if before else ""
            return placeholders(image_id, cells, place_virtually(png, image_id, cells), gone)
        gone = delete(before) if before else ""
        return overlay_frame(cells, place(png, image_id, cells) + gone)

    def keep(self) -> None:
        """Keep what was painted last for good: what comes next is another image."""
        if self._shown:
            self._next, self._shown = next(self._ids), None

    def clear(self) -> str:
        """Return the text that deletes the last image, from memory too; empty when there is none."""
        if not self._shown:
            return ""
        gone, self._shown = delete(self._shown), None
        return self._routed(gone)

    def abort(self) -> str:
        """Return the end of a transmission: otherwise the next image, of any program, would be its rest."""
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
