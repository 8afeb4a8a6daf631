from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcli.core.events import Picture
from imgcli.store import verify as verifying
from imgcli.store.verify import DECODE_LIMIT, HEAVY_LIMIT, examine
from streams import RED

if TYPE_CHECKING:
    from collections.abc import Callable


def encoded(encoding: str, mode: str = "RGB") -> bytes:
    """Make a small noisy picture."""
    out = BytesIO()
    noise = Image.effect_noise((64, 48), 60)
    noise.convert(mode).save(out, encoding)
    return out.getvalue()


WHOLE = {name: encoded(name) for name in ("png", "jpeg", "webp", "gif")}
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>\n<!-- end -->\n'


def damage(data: bytes) -> str | None:
    """Say what is damaged about these bytes."""
    return examine(Picture.of(data)).damage


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Build a PNG whose header may lie about its data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("encoding", WHOLE)
def test_whole_pictures(encoding: str) -> None:
    """A whole picture of every format that the API sends is in order, and its size is known."""
    assert (None, (64, 48)) == (damage(WHOLE[encoding]), examine(Picture.of(WHOLE[encoding])).size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_whole_png_of_every_mode(mode: str) -> None:
    """Palettes, grey, depth and transparency are no damage."""
    assert None is damage(encoded("png", mode))


@pytest.mark.parametrize("encoding", WHOLE)
def test_cut_pictures(encoding: str) -> None:
    """A picture cut anywhere is found out, down to its last byte."""
    whole = WHOLE[encoding]
    cuts = [*range(0, len(whole), 97), len(whole) - 12, len(whole) - 1]
    assert [] == [cut for cut in cuts if damage(whole[:cut]) is None]


def test_missing_end_chunk() -> None:
    """A PNG that lacks its end chunk or a part of it is damaged, though decoders show it."""
    assert [] == [cut for cut in range(1, 13) if damage(RED[:-cut]) is None]


@pytest.mark.parametrize("offset", range(40, 64, 4))
def test_flipped_pixels(offset: int) -> None:
    """One flipped byte among a PNG's pixels is found out."""
    broken = bytearray(RED)
    broken[offset] ^= 0x40
    assert None is not damage(bytes(broken))


def test_consistent_checksum_over_broken_pixels() -> None:
    """Checksums do not save a PNG whose pixels do not unpack."""
    assert None is not damage(png(64, 64, b"no zlib data at all"))
    assert None is not damage(png(64, 64, zlib.compress(b"too short")))


@pytest.mark.parametrize(
    "junk", [b"", b"<html><body>502 Bad Gateway</body></html>", b"{}", b"\x89PNG\r\n\x1a\n"]
)
def test_no_pictures(junk: bytes) -> None:
    """An error page, nothing, or a bare signature is no picture."""
    assert None is not damage(junk)


def test_junk_after_the_end() -> None:
    """Bytes after the end do not make a picture damaged: it opens everywhere, and is saved as it came."""
    assert None is damage(RED + b"PK\x03\x04 polyglot")


def test_svg() -> None:
    """A vector picture is whole when its element ends."""
    assert [None, False] == [damage(SVG), damage(SVG[:-20]) is None]


def test_huge_picture_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG that claims two thousand million pixels is checked for completeness, not unpacked."""
    monkeypatch.setattr(verifying, "_opened", None)
    huge = png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(1000)))
    assert (None, (2**31 - 1, 2**31 - 1)) == (damage(huge), examine(Picture.of(huge)).size)
    assert [] == [cut for cut in range(33, len(huge), 7) if damage(huge[:cut]) is None]


@pytest.mark.parametrize("encoding", ["jpeg", "webp", "gif"])
def test_large_pictures_of_other_formats(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture past the limit that is no PNG is looked at only as far as its ends."""
    limit = "HEAVY_LIMIT" if encoding == "webp" else "DECODE_LIMIT"
    monkeypatch.setattr(verifying, limit, 100)
    assert [None, False] == [damage(WHOLE[encoding]), damage(WHOLE[encoding][:-9]) is None]
    assert (32_000_000, 17_000_000) == (DECODE_LIMIT, HEAVY_LIMIT)


def test_more_than_pillow_wants_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is too large for the decoder is not called damaged for that."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert [None, None] == [damage(WHOLE[encoding]) for encoding in ("webp", "gif")]


RAISES: list[Callable[[], BaseException]] = [
    RecursionError,
    EOFError,
    IndexError,
    lambda: struct.error("short"),
    lambda: zlib.error("bad"),
]


@pytest.mark.parametrize("error", RAISES, ids=lambda make: type(make()).__name__)
def test_decoder_faults_are_reasons(
    error: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the decoder stumbles over becomes a reason, never a crash."""

    def stumble(*_: object) -> None:
        raise error()

    monkeypatch.setattr(verifying, "_opened", stumble)
    assert type(error()).__name__ in (damage(RED) or "")


@pytest.mark.parametrize(
    "error",
    [
        OSError(24, "Too many open files"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
        ImportError("cannot import name '_webp'"),
        NameError("name '_webp' is not defined"),
        OSError("decoder jpeg not available"),
    ],
    ids=str,
)
def test_trouble_of_the_machine_is_no_damage(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine lacks for looking at an image says nothing about its bytes."""

    def stumble(*_: object) -> None:
        raise error

    monkeypatch.setattr(verifying, "_opened", stumble)
    found = verifying.examine(Picture.of(RED))
    assert (None, (48, 32)) == (found.damage, found.size)
    assert found.unchecked


def test_no_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine short of memory does not make a whole picture a damaged one."""

    def exhausted(_: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", exhausted)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    assert None is damage(RED)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([*WHOLE.values(), SVG]), st.data())
def test_noise_never_raises(whole: bytes, data: st.DataObject) -> None:
    """However a picture is cut and altered, the answer is a sentence or nothing."""
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for offset in data.draw(st.lists(st.integers(0, max(len(broken) - 1, 0)), max_size=4)):
        broken[offset : offset + 1] = data.draw(st.binary(max_size=6))
    assert isinstance(damage(bytes(broken)), str | None)
