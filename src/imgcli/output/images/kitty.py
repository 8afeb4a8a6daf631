"""Images encoded in kitty's graphics protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/."""

from __future__ import annotations

import io
import os
import secrets
import time
from binascii import b2a_base64
from contextlib import suppress
from enum import Enum
from functools import cache
from math import inf
from typing import TYPE_CHECKING

from imgcli.core.image import ImageFormat
from imgcli.output.images.decode import decode, fit, measure
from imgcli.output.images.protocol import Box, Frame, Graphic, overlay_frame
from imgcli.output.terminal.answers import KITTY_FILE, wrap

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
_MOST_SHRUNK = 2  # times that a terminal makes an image smaller without losing pixels in between
_SHOW = "a=T,f=100,q=2"  # a PNG, shown at once; no answers, for nobody would read them
_PATIENCE = 0.5  # seconds that a terminal has at the end to read what it was told to

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


class ImageFiles:
    """Temporary files that a terminal on this machine reads and deletes; what it left, `close` deletes."""

    def __init__(self) -> None:
        self._paths: list[str] = []

    def question(self) -> bytes:
        """Write a pixel, and return the question whether the terminal sees it; empty where that failed."""
        path = self.write(bytes(3))
        return KITTY_FILE % b2a_base64(os.fsencode(path), newline=False) if path else b""

    @property
    def are_read(self) -> bool:
        """Whether the terminal has deleted all of them, which nobody else would."""
        self._paths = list(filter(os.path.lexists, self._paths))
        return not self._paths

    def write(self, data: bytes) -> str:
        """Write a file that only we and root can read, and return its path; empty where that failed."""
        import tempfile

        with suppress(OSError):
            fd, path = tempfile.mkstemp(prefix="imgcli-tty-graphics-protocol-")
            self._paths.append(path)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            return path
        return ""

    def close(self, patience: float = _PATIENCE) -> None:
        """Wait at most so many seconds for the terminal, then delete what it left."""
        from pathlib import Path

        deadline = time.monotonic() + patience
        while not self.are_read and time.monotonic() < deadline:
            time.sleep(0.005)
        for path in self._paths:
            with suppress(OSError):
                Path(path).unlink()
        self._paths = []


def place(png: bytes, image_id: int, box: Box, *, is_brief: bool = False) -> str:
    """Show a PNG over a box whose top left cell has the cursor, which stays there.

    One that is soon replaced may be forgotten before others, and need not go to kitty's disk.
    """
    return "".join(_chunks(png, f"{_SHOW},t=d,{_placed(image_id, box, is_brief=is_brief)}"))


def place_file(path: str, image_id: int, box: Box, *, is_brief: bool = False) -> str:
    """Show a PNG that is in a file, as `place` does; the terminal deletes it."""
    keys = _placed(image_id, box, is_brief=is_brief)
    return "".join(_chunks(os.fsencode(path), f"{_SHOW},t=t,p=1,{keys}"))


def move(image_id: int, box: Box) -> str:
    """Show here what `place_file` has shown elsewhere."""
    return f"\x1b_Ga=p,q=2,p=1,{_placed(image_id, box)}\x1b\\"


def _placed(image_id: int, box: Box, *, is_brief: bool = False) -> str:
    return f"i={image_id},c={box.columns},r={box.rows},C=1{',N=1' if is_brief else ''}"


def place_virtually(png: bytes, image_id: int, box: Box) -> str:
    """Send a PNG through tmux, to be seen where its placeholders are."""
    control = f"{_SHOW},t=d,i={image_id},c={box.columns},r={box.rows},U=1"
    return "".join(map(wrap, _chunks(png, control)))


def delete(image_id: int) -> str:
    """Take an image off the screen and out of the terminal's memory."""
    return f"\x1b_Ga=d,d=I,i={image_id},q=2\x1b\\"


def as_png(
    encoded: EncodedImage, enough: tuple[int, int], *, is_sent: bool = True
) -> tuple[bytes, tuple[int, int]]:
    """Return an image's bytes as PNG, and its width and height in pixels; a small PNG is not touched.

    Anything else is shrunk to `enough` pixels, where that is less to send, or where the terminal would do it
    badly. Raises Undecodable for what is no image.
    """
    if encoded.format is not ImageFormat.PNG:
        return _shrunk(encoded, enough)
    size = measure(encoded.data)
    most = 1 if is_sent else _MOST_SHRUNK
    if len(encoded.data) <= _SMALL or (size[0] <= most * enough[0] and size[1] <= most * enough[1]):
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
    that it may use, each with the id after it; `files` are for a terminal that reads them.
    """

    def __init__(
        self,
        cell: tuple[float, float],
        route: Route = Route.STRAIGHT,
        ids: Iterator[int] | None = None,
        enough: tuple[int, int] = _ENOUGH,
        zoom: float = inf,
        files: ImageFiles | None = None,
    ) -> None:
        self._files = files
        self._zoom = zoom
        self._cell = cell
        self._enough = enough
        self._route = route
        self._shown: int | None = None
        self._ids = ids or fresh_ids()
        self._next = next(self._ids)
        self.takes_hints = False
        self.is_brief = False

    def sibling(self) -> KittyRenderer:
        """Return a renderer for another image on the same screen."""
        return KittyRenderer(self._cell, self._route, self._ids, self._enough, self._zoom, self._files)

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Show an image, and only then take the one before away; raises `decode.Undecodable`."""
        enough = box.columns * self._enough[0], box.rows * self._enough[1]
        png, size = as_png(encoded, enough, is_sent=not self._files)
        limit = LIMIT if self._route is Route.TMUX else max(box.columns, box.rows)
        cells = Box(*fit(size, min(box.columns, limit), min(box.rows, limit), self._cell, self._zoom))
        image_id, before = self._next, self._shown
        self._shown, self._next = image_id, before or id_after(image_id)
        if self._route is Route.TMUX:
            gone = wrap(delete(before)) if before else ""
            return placeholders(image_id, cells, place_virtually(png, image_id, cells), gone)
        gone, is_brief = delete(before) if before else "", self.is_brief and self.takes_hints
        if path := self._files.write(png) if self._files else "":
            shown = place_file(path, image_id, cells, is_brief=is_brief)
            return overlay_frame(cells, shown + gone, move(image_id, cells))
        return overlay_frame(cells, place(png, image_id, cells, is_brief=is_brief) + gone)

    @property
    def shown_id(self) -> int | None:
        """The id of the image that was painted last, None where it is kept, or there is none."""
        return self._shown

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
