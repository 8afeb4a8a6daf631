"""Images that go out with a prompt: read and checked before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from imgcli.core.errors import usage_error
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.option import option
from imgcli.core.request import InputImage
from imgcli.core.secrets import is_loopback
from imgcli.core.text import shorten
from imgcli.regex import regex
from imgcli.store.files import read_named
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    from imgcli.core.errors import ImgcliError


STDIN = "-"
"""The file name that means standard input."""

LARGEST = 50 << 20
"""Bytes of one image: OpenAI's guide, and images.edit in its specification, say 50 MB."""

_STDIN_NAME = "Standard input"
_ADDRESS = regex(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LONGEST_ADDRESS = 8000
_LONGEST_NAME = 200
_NAME_A_FILE = "Name an image file of at most 50 MB, or pipe it in and name it -."
_CONVERT = "Convert it, for instance with: magick FILE image.png"

_PIXEL_BYTES = {ImageFormat.PNG: 4, ImageFormat.JPEG: 10, ImageFormat.WEBP: 16}
"""What decoding takes for a pixel; a progressive jpeg's coefficients are in memory beside its pixels."""
_DECODE_ROOM = 36_000_000
"""Bytes that decoding may take in any case: the largest png that is sold fits. A larger file may take twice
its own size, so that with the file itself it is three times."""

_MASK = ("mask", "to mark what to edit", "Make the areas to regenerate transparent")
_MARKUP = ("markup", "to show the image through", "Draw on a transparent layer")
"""What lies over an image: its option, and what it needs its alpha channel for."""
_ALPHA_AT = 25
_WITH_ALPHA = (4, 6)  # grey and colour with alpha; PNG specification, section 11.2.1


def read_reference(name: str, stdin: BinaryIO) -> InputImage:
    """Read a file, or standard input for `-`; take an https address as it stands.

    Raises `ImgcliError` (usage) for what could not be sent.
    """
    return _address(name) if _ADDRESS.match(name) else reference_of(name, read_bytes(name, stdin))


def read_bytes(name: str, stdin: BinaryIO) -> bytes:
    """Read a file, or standard input for `-`, whatever it holds. Raises `ImgcliError` (usage)."""
    return _read_stdin(stdin) if name == STDIN else read_named(name, LARGEST, _NAME_A_FILE)[0]


def reference_of(name: str, data: bytes) -> InputImage:
    """Make sure that what was read can be sent. Raises `ImgcliError` (usage)."""
    if name == STDIN:
        return uploaded_image(_STDIN_NAME, data)
    path = Path(name)
    return replace(uploaded_image(name, data), name=path.name, path=str(path.absolute()))


def read_mask(name: str) -> InputImage:
    """Read a mask: a png with an alpha channel. Raises `ImgcliError` (usage)."""
    return _read_overlay(name, *_MASK)


def read_markup(name: str) -> InputImage:
    """Read what is laid over an image to guide an edit: likewise a png. Raises `ImgcliError` (usage)."""
    return _read_overlay(name, *_MARKUP)


def uploaded_mask(name: str, data: bytes) -> InputImage:
    """Make sure that they can be sent as a mask. Raises `ImgcliError` (usage)."""
    return _checked_overlay(uploaded_image(name, data), name, *_MASK)


def _read_overlay(name: str, flag: str, why: str, advice: str) -> InputImage:
    if name == STDIN or _ADDRESS.match(name):
        raise usage_error(
            f"{option(flag)} must be a file.", f"Save the {flag} as a file first.", about=(flag,)
        )
    return _checked_overlay(_file(name), name, flag, why, advice)


def _checked_overlay(overlay: InputImage, name: str, flag: str, why: str, advice: str) -> InputImage:
    data = overlay.data or b""
    if overlay.format is not ImageFormat.PNG:
        raise usage_error(
            f"The {flag} {_shown(name)} is {overlay.format}; it must be png.", _CONVERT, about=(flag,)
        )
    if data[_ALPHA_AT] not in _WITH_ALPHA:
        raise usage_error(
            f"The {flag} {_shown(name)} has no alpha channel {why}.",
            f"{advice}, and save it as a PNG with alpha (RGBA).",
            about=(flag,),
        )
    return overlay


def read_again(reference: InputImage) -> InputImage:
    """Read the file of a recorded reference again. Raises `ImgcliError` (usage) when it is not the same."""
    if reference.url:
        return reference
    if not reference.path:
        raise usage_error(
            f"{_shown(reference.name)} was not a file and cannot be read again.",
            f"Send it again: imgcli gen PROMPT {option('image', 'FILE', short=True)}",
        )
    found = _file(reference.path)
    if found.sha256 != reference.sha256:
        raise usage_error(
            f"{_shown(reference.path)} is no longer the same image.",
            "Restore the original file.",
        )
    return found


def _file(name: str) -> InputImage:
    return reference_of(name, read_named(name, LARGEST, _NAME_A_FILE)[0])


def _address(url: str) -> InputImage:
    """Take an address that the server will fetch; nothing is asked of it here."""
    if len(url) > _LONGEST_ADDRESS or not url.isprintable() or " " in url:
        raise _no_address(url, "is not a valid URL")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise _no_address(url, "is not a valid URL") from None
    if parts.username is not None or parts.password is not None:
        raise usage_error(
            f"The image URL at {shorten(host, _LONGEST_NAME)} contains a login, which the server "
            "would learn.",
            "Download the image and use the file.",
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise _no_address(url, "is not an https URL")
    if not host:
        raise _no_address(url, "names no server")
    name = parts.path.rpartition("/")[2] or host
    return InputImage(shorten(name, _LONGEST_NAME), url=url)


def _no_address(url: str, what: str) -> ImgcliError:
    return usage_error(f"{_shown(url)} {what}.", "Use https://, or download the image and give the file.")


def _read_stdin(stdin: BinaryIO) -> bytes:
    """Read standard input, unless it is a terminal, from which no image will ever come."""
    if stdin.isatty():
        raise usage_error("- reads an image from standard input, which is a terminal.", "Pipe the image in.")
    try:
        data = stdin.read(LARGEST + 1)
    except OSError as error:
        raise usage_error(f"Standard input cannot be read: {reason(error)}.") from None
    if len(data) > LARGEST:
        raise usage_error(f"{_STDIN_NAME} is larger than {LARGEST >> 20} MB.", "Make the image smaller.")
    return data


def uploaded_image(name: str, data: bytes) -> InputImage:
    """Make sure that bytes are a whole image of a format that the API takes. Raises `ImgcliError` (usage)."""
    shown = _shown(name)
    if not data:
        raise usage_error(f"{shown} is empty.")
    image = EncodedImage.of(data)
    if image.format not in _PIXEL_BYTES:
        what = f"is {image.format}" if image.format else "is not a PNG, JPEG or WebP image"
        raise usage_error(f"{shown} {what}; the API accepts png, jpeg and webp.", _CONVERT)
    from imgcli.store.verify import DECODE_LIMIT, examine  # here: most runs have no input image

    finding = examine(image, min(DECODE_LIMIT, _decode_limit(image)))
    if finding.damage:
        raise usage_error(f"{shown} is damaged: {shorten(finding.damage, _LONGEST_NAME)}.")
    return InputImage(name, None, None, image.format, image.sha256, finding.size, len(data), data)


def _decode_limit(image: EncodedImage) -> int:
    """Choose how many pixels there is room for to check an image."""
    room = max(_DECODE_ROOM, 2 * len(image.data))
    return room // _PIXEL_BYTES[image.format or ImageFormat.WEBP]


def _shown(name: str) -> str:
    return shorten(name, _LONGEST_NAME)
