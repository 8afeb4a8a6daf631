"""Whether received bytes are a whole image: its structure to the last byte, and every pixel of every frame.

What nobody can tell is damage that leaves a valid file: the data of a JPEG or a WebP carry no checksum.
"""

from __future__ import annotations

import warnings

from imgcli.core.errors import system_error
from imgcli.core.formats import gif, jpeg, png, webp
from imgcli.core.image import EncodedImage, ImageFormat, header_size
from imgcli.dataclass import dataclass
from imgcli.store import pixels
from imgcli.store.pixels import DefectError, TooManyPixelsError

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
            pixels.decode_png(data, limit)
        case ImageFormat.JPEG:
            _check_structure(jpeg.defect(data))
            pixels.decode_jpeg(data, min(limit, HEAVY_LIMIT) if jpeg.is_progressive(data) else limit)
        case ImageFormat.WEBP:
            _check_structure(webp.defect(data))
            pixels.decode_webp(data, min(limit, HEAVY_LIMIT))
        case ImageFormat.GIF:
            _check_structure(gif.defect(data))
            pixels.decode_gif(data, limit)
        case ImageFormat.SVG:
            _check_svg(data)
        case None:
            raise DefectError("it is in no known image format" if data else "no data arrived")


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
