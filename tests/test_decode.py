from __future__ import annotations

import contextlib
import io
import math
import random
import struct
import sys
import warnings
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcli.output.images.decode import Undecodable, decode, fit, flatten

if TYPE_CHECKING:
    from collections.abc import Callable

RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """An image's file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def photo(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Soft colours."""
    grain = Image.frombytes("RGB", (8, 6), random.Random(3).randbytes(8 * 6 * 3))
    return grain.resize(size, Image.Resampling.BICUBIC)


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and has one row of data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


def ramp(mode: str) -> Image.Image:
    """Deep greys from black at the left to white at the right."""
    top = 1.0 if mode == "F" else 65535
    deep = Image.new("F", (16, 4))
    deep.putdata([top * x / 15 for _ in range(4) for x in range(16)])
    if mode == "F":
        return deep
    return deep.convert("I") if mode == "I" else deep.convert("I").convert("I;16")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_common_format_is_shown(form: str) -> None:
    """An image in any format that people have is decoded to its size."""
    assert ("RGB", (64, 48)) == (decode(encoded(photo(), form)).mode, decode(encoded(photo(), form)).size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_becomes_red_green_blue(mode: str) -> None:
    """Whatever its pixels are made of, an image is decoded and can be made opaque."""
    form = "PNG" if mode in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"} else "TIFF"
    image = ramp(mode) if mode in {"I;16", "I", "F"} else photo().convert(mode)
    assert ("RGB", image.size) == (flatten(decode(encoded(image, form))).mode, image.size)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_greys_keep_their_range(mode: str) -> None:
    """An image of 16 bits or of floats is as dark and as bright as it is, and not cut off at 255."""
    shown = decode(encoded(ramp(mode), "TIFF")).convert("L")
    left, middle, right = (shown.getpixel((x, 1)) for x in (0, 8, 15))
    assert (0, 255) == (left, right)
    assert middle == pytest.approx(136, abs=1)


def test_cmyk_jpeg_has_its_colours() -> None:
    """An image made for print is not shown as its negative."""
    shown = decode(encoded(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG"))
    assert RED == pytest.approx(shown.getpixel((8, 8)), abs=12)


def test_animation_shows_its_first_frame() -> None:
    """Of an animation the first frame is shown."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert RED == decode(data).getpixel((4, 4))


def test_palette_with_transparency_keeps_both() -> None:
    """Colours of a palette stay, and its transparent one is transparent."""
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    shown = decode(encoded(image, transparency=1))
    assert [(*RED, 255), (*BLUE, 0)] == [shown.getpixel((x, 0)) for x in (0, 1)]


def test_a_photo_is_upright() -> None:
    """A camera's note on which side is up is followed."""
    image = Image.new("RGB", (30, 10), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert (10, 30) == decode(encoded(image, "JPEG", exif=exif)).size


def test_broken_metadata_costs_nothing() -> None:
    """An image whose metadata is nonsense is still shown, and without a word from Pillow."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (64, 48) == decode(encoded(photo(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")).size


def test_big_jpeg_is_decoded_small() -> None:
    """Where few pixels are wanted, a JPEG is decoded to a fraction of its size, but not to fewer."""
    width, height = decode(encoded(photo((1600, 1200)), "JPEG"), enough=(150, 100)).size
    assert 150 <= width < 400
    assert 100 <= height < 300


def test_a_jpeg_of_another_shape_is_decoded_small() -> None:
    """A wide photo in a tall box is decoded small too, and one that lies on its side not too small."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    wide, turned = photo((1600, 800)), encoded(photo((1600, 800)), "JPEG", exif=exif)
    assert (400, 200) == decode(encoded(wide, "JPEG"), enough=(200, 1000)).size
    assert (400, 800) == decode(turned, enough=(300, 1000)).size


@pytest.mark.slow
def test_very_large_image_is_made_small_at_once() -> None:
    """Where few pixels are wanted, an image of many megapixels does not stay in memory as a whole."""
    large = Image.new("RGB", (4000, 3000), "navy")
    assert (160, 120) == decode(encoded(large), enough=(80, 60)).size
    assert (4000, 3000) == decode(encoded(large)).size


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "in an unknown format"),
        (b"hello", "in an unknown format"),
        (b'{"error": {}}', "in an unknown format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "in an unknown format"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
        (b"BM" + bytes(52), "damaged or cut short"),
        (b"P6 0 5 255\n", "damaged or cut short"),
        (header_only(0, 5), "damaged or cut short"),
        (header_only(8000, 8000), "larger than 32 megapixels (8000x8000)"),
        (header_only(60000, 60000), "larger than 32 megapixels (60000x60000)"),
        (header_only(8, 8), "damaged or cut short"),
        (encoded(photo())[:-40], "damaged or cut short"),
        (encoded(photo(), "JPEG")[:-40], "damaged or cut short"),
        (encoded(photo(), "WEBP")[:-40], "damaged or cut short"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_says_why(data: bytes, reason: str) -> None:
    """Bytes that are no image, or not one to be shown, give one kind of error with its reason."""
    with pytest.raises(Undecodable) as caught:
        decode(data)
    assert reason == caught.value.reason


def test_floats_that_are_no_numbers() -> None:
    """An image that holds infinities is refused in words."""
    image = Image.new("F", (4, 4), float("inf"))
    with pytest.raises(Undecodable):
        decode(encoded(image, "TIFF"))


SAMPLES: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(photo()),
    "palette": lambda: encoded(photo().quantize(16), transparency=3),
    "jpeg": lambda: encoded(photo(), "JPEG"),
    "cmyk": lambda: encoded(photo().convert("CMYK"), "JPEG"),
    "webp": lambda: encoded(photo(), "WEBP"),
    "gif": lambda: encoded(photo(), "GIF"),
    "tiff": lambda: encoded(photo(), "TIFF", compression="tiff_lzw"),
    "deep": lambda: encoded(ramp("F"), "TIFF"),
    "bmp": lambda: encoded(photo(), "BMP"),
}
ENCODED = {name: make() for name, make in SAMPLES.items()}


@given(name=st.sampled_from(sorted(ENCODED)), data=st.data())
def test_damage_never_surprises(name: str, data: st.DataObject) -> None:
    """However an image was cut or its bits were turned, it is shown or refused, and nothing else happens."""
    damaged = bytearray(ENCODED[name])
    for place in data.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), max_size=6)):
        damaged[place // 8] ^= 1 << place % 8
    end = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    mode = "RGB"
    with contextlib.suppress(Undecodable):
        mode = flatten(decode(bytes(damaged[:end]))).mode
    assert mode == "RGB"


def test_transparency_shows_the_background() -> None:
    """Over a known background transparent parts have its colour, half transparent ones half of it."""
    image = Image.new("RGBA", (3, 1), (*RED, 255))
    image.putpixel((1, 0), (*RED, 0))
    image.putpixel((2, 0), (*RED, 128))
    shown = flatten(image, BLUE)
    assert [RED, BLUE] == [shown.getpixel((x, 0)) for x in (0, 1)]
    assert (128, 0, 127) == pytest.approx(shown.getpixel((2, 0)), abs=1)


def test_transparency_on_a_checkerboard() -> None:
    """Where the background is unknown, transparent parts show a grey checkerboard, opaque ones do not."""
    image = Image.new("RGBA", (240, 120))
    image.paste((*RED, 255), (0, 60, 240, 120))
    shown = flatten(image)
    assert {(0x99,) * 3, (0xCC,) * 3} == {shown.getpixel((x, y)) for x in range(240) for y in range(60)}
    assert shown.getpixel((0, 0)) != shown.getpixel((10, 0)) == shown.getpixel((0, 10))
    assert {RED} == {shown.getpixel((x, y)) for x in range(240) for y in range(60, 120)}


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    columns=st.integers(1, 200),
    rows=st.integers(1, 60),
    cell=st.sampled_from([(1, 2), (8, 16), (10, 20), (7, 15), (1, 1)]),
)
def test_never_larger_than_the_box(
    width: int, height: int, columns: int, rows: int, cell: tuple[int, int]
) -> None:
    """An image never has more cells than there is room for, has at least one, and touches the box."""
    wide, high = fit((width, height), columns, rows, cell)
    assert 1 <= wide <= columns
    assert 1 <= high <= rows
    assert wide == columns or high == rows


@pytest.mark.parametrize(
    ("size", "box", "cell", "expected"),
    [
        ((1024, 1024), (80, 40), (1, 2), (80, 40)),
        ((1024, 1024), (80, 24), (1, 2), (48, 24)),
        ((1536, 1024), (80, 40), (1, 2), (80, 27)),
        ((1024, 1536), (80, 40), (1, 2), (53, 40)),
        ((1024, 1024), (80, 40), (9, 20), (80, 36)),
        ((4000, 1), (80, 40), (1, 2), (80, 1)),
        ((1, 4000), (80, 40), (1, 2), (1, 40)),
    ],
)
def test_aspect_is_kept(
    size: tuple[int, int], box: tuple[int, int], cell: tuple[int, int], expected: tuple[int, int]
) -> None:
    """An image keeps its shape, whatever the shape of the terminal's cells."""
    assert expected == fit(size, *box, cell)


@pytest.mark.parametrize(
    ("size", "zoom", "expected"),
    [
        ((24, 16), 2, (6, 2)),  # exactly 6 by 1.6 cells
        ((24, 16), math.inf, (68, 20)),
        ((400, 300), 2, (60, 20)),
        ((1, 1), 2, (1, 1)),
        ((16, 16), 2, (4, 2)),
        ((30, 1), 2, (8, 1)),
    ],
)
def test_a_small_image_stays_small_and_straight(
    size: tuple[int, int], zoom: float, expected: tuple[int, int]
) -> None:
    """Its pixels become so large at most, and whole cells bend it as little as they can."""
    assert expected == fit(size, 80, 20, (8, 18), zoom)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="9000"><rect width="10" height="9"/></svg>'


class TestDrawings:
    """SVG, which the extra `svg` draws."""

    def test_they_are_described_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the library that draws, the user is told which extra to install."""
        monkeypatch.setitem(sys.modules, "resvg_py", None)
        with pytest.raises(Undecodable, match=r"an SVG drawing; pip install 'imgcli\[svg\]' to see it"):
            decode(SVG)

    def test_they_are_drawn_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With it they are drawn in both dimensions within a square, however long they are."""
        asked = []

        def svg_to_bytes(**how: object) -> bytes:
            asked.append(how)
            return encoded(Image.new("RGB", (4, 4)))

        monkeypatch.setitem(sys.modules, "resvg_py", SimpleNamespace(svg_to_bytes=svg_to_bytes))
        assert (4, 4) == decode(SVG, (100, 40)).size
        assert [{"svg_string": SVG.decode(), "width": 200, "height": 200}] == asked

    def test_a_broken_one_is_damaged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that the library rejects costs the preview, and nothing else."""

        def svg_to_bytes(**_: object) -> bytes:
            raise ValueError("no root")

        monkeypatch.setitem(sys.modules, "resvg_py", SimpleNamespace(svg_to_bytes=svg_to_bytes))
        with pytest.raises(Undecodable, match="damaged or cut short"):
            decode(SVG)
