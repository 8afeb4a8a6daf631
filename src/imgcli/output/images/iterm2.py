"""Images encoded as iTerm2's inline images: https://iterm2.com/documentation-images.html."""

from __future__ import annotations

from binascii import b2a_base64
from enum import Enum
from math import inf
from typing import TYPE_CHECKING

from imgcli.core.image import ImageFormat
from imgcli.output.images.decode import decode, fit
from imgcli.output.images.kitty import as_png
from imgcli.output.images.protocol import Box, overlay_frame
from imgcli.output.terminal.answers import wrap

if TYPE_CHECKING:
    from imgcli.core.image import EncodedImage
    from imgcli.output.images.protocol import Frame


_PART = 1 << 18  # bytes of base64; iTerm2 and tmux stop at 1 048 576 for a whole sequence
_ENOUGH = (16, 32)  # pixels of a cell, where nobody knows better
_ROUGH = (64, 64)  # a JPEG decoded this small is still read to its end


class Transfer(Enum):
    """How the bytes travel.

    In one sequence, as every terminal understands; in parts, as iTerm2 does since 3.5; in parts through tmux.
    """

    WHOLE = "whole"
    MULTIPART = "multipart"
    TMUX = "tmux"


def whole(data: bytes, box: Box) -> str:
    """Show an encoded image over a box, from the cursor on, in a single sequence."""
    return f"\x1b]1337;File={_arguments(data, box)}:{_base64(data)}\x07"


def parts(data: bytes, box: Box) -> list[str]:
    """Return the same as several sequences, none of them longer than iTerm2 and tmux take."""
    payload = _base64(data)
    pieces = (payload[start : start + _PART] for start in range(0, len(payload), _PART))
    return [
        f"\x1b]1337;MultipartFile={_arguments(data, box)}\x07",
        *(f"\x1b]1337;FilePart={piece}\x07" for piece in pieces),
        "\x1b]1337;FileEnd\x07",
    ]


class ITerm2Renderer:
    """Paints on iTerm2, WezTerm and others that take its images, which they forget with the cells under them.

    `cell` is a cell's width and height in pixels, or in any unit where only their ratio is known. A pixel of
    the image takes at most `zoom` of it.
    """

    def __init__(
        self, cell: tuple[float, float], transfer: Transfer = Transfer.WHOLE, zoom: float = inf
    ) -> None:
        self._zoom = zoom
        self._cell = cell
        self._transfer = transfer

    def render(self, encoded: EncodedImage, box: Box) -> Frame:
        """Show an image over the one before; raises `decode.Undecodable`."""
        enough = (box.columns * _ENOUGH[0], box.rows * _ENOUGH[1])
        data, size = _shown_as(encoded, enough)
        cells = Box(*fit(size, box.columns, box.rows, self._cell, self._zoom))
        return overlay_frame(cells, self._encoded(data, cells))

    def _encoded(self, data: bytes, box: Box) -> str:
        match self._transfer:
            case Transfer.WHOLE:
                return whole(data, box)
            case Transfer.MULTIPART:
                return "".join(parts(data, box))
            case Transfer.TMUX:
                return "".join(map(wrap, parts(data, box)))


def _shown_as(encoded: EncodedImage, enough: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """Return small PNG and any JPEG as they are, which every such terminal reads; anything else as PNG."""
    if encoded.format is not ImageFormat.JPEG:
        return as_png(encoded, enough)
    return encoded.data, decode(encoded.data, _ROUGH).size


def _arguments(data: bytes, box: Box) -> str:
    """Format the arguments; only WezTerm knows `doNotMoveCursor`: https://wezterm.org/imgcat.html."""
    return (
        f"inline=1;size={len(data)};width={box.columns};height={box.rows}"
        ";preserveAspectRatio=1;doNotMoveCursor=1"
    )


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
