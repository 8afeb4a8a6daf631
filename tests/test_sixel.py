from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from beside import PATIENCE
from imgcli.core.image import EncodedImage
from imgcli.output.images.decode import Undecodable
from imgcli.output.images.protocol import Box
from imgcli.output.images.sixel import SixelRenderer, encode, pixels_in

if TYPE_CHECKING:
    from pathlib import Path

_FRAME = re.compile(r'\x1bP([0-9;]*)q"([0-9;]+)(.*)\x1b\\', re.DOTALL)
_TOKEN = re.compile(r"#([0-9]+)(?:;2;([0-9]+);([0-9]+);([0-9]+))?|!([0-9]+)([?-~])|([?-~])|([$-])")
RGB = tuple[int, int, int]


def drawing(size: tuple[int, int] = (90, 61)) -> Image.Image:
    """Something with edges, a gradient and flat parts."""
    image = Image.merge("RGB", [Image.linear_gradient("L").resize(size) for _ in range(3)])
    draw = ImageDraw.Draw(image)
    draw.ellipse((5, 5, size[0] // 2, size[1] - 5), fill=(220, 60, 30))
    draw.line((0, 0, *size), fill=(255, 255, 255), width=3)
    return image


def encoded(image: Image.Image) -> bytes:
    """The image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Drawn:
    """What a sixel terminal has drawn: pixels by place, colours by register."""

    size: tuple[int, int]
    parameters: list[str]
    colors: dict[int, RGB]
    pixels: dict[tuple[int, int], RGB]

    def image(self, background: RGB = (0, 0, 0)) -> Image.Image:
        """The pixels as an image."""
        image = Image.new("RGB", self.size, background)
        for place, color in self.pixels.items():
            image.putpixel(place, color)
        return image


def draw(text: str) -> Drawn:
    """Read sixels as the VT340's manual has them, character by character."""
    frame = _FRAME.fullmatch(text)
    assert frame, "not one whole sequence"
    aspect_y, aspect_x, width, height = map(int, frame[2].split(";"))
    assert (1, 1) == (aspect_y, aspect_x)
    drawn = Drawn((width, height), frame[1].split(";"), {}, {})
    x = y = color = 0
    assert "" == _TOKEN.sub("", frame[3])
    for number, red, green, blue, count, repeated, single, move in _TOKEN.findall(frame[3]):
        if number:
            color = int(number)
            if red:
                drawn.colors[color] = (_level(red), _level(green), _level(blue))
        elif move:
            x, y = 0, y + (6 if move == "-" else 0)
        else:
            bits, run = ord(repeated or single) - 63, int(count or 1)
            rows = [row for row in range(6) if bits >> row & 1]
            drawn.pixels |= {(x + n, y + row): drawn.colors[color] for row in rows for n in range(run)}
            x += run
    return drawn


def _level(percent: str) -> int:
    return round(int(percent) * 2.55)


def error(image: Image.Image, other: Image.Image) -> float:
    """The mean difference of a channel, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(image.convert("RGB"), other.convert("RGB"))).mean)


def test_the_image_can_be_recognised() -> None:
    """What a sixel terminal draws resembles the image closely, every pixel of it."""
    image = drawing()
    drawn = draw(encode(image))
    assert image.size == drawn.size
    assert image.width * image.height == len(drawn.pixels)
    assert error(image, drawn.image()) < 4


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (7, 5), (300, 1), (13, 127)])
def test_any_size_is_drawn_whole(size: tuple[int, int]) -> None:
    """Also an image of a single pixel, or one whose height is no multiple of six."""
    image = drawing((400, 400)).resize(size)
    drawn = draw(encode(image))
    assert {(x, y) for x in range(size[0]) for y in range(size[1])} == set(drawn.pixels)
    assert error(image, drawn.image()) < 6


@pytest.mark.parametrize("registers", [2, 4, 16, 64, 256, 1024])
def test_a_terminal_with_few_colours_gets_no_more(registers: int) -> None:
    """A VT340 with sixteen colours shows the image in sixteen colours."""
    noisy = Image.merge("RGB", [Image.effect_noise((120, 90), 80) for _ in range(3)])
    drawn = draw(encode(noisy, registers))
    assert 1 < len(drawn.colors) <= min(registers, 255)
    assert max(drawn.colors) < registers


CORAL = (244, 113, 80)


@pytest.mark.parametrize("side", [2, *(pytest.param(side, marks=pytest.mark.slow) for side in (5, 12, 40))])
def test_something_small_keeps_its_colour(side: int) -> None:
    """A coral boat on a wide grey sea stays coral, though next to nothing in the image is."""
    sea = Image.merge("RGB", [Image.effect_noise((480, 318), 12 + 4 * n) for n in range(3)])
    sea.paste(CORAL, (201, 103, 201 + side, 103 + side))
    seen = draw(encode(sea)).image().crop((201, 103, 201 + side, 103 + side))
    assert ImageStat.Stat(seen).mean == pytest.approx(CORAL, abs=30 if side < 5 else 12)


def test_an_image_in_255_colours_is_close_to_the_original() -> None:
    """Smooth skies and a drawing's edges are told from the original by hardly anybody: 38 dB."""
    image = drawing((480, 318))
    squares = ImageStat.Stat(ImageChops.difference(image, draw(encode(image)).image())).sum2
    assert sum(squares) / (3 * 480 * 318) < 255**2 / 10**3.8


def test_few_colours_are_exact() -> None:
    """A drawing in greys, or in as many colours as there are registers, is what it was, to a per cent."""
    for image in (Image.effect_noise((90, 60), 60).convert("RGB"), drawing().quantize(16).convert("RGB")):
        difference = ImageChops.difference(image, draw(encode(image)).image())
        assert max(difference.tobytes()) <= 2


@pytest.mark.parametrize("registers", [2, 16, 256])
@pytest.mark.parametrize("colour", [(0, 0, 0), (244, 113, 80), (255, 255, 255)])
def test_tmux_can_send_it_on(registers: int, colour: RGB) -> None:
    """Every register up to the highest has a colour: tmux sends all of them on, and needs one for each."""
    image = drawing()
    image.paste(colour, (0, 0, 90, 40))
    drawn = draw(encode(image, registers))
    assert list(range(len(drawn.colors))) == sorted(drawn.colors)
    assert set(drawn.colors.values()) == set(drawn.pixels.values())


@pytest.mark.parametrize("registers", [4, 16, 256])
def test_what_tmux_adds_is_not_seen(registers: int) -> None:
    """The first register is the background's: tmux 3.4 fills up the last cells with it."""
    drawn = draw(encode(drawing(), registers, (255, 0, 255)))
    assert (255, 0, 255) == drawn.colors[0]
    assert (255, 0, 255) not in drawn.pixels.values()
    assert list(range(len(drawn.colors))) == sorted(drawn.colors)
    assert len(drawn.colors) <= min(registers, 255)
    assert 90 * 61 == len(drawn.pixels)


def test_clear_parts_are_left_out() -> None:
    """Where an image is transparent the terminal's own background stays."""
    image = drawing().convert("RGBA")
    image.paste((0, 0, 0, 0), (10, 10, 30, 30))
    drawn = draw(encode(image))
    assert "1" == drawn.parameters[1]
    clear = {(x, y) for x in range(10, 30) for y in range(10, 30)}
    assert clear == {(x, y) for x in range(90) for y in range(61)} - set(drawn.pixels)


def test_flat_parts_cost_next_to_nothing() -> None:
    """A plain image is a few bytes a row, so that it shows at once also through ssh."""
    assert len(encode(Image.new("RGB", (480, 318), (255, 255, 255)))) < 3000


@pytest.mark.parametrize("cell", [(8, 16), (9, 19), (10, 20), (7, 13), (5, 5)])
@pytest.mark.parametrize("box", [Box(1, 1), Box(3, 2), Box(25, 11), Box(70, 4)])
def test_the_image_never_leaves_its_box(cell: tuple[int, int], box: Box) -> None:
    """Sixels are drawn in bands of six rows; the last one, too, ends inside the box, so nothing scrolls."""
    frame = SixelRenderer(cell).render(EncodedImage.of(encoded(drawing((64, 64)))), box)
    text = frame.graphics[0].text
    width, height = draw(text).size
    assert frame.columns <= box.columns
    assert frame.rows <= box.rows
    assert (frame.columns - 1) * cell[0] < width <= frame.columns * cell[0]
    assert height <= frame.rows * cell[1]
    assert -(-height // 6) * 6 <= max(box.rows * cell[1], 6)


def test_a_terminal_may_limit_its_images() -> None:
    """Xterm cuts off what is larger than a thousand pixels, so the image is made to fit."""
    assert (1000, 996) == pixels_in(Box(300, 100), (10, 20), (1000, 1000))
    renderer = SixelRenderer((10, 20), largest=(100, 60))
    assert (6, 3) == _box_of(renderer, drawing((300, 300)))


@pytest.mark.parametrize("size", [(64, 64), (90, 60), (60, 90), (640, 31), (31, 640), (70, 30)])
@pytest.mark.parametrize("columns", [1, 3, 8, 13, 34])
def test_the_last_band_is_full(size: tuple[int, int], columns: int) -> None:
    """The rows below an image are no part of it: Konsole would paint them white."""
    frame = SixelRenderer((8, 17)).render(EncodedImage.of(encoded(drawing(size))), Box(columns, 40))
    text = frame.graphics[0].text
    width, height = draw(text).size
    assert height % 6 == 0 or height < 6
    assert width <= columns * 8
    assert abs(width - height * size[0] / size[1]) <= 1 + size[0] / size[1]


def _box_of(renderer: SixelRenderer, image: Image.Image) -> tuple[int, int]:
    frame = renderer.render(EncodedImage.of(encoded(image)), Box(80, 24))
    return frame.columns, frame.rows


def test_transparent_parts_do_not_show_the_image_before() -> None:
    """A transparent image is painted over the terminal's background, not over the last partial."""
    image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    frame = SixelRenderer((10, 20), background=(0, 0, 255)).render(EncodedImage.of(encoded(image)), Box(6, 3))
    text = frame.graphics[0].text
    drawn = draw(text)
    assert {(0, 0, 255)} == set(drawn.pixels.values())
    assert 60 * 60 == len(drawn.pixels)


def test_transparent_parts_have_the_very_background() -> None:
    """However many colours the rest has, no tinted box is seen around it."""
    image = Image.new("RGBA", (120, 120), (0, 0, 0, 0))
    hues = Image.merge("HSV", [Image.linear_gradient("L")] * 2 + [Image.new("L", (256, 256), 255)])
    disc = Image.radial_gradient("L").resize((100, 100)).point(lambda level: max(255 - 2 * level, 0))
    image.paste(hues.convert("RGB").resize((100, 100)), (10, 10), disc)
    frame = SixelRenderer((10, 20), background=(255, 255, 255)).render(
        EncodedImage.of(encoded(image)), Box(12, 6)
    )
    assert (255, 255, 255) == draw(frame.graphics[0].text).pixels[(2, 2)]


def test_bytes_that_are_no_image_are_refused() -> None:
    """A damaged partial is said to be one, and draws nothing."""
    with pytest.raises(Undecodable):
        SixelRenderer((10, 20)).render(EncodedImage.of(encoded(drawing())[:300]), Box(10, 10))


def sixel2png() -> str:
    """Find libsixel's own tool; without it the test is skipped, but never where CI must have it."""
    found = shutil.which("sixel2png")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI has libsixel-bin installed, and sixel2png is missing")
        pytest.skip("sixel2png (Debian: libsixel-bin) is not installed")
    return found


@pytest.mark.parametrize("size", [pytest.param((480, 318), marks=pytest.mark.slow), (97, 55)])
@pytest.mark.parametrize(("registers", "bound"), [(256, 5.0), (16, 20.0)])
def test_libsixel_reads_what_we_write(
    tmp_path: Path, size: tuple[int, int], registers: int, bound: float
) -> None:
    """An independent decoder sees the same image."""
    tool, image, png = sixel2png(), drawing(size), tmp_path / "out.png"
    text = encode(image, registers)
    subprocess.run([tool, "-o", str(png)], input=text.encode(), check=True, timeout=PATIENCE)
    with Image.open(png) as seen:
        assert image.size == seen.size
        assert error(image, seen) < bound
        assert error(draw(text).image(), seen) < 2
