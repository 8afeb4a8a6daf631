"""Base64 as servers really send it."""

from __future__ import annotations

import binascii
import re

_DATA_URI = re.compile(r"\s*data:[^,]{0,100},")
_URL_SAFE = str.maketrans("-_", "+/")


def decode(text: str) -> bytes | None:
    """Decode base64 to bytes; None when that cannot be done without guessing.

    Strictly first (RFC 4648 section 4). Then once leniently: a data URI's head, white space, the URL-safe
    letters and missing padding are forgiven. Python's own lenient decoder drops what it does not know: it is
    never used.
    """
    data = _strict(text)
    return data if data is not None else _strict(_repaired(text))


def decode_beginning(text: bytes) -> bytes:
    """Decode base64 without padding that may be cut anywhere, as far as its last whole byte."""
    body = text[:-1] if len(text) % 4 == 1 else text
    padded = body + b"=" * (-len(body) % 4) if len(body) % 4 else body
    data = _strict(padded)
    return data if data is not None else decode(padded.decode("ascii", "replace")) or b""


def _strict(text: str | bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True) or None
    except ValueError:
        return None


def _repaired(text: str) -> str:
    """Undo what is known to be done to base64 on its way."""
    body = "".join(_DATA_URI.sub("", text, count=1).split()).translate(_URL_SAFE).rstrip("=")
    return body + "=" * (-len(body) % 4)
