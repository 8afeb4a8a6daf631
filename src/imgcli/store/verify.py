"""Verifies that received bytes are a complete image: its whole structure, and every pixel of every frame.

Damage that leaves a valid file cannot be found: the data of a JPEG or a WebP carry no checksum.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING

from imgcli.core.errors import system_error
from imgcli.core.formats import gif, jpeg, png, webp
from imgcli.core.image import EncodedImage, ImageFormat, header_size
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile


DECODE_LIMIT = 32_000_000
"""Pixels, nearly four times the largest that is sold. Of a larger image the structure alone is checked:
decoding takes memory, whatever the file's size."""

HEAVY_LIMIT = 17_000_000
"""The same for what takes more than 4 bytes a pixel meanwhile: a progressive JPEG up to 10, a WebP 16."""


@dataclass(frozen=True)
class Finding:
    """What an examination found: the damage in words, None when there is none; width and height in pixels.

    `unchecked` says what was not checked and why, None where everything was.
    """

    damage: str | None
    size: tuple[int, int] | None = None
    unchecked: str | None = None


class _EntityError(Exception):
    """An SVG declares entities, which are not expanded."""


def examine(image: EncodedImage, limit: int = DECODE_LIMIT) -> Finding:
    """Check an image to its last byte, and decode its frames, unless one has more than `limit` pixels.

    Never raises, whatever the bytes are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        try:
            size = header_size(image)
            return _checked(image, size, limit)
        except DefectError as reason:
            return Finding(str(reason))
        except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile bytes; all of it is damage
            return Finding(f"{type(error).__name__}: {error}")


def import_decoder() -> None:
    """Import what decodes most images, so that the first of them need not wait for that."""
    import PIL.PngImagePlugin  # noqa: F401


def _checked(image: EncodedImage, size: tuple[int, int] | None, limit: int) -> Finding:
    """Return what was checked; raises for any damage, but not for what fails for want of this machine."""
    try:
        _check(image, limit)
    except _EntityError:
        return Finding(
            None, size, "end checked, content not: it declares entities, which imgcli does not expand"
        )
    except TooManyPixelsError:
        why = "more than imgcli decodes"
    except Exception as error:
        trouble = system_error(error)
        if trouble is None:
            raise
        why = trouble
    else:
        return Finding(None, size)
    return Finding(None, size, f"structure checked, pixels not ({why})")


def _check(image: EncodedImage, limit: int) -> None:
    data = image.data
    match image.format:
        case ImageFormat.PNG:
            _check_structure(png.defect(data))
            decode_png(data, limit)
        case ImageFormat.JPEG:
            _check_structure(jpeg.defect(data))
            decode_jpeg(data, min(limit, HEAVY_LIMIT) if jpeg.is_progressive(data) else limit)
        case ImageFormat.WEBP:
            _check_structure(webp.defect(data))
            decode_webp(data, min(limit, HEAVY_LIMIT))
        case ImageFormat.GIF:
            _check_structure(gif.defect(data))
            decode_gif(data, limit)
        case ImageFormat.SVG:
            _check_svg(data)
        case None:
            raise DefectError("it is not in a known image format" if data else "no data arrived")


def _check_structure(defect: str | None) -> None:
    if defect:
        raise DefectError(defect)


def _check_svg(data: bytes) -> None:
    """Parse it as XML whose root is an svg element; nothing is expanded, nothing fetched."""
    from xml.parsers import expat

    parser = expat.ParserCreate(namespace_separator=" ")

    def begin(name: str, _: dict[str, str]) -> None:
        parser.StartElementHandler = None
        if name.rpartition(" ")[2] != "svg":
            raise DefectError("its root is not an svg element")

    def refuse(*_: object) -> None:
        raise _EntityError

    parser.StartElementHandler = begin
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except _EntityError:
        if not data.rstrip().endswith(b">"):
            raise DefectError("the svg is cut short") from None
        raise
    except expat.ExpatError as error:
        raise DefectError(f"the SVG is not XML: {error}") from None


_MOST_UNPACKED = 1_000_000_000  # bytes; more takes seconds to count
_ANIMATION = 8  # times the pixels of the largest image
_FRAME = 10_000  # pixels that are worth the effort which every frame takes besides its own

_TAIL = 48  # bytes before the end of a JPEG's coded data
_WATCHED = 16  # bytes that are fed one by one
_OTHER_DATA = b"\x5a\xa5\x3c\x69" * (_WATCHED // 4)
_MOST_WATCHED = 2_000  # segments; a restart marker begins one


class DefectError(Exception):
    """The pixels are not all there; the message says why."""


class TooManyPixelsError(Exception):
    """There is more to decode than is worth its memory or time."""


def decode_png(data: bytes, limit: int) -> None:
    """Decode a PNG and all frames of its animation.

    As all decoders here: raises DefectError, or whatever Pillow does, for damaged data, and
    TooManyPixelsError where a frame has more than `limit` pixels, or all have too many.
    """
    if _area(data) > limit:
        _check_scan_lines(data)
        raise TooManyPixelsError
    _decode_still(data)
    budget = _PixelBudget(limit)
    for frame in png.frames(data):
        budget.spend(_area(frame))
        _decode_still(frame)


def decode_jpeg(data: bytes, limit: int) -> None:
    """Decode a JPEG as `decode_png` does, and notice where its coded data hold too few or too many blocks.

    The decoder is fed by hand. One that has all blocks of a scan takes any data up to the next marker, to
    skip them; one that waits for more leaves what is no whole block yet. So shortly before a stretch of coded
    data ends it must leave something, and of other data behind its end nothing. (Pillow's `load` would show
    missing blocks as grey, and skip what is left over.)
    """
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(BytesIO(data))
    if image.width * image.height > limit:
        raise TooManyPixelsError
    decoder = _jpeg_decoder(image)
    if decoder is None:
        image.load()
        return
    at = 0
    for body, end in _huffman_coded(data):
        if end - body > 2 * _TAIL:
            decoder.feed(data[at : end - _TAIL])
            needs_more = decoder.needs_more(data[end - _TAIL : end - _TAIL + _WATCHED])
            is_padding = len(set(data[end - _TAIL : end])) <= 2  # noqa: PLR2004 - a byte, or FF 00
            if not needs_more and not is_padding:
                raise DefectError("the jpeg's data hold more than its pixels")
            at = end - _TAIL + _WATCHED
        decoder.feed(data[at:end] + _OTHER_DATA)
        if decoder.needs_more(_OTHER_DATA):
            raise DefectError("the jpeg's data end before its pixels do")
        at = end
    decoder.feed(data[at:])
    if not decoder.is_done:
        raise DefectError("the jpeg's data end before its pixels do")


def _huffman_coded(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where stretches of Huffman coded data begin and end; arithmetic coding may leave its end out."""
    is_huffman = False
    for segment in islice(jpeg.segments(data), _MOST_WATCHED):
        if segment.marker in jpeg.STARTS_OF_FRAME:
            is_huffman = segment.marker in jpeg.HUFFMAN_FRAMES
        end = segment.end
        while data[end - 1] == 0xFF:  # noqa: PLR2004 - it fills up before a marker
            end -= 1
        if is_huffman and segment.body < end:
            yield segment.body, end


def _jpeg_decoder(image: JpegImageFile) -> _IncrementalDecoder | None:
    """Return a decoder to be fed, None where a later Pillow has none."""
    from PIL import Image

    try:
        [tile] = image.tile
        image.load_prepare()
        decoder = Image._getdecoder(image.mode, tile.codec_name, tile.args, image.decoderconfig)  # noqa: SLF001
        decoder.setimage(image.im, tile.extents)
    except (AttributeError, TypeError):
        return None
    return _IncrementalDecoder(decoder.decode)


class _IncrementalDecoder:
    """A decoder that is fed piece by piece, and what it left of them."""

    def __init__(self, decode: Callable[[bytes], tuple[int, int]]) -> None:
        self._decode = decode
        self._left = b""
        self.is_done = False

    def feed(self, data: bytes) -> None:
        """Decode on. Raises DefectError."""
        if self.is_done:
            return
        self._left += data
        count, error = self._decode(self._left)
        if error < 0:
            raise DefectError("the jpeg's data cannot be decoded")
        self.is_done = count < 0
        self._left = b"" if self.is_done else self._left[count:]

    def needs_more(self, data: bytes) -> bool:
        """Feed byte by byte, and return whether any was left; FF may be the start of a marker."""
        needs_more = False
        for byte in data:
            self.feed(bytes([byte]))
            needs_more |= bool(self._left) and byte != 0xFF  # noqa: PLR2004
        return needs_more


def decode_gif(data: bytes, limit: int) -> None:
    """Decode every frame of a GIF by itself, as `decode_png` does.

    What no data were there for shows the color that is transparent, so it differs when that does.
    """
    from PIL.GifImagePlugin import GifImageFile

    budget = _PixelBudget(limit)
    for block in gif.blocks(data):
        if block.kind != gif.IMAGE:
            continue
        width, height = block.size(data)
        budget.spend(width * height)
        shown: list[bytes] = []
        for color in (0, 1):
            image = GifImageFile(BytesIO(block.alone(data, color)))
            image.load()
            shown.append(image.tobytes())
        if shown[0] != shown[1]:
            raise DefectError("the gif's data end before its pixels do")


def decode_webp(data: bytes, limit: int) -> None:
    """Decode every frame of a WebP as `decode_png` does."""
    from PIL.WebPImagePlugin import WebPImageFile

    width, height = header_size(EncodedImage(data, ImageFormat.WEBP)) or (0, 0)
    budget = _PixelBudget(limit)
    budget.spend(width * height)  # before Pillow makes room for it
    image = WebPImageFile(BytesIO(data))
    for number in range(image.n_frames):
        budget.spend(width * height)
        image.seek(number)
        image.load()


class _PixelBudget:
    """How many pixels may be decoded at a time, and in all frames of an animation."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = _ANIMATION * limit

    def spend(self, pixels: int) -> None:
        """Raise TooManyPixelsError where these are too many."""
        self._rest -= pixels + _FRAME
        if pixels > self._limit or self._rest < 0:
            raise TooManyPixelsError


def _decode_still(data: bytes) -> None:
    """Check that every pixel is there: by inflating where that is enough, else by decoding.

    Decoded scan lines are counted unless the last one is seen to be there.
    """
    try:
        image = _png(data)
    except ValueError:  # such as a comment that unpacks to more than Pillow takes: the pixels are beside it
        image = _png(png.essential(data))
    if png.has_all_pixels(data):
        return
    image.load()
    last = image.crop((0, image.height - 1, *image.size)).tobytes()
    if image.info.get("interlace") or not any(last):
        _check_scan_lines(data)


def _png(data: bytes) -> PngImageFile:
    from PIL.PngImagePlugin import PngImageFile

    return PngImageFile(BytesIO(data))


def _area(data: bytes) -> int:
    return int.from_bytes(data[16:20]) * int.from_bytes(data[20:24])


def _check_scan_lines(data: bytes) -> None:
    expected = png.unpacked_size(data)
    actual = png.held_size(data, min(expected, _MOST_UNPACKED))
    if actual < min(expected, _MOST_UNPACKED):
        raise DefectError(f"the png has {actual:,} of {expected:,} bytes of pixels")
