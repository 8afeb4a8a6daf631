"""Width and height out of a header, as Pillow reads them out of the whole image."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcli.core.image import EncodedImage, header_size

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png": ("PNG", "RGB", {}),
    "gif": ("GIF", "P", {}),
    "jpeg": ("JPEG", "RGB", {}),
    "progressive jpeg": ("JPEG", "L", {"progressive": True, "comment": b"\xff\xc0" * 50}),
    "webp": ("WEBP", "RGB", {}),
    "lossless webp": ("WEBP", "RGB", {"lossless": True}),
    "webp with exif": ("WEBP", "RGBA", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
}


def encoded(kind: str, size: tuple[int, int]) -> bytes:
    """Make an image of a kind."""
    name, mode, options = KINDS[kind]
    out = io.BytesIO()
    Image.new(mode, size).save(out, name, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@given(size=SIZES)
def test_as_pillow_reads_it(kind: str, size: tuple[int, int]) -> None:
    """Every kind of image that the API sends tells its size in its header."""
    assert size == header_size(EncodedImage.of(encoded(kind, size)))


@pytest.mark.parametrize("kind", KINDS)
@given(cut=st.integers(0, 400), junk=st.binary(max_size=40))
def test_damaged(kind: str, cut: int, junk: bytes) -> None:
    """A header that is cut or overwritten gives a size or none, and nothing else."""
    size = header_size(EncodedImage.of(encoded(kind, (33, 44))[:cut] + junk))
    assert size is None or all(size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg></svg>",
        b"\xff\xd8\xff",
        b"\xff\xd8" + b"\xff" * 99,
        b"\xff\xd8\xff\xda\0\2\xff\xc0\0\7\x08\0\1\0\1",  # a frame that begins after its scan
        b"\xff\xd8\xff\xc0\0\3\x08",
        b"\x89PNG\r\n\x1a\n\0\0\0\rtEXt" + b"\1" * 9,
        b"RIFF\x20\0\0\0WEBPVP8 \x20\0\0\0" + b"\1" * 20,
        b"GIF89a",
    ],
)
def test_nothing_to_read(data: bytes) -> None:
    """What has no size has none."""
    assert header_size(EncodedImage.of(data)) is None
