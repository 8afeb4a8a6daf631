from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from imgcli.core.formats import jpeg as jpeg_format
from imgcli.core.formats import png as png_format
from imgcli.core.formats import webp as webp_format
from imgcli.core.formats.png import SIGNATURE, chunks, encode
from imgcli.core.image import EncodedImage
from imgcli.store import verify
from imgcli.store.verify import DECODE_LIMIT, HEAVY_LIMIT, Finding, examine
from streams import RED
from tables import each

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def encoded(encoding: str, mode: str = "RGB") -> bytes:
    """Make a small noisy image."""
    out = BytesIO()
    noise = Image.effect_noise((64, 48), 60)
    noise.convert(mode).save(out, encoding)
    return out.getvalue()


WHOLE = {name: encoded(name) for name in ("png", "jpeg", "webp", "gif")}
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>\n<!-- end -->\n'


def damage(data: bytes) -> str | None:
    """Say what is damaged about these bytes."""
    return examine(EncodedImage.of(data)).damage


def png(width: int, height: int, packed: bytes, interlace: int = 0) -> bytes:
    """Build a PNG whose header may lie about its data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlace)
    parts = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return SIGNATURE + b"".join(encode(kind, content) for kind, content in parts)


@pytest.mark.parametrize("encoding", WHOLE)
def test_whole_images(encoding: str) -> None:
    """A whole image of every format that the API sends is in order, and its size is known."""
    assert (None, (64, 48)) == (damage(WHOLE[encoding]), examine(EncodedImage.of(WHOLE[encoding])).size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_whole_png_of_every_mode(mode: str) -> None:
    """Palettes, grey, depth and transparency are no damage."""
    assert None is damage(encoded("png", mode))


@pytest.mark.parametrize("encoding", WHOLE)
def test_cut_images(encoding: str) -> None:
    """An image cut anywhere is found out, down to its last byte."""
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
def test_no_images(junk: bytes) -> None:
    """An error page, nothing, or a bare signature is no image."""
    assert None is not damage(junk)


def test_junk_after_the_end() -> None:
    """Bytes after the end do not make an image damaged: it opens everywhere, and is saved as it came."""
    assert None is damage(RED + b"PK\x03\x04 polyglot")


SVGS = {
    "plain": SVG,
    "after a comment": b"<!-- made by hand --><svg/>",
    "in other words": b'<?xml version="1.0" encoding="iso-8859-1"?><svg><title>caf\xe9</title></svg>',
    "of SVG 1.1": b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://127.0.0.1:9/svg11.dtd"><svg></svg>',
}


@pytest.mark.parametrize("name", SVGS)
def test_svg(name: str) -> None:
    """A vector image is whole when it is XML to its end; nothing that it names is fetched."""
    assert Finding(None) == examine(EncodedImage.of(SVGS[name]))
    assert None is not damage(SVGS[name][:-4])


@pytest.mark.parametrize(
    "svg",
    [
        b"<svg><path></svg>",
        b"<svg>&nbsp;</svg>",
        b"<svg a=b></svg>",
        b"<svg></svg>\0\0",
        b"<svg></svg><svg></svg>",
        b"<?xml version='1.0'?><html><svg></svg></html>",
    ],
)
def test_svg_that_is_no_xml(svg: bytes) -> None:
    """What an XML parser refuses is damaged, though it ends as an SVG does; so is what has another root."""
    assert None is not damage(svg)


def test_svg_with_entities() -> None:
    """An SVG that declares entities is neither expanded nor called damaged, unless its end is missing."""
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 9))
    bomb = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY l0 "ha">%s]><svg a="&l8;">&l8;</svg>' % laughs
    finding = examine(EncodedImage.of(bomb))
    assert (None, True) == (finding.damage, "entities" in (finding.unchecked or ""))
    assert None is not damage(bomb[:-2])


ROWS = b"".join(b"\0" + random.Random(row).randbytes(64 * 3) for row in range(64))
BLACK = bytes(64 * (1 + 64 * 3))


def test_pixels_that_no_reader_takes() -> None:
    """A PNG with all its bytes of pixels is damaged where their filter is unknown, or a chunk parts them."""
    packed = zlib.compress(ROWS)
    parts = ((b"IDAT", packed[:999]), (b"tEXt", b"a\0b"), (b"IDAT", packed[999:]), (b"IEND", b""))
    parted = png(64, 64, packed)[:33] + b"".join(encode(kind, content) for kind, content in parts)
    unknown = png(64, 64, zlib.compress(ROWS[:193] + b"\7" + ROWS[194:]))
    assert None not in (damage(unknown), damage(parted))


@pytest.mark.parametrize("rows", [ROWS, BLACK], ids=["noise", "black"])
def test_missing_scan_lines(rows: bytes) -> None:
    """A PNG whose data are intact, and hold fewer rows than its header says, is damaged."""
    line = len(rows) // 64
    assert None is damage(png(64, 64, zlib.compress(rows)))
    assert [] == [n for n in (1, 32, 63) if damage(png(64, 64, zlib.compress(rows[: n * line]))) is None]
    assert "193 of 12,352" in (damage(png(64, 64, zlib.compress(rows[:line]))) or "")


def test_missing_scan_lines_of_an_interlaced_png() -> None:
    """The rows of an interlaced PNG are counted pass by pass."""
    rows = [1, 1, 1, 3]  # pixels of the first, fourth, sixth and seventh pass; the others have none of 3x2
    needed = sum(1 + 3 * pixels for pixels in rows)
    whole, short = (png(3, 2, zlib.compress(bytes(size)), interlace=1) for size in (needed, needed - 1))
    assert [None, False] == [damage(whole), damage(short) is None]


def test_more_scan_lines_than_the_header_says() -> None:
    """A PNG that unpacks to far more than its pixels is whole, and what is too much is not unpacked."""
    bomb = png(64, 64, zlib.compress(BLACK + bytes(20_000_000)))
    assert None is damage(bomb)
    assert png_format.held_size(bomb, len(BLACK)) < 2_000_000


def test_comment_too_large_for_the_decoder() -> None:
    """A PNG is whole whatever comment it has: one that Pillow refuses to unpack costs nobody the image."""
    comment = encode(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000)))
    assert None is damage(RED[:33] + comment + RED[33:])
    assert None is not damage(RED[:33] + comment + png(64, 64, zlib.compress(BLACK[:999]))[33:])


WITHOUT_PIXELS = {
    "png": SIGNATURE + encode(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)) + encode(b"IEND", b""),
    "gif": WHOLE["gif"][:10] + b"\0\0\0;",
    "webp": b"RIFF" + (12).to_bytes(4, "little") + b"WEBPEXIF" + bytes(4),
}


@pytest.mark.parametrize("name", WITHOUT_PIXELS)
def test_no_pixels(name: str) -> None:
    """A file that begins and ends as an image does, and has none in it, is damaged."""
    assert f"the {name} holds no image" == damage(WITHOUT_PIXELS[name])


def test_spare_terminator_in_a_gif() -> None:
    """A GIF whose image ends twice, as some encoders have it, is whole."""
    assert None is damage(WHOLE["gif"][:-1] + b"\0;")


def test_reserved_marker_in_a_jpeg() -> None:
    """A JPEG with a marker that no encoder may write is damaged, though a decoder skips it."""
    assert "the jpeg data is cut short or altered" == damage(b"\xff\xd8\xff\x02\0\2" + WHOLE["jpeg"][2:])


@pytest.mark.parametrize(
    ("encoding", "module", "limit"),
    [
        ("png", png_format, "_MOST_CHUNKS"),
        ("jpeg", jpeg_format, "_MOST_SEGMENTS"),
        ("webp", webp_format, "_MOST_CHUNKS"),
    ],
)
def test_endless_parts(
    encoding: str, module: ModuleType, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of ever more tiny parts does not keep us busy: past a limit it is called damaged."""
    part = {"png": encode(b"teXt", b""), "jpeg": b"\xff\x01", "webp": b"EXIF\0\0\0\0"}[encoding]
    head = {"png": 33, "jpeg": 2, "webp": 12}[encoding]
    monkeypatch.setattr(module, limit, 50)
    whole = WHOLE[encoding]
    for count, is_damaged in ((20, False), (60, True)):
        data = bytearray(whole[:head] + part * count + whole[head:])
        if encoding == "webp":
            data[4:8] = (len(data) - 8).to_bytes(4, "little")
        assert is_damaged is (module.defect(bytes(data)) is not None)


def moving(encoding: str, count: int = 3, mode: str = "L") -> bytes:
    """Make an animation."""
    frames = [Image.effect_noise((64, 48), 60).convert(mode) for _ in range(count)]
    out = BytesIO()
    frames[0].save(out, encoding, save_all=True, append_images=frames[1:])
    return out.getvalue()


def without_late_rows(apng: bytes) -> bytes:
    """Take the lower half of the last frame of an animated PNG, its checksums right."""
    late = [chunk for chunk in chunks(apng) if chunk.kind == b"fdAT"][-1]
    number, packed = late.content(apng)[:4], zlib.decompress(late.content(apng)[4:])
    half = number + zlib.compress(packed[: len(packed) // 2])
    return apng[: late.start] + encode(b"fdAT", half) + apng[late.end :]


def without_last_frame(apng: bytes) -> bytes:
    """Take the last frame of an animated PNG, but not out of its header."""
    control = [chunk for chunk in chunks(apng) if chunk.kind == b"fcTL"][-1]
    return apng[: control.start] + apng[-12:]


APNG, MOVING_GIF, MOVING_WEBP = (moving(encoding) for encoding in ("png", "gif", "webp"))
COLORED_APNG = moving("png", mode="P")


def zeroed(data: bytes, offset: int, count: int) -> bytes:
    """Put zeros over a part of the data."""
    return data[:offset] + bytes(count) + data[offset + count :]


LATE = {
    "png rows": without_late_rows(APNG),
    "png frame": without_last_frame(APNG),
    "png rows of colors": without_late_rows(COLORED_APNG),
    "gif": zeroed(MOVING_GIF, len(MOVING_GIF) - 700, 300),  # beyond a block: fewer zeros may be valid codes
    "webp": MOVING_WEBP[:-300] + b"\xff" * 300,
}


@pytest.mark.parametrize("name", LATE)
def test_damage_in_a_later_frame(name: str) -> None:
    """Every frame of an animation is looked at."""
    assert [None] * 4 == [damage(whole) for whole in (APNG, COLORED_APNG, MOVING_GIF, MOVING_WEBP)]
    assert None is not damage(LATE[name])


PHOTO = Image.effect_noise((256, 192), 40).filter(ImageFilter.GaussianBlur(1)).convert("RGB")
JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restarting": {"restart_marker_rows": 1},
    "restarting often": {"restart_marker_blocks": 1},
    "progressive, restarting": {"progressive": True, "restart_marker_blocks": 5},
    "fine": {"quality": 100, "subsampling": 0},
    "coarse": {"quality": 1, "subsampling": 2},
    "with a thumbnail": {"exif": b"Exif\0\0" + WHOLE["jpeg"], "comment": b"\xff\xd9\xff\xda"},
}


def jpeg(name: str, image: Image.Image = PHOTO) -> bytes:
    """Make a JPEG of a kind."""
    out = BytesIO()
    image.save(out, "JPEG", **JPEGS[name])
    return out.getvalue()


@each("name", JPEGS)
@each("mode", ["L", "RGB", "CMYK"])
@each("color", [None, "black", "gray", "red"])
def test_whole_jpegs(name: str, mode: str, color: str | None) -> None:
    """However a JPEG is coded, whatever it shows, a whole one is whole, also with bytes behind its end."""
    image = (Image.new("RGB", (99, 61), color) if color else PHOTO).convert(mode)
    data = jpeg(name, image)
    assert [None, None] == [damage(data), damage(data + b"\0" * 9 + data)]


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_cut_and_ended(name: str) -> None:
    """A JPEG that lacks its later half is damaged, though it has an end marker."""
    data = jpeg(name)
    assert None is not damage(data[: len(data) * 3 // 4].rstrip(b"\xff") + b"\xff\xd9")


@pytest.mark.parametrize("name", ["baseline", "optimized", "fine", "restarting"])
def test_jpeg_with_a_hole(name: str) -> None:
    """A JPEG with 2,000 zeroed bytes in it is damaged: its data hold too few blocks, or too many."""
    data = jpeg(name)
    assert None is not damage(zeroed(data, len(data) // 3, 2_000))


def test_jpeg_of_a_pillow_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the decoder cannot be fed by hand, Pillow's own way of decoding has to do."""
    monkeypatch.delattr("PIL.Image._getdecoder")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: None)
    assert None is damage(WHOLE["jpeg"])


def test_huge_image_is_not_decoded() -> None:
    """A PNG that claims two thousand million pixels is not decoded, but missed are those that it lacks."""
    huge = png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(1000)))
    assert "1,000 of 13,835,058,044,544,745,474 bytes" in (damage(huge) or "")


@pytest.mark.parametrize("encoding", WHOLE)
def test_large_images(encoding: str) -> None:
    """Of an image past the limit the structure is checked, and the finding says that the pixels were not."""
    whole = WHOLE[encoding]
    finding = examine(EncodedImage.of(whole), 100)
    assert (None, (64, 48)) == (finding.damage, finding.size)
    assert "structure checked, pixels not (more than imgcli decodes)" == finding.unchecked
    assert None is not examine(EncodedImage.of(whole[:-9]), 100).damage
    assert (32_000_000, 17_000_000) == (DECODE_LIMIT, HEAVY_LIMIT)


@pytest.mark.parametrize("encoding", ["png", "gif", "webp"])
def test_long_animation(encoding: str) -> None:
    """An animation whose frames are too many in all is not decoded to its end, and the finding says so."""
    finding = examine(EncodedImage.of(moving(encoding, 30)), 64 * 48)
    assert (None, True) == (finding.damage, "pixels not" in (finding.unchecked or ""))


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

    monkeypatch.setattr(verify, "_png", stumble)
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

    monkeypatch.setattr(verify, "_png", stumble)
    found = examine(EncodedImage.of(RED))
    assert (None, (48, 32)) == (found.damage, found.size)
    assert found.unchecked


def test_no_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine short of memory does not make a whole image a damaged one."""

    def exhausted(_: bytes) -> bool:
        raise MemoryError

    monkeypatch.setattr("imgcli.core.formats.png.has_all_pixels", exhausted)
    assert [None, True] == [damage(RED), "memory" in (examine(EncodedImage.of(RED)).unchecked or "")]


@given(st.sampled_from([*WHOLE.values(), SVG]), st.data())
def test_noise_never_raises(whole: bytes, data: st.DataObject) -> None:
    """However an image is cut and altered, the answer is a sentence or nothing."""
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for offset in data.draw(st.lists(st.integers(0, max(len(broken) - 1, 0)), max_size=4)):
        broken[offset : offset + 1] = data.draw(st.binary(max_size=6))
    assert isinstance(damage(bytes(broken)), str | None)
