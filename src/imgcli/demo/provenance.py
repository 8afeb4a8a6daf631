"""The mark in the demo's own images, and `POST /v1/content_provenance_checks`, which looks for it.

The mark stands for C2PA and SynthID alike: a private PNG chunk, a JPEG comment or a WebP chunk with a hash of
the rest of the file. It is neither of them: only the demo knows it, and nobody else should trust it.
"""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from typing import TYPE_CHECKING

from imgcli.demo.exchange import JsonAnswer, invalid, missing, unknown_parameter
from imgcli.demo.forms import read_form, uploaded_image

if TYPE_CHECKING:
    from imgcli.demo.exchange import Request


_KEYWORD = b"imgcli-demo:"
_DIGEST = hashlib.sha256().digest_size
_MARK = len(_KEYWORD) + _DIGEST
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
_JPEG = b"\xff\xd8"
_CHUNK = b"deMo"  # of a PNG: ancillary, private, not safe to copy into a changed image
_COMMENT = 0xFE
_WEBP_CHUNK = b"DEMO"
_WEBP_HEAD = 12
_MIME = ("image/png", "image/jpeg", "image/webp", "image/gif")
_ISSUER = "imgcli demo"


def mark(data: bytes) -> bytes:
    """Put the mark into an encoded image; GIF and what is cut short stay as they are."""
    text = _KEYWORD + hashlib.sha256(data).digest()
    if data.startswith(_PNG) and data.endswith(_PNG_END):
        return data[: -len(_PNG_END)] + _png_chunk(text) + _PNG_END
    if data.startswith(_JPEG):
        return _JPEG + bytes((0xFF, _COMMENT)) + struct.pack(">H", len(text) + 2) + text + data[2:]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _riff(data[_WEBP_HEAD:] + _WEBP_CHUNK + struct.pack("<I", len(text)) + text)
    return data


def find_mark(data: bytes) -> bool | None:
    """Return whether the mark fits the rest of the file; None where there is none."""
    at = data.find(_KEYWORD)
    if at < 0:
        return None
    text = data[at : at + _MARK]
    if data.startswith(_JPEG):
        bare = _JPEG + data[at + _MARK :]
    elif data.startswith(_PNG):
        bare = data[: at - 8] + data[at + _MARK + 4 :]
    else:
        bare = _riff(data[_WEBP_HEAD : at - 8] + data[at + _MARK :])
    # The mark itself is put in again: what is around it counts as well.
    return text[len(_KEYWORD) :] == hashlib.sha256(bare).digest() and mark(bare) == data


def _png_chunk(text: bytes) -> bytes:
    body = _CHUNK + text
    return struct.pack(">I", len(text)) + body + struct.pack(">I", zlib.crc32(body))


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def check(request: Request) -> JsonAnswer:
    """Answer `POST /v1/content_provenance_checks`."""
    fits = find_mark(_uploaded(request))
    state = {True: "trusted", False: "invalid", None: "not_present"}[fits]
    c2pa: dict[str, object] = {
        "type": "c2pa",
        "outcome": _outcome(detected=bool(fits)),
        "validation_state": state,
    }
    if fits is not None:
        c2pa["issuer"] = _ISSUER
    synthid = {"type": "synthid", "outcome": _outcome(detected=fits is not None)}
    body = {"object": "content_provenance_check", "created_at": int(time.time()), "results": [c2pa, synthid]}
    return JsonAnswer(body)


def _outcome(*, detected: bool) -> str:
    return "detected" if detected else "not_detected"


def _uploaded(request: Request) -> bytes:
    """Read the file of the form, and make sure that it is one image."""
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        message = f"Unsupported content type: '{kind}'. This API method accepts 'multipart/form-data' only."
        raise invalid("unsupported_content_type", message, None)
    form = read_form(request)
    for name in (*form.values, *form.files):
        if name != "file":
            raise unknown_parameter(name)
    parts = form.files.get("file", [])
    if not parts:
        raise missing("file")
    if len(parts) > 1:
        raise invalid("array_above_max_length", "Invalid 'file': expected one file.", "file")
    return uploaded_image(parts[0], "file", _MIME).data
