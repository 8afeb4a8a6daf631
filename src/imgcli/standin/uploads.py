"""Pictures and forms that come in: multipart bodies, data URLs, and what may be an image."""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from imgcli.standin.errors import invalid, unsupported_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST_FILE = 50 * 1024 * 1024
"""Bytes of one picture, by OpenAI's guide."""

_LARGEST_AREA = 50_000_000  # pixels
_MIME = ("image/jpeg", "image/png", "image/webp")
_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart form; a file has a `filename`."""

    name: str
    filename: str | None
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A readable picture: its bytes, its size in pixels, and whether it has an alpha channel."""

    data: bytes
    width: int
    height: int
    alpha: bool


def parts(content_type: str, body: bytes) -> list[Part]:
    """The fields of a multipart/form-data body, in order."""
    boundary = _header(content_type).get_boundary()
    if not boundary:
        raise _bad_form("the boundary is missing")
    line = b"--" + boundary.encode("latin-1", "replace")
    pieces = (b"\r\n" + body).split(b"\r\n" + line)
    if not pieces[-1].startswith(b"--"):
        raise _bad_form("the closing boundary is missing")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, gap, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not gap:
        raise _bad_form("a part has no headers")
    headers = dict(_header_lines(head))
    disposition = Message()
    disposition["content-disposition"] = headers.get("content-disposition", "")
    name = disposition.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise _bad_form("a part has no name")
    return Part(name, disposition.get_filename(), headers.get("content-type", "text/plain"), data)


def _header_lines(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        yield name.strip().lower(), value.strip()


def _header(content_type: str) -> Message:
    message = Message()
    message["content-type"] = content_type
    return message


def _bad_form(why: str) -> Exception:
    return invalid(None, f"Could not parse multipart form: {why}.", None)


def uploaded(part: Part) -> Picture:
    """The picture of a file field; OpenAI looks at the declared type first."""
    mime = part.mime.partition(";")[0].strip().lower()
    if mime not in _MIME:
        formats = "Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
        message = f"Invalid file '{part.name}': unsupported mimetype ('{mime}'). {formats}"
        raise invalid("unsupported_file_mimetype", message, part.name.removesuffix("[]"))
    return picture(part.data, part.name.removesuffix("[]"))


def linked(source: object, param: str) -> Picture:
    """The picture of an `image_url`, as a string or inside its object; only data URLs can be read offline."""
    if not isinstance(source, str):
        raise invalid("invalid_type", f"Invalid type for '{param}': expected an image URL.", param)
    if source.startswith(("http://", "https://")):
        message = "Error while downloading the image: the offline stand-in reads data URLs only."
        raise invalid("failed_to_download_image", message, param)
    match = _DATA_URL.fullmatch(source)
    if match is None:
        message = (
            f"Invalid '{param}'. Expected a base64-encoded data URL with an image MIME type "
            "(e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')."
        )
        raise invalid("invalid_value", message, param)
    return picture(decoded(match[2], param), param)


def pointed(holder: Mapping[str, object], param: str) -> Picture:
    """The picture that an object with `image_url` or `file_id` points to."""
    if holder.get("file_id") is not None:
        raise unsupported_here(f"{param}.file_id", "uploaded files")
    return linked(holder.get("image_url"), f"{param}.image_url")


def decoded(text: str, param: str) -> bytes:
    """Bytes of a base64 string."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("invalid_base64_image", f"Invalid base64 image data in '{param}'.", param) from None


def picture(data: bytes, param: str) -> Picture:
    """The picture in these bytes, decoded once to be sure of it."""
    from PIL import Image

    if not data:
        raise invalid("empty_image_file", "The image file is empty.", param)
    if len(data) > LARGEST_FILE:
        raise invalid("image_file_too_large", f"The image file is larger than {LARGEST_FILE} bytes.", param)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
            width, height = image.size
            if width * height <= _LARGEST_AREA:
                image.load()
            alpha = "A" in image.getbands()
    except Exception:  # noqa: BLE001 - a decoder may raise anything over broken data
        message = "Invalid image file or mode for image 1, please check your image file."
        raise invalid("invalid_image_file", message, param) from None
    if width * height > _LARGEST_AREA:
        raise invalid("image_too_large", f"The image has more than {_LARGEST_AREA} pixels.", param)
    return Picture(data, width, height, alpha)


def check_mask(mask: Picture, first: Picture, param: str) -> None:
    """A mask has the size of the first picture and says by its alpha channel where to paint."""
    if (mask.width, mask.height) != (first.width, first.height):
        message = "Invalid mask image format - mask size does not match image size."
        raise invalid("invalid_mask_image_format", message, param)
    if not mask.alpha:
        message = "Invalid mask image format - mask image missing alpha channel."
        raise invalid("invalid_mask_image_format", message, param)
