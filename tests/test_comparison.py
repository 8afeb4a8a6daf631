"""`--compare`: before and after side by side, and an honest figure of how much has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcli.core.image import EncodedImage
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.compare import THRESHOLD, Compared, ComparingProvider, Comparison, changed_share
from imgcli.output.images.decode import decode
from imgcli.output.images.protocol import Box, Frame, StoredRenderer
from imgcli.output.sinks.live import LiveSink
from imgcli.output.terminal.capabilities import ColorDepth
from showing import FakeClock, Ready, Window, completed, feed, final, notice, partial, price, saved, started
from streams import BLUE, RED
from test_kitty import BAD
from test_view import encoded

if TYPE_CHECKING:
    from imgcli.core.events import Event

WHITE = (255, 255, 255)


def image(color: Any = WHITE, size: tuple[int, int] = (40, 20), mode: str = "RGB") -> Image.Image:
    """Make an image of one colour."""
    return Image.new(mode, size, color)


def compared(before: Image.Image, after: Image.Image) -> Compared:
    """Compare two images."""
    return Comparison(encoded(before)).after(EncodedImage.of(encoded(after)))


def shown(found: Compared) -> Image.Image:
    """Decode what is to be shown."""
    assert found.encoded is not None
    return decode(found.encoded.data)


def spotted(spot: Any, size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Make a white image, an eighth of which has another colour."""
    shown = image(size=size)
    shown.paste(spot, (0, 0, size[0] // 4, size[1] // 2))
    return shown


class TestTheShare:
    """How much has changed."""

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA", "CMYK"])
    def test_nothing(self, mode: str) -> None:
        """An image beside itself has not changed, whatever kind it is."""
        shown = spotted("red").convert(mode)
        data = encoded(shown, "TIFF")
        found = Comparison(data).after(EncodedImage.of(data))
        assert (0, "no pixels changed") == (found.share, found.text)

    def test_everything(self) -> None:
        """Black beside white has changed wholly."""
        found = compared(image("black"), image())
        assert (1, "100% of the pixels changed") == (found.share, found.text)

    def test_a_part(self) -> None:
        """It is the part of the pixels, not how much they differ."""
        assert {0.125} == {
            compared(image(), spotted(color)).share for color in ("black", "red", (200, 255, 255))
        }
        assert "12% of the pixels changed" == compared(image(), spotted("red")).text

    @pytest.mark.parametrize(("by", "share"), [(THRESHOLD, 0), (THRESHOLD + 1, 1)])
    def test_what_nobody_sees(self, by: int, share: float) -> None:
        """A difference up to the threshold in every channel does not count; one more in a single one does."""
        assert share == compared(image((100, 100, 100)), image((100, 100, 100 + by))).share
        assert (share == 1) == (compared(image((100,) * 3), image((100 - by,) * 3)).share == 1)

    def test_other_sizes(self) -> None:
        """The image before is brought to the new one's size; only what differs then counts."""
        before, after = spotted("red", (400, 200)), spotted("red", (40, 20))
        assert (0, 0) == (compared(image(size=(7, 900)), image()).share, compared(before, after).share)
        assert 0 == compared(after, before).share
        seam = compared(spotted("red", (400, 200)), spotted("red", (60, 32))).share
        assert seam is not None
        assert seam < 0.05  # where one old pixel lies over two new ones

    @pytest.mark.slow
    def test_very_large_images(self) -> None:
        """What is larger than the API sells is compared with less detail, and the share is the same."""
        before, after = (image("white", (4500, 4500)) for _ in range(2))
        after.paste((0, 0, 0), (0, 0, 4500, 1125))
        small = image("white", (45, 45))
        share = compared(before, after).share
        assert share is not None
        assert abs(share - 0.25) < 0.01
        assert (0, 0) == (compared(before, small).share, compared(small, before).share)

    def test_transparency(self) -> None:
        """What a transparent pixel hides is no change; becoming transparent is."""
        clear, hidden = image((0, 0, 0, 0), mode="RGBA"), image((255, 0, 0, 0), mode="RGBA")
        assert (0, 1) == (compared(clear, hidden).share, compared(clear, image("red")).share)
        assert (1, 0) == (
            compared(image(), clear).share,
            compared(image(), image((*WHITE, 250), mode="RGBA")).share,
        )

    @given(st.integers(0, 1000))
    def test_words(self, many: int) -> None:
        """Little is never called nothing, and much is never called everything."""
        words = changed_share(many / 1000)
        assert (many == 0) == words.startswith("no pixel")
        assert (0 < many < 10) == words.startswith("less than 1%")
        assert (990 < many < 1000) == words.startswith("more than 99%")
        assert (many == 1000) == words.startswith("100%")
        assert words.isascii()


class TestTheImage:
    """What is shown."""

    def test_side_by_side(self) -> None:
        """Before on the left, after on the right, a grey gap between, in the new image's height."""
        both = shown(compared(image("red", (80, 40)), image("blue", (30, 60))))
        assert (120 + 1 + 30, 60) == both.size
        colours = [both.getpixel((x, 30)) for x in (0, 119, 120, 121, 150)]
        assert [(255, 0, 0), (255, 0, 0), (128, 128, 128), (0, 0, 255), (0, 0, 255)] == colours

    def test_transparent_parts(self) -> None:
        """They show a checkerboard, as everywhere else."""
        both = shown(compared(image((0, 0, 0, 0), mode="RGBA"), image("blue")))
        assert {(0xCC,) * 3, (0x99,) * 3} == {both.getpixel((x, y)) for x in range(40) for y in range(20)}

    @pytest.mark.parametrize(
        "size",
        [
            (1, 4000),
            *(pytest.param(size, marks=pytest.mark.slow) for size in ((4000, 1), (2000, 3000))),
            (1, 1),
        ],
    )
    def test_odd_shapes(self, size: tuple[int, int]) -> None:
        """However long or large the images are, what is shown stays small, and both are in it."""
        for before, after in ((image("red", size), image("blue")), (image("blue"), image("red", size))):
            both = shown(compared(before, after))
            assert both.width <= 2 * 4096 + 16
            assert both.height <= 1024
            colours = {colour for _, colour in both.getcolors(1 << 24) or ()}
            assert {(255, 0, 0), (0, 0, 255)} <= colours

    @pytest.mark.parametrize("name", ["cut", "huge", "text", "empty"])
    def test_what_cannot_be_compared(self, name: str) -> None:
        """A broken image on either side costs the comparison, and a sentence says which one it was."""
        bad = {"text": b"a cat", "empty": b""}.get(name) or BAD.get(name, b"")
        before = Comparison(bad).after(EncodedImage.of(RED))
        after = Comparison(RED).after(EncodedImage.of(bad))
        assert (None, None, None, None) == (before.encoded, before.share, after.encoded, after.share)
        assert before.text.startswith("no comparison: the previous image is ")
        assert after.text.startswith("no comparison: the new image is ")

    @given(st.binary(max_size=100), st.binary(max_size=100))
    def test_hostile_bytes(self, before: bytes, after: bytes) -> None:
        """It never raises, whatever it is given."""
        assert None is Comparison(before).after(EncodedImage.of(after)).share


class TestWired:
    """On the terminal, where `gen` shows it."""

    def test_the_stage(self) -> None:
        """Once a final image is saved a note says how much changed; everything else passes as it is."""
        events: list[Event] = [started(), partial(), final(EncodedImage.of(BLUE)), saved(), completed()]
        told = list(Comparison(RED).notices(events))
        assert [*events[:4], notice("100% of the pixels changed"), events[4]] == told

    def test_the_easel(self) -> None:
        """Every image is painted beside the one before; one that cannot be compared, alone."""
        painted: list[bytes] = []

        class Taking:
            """A renderer that takes note."""

            def render(self, shown: EncodedImage, box: Box) -> Frame:
                """Keep what is to be painted."""
                painted.append(shown.data)
                return Frame(("x",), box.columns)

        inner = Ready(Taking(), widest=33)
        provider = ComparingProvider(inner, Comparison(RED))
        renderer = provider.renderer()
        for data in (BLUE, BLUE, b"a cat"):
            renderer.render(EncodedImage.of(data), Box(10, 10))
        both = Comparison(RED).after(EncodedImage.of(BLUE)).encoded
        assert both is not None
        assert [both.data, both.data, b"a cat"] == painted
        provider.close()
        assert (33, 1, renderer) == (provider.widest, inner.closed, provider.renderer())
        assert not isinstance(renderer, StoredRenderer)

    def test_a_terminal_that_remembers(self) -> None:
        """On kitty the image in the terminal's memory is still kept and cleared."""
        told: list[str] = []

        class Remembering:
            """A renderer with a memory."""

            def render(self, shown: EncodedImage, box: Box) -> Frame:
                """Paint nothing."""
                return Frame(("x",), min(len(shown.data), box.columns))

            def keep(self) -> None:
                """Take note."""
                told.append("keep")

            def clear(self) -> str:
                """Take note."""
                return "clear"

            def abort(self) -> str:
                """Take note."""
                return "abort"

        renderer = ComparingProvider(Ready(Remembering()), Comparison(RED)).renderer()
        assert isinstance(renderer, StoredRenderer)
        renderer.keep()
        assert (["keep"], "clear", "abort") == (told, renderer.clear(), renderer.abort())

    def test_on_the_screen(self) -> None:
        """The live image has both halves, and the share under it."""
        window = Window(40, 30)
        terminal = window.terminal(ColorDepth.TRUECOLOR)
        comparison = Comparison(encoded(image("red", (64, 64))))
        provider = ComparingProvider(Ready(BlockRenderer(terminal)), comparison)
        sink = LiveSink(window, terminal, price, FakeClock(), provider, period=None).open()
        run: list[Event] = [
            started(),
            final(EncodedImage.of(encoded(image("blue", (64, 64))))),
            saved(),
            completed(),
        ]
        feed(sink, comparison.notices(run))
        rows = [window.screen.buffer[y] for y in range(30)]
        seen = {color for row in rows for x in range(40) for color in (row[x].fg, row[x].bg)}
        assert {"ff0000", "0000ff"} <= seen
        assert any(line.startswith("note: 100% of the pixels changed") for line in window.lines)
