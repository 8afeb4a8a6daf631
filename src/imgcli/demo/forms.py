"""Request bodies: JSON objects, forms with the same values, and their images."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

from imgcli.demo.exchange import invalid, invalid_type, unsupported_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.datastructures import UploadFile

    from imgcli.demo.exchange import Request


LARGEST_FILE = 50 * 1024 * 1024
"""Bytes of one image, by OpenAI's guide."""

_LARGEST_AREA = 50_000_000  # pixels
_MIME = ("image/jpeg", "image/png", "image/webp")
_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """A readable image: its bytes, its size in pixels, and whether it has an alpha channel."""

    data: bytes
    width: int
    height: int
    alpha: bool


def _bad_form(why: str) -> Exception:
    return invalid(None, f"Could not parse multipart form: {why}.", None)


def uploaded_image(file: UploadFile, param: str, types: Sequence[str] = _MIME) -> UploadedImage:
    """Read the image of a file field; OpenAI looks at the declared type first."""
    mime = _mime(file)
    if mime not in types:
        *others, last = [f"'{one}'" for one in types]
        formats = f"Supported file formats are {', '.join(others)}, and {last}."
        message = f"Invalid file '{param}': unsupported mimetype ('{mime}'). {formats}"
        raise invalid("unsupported_file_mimetype", message, param)
    return decoded_image(file.file.read(), param)


def _mime(file: UploadFile) -> str:
    return (file.content_type or "text/plain").partition(";")[0].strip().lower()


def linked_image(holder: object, param: str) -> UploadedImage:
    """Read the image that an object with `image_url` refers to; only data URLs can be read offline."""
    if not isinstance(holder, dict):
        raise invalid_type("an object", holder, param)
    if holder.get("file_id") is not None:
        raise unsupported_here(f"{param}.file_id", "uploaded files")
    source, param = holder.get("image_url"), f"{param}.image_url"
    if not isinstance(source, str):
        raise invalid("invalid_type", f"Invalid type for '{param}': expected an image URL.", param)
    if source.startswith(("http://", "https://")):
        message = "Error while downloading the image: the offline demo reads data URLs only."
        raise invalid("failed_to_download_image", message, param)
    match = _DATA_URL.fullmatch(source)
    if match is None:
        message = (
            f"Invalid '{param}'. Expected a base64-encoded data URL with an image MIME type "
            "(e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')."
        )
        raise invalid("invalid_value", message, param)
    return decoded_image(decode_base64(match[2], param), param)


def decode_base64(text: str, param: str) -> bytes:
    """Decode a base64 string."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("invalid_base64_image", f"Invalid base64 image data in '{param}'.", param) from None


def decoded_image(data: bytes, param: str) -> UploadedImage:
    """Decode an image once, to make sure that it is one."""
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
    return UploadedImage(data, width, height, alpha)


def check_mask(mask: UploadedImage, first: UploadedImage, param: str) -> None:
    """Check that a mask has the size of the first image and an alpha channel, which says where to paint."""
    if (mask.width, mask.height) != (first.width, first.height):
        message = "Invalid mask image format - mask size does not match image size."
        raise invalid("invalid_mask_image_format", message, param)
    if not mask.alpha:
        message = "Invalid mask image format - mask image missing alpha channel."
        raise invalid("invalid_mask_image_format", message, param)


def check_markup(file: UploadFile, inputs: list[UploadedImage], *, has_mask: bool) -> None:
    """Check what is laid over the first image: a transparent PNG of its size, and no mask beside it."""
    markup = uploaded_image(file, "markup")
    if has_mask:
        raise invalid("invalid_value", "'markup' cannot be combined with 'mask'.", "markup")
    if _mime(file) != "image/png" or not markup.alpha:
        raise invalid("invalid_value", "'markup' must be a PNG with transparent pixels.", "markup")
    if inputs and (markup.width, markup.height) != (inputs[0].width, inputs[0].height):
        raise invalid("invalid_value", "'markup' must have the dimensions of the first image.", "markup")


_NUMBERS = frozenset(["n", "partial_images", "output_compression", "frame_count", "frame_duration_ms"])
_MOST_VALUES = 500_000  # letters that may begin one; each takes up to 200 bytes


@dataclass(frozen=True, slots=True)
class MultipartForm:
    """A multipart form: plain fields by name, and files by name, `image[]` as `image`, in their order."""

    values: Mapping[str, object]
    files: Mapping[str, list[UploadFile]]


def read_json(request: Request) -> dict[str, object]:
    """Parse the JSON object in the body."""
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind and kind != "application/json":
        message = (
            f"Unsupported content type: '{kind}'. This API method only accepts 'application/json' requests."
        )
        raise invalid("unsupported_content_type", message, None)
    if sum(map(request.body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise _not_json()
    try:
        value = json.loads(request.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _not_json() from None
    if not isinstance(value, dict):
        raise _not_json()
    return value


def read_form(request: Request) -> MultipartForm:
    """Sort the fields of a multipart form."""
    values: dict[str, object] = {}
    files: dict[str, list[UploadFile]] = {}
    if request.form is None:
        raise _bad_form("there is none")
    for name, value in request.form.multi_items():
        if isinstance(value, str):
            _put(values, name, _typed(name, value))
        else:
            files.setdefault(name.removesuffix("[]"), []).append(value)
    return MultipartForm(values, files)


def _put(values: dict[str, object], name: str, value: object) -> None:
    """Put a value in its place: `svg[reasoning][effort]` is a field of an object in an object."""
    holder, (*outer, last) = values, name.replace("]", "").split("[")
    for key in outer:
        inner = holder.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _bad_form(f"the field '{key}' is there twice")
        holder = inner
    holder[last] = value


def _typed(name: str, text: str) -> object:
    if name in _NUMBERS and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit():
        return int(text[:20])
    if name == "stream" and text in {"true", "false"}:
        return text == "true"
    return text


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


def _not_json() -> Exception:
    hint = (
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
        "your HTTP library correctly. The OpenAI API expects a JSON payload, "
        "but what was sent was not valid JSON.)"
    )
    return invalid(None, hint, None)
