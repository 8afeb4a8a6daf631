"""Decodes untrusted bytes to an image that fits a box: checked, oriented, flattened, measured."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import warnings
import zlib
from contextlib import suppress
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING

from imgcli.core.errors import system_error
from imgcli.core.image import ImageFormat, header_size, sniff
from imgcli.core.messages import image_facts
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from PIL.ImageFile import ImageFile

    from imgcli.core.image import EncodedImage


def pixels(encoded: EncodedImage) -> tuple[int, int] | None:
    """Read width and height in pixels, None where nothing tells; Pillow is asked about rare formats only."""
    return header_size(encoded) if encoded.format else _size_by_pillow(encoded.data)


def facts(encoded: EncodedImage) -> list[str]:
    """Describe an image: `1024x1024`, `1.7 MB`."""
    return image_facts(pixels(encoded), len(encoded.data))


def described(name: str, image: EncodedImage, separator: str) -> str:
    """Describe an image: `cat.png · png · 1024x1024 · 1.7 MB`."""
    kind = [image.format.value] if image.format else []
    return separator.join([shorten(name, _NAME_LENGTH), *kind, *facts(image)])


def _size_by_pillow(data: bytes) -> tuple[int, int] | None:
    with suppress(Exception):  # Pillow raises whatever it likes on hostile files
        from PIL import Image

        with Image.open(BytesIO(data)) as image:
            return image.size if all(image.size) else None
    return None


RGB = tuple[int, int, int]

_NAME_LENGTH = 1500
_MEGAPIXELS = 32  # four times the largest image that is sold
_HEAVY_MEGAPIXELS = 17  # of what takes more than 4 bytes a pixel while it is decoded; a WebP takes 16
_LIGHT_FORMATS = ("PNG", "JPEG")
_LIGHT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_REDUCIBLE = ("L", "LA", "RGB", "RGBA")
_DRAWN = 2048  # pixels of a drawing's longer side
_SPACIOUS = 8_300_000  # pixels; a larger image is made smaller before anything else is done with it
# Formats that Pillow decodes itself; the second row costs the import of all its plugins.
_COMMON = ("PNG", "JPEG", "GIF", "BMP", "PPM")
_RARER = ("WEBP", "AVIF", "TIFF")
_PIECE = 1 << 20  # bytes that a decoder is given at a time
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"P6", b"II*\0", b"MM\0*")
_LIGHT, _SHADE = 0xCC, 0x99  # the checkerboard's greys
_FAINTEST, _HALF = 4, 128  # of 255: less of an image than this is not worth a cell
_SQUARES = 24  # of the checkerboard, along the longer side


class Undecodable(ValueError):  # noqa: N818
    """These bytes are no image that can be shown; `reason` completes the sentence "the image is ..."."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes, enough: tuple[int, int] | None = None) -> PILImage:
    """Return the first frame of an encoded image, upright, as a Pillow image of mode RGB or RGBA.

    Above twice `enough`, a width and height in pixels, detail is of no use: a JPEG is then decoded smaller
    and faster, a very large image made smaller at once. Raises Undecodable for anything that is not one
    whole image of at most 32 megapixels, 17 where decoding takes more memory (WebP, CMYK, 16-bit greys).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata would end up inside the image
        try:
            return _decoded(data, enough)
        except Undecodable:
            raise
        except Exception as error:  # decoders raise what they like on damaged bytes
            trouble = system_error(error)
            raise Undecodable(
                f"not decodable here: {trouble}" if trouble else "damaged or cut short"
            ) from error


def opened(data: bytes) -> ImageFile:
    """Return an image of a size that can be decoded, nothing of it decoded yet; raises Undecodable."""
    image = _opened(data)
    _check_size(image)
    return image


def flatten(encoded: PILImage, background: RGB | None = None) -> PILImage:
    """Return the image in RGB, transparent parts over this colour, or over a grey checkerboard."""
    from PIL import Image

    if encoded.mode == "RGB" and not encoded.has_transparency_data:
        return encoded
    if not encoded.has_transparency_data:
        return encoded.convert("RGB")
    clear = encoded.convert("RGBA")
    if clear.getchannel("A").getextrema() == (255, 255):
        return clear.convert("RGB")
    under = _checkerboard(clear.size) if background is None else Image.new("RGB", clear.size, background)
    under.paste(clear, mask=clear)
    return under


def cut_out(
    image: PILImage, cells: tuple[int, int], background: RGB | None = None
) -> tuple[PILImage, PILImage | None]:
    """Return the image in RGB, and a mask of the (columns, rows) cells where nothing is to be drawn, or None.

    Parts that are transparent show this colour. Where it is unknown no cell shows any of it: one that is more
    than half transparent is left to the terminal, and what is clear in another one gets the others' colour.
    """
    from PIL import Image

    if not image.has_transparency_data:
        return flatten(image), None
    clear = image.convert("RGBA")
    if clear.getchannel("A").getextrema() == (255, 255):
        return clear.convert("RGB"), None
    small = clear.resize(cells, Image.Resampling.BOX)
    if background is None:
        under = small.convert("RGB").resize(clear.size, Image.Resampling.NEAREST)
    else:
        under = Image.new("RGB", clear.size, background)
    under.paste(clear, mask=clear)
    least = _FAINTEST if background else _HALF
    return under, small.getchannel("A").point([255 * (alpha < least) for alpha in range(256)])


def fit(
    size: tuple[int, int],
    columns: int,
    rows: int,
    cell: tuple[float, float] = (1, 2),
    zoom: float = math.inf,
) -> tuple[int, int]:
    """Return how many (columns, rows) of a box an image of this size in pixels fills, its aspect kept.

    `cell` is a cell's width and height, in any unit, and `zoom` the most of that unit that a pixel may take.
    Never more than the box has, never less than 1 of each.
    """
    width, height = size[0] / cell[0], size[1] / cell[1]
    scale = min(columns / width, rows / height, zoom)
    if scale < zoom:
        return max(1, min(columns, round(width * scale))), max(1, min(rows, round(height * scale)))
    # In few cells, rounding each by itself would bend the image.
    wide, high = (
        [max(1, min(most, near)) for near in (math.floor(exact), math.ceil(exact))]
        for exact, most in ((width * scale, columns), (height * scale, rows))
    )
    return min(product(wide, high), key=lambda cells: abs(math.log(cells[0] * height / cells[1] / width)))


def _decoded(data: bytes, enough: tuple[int, int] | None) -> PILImage:
    file = opened(_rasterized(data, enough) if sniff(data) is ImageFormat.SVG else data)
    if enough:
        file.draft(None, _least(file.size, enough))
    file.decodermaxblock = _PIECE
    file.load()
    image = _reduced(file, enough)
    with contextlib.suppress(Exception):  # an image whose metadata is broken is still an image
        if image.getexif():
            from PIL import ImageOps

            ImageOps.exif_transpose(image, in_place=True)
    return _eight_bits(image)


def _check_size(image: PILImage) -> None:
    """Raise `Undecodable` for what would not fit into a modest machine's memory beside everything else."""
    is_light = image.format in _LIGHT_FORMATS and image.mode in _LIGHT_MODES
    most = _MEGAPIXELS if is_light else _HEAVY_MEGAPIXELS
    width, height = image.size
    if width * height > most * 1_000_000:
        raise Undecodable(f"larger than {most} megapixels ({width}x{height})")


def _reduced(image: PILImage, enough: tuple[int, int] | None) -> PILImage:
    """Return a very large image with as much detail as there is use for: every copy of it counts."""
    if not enough or image.width * image.height <= _SPACIOUS or image.mode not in _REDUCIBLE:
        return image
    factor = min(image.width // (2 * enough[0]), image.height // (2 * enough[1]))
    return image.reduce(factor) if factor > 1 else image


def _rasterized(data: bytes, enough: tuple[int, int] | None) -> bytes:
    """Draw an SVG as a PNG within a square: one that is very long would take all memory otherwise."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise Undecodable("an SVG drawing; pip install 'imgcli[svg]' to see it") from None
    side = min(2 * max(enough), _DRAWN) if enough else _DRAWN
    drawn: bytes = svg_to_bytes(svg_string=data.decode("utf-8"), width=side, height=side)
    return drawn


def _least(size: tuple[int, int], enough: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which an image still fills this box, and would if it lay on its side."""
    width, height = size
    shrink = min(max(width / enough[0], height / enough[1]), max(height / enough[0], width / enough[1]))
    return math.ceil(width / shrink), math.ceil(height / shrink)


def _opened(data: bytes) -> ImageFile:
    """Return the image, its header read and nothing decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        if image := _of_usual_format(data):
            return image
        with contextlib.suppress(UnidentifiedImageError):
            return Image.open(io.BytesIO(data), formats=_COMMON)
        Image.init()
        return Image.open(io.BytesIO(data), formats=[name for name in _RARER if name in Image.OPEN])
    except (UnidentifiedImageError, SyntaxError, IndexError, TypeError, struct.error) as error:
        known = data.startswith(_SIGNATURES)
        raise Undecodable("damaged or cut short" if known else "in an unknown format") from error
    except Image.DecompressionBombError as error:
        raise Undecodable(f"larger than {_MEGAPIXELS} megapixels") from error


def _of_usual_format(data: bytes) -> ImageFile | None:
    """Open what its first bytes tell apart; to look into the others, Pillow would import more plugins.

    Raises what Pillow takes for "another format", as `Image.open` sees it.
    """
    stream = io.BytesIO(data)
    match sniff(data):
        case ImageFormat.PNG:
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(stream)
        case ImageFormat.JPEG:
            from PIL.JpegImagePlugin import JpegImageFile

            return JpegImageFile(stream)
        case ImageFormat.WEBP:
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(stream)
        case ImageFormat.GIF:
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(stream)
        case _:
            return None


def _eight_bits(image: PILImage) -> PILImage:
    """Return any mode as RGB, or as RGBA where something may be transparent."""
    if image.mode == "F" or image.mode.startswith("I"):
        image = _scaled(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _scaled(image: PILImage) -> PILImage:
    """Return greys of more than 8 bits as mode L: 16 bits by their range, others by the values that occur."""
    deep = image if image.mode == "F" else image.convert("I").convert("F")
    low, high = (float(value) for value in deep.getextrema() if not isinstance(value, tuple))
    if not math.isfinite(high - low):
        raise Undecodable("damaged: its pixel values are not finite")
    is_deep = image.mode != "F" and low >= 0 and high < 1 << 16
    low, high = (0.0, 65535.0) if is_deep else (low, max(high, low + 1e-6))
    scale = 255 / (high - low)
    return deep.point(lambda value: value * scale - low * scale).convert("L")


def _checkerboard(size: tuple[int, int]) -> PILImage:
    from PIL import Image

    side = max(1, math.ceil(max(size) / _SQUARES))
    columns, rows = math.ceil(size[0] / side), math.ceil(size[1] / side)
    greys = bytes(_LIGHT if (x + y) % 2 else _SHADE for y in range(rows) for x in range(columns))
    board = Image.frombytes("L", (columns, rows), greys)
    return (
        board.resize((columns * side, rows * side), Image.Resampling.NEAREST)
        .crop((0, 0, *size))
        .convert("RGB")
    )


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OVERHEAD = 12  # bytes of a chunk: length, type, checksum
_PNG_MEGAPIXELS = 32  # as many as `shrink` decodes of a PNG


def measure(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels, once every chunk is there and its checksum is right.

    A terminal that is handed the bytes themselves tells nobody when it cannot show them. Raises Undecodable
    where it could not. Chunks are as in the PNG specification, third edition, section 5.3.
    """
    if not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise Undecodable("damaged or cut short")
    _check_chunks(data)
    width, height = struct.unpack_from(">II", data, 16)
    if not (width and height):
        raise Undecodable("empty: it has no pixels")
    if width * height > _PNG_MEGAPIXELS * 1_000_000:
        raise Undecodable(f"larger than {_PNG_MEGAPIXELS} megapixels ({width}x{height})")
    return width, height


def _check_chunks(data: bytes) -> None:
    """Check every chunk to chunk up to the last, IEND."""
    at, view = len(_SIGNATURE), memoryview(data)
    while at + _OVERHEAD <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body, end = view[at + 4 : at + 8 + length], at + _OVERHEAD + length
        if end > len(data) or zlib.crc32(body).to_bytes(4) != data[end - 4 : end]:
            break
        if bytes(body[:4]) == b"IEND":
            return
        at = end
    raise Undecodable("damaged or cut short")
