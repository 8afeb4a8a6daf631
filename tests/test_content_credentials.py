"""Content credentials: whether a file brings any, and never a crash over what a file holds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.embedded import EmbeddedParameters, embed
from imgcli.core.image import ContentCredentials, content_credentials
from streams import RED
from test_embedded import chunk, file_of

MANIFEST = b"\0\0\0\x40jumb\0\0\0\x25jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"
OTHER_BOX = MANIFEST.replace(b"c2pa", b"vend")


def segment(marker: int, content: bytes) -> bytes:
    """Spell a segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    """Make a JPEG's frame: what it begins with, and where its data would begin."""
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"".join(segments) + b"\xff\xda\0\2data\xff\xd9"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """Make a WebP's frame."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


JUMBF = segment(0xEB, b"JP\0\1\0\0\0\1" + MANIFEST)
FILES = {
    "jpeg without data": (b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"\xff\xd9", ContentCredentials.ABSENT),
    "png with": (file_of(chunk(b"caBX", MANIFEST), chunk(b"IDAT", b"")), ContentCredentials.PRESENT),
    "png without": (RED, ContentCredentials.ABSENT),
    "png that names it in a text": (file_of(chunk(b"tEXt", b"caBX\0caBX")), ContentCredentials.ABSENT),
    "png with, after its end": (RED + chunk(b"caBX", MANIFEST), ContentCredentials.ABSENT),
    "jpeg with": (jpeg(JUMBF), ContentCredentials.PRESENT),
    "jpeg with, padded": (
        jpeg(segment(0xE1, b"Exif"), b"\xff\xff\xff" + JUMBF[1:]),
        ContentCredentials.PRESENT,
    ),
    "jpeg without": (jpeg(), ContentCredentials.ABSENT),
    "jpeg with another box": (jpeg(segment(0xEB, b"JP\0\1\0\0\0\1" + OTHER_BOX)), ContentCredentials.ABSENT),
    "jpeg with another APP11": (jpeg(segment(0xEB, b"HDR_RI c2pa")), ContentCredentials.ABSENT),
    "jpeg with, in its data": (jpeg() + JUMBF, ContentCredentials.ABSENT),
    "webp with": (webp((b"VP8 ", b"odd"), (b"C2PA", MANIFEST)), ContentCredentials.PRESENT),
    "webp without": (webp((b"VP8 ", b"C2PA")), ContentCredentials.ABSENT),
    "gif": (b"GIF89a", ContentCredentials.UNKNOWN),
    "nothing": (b"", ContentCredentials.UNKNOWN),
}


@pytest.mark.parametrize(("data", "found"), FILES.values(), ids=FILES)
def test_by_format(data: bytes, found: ContentCredentials) -> None:
    """They are found in their own place, and nowhere else."""
    assert found is content_credentials(data)


def test_a_recipe_does_not_hide_them() -> None:
    """They are still there in a file with a recipe, though they no longer verify."""
    assert ContentCredentials.PRESENT is content_credentials(
        embed(FILES["png with"][0], EmbeddedParameters("a cat"))
    )


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]), st.binary(max_size=200))
def test_hostile_bytes(head: bytes, tail: bytes) -> None:
    """Whatever a file holds, the answer is one of the three."""
    assert isinstance(content_credentials(head + tail), ContentCredentials)
