"""Painting in place: what a person sees on terminals of every size, and what is left alone."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from imgcli.core.image import EncodedImage
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.protocol import Box, Frame
from imgcli.output.sinks.live import LiveSink
from imgcli.output.terminal.screen import Screen
from showing import (
    BETTER,
    FINE,
    ROUGH,
    WHOLE_RUN,
    FakeClock,
    Letters,
    Ready,
    SmallLetters,
    Window,
    WrappingScreen,
    XtermScreen,
    completed,
    final,
    notice,
    partial,
    price,
    room,
    saved,
    started,
)

if TYPE_CHECKING:
    from imgcli.output.images.protocol import Renderer

SIZES = [(1, 1), (1, 5), (2, 2), (5, 1), (20, 5), (40, 3), (80, 24), (200, 60)]


def live(window: Window, clock: FakeClock | None = None, painter: Renderer | None = None) -> LiveSink:
    """Show a run in a window; everything is painted at once, nothing by a thread."""
    clock, painter = clock or FakeClock(), painter or Letters()
    return LiveSink(window, window.terminal(), price, clock, Ready(painter), period=None).open()


def image(columns: int, rows: int, letter: str) -> list[str]:
    """Give what a window shows while an image fills its room."""
    return [letter * columns] * room(rows)


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb", "COLUMNS": "20"}])
def test_rich_prints_rows_as_they_are_encoded(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row with more escape codes than any window has columns is shown whole, each cell in its colours."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    window, bare = Window(100, 13), Window(100, 13)
    noise = Image.frombytes("RGB", (200, 60), random.Random(3).randbytes(3 * 200 * 60))
    file = io.BytesIO()
    noise.save(file, "PNG")
    shown, renderer = EncodedImage.of(file.getvalue()), BlockRenderer(window.terminal())
    sink = live(window, painter=renderer)
    sink.handle(started())
    sink.handle(partial(shown=shown))
    frame = renderer.render(shown, Box(100, room(13)))
    bare.write(Screen().draw(frame, "", 100))
    rows = range(frame.rows)
    assert [dict(bare.screen.buffer[row]) for row in rows] == [
        dict(window.screen.buffer[row]) for row in rows
    ]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
class TestEveryWindow:
    """From one cell to two hundred by sixty."""

    def test_image_fills_its_room(self, columns: int, rows: int) -> None:
        """The image takes every row that the end of the run leaves it, and no row wraps."""
        window = Window(columns, rows)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        assert image(columns, rows, "A") == window.lines[: room(rows)]
        assert columns - 1 >= len(window.lines[room(rows)])

    def test_next_partial_takes_the_same_place(self, columns: int, rows: int) -> None:
        """A new partial is painted over the old one; nothing moves."""
        window = Window(columns, rows)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial(0, ROUGH))
        scrolled = len(window.history)
        sink.handle(partial(1, BETTER))
        assert image(columns, rows, "B") == window.lines[: room(rows)]
        assert scrolled == len(window.history)

    def test_what_was_above_stays(self, columns: int, rows: int) -> None:
        """What the shell had printed is still there afterwards, in order, and one image under it."""
        window = Window(columns, rows)
        earlier = [str(number % 10) for number in range(rows + 3)]
        window.write("".join(f"{line}\r\n" for line in earlier))
        sink = live(window)
        for event in WHOLE_RUN:
            sink.handle(event)
        sink.close()
        assert earlier == window.history[: len(earlier)]
        shown = window.history[len(earlier) : len(earlier) + room(rows)]
        assert image(columns, rows, "C") == shown
        assert "A" * columns not in window.history[len(earlier) :] or columns == 1

    def test_cursor_is_shown_at_the_end(self, columns: int, rows: int) -> None:
        """The shell gets its cursor back, at the beginning of a line, with its own colours."""
        window = Window(columns, rows)
        sink = live(window)
        for event in WHOLE_RUN:
            sink.handle(event)
        sink.close()
        assert window.is_cursor_shown
        assert 0 == window.screen.cursor.x
        assert "default" == window.screen.cursor.attrs.fg

    def test_interruption_gives_the_cursor_back(self, columns: int, rows: int) -> None:
        """Closed in the middle of a run, the terminal is usable, and the partial stays."""
        window = Window(columns, rows)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        sink.close()
        assert window.is_cursor_shown
        assert 0 == window.screen.cursor.x
        assert image(columns, rows, "A") == window.lines[: room(rows)]


def test_what_was_typed_into_it_is_painted_over() -> None:
    """A `^C` that the terminal echoed into the image is gone when the image is left."""
    window = Window(20, 6)
    sink = live(window)
    sink.handle(started())
    sink.handle(partial())
    window.write("^C")
    sink.close()
    assert image(20, 6, "A") == window.lines[:-1]
    assert (0, 5) == (window.screen.cursor.x, window.screen.cursor.y)


class TestPlaces:
    """Where on the screen a run may begin."""

    @pytest.mark.parametrize("row", [0, 1, 12, 22, 23])
    def test_starts_on_any_row(self, row: int) -> None:
        """Begun anywhere, also on the last row, the image is whole and right under what was there."""
        window = Window(80, 24)
        window.write("".join(f"line {number}\r\n" for number in range(row)))
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        assert [f"line {number}" for number in range(row)] == window.history[:row]
        assert ["A" * 80] * 17 == window.history[row : row + 17]
        assert "partial 1 of 3" in window.history[row + 17]

    def test_what_is_below_stays(self) -> None:
        """Text under the box, left there by others, is not touched while the box is painted and ticks."""
        window = Window(10, 12)
        window.write("\x1b[9;1Hbelow\x1b[1;1H")
        screen = Screen()
        window.write(screen.draw(Frame(("aaa", "bbb", "ccc"), 3), "status", 10))
        window.write(screen.draw(Frame(("ddd",), 3), "status 2", 10))
        window.write(screen.tick("status 3", 10))
        assert ["ddd", "status 3", "", "", "", "", "", "", "below", "", "", ""] == window.lines

    def test_notices_scroll_by_above(self) -> None:
        """A notice becomes a line above the image, which stays whole."""
        window = Window(30, 10)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        sink.handle(notice("a partial was damaged"))
        assert "note: a partial was damaged" == window.history[0]
        assert image(30, 10, "A") == window.lines[:-1]

    def test_a_long_notice_wraps_and_harms_nothing(self) -> None:
        """A notice longer than the window is wide takes several rows; the image moves down by as many."""
        window = Window(20, 6)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        sink.handle(notice("x" * 50))
        assert ["note: " + "x" * 14, "x" * 20, "x" * 16] == window.history[:3]
        assert image(20, 6, "A") == window.lines[:-1]

    def test_two_images_stand_one_under_the_other(self) -> None:
        """When a job makes a second image, the first stays where it is, its file's name under it."""
        window = Window(20, 5)
        sink = live(window)
        sink.handle(started())
        sink.handle(final(BETTER, 0))
        sink.handle(saved("first.png", 0))
        sink.handle(partial(0, ROUGH, 1))
        sink.handle(final(FINE, 1))
        sink.handle(saved("second.png", 1))
        sink.handle(completed())
        text = "\n".join(window.history)
        places = [text.index(seen) for seen in ("B" * 20, "first.png", "C" * 20, "second.png")]
        assert sorted(places) == places
        assert "A" not in text


@pytest.mark.parametrize("kind", [XtermScreen, WrappingScreen])
class TestResize:
    """The window changes while the image arrives, in terminals that wrap rows and in those that cut."""

    @pytest.mark.parametrize(
        "sizes",
        [
            [(80, 12)],
            [(60, 24)],
            [(40, 12)],
            [(30, 40), (80, 24)],
            [(200, 60), (20, 5), (80, 24)],
            [(1, 1), (80, 24)],
            [(80, 1), (79, 2), (80, 3)],
        ],
    )
    def test_refits_without_ghosts(self, kind: type[XtermScreen], sizes: list[tuple[int, int]]) -> None:
        """After every change the window shows the image, the status row and nothing else of ours."""
        window = Window(80, 24, kind)
        clock = FakeClock()
        sink = live(window, clock)
        sink.handle(started())
        sink.handle(partial())
        for columns, rows in sizes:
            window.resize(columns, rows)
            clock.now += 0.125
            sink.refresh()
            assert image(columns, rows, "A") == window.lines[: room(rows)]
            assert "A" not in window.lines[room(rows)]

    @pytest.mark.parametrize("sizes", [[(40, 24)], [(80, 12)], [(20, 10), (80, 24)], [(79, 23), (78, 22)]])
    def test_leaves_no_remains(self, kind: type[XtermScreen], sizes: list[tuple[int, int]]) -> None:
        """An image that has become smaller leaves nothing of its larger self beside or under it."""
        window = Window(80, 24, kind)
        sink = live(window, painter=SmallLetters())
        sink.handle(started())
        sink.handle(partial())
        for columns, rows in sizes:
            window.resize(columns, rows)
            sink.refresh()
        height = room(rows) // 2
        assert ["A" * (columns * 3 // 4)] * height == window.lines[:height]
        assert "partial 1" in window.lines[height] or columns < 30
        assert [""] * (rows - height - 1) == window.lines[height + 1 :]

    def test_what_is_above_survives(self, kind: type[XtermScreen]) -> None:
        """Making the window lower or narrower and larger again never costs a line above the image."""
        window = Window(40, 20, kind)
        window.write("one\r\ntwo\r\nthree\r\n")
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        window.resize(30, 19)
        sink.refresh()
        window.resize(40, 20)
        sink.handle(partial(1, BETTER))
        assert ["one", "two", "three"] == window.history[:3]
        assert image(40, 20, "B") == window.history[3:16]

    def test_change_is_seen_by_the_next_image_too(self, kind: type[XtermScreen]) -> None:
        """An image that comes before the next tick already fits the new window."""
        window = Window(40, 10, kind)
        sink = live(window)
        sink.handle(started())
        sink.handle(partial())
        window.resize(20, 8)
        sink.handle(partial(1, BETTER))
        assert image(20, 8, "B") == window.lines[:-1]


class TestBytes:
    """How little is written."""

    def test_a_tick_is_small(self) -> None:
        """While only the clock moves, a tick writes fewer than 64 bytes and leaves the image alone."""
        window, clock = Window(200, 60), FakeClock()
        sink = live(window, clock)
        sink.handle(started())
        sink.handle(partial())
        for _ in range(100):
            before = len(window.writes)
            clock.now += 0.125
            sink.refresh()
            assert 64 > len("".join(window.writes[before:]).encode())
        assert "12.5 s" in window.lines[53]
        assert image(200, 60, "A") == window.lines[:53]

    def test_nothing_new_writes_nothing(self) -> None:
        """When even the clock stands still, nothing is written."""
        window = Window()
        sink = live(window)
        sink.refresh()
        before = len(window.writes)
        sink.refresh()
        assert before == len(window.writes)

    def test_a_repaint_is_one_update(self) -> None:
        """An image is written at once and marked as one update, so that it does not flicker."""
        text = Screen().draw(Frame(("aa", "bb"), 2), "status", 80)
        assert text.startswith("\x1b[?2026h\x1b[?25l")
        assert text.endswith("\x1b[?2026l")

    def test_a_full_row_keeps_its_last_cell(self) -> None:
        """Terminals differ in what "clear to the end" takes after a last cell, so a full row has none."""
        assert "aa\r\n" in Screen().draw(Frame(("aa",), 2), "", 2)
        assert "aa\x1b[K\r\n" in Screen().draw(Frame(("aa",), 2), "", 3)

    def test_no_absolute_moves(self) -> None:
        """No cursor addressing, no alternate screen, no clearing of the screen: the scrollback stays."""
        window = Window(40, 10)
        sink = live(window)
        for event in WHOLE_RUN:
            sink.handle(event)
        text = "".join(window.writes)
        assert all(code not in text for code in ("\x1b[H", "\x1b[2J", "\x1b[3J", "\x1b[?1049", "\x1bc"))
