"""The live image as a sink: what is said when, what may break, and that nothing of it costs the run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from imgcli.core.billing.bill import Bill
from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.image import EncodedImage
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.protocol import Box, Frame
from imgcli.output.sinks.live import LiveSink
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from showing import (
    BETTER,
    ESCAPES,
    FINE,
    HOSTILE,
    REQUEST,
    ROUGH,
    WHOLE_RUN,
    FakeClock,
    Letters,
    Ready,
    Window,
    completed,
    failed,
    feed,
    final,
    notice,
    partial,
    price,
    saved,
    started,
    waiting,
)

if TYPE_CHECKING:
    from imgcli.core.events import Completed
    from imgcli.core.request import ImageRequest
    from imgcli.output.images.protocol import Renderer


def live(
    window: Window,
    renderer: Renderer | None = None,
    clock: FakeClock | None = None,
    period: float | None = None,
) -> LiveSink:
    """Open a live image in a window; without a period nothing moves by itself."""
    provider = Ready(renderer) if renderer else None
    return LiveSink(window, window.terminal(), price, clock or FakeClock(), provider, period).open()


class TestStatusRow:
    """The row that says what is happening."""

    def test_it_comes_first(self) -> None:
        """There is something to see before anything was asked for."""
        window = Window()
        live(window)
        assert "⠋   0.0 s · connecting" == window.lines[0]

    def test_it_follows_the_run(self) -> None:
        """It says that the server works, which partial is shown, that the image is being saved."""
        window = Window()
        sink = live(window)
        said = []
        for event in WHOLE_RUN[:-1]:
            sink.handle(event)
            said.append(window.lines[0].partition(" · ")[2])
        expected = ["generating, gpt-4o-mini", "partial 1 of 3, gpt-4o-mini", "partial 2 of 3, gpt-4o-mini"]
        assert [*expected, "saving", "finishing"] == said

    def test_it_counts_down(self) -> None:
        """While the server is busy, it says how long until it is asked again, and why."""
        window, clock = Window(), FakeClock()
        sink = live(window, clock=clock)
        sink.handle(started())
        sink.handle(waiting(12, "rate limited"))
        assert "retrying in 12 s: rate limited" in window.lines[0]
        clock.now += 10.5
        sink.refresh()
        assert "10.5 s · retrying in 2 s: rate limited" in window.lines[0]
        clock.now += 2
        sink.refresh()
        assert "retrying" in window.lines[0]

    def test_it_ticks_by_itself(self) -> None:
        """The clock moves while nothing arrives, and stops when the sink is closed."""
        window = Window()
        sink = LiveSink(window, window.terminal(), price, time.monotonic, None, 0.01).open()
        sink.handle(started())
        time.sleep(0.3)
        sink.close()
        written = len(window.writes)
        time.sleep(0.05)
        assert 2 < written
        assert written == len(window.writes)
        assert "live image" not in {thread.name for thread in threading.enumerate()}

    def test_ascii_terminal_gets_ascii(self) -> None:
        """Where only ASCII can be written, spinner and separators are ASCII."""
        window = Window()
        terminal = Terminal(window.size, ColorDepth.ANSI_16, unicode=False)
        feed(LiveSink(window, terminal, price, FakeClock(), None, None).open(), WHOLE_RUN)
        assert "".join(window.writes).isascii()


class TestEnd:
    """What stays on the screen."""

    def test_image_caption_and_bill(self) -> None:
        """The final image stays, under it one line about the file, then the bill."""
        window, clock = Window(80, 20), FakeClock()
        sink = live(window, Letters(), clock)
        for event in WHOLE_RUN:
            clock.now += 2.05
            sink.handle(event)
        sink.close()
        after = window.lines[window.lines.index("C" * 80) + 13 :]
        assert f"saved a-cat.png · 64x64 · {len(FINE.data)} bytes · 10.2 s" == after[0]
        assert any("gpt-image-2, 2 partials" in line and "$0.0620" in line for line in after)
        assert any(line.startswith("total") and "$0.0625" in line for line in after)
        assert "finishing" not in "\n".join(window.history)

    def test_narrow_window(self) -> None:
        """What does not fit beside a file's name is left out, so that its line takes one row."""
        window = Window(30, 24)
        feed(live(window, Letters()), WHOLE_RUN)
        assert "saved a-cat.png · 64x64" == window.lines[window.lines.index("C" * 30) + 17]

    def test_unsaved_image_says_so(self) -> None:
        """With --no-save the line says that there is no file."""
        window = Window()
        feed(live(window), (started(), final(), completed()))
        assert "not saved · 64x64 · " in "\n".join(window.lines)

    def test_failure(self) -> None:
        """A failure leaves the last partial, then says what happened, what it cost, what to do."""
        window = Window(60, 8)
        feed(live(window, Letters()), (started(), partial(), failed()))
        assert [
            *["A" * 60] * 7,
            "error: The stream ended with no image.",
            "You may have been charged.",
            "Look at your usage page.",
            "",
        ] == window.history

    def test_elsewhere_names_the_whole_path(self) -> None:
        """An image that could not go where it was asked is found by the path in the line."""
        window = Window()
        problem = Problem(ExitCode.ELSEWHERE, "The disk is full; saved elsewhere.", Charged.YES)
        feed(live(window), (started(), final(), saved("x.png", problem=problem), completed()))
        text = "\n".join(window.lines)
        assert "saved /pictures/x.png" in text
        assert "error: The disk is full; saved elsewhere.\nYou were charged for this image." in text

    def test_notice_after_the_end(self) -> None:
        """Another display that breaks at the very end is still told of, below everything."""
        window = Window(80, 40)
        sink = live(window)
        for event in WHOLE_RUN:
            sink.handle(event)
        sink.handle(notice("a display failed"))
        sink.close()
        assert "note: a display failed" == [line for line in window.lines if line][-1]
        assert window.is_cursor_shown


class _Broken:
    """A renderer that can show nothing."""

    def render(self, _image: EncodedImage, _box: Box) -> Frame:
        """Fail as Pillow would."""
        raise ValueError(f"damaged {HOSTILE}")


class _Picky(Letters):
    """A renderer that cannot paint what is no image."""

    def render(self, image: EncodedImage, box: Box) -> Frame:
        """Refuse junk."""
        if image.format is None:
            raise ValueError("in an unknown format")
        return super().render(image, box)


class TestFaults:
    """Nothing that a display meets costs more than the display."""

    def test_unpaintable_costs_one_line(self) -> None:
        """Images that cannot be shown cost one grey line in all; everything else goes on."""
        window = Window()
        feed(live(window, _Broken()), WHOLE_RUN)
        text = "\n".join(window.history)
        assert 1 == text.count("no preview: damaged ")
        assert "saved a-cat.png" in text

    def test_a_bad_partial_leaves_the_one_before(self) -> None:
        """A partial that is no image leaves the last good one where it is."""
        window = Window(40, 10)
        sink = live(window, _Picky())
        sink.handle(started())
        sink.handle(partial())
        sink.handle(partial(1, EncodedImage.of(b"junk")))
        assert "no preview: in an unknown format" == window.history[0]
        assert ["A" * 40] * 9 == window.lines[:-1]
        sink.handle(final())
        assert ["C" * 40] * 9 == window.lines[:-1]

    @pytest.mark.parametrize("error", [OSError(5, "EIO"), BrokenPipeError(), ValueError("closed file")])
    def test_terminal_goes_away(self, error: Exception) -> None:
        """A terminal that is closed in the middle turns the show off, silently."""
        window = Window()
        sink = live(window, Letters())
        sink.handle(started())

        window.write = Mock(side_effect=error)  # type: ignore[method-assign]
        for event in WHOLE_RUN[1:]:
            sink.handle(event)
        sink.close()

    def test_stuck_terminal_never_stalls_the_stream(self) -> None:
        """A terminal that takes nothing (Ctrl-S, a sleeping ssh) does not keep events from being taken."""
        window, stuck = Window(), threading.Event()
        sink = LiveSink(window, window.terminal(), price, time.monotonic, Ready(Letters()), 0.01).open()
        write = window.write
        window.write = lambda text: (stuck.wait(20), write(text))[1]  # type: ignore[method-assign]
        began = time.monotonic()
        for event in WHOLE_RUN[:-1] * 20:
            sink.handle(event)
        assert 5 > time.monotonic() - began
        stuck.set()
        sink.handle(completed())
        sink.close()
        assert "total" in "\n".join(window.history)

    def test_thread_that_breaks_breaks_nothing_else(self) -> None:
        """A fault in the ticking ends the ticking; the run ends as it should."""
        window, main = Window(), threading.current_thread()

        def size() -> os.terminal_size:
            if threading.current_thread() is not main:
                raise RuntimeError("a bug")
            return window.size()

        sink = LiveSink(
            window, Terminal(size, ColorDepth.TRUECOLOR), price, time.monotonic, None, 0.005
        ).open()
        sink.handle(started())
        time.sleep(0.05)
        feed(sink, WHOLE_RUN[1:])
        assert "saved a-cat.png" in "\n".join(window.lines)
        assert window.is_cursor_shown

    def test_close_without_a_run(self) -> None:
        """Closed before anything happened, also twice, it gives the terminal back."""
        window = Window()
        sink = live(window)
        sink.close()
        sink.close()
        assert window.is_cursor_shown
        assert [""] * 24 == window.lines

    def test_foreign_text_is_text(self) -> None:
        """Escape codes and markup in anything the server says are never obeyed, nor passed on."""
        window = Window(200, 60)
        problem = Problem(ExitCode.ELSEWHERE, HOSTILE, Charged.YES, HOSTILE)
        events = (
            started(replace(REQUEST, model=HOSTILE, size=HOSTILE)),
            waiting(3, HOSTILE),
            notice(HOSTILE),
            partial(),
            final(prompt=HOSTILE),
            saved(f"{HOSTILE}.png".replace("/", ""), problem=problem),
            failed(HOSTILE, advice=HOSTILE),
        )
        feed(live(window, Letters()), events)
        rest = ESCAPES.sub("", "".join(window.writes)).replace("\r\n", "").replace("\r", "")
        assert all(character.isprintable() for character in rest)
        assert "[/x][bold]" in rest


class TestPace:
    """What happens when images come faster than they can be painted."""

    def test_the_newest_wins(self) -> None:
        """A slow terminal is shown the first and the latest image, not every one between them."""
        window, seen = Window(), list[bytes]()
        gate = threading.Event()

        class Slow(Letters):
            def render(self, image: EncodedImage, box: Box) -> Frame:
                seen.append(image.data)
                gate.wait(5)
                return super().render(image, box)

        sink = LiveSink(window, window.terminal(), price, time.monotonic, Ready(Slow()), 0.01).open()
        sink.handle(started())
        sink.handle(partial(0, ROUGH))
        while not seen:
            time.sleep(0.001)
        for index in range(1, 30):
            sink.handle(partial(index, BETTER if index % 2 else ROUGH))
        sink.handle(final())
        gate.set()
        sink.handle(completed())
        sink.close()
        assert 3 >= len(seen)
        assert (ROUGH.data, FINE.data) == (seen[0], seen[-1])

    def test_same_image_is_painted_once(self) -> None:
        """A final image that equals the last partial costs nothing."""
        window = Window()
        sink = live(window, Letters())
        sink.handle(started())
        sink.handle(partial(0, FINE))
        before = len("".join(window.writes))
        sink.handle(final(FINE))
        assert 200 > len("".join(window.writes)) - before


@pytest.mark.parametrize("depth", [d for d in ColorDepth if d is not ColorDepth.NONE])
def test_blocks(depth: ColorDepth) -> None:
    """The block renderer fits an image into the box in every depth of colour."""
    window = Window()
    frame = BlockRenderer(window.terminal(depth)).render(FINE, Box(20, 23))
    assert (20, 10) == (frame.columns, frame.rows)
    assert {20} == {len(ESCAPES.sub("", line)) for line in frame.lines}


def test_no_image_is_no_painting() -> None:
    """What cannot be decoded is refused with a reason that a person can read."""
    with pytest.raises(ValueError, match="in an unknown format"):
        BlockRenderer(Window().terminal()).render(EncodedImage.of(b"junk"), Box(80, 23))


def test_the_price_is_asked_with_everything() -> None:
    """The bill is worked out from the request, the end, and how many partials and images came."""
    asked = []

    def remember(request: ImageRequest, end: Completed, partials: int, images: int) -> Bill:
        asked.append((request, end, partials, images))
        return Bill((), None)

    window = Window()
    feed(LiveSink(window, window.terminal(), remember, FakeClock(), None, None).open(), WHOLE_RUN)
    assert [(REQUEST, completed(), 2, 1)] == asked


def test_importing_the_sinks_is_light() -> None:
    """The first status row does not wait for rich, Pillow or decimals."""
    code = (
        "import sys\n"
        "import imgcli.output.sinks.live, imgcli.output.sinks.lines, imgcli.output.sinks.jsonl\n"
        "import imgcli.output.sinks.grid\n"
        "import imgcli.output.terminal.capabilities, imgcli.output.images.blocks\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert set() == {"rich", "rich_pixels", "PIL", "decimal", "openai"} & set(done.stdout.split())


def test_narrow_minded_stream() -> None:
    """A stderr that cannot write every character gets question marks, never an exception."""
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="latin-1", errors="strict")
    window = Window()
    feed(LiveSink(stream, window.terminal(), price, FakeClock(), None, None).open(), WHOLE_RUN)
    assert b"saved a-cat.png \xb7 64x64" in data.getvalue()
