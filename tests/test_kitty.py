from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyte
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat
from PIL.PngImagePlugin import PngInfo

from imgcli.core.image import EncodedImage
from imgcli.output.images.decode import Undecodable
from imgcli.output.images.kitty import LIMIT, KittyRenderer, Route, diacritics, fresh_id, id_after
from imgcli.output.images.protocol import Box
from imgcli.output.terminal.screen import Screen

if TYPE_CHECKING:
    from imgcli.output.images.protocol import Frame

CELL = (10, 20)
BOX = Box(40, 12)
_COMMAND = re.compile(r"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\")


def encoded(size: tuple[int, int] = (300, 200), kind: str = "PNG") -> bytes:
    """An image with something to see in it, another one every time."""
    image = Image.effect_noise(size, 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((10, 10, size[0] // 2, size[1] - 10), fill=(200, 90, 40))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@dataclass
class Kitty:
    """A terminal as the published protocol describes it, as far as it concerns images.

    `images` is its memory, `shown` the boxes on the screen, `most` the most images that it ever held.
    """

    images: dict[int, bytes] = field(default_factory=dict)
    shown: dict[int, tuple[int, int]] = field(default_factory=dict)
    virtual: dict[int, tuple[int, int]] = field(default_factory=dict)
    most: int = 0
    seen_at_any_time: bool = True
    _open: dict[str, str] | None = None
    _payload: str = ""

    def feed(self, text: str) -> str:
        """Obey commands; gives back what else there was in the text."""
        for keys, payload in _COMMAND.findall(text):
            self._obey(dict(key.split("=") for key in keys.split(",")), payload)
        rest = _COMMAND.sub("", text)
        assert "\x1b_" not in rest, "a command without its end"
        return rest

    def _obey(self, keys: dict[str, str], payload: str) -> None:
        assert keys["q"] == "2", "an answer would be typed into the shell"
        if keys.get("a") == "d":
            assert keys["d"] == "I", "the data would stay in memory"
            image = int(keys["i"])
            for place in (self.images, self.shown, self.virtual):
                place.pop(image, None)
            self.seen_at_any_time &= bool(self.shown or self.virtual)
            return
        assert len(payload) <= 4096
        if self._open is None:
            self._open = keys
        else:
            assert set(keys) <= {"m", "q"}, "the protocol forbids any other key on a later chunk"
        self._payload += payload
        if keys.get("m") == "1":
            assert len(payload) % 4 == 0
        else:
            self._complete()

    def _complete(self) -> None:
        keys, data = self._open or {}, base64.b64decode(self._payload, validate=True)
        self._open, self._payload = None, ""
        assert (keys["a"], keys["f"]) == ("T", "100")
        image, box = int(keys["i"]), (int(keys["c"]), int(keys["r"]))
        self.images[image] = data
        self.most = max(self.most, len(self.images))
        if keys.get("U") == "1":
            self.virtual[image] = box
        else:
            assert keys["C"] == "1", "the cursor would move"
            self.shown[image] = box


def written(frame: Frame) -> str:
    """A frame's text, its rows one under another."""
    first = "".join(graphic.text for graphic in frame.graphics if graphic.is_first)
    last = "".join(graphic.text for graphic in frame.graphics if not graphic.is_first)
    return first + "\r\n".join(frame.lines) + last


def test_a_png_reaches_the_terminal_as_the_very_bytes_that_were_saved() -> None:
    """A PNG of less than 2 MB is neither decoded nor changed on its way to the screen."""
    data, kitty = encoded((1024, 700)), Kitty()
    kitty.feed(written(KittyRenderer(CELL).render(EncodedImage.of(data), BOX)))
    assert [data] == list(kitty.images.values())


def large(size: tuple[int, int]) -> bytes:
    """A PNG of several megabytes."""
    image = Image.effect_noise(size, 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((0, 0, *size), fill=(200, 90, 40))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


@pytest.mark.parametrize("route", Route)
def test_a_large_png_is_sent_as_small_as_it_is_shown(route: Route) -> None:
    """Of a 4K image no more goes to the terminal than its box has pixels, in the same shape and colours."""
    data, kitty = large((1200, 800)), Kitty()
    frame = KittyRenderer(CELL, route, enough=CELL).render(EncodedImage.of(data), BOX)
    kitty.feed((unwrapped if route is Route.TMUX else str)(written(frame)))
    (png,) = kitty.images.values()
    with Image.open(io.BytesIO(png)) as shown, Image.open(io.BytesIO(data)) as meant:
        assert (360, 240) == shown.size
        assert len(png) < len(data) / 5
        assert max(ImageStat.Stat(ImageChops.difference(shown, meant.resize(shown.size))).mean) < 8
    assert [(36, 12)] == list((kitty.virtual if route is Route.TMUX else kitty.shown).values())


def test_a_large_png_of_few_pixels_is_not_touched() -> None:
    """What the screen can show pixel by pixel is sent as it is, also where metadata made it large."""
    info = PngInfo()
    info.add_text("workflow", "x" * 2_000_000)
    buffer = io.BytesIO()
    Image.effect_noise((300, 200), 60).save(buffer, "PNG", pnginfo=info)
    data, kitty = buffer.getvalue(), Kitty()
    kitty.feed(written(KittyRenderer(CELL, enough=CELL).render(EncodedImage.of(data), BOX)))
    assert [data] == list(kitty.images.values())


def test_the_image_fills_its_box_in_its_own_shape() -> None:
    """An image keeps its aspect, whatever the shape of the terminal's cells."""
    kitty = Kitty()
    frame = KittyRenderer(CELL).render(EncodedImage.of(encoded((300, 300))), Box(40, 12))
    kitty.feed(written(frame))
    assert [(24, 12)] == list(kitty.shown.values())
    assert (24, 12) == (frame.columns, frame.rows)


def test_a_new_partial_swaps_without_flicker_and_without_hoarding() -> None:
    """While an image gets better there is always one on the screen, and never more than two in memory."""
    kitty, renderer = Kitty(), KittyRenderer(CELL)
    for _ in range(5):
        partial = encoded()
        kitty.feed(written(renderer.render(EncodedImage.of(partial), BOX)))
        assert [partial] == list(kitty.images.values())
        assert 1 == len(kitty.shown)
    assert (2, True) == (kitty.most, kitty.seen_at_any_time)


def test_the_same_painting_can_be_drawn_again() -> None:
    """When lines are printed above an image it is drawn anew, and is still there once."""
    kitty, renderer = Kitty(), KittyRenderer(CELL)
    renderer.render(EncodedImage.of(encoded()), BOX)
    frame = renderer.render(EncodedImage.of(encoded()), BOX)
    for _ in range(3):
        kitty.feed(written(frame))
    assert 1 == len(kitty.images) == len(kitty.shown)


def test_a_finished_image_stays_when_the_next_one_begins() -> None:
    """Of several images each stays in the scrollback once it is finished."""
    kitty, renderer = Kitty(), KittyRenderer(CELL)
    for _ in range(3):
        kitty.feed(written(renderer.render(EncodedImage.of(encoded()), BOX)))
        kitty.feed(written(renderer.render(EncodedImage.of(encoded()), BOX)))
        renderer.keep()
    assert 3 == len(kitty.shown)


@pytest.mark.parametrize("route", Route)
def test_a_image_that_is_to_go_leaves_nothing_behind(route: Route) -> None:
    """A preview that is taken away is gone from the screen and from the terminal's memory."""
    kitty, renderer = Kitty(), KittyRenderer(CELL, route)
    assert renderer.clear() == ""
    reach = unwrapped if route is Route.TMUX else str
    kitty.feed(reach(written(renderer.render(EncodedImage.of(encoded()), BOX))))
    kitty.feed(reach(renderer.clear()))
    assert ({}, {}, {}) == (kitty.images, kitty.shown, kitty.virtual)
    assert renderer.clear() == ""


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_other_formats_are_shown_as_png(kind: str) -> None:
    """JPEG and WebP are seen on a terminal that knows PNG only."""
    data, kitty = encoded((300, 200), kind), Kitty()
    kitty.feed(written(KittyRenderer(CELL).render(EncodedImage.of(data), BOX)))
    (png,) = kitty.images.values()
    assert png.startswith(b"\x89PNG")
    shown, meant = Image.open(io.BytesIO(png)).convert("RGB"), Image.open(io.BytesIO(data)).convert("RGB")
    difference = ImageChops.difference(shown, meant.resize(shown.size))
    assert max(ImageStat.Stat(difference).mean) < 8


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _sized(width: int, height: int) -> bytes:
    """A PNG that claims a size; its checksum is right."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IEND"
    chunks = (
        struct.pack(">I", len(body) - 4) + body + zlib.crc32(body).to_bytes(4) for body in (header, end)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


BAD = {
    "large and cut": large((1200, 800))[:-200],
    "large and damaged": _flipped(large((1200, 800))),
    "cut": encoded()[:-200],
    "cut at a chunk": encoded()[:-12],
    "damaged": _flipped(encoded()),
    "header only": encoded()[:20],
    "zero-sized": _sized(0, 10),
    "huge": _sized(40_000, 1_000),
    "no image": b"<html>busy</html>",
    "empty": b"",
    "cut JPEG": encoded(kind="JPEG")[:3000],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bytes_that_are_no_image_leave_the_one_before_on_the_screen(data: bytes) -> None:
    """A damaged partial never blanks the screen: the terminal would not tell that it cannot show it."""
    kitty, renderer = Kitty(), KittyRenderer(CELL)
    kitty.feed(written(renderer.render(EncodedImage.of(encoded()), BOX)))
    with pytest.raises(Undecodable):
        renderer.render(EncodedImage.of(data), BOX)
    kitty.feed(written(renderer.render(EncodedImage.of(encoded()), BOX)))
    assert (1, True) == (len(kitty.shown), kitty.seen_at_any_time)


@pytest.mark.parametrize("lines", [0, 5, 30])
def test_nothing_above_or_below_the_image_is_touched(lines: int) -> None:
    """The image scrolls into view without harm to what was on the screen, also from its last row."""
    screen, kitty = pyte.Screen(80, 24), Kitty()
    stream = pyte.Stream(screen)
    stream.feed("".join(f"before {n}\r\n" for n in range(lines)))
    box, renderer = Screen(), KittyRenderer(CELL)
    frame = renderer.render(EncodedImage.of(encoded()), BOX)
    stream.feed(kitty.feed(box.draw(frame, "status", 80)))
    stream.feed(kitty.feed(box.draw(renderer.render(EncodedImage.of(encoded()), BOX), "status", 80)))
    top = min(lines, 24 - frame.rows - 1)
    shown = [line.rstrip() for line in screen.display]
    before = [f"before {n}" for n in range(lines)][lines - top :]
    assert [*before, *[""] * frame.rows, "status"] == shown[: top + frame.rows + 1]
    assert (0, top) == (screen.cursor.x, screen.cursor.y)


def unwrapped(text: str) -> str:
    """What tmux sends on: its envelopes' contents, and everything else as it is."""
    envelope = re.compile(r"\x1bPtmux;([^\x1b]*(?:\x1b\x1b[^\x1b]*)*)\x1b\\")
    assert "\x1b_" not in envelope.sub("", text), "tmux would take this for the window's title"
    return envelope.sub(lambda found: found[1].replace("\x1b\x1b", "\x1b"), text)


def cells(text: str) -> list[list[tuple[int, int, int]]]:
    """What placeholders say: for each row (row, column, image id), as the protocol reads them."""
    number = {diacritic: n for n, diacritic in enumerate(diacritics())}
    found = []
    for line in text.split("\r\n"):
        (colour,) = re.findall(r"\x1b\[38;5;([0-9]+)m", line)
        marks = re.findall("\U0010eeee(.)(.)(.)", line)
        found.append(
            [(number[row], number[column], number[high] << 24 | int(colour)) for row, column, high in marks]
        )
    return found


def test_tmux_moves_the_image_about_as_text() -> None:
    """In tmux an image is text that stands for it: every cell says which part of which image it is."""
    data, kitty = encoded(), Kitty()
    frame = KittyRenderer(CELL, Route.TMUX).render(EncodedImage.of(data), BOX)
    text = kitty.feed(unwrapped(written(frame)))
    ((image, box),) = kitty.virtual.items()
    assert ({image: data}, {}) == (kitty.images, kitty.shown)
    assert (frame.columns, frame.rows) == box
    expected = [[(row, column, image) for column in range(box[0])] for row in range(box[1])]
    assert expected == cells(text)


def test_tmux_forgets_the_image_before() -> None:
    """In tmux, too, a new partial replaces the one before, once it is there."""
    kitty, renderer = Kitty(), KittyRenderer(CELL, Route.TMUX)
    for _ in range(4):
        kitty.feed(unwrapped(written(renderer.render(EncodedImage.of(encoded()), BOX))))
    assert (1, 2, True) == (len(kitty.virtual), kitty.most, kitty.seen_at_any_time)


def test_a_window_may_be_larger_than_placeholders_can_count() -> None:
    """On a wall-sized tmux the image stops growing instead of failing."""
    frame = KittyRenderer((1, 1), Route.TMUX).render(EncodedImage.of(encoded((400, 300))), Box(900, 600))
    assert (LIMIT, 223) == (frame.columns, frame.rows)


def test_numbers_are_spelled_as_the_protocol_publishes_them() -> None:
    """The characters that number rows and columns are those of the protocol's own list."""
    numbers = diacritics()
    assert ("\u0305", "\u030d", "\u030e", "\u0310") == tuple(numbers[:4])
    assert ("\u0369", "\u1dcc", "\U0001d244") == (numbers[23], numbers[174], numbers[296])
    assert LIMIT == len(numbers) == len(set(numbers))


def test_ids_can_be_said_in_256_colours() -> None:
    """Two runs do not take each other's images, tmux translates no id, and Konsole shows every one."""
    image, seen = fresh_id(), set[int]()
    for _ in range(1000):
        assert 16 <= image & 0xFF <= 255
        assert 1 <= image >> 24 <= 127
        assert image & 0xFFFF00 == 0
        seen.add(image)
        assert image != id_after(image)
        image = fresh_id()
    assert len(seen) > 900
