"""The grid of several jobs: what each tile shows, what stays at the end, on every kind of terminal."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imgcli.core.errors import Charged, ExitCode, Problem
from imgcli.core.events import Failed
from imgcli.core.image import EncodedImage
from imgcli.core.params import PreviewProtocol
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.iterm2 import ITerm2Renderer
from imgcli.output.images.kitty import KittyRenderer, Route
from imgcli.output.images.sixel import SixelRenderer
from imgcli.output.sinks.grid import GridSink
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from imgcli.output.terminal.screen import Footer
from showing import (
    BETTER,
    ESCAPES,
    FINE,
    HOSTILE,
    JOB,
    REQUEST,
    ROUGH,
    FakeClock,
    Letters,
    Ready,
    Window,
    WrappingScreen,
    XtermScreen,
    completed,
    feed,
    final,
    notice,
    partial,
    png,
    price,
    saved,
    started,
    waiting,
)
from test_kitty import Kitty, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.core.events import Event
    from imgcli.output.images.protocol import Box, Frame, Renderer

REFUSED = Problem(ExitCode.REFUSED, "The prompt was refused.", Charged.NO, "Change the prompt.")


def grid(
    window: Window,
    renderer: Renderer | None = None,
    jobs: int = 4,
    clock: FakeClock | None = None,
    terminal: Terminal | None = None,
) -> GridSink:
    """Open a grid of numbered jobs `0`, `1`, ... in a window; nothing moves by itself."""
    labels = {str(job): str(job + 1) for job in range(jobs)}
    provider = Ready(renderer) if renderer else None
    shown = terminal or window.terminal()
    return GridSink(window, shown, price, clock or FakeClock(), labels, provider, period=None).open()


def of(job: int, *events: Event) -> list[Event]:
    """Make them events of a job."""
    return [replace(event, job=str(job)) for event in events]


def run_of(job: int, shown: EncodedImage = FINE) -> list[Event]:
    """A job that goes well."""
    name = f"a-cat-{job + 1}.png"
    return of(job, started(), partial(), final(shown), saved(name), completed())


def take(sink: GridSink, events: Iterable[Event]) -> None:
    """Hand events over, and leave the sink open."""
    for event in events:
        sink.handle(event)


class Counting(Letters):
    """A renderer that counts what it draws."""

    def __init__(self) -> None:
        self.drawn: list[bytes] = []

    def render(self, shown: EncodedImage, box: Box) -> Frame:
        """Draw, and count."""
        self.drawn.append(shown.data)
        return super().render(shown, box)


class TestWhileItRuns:
    """Several jobs at once."""

    def test_tiles_stand_side_by_side(self) -> None:
        """Each job has its image in its own tile, and under it how far it is; one row counts for all."""
        window, clock = Window(), FakeClock()
        sink = grid(window, Letters(), clock=clock)
        take(sink, [event for job in range(4) for event in of(job, started())])
        take(sink, of(0, partial(0, ROUGH)) + of(2, partial(0, ROUGH), partial(1, BETTER)))
        clock.now += 12.3
        sink.refresh()
        letters = window.lines[0]
        assert (18, 0, 18) == (letters.count("A"), letters.count("C"), letters.count("B"))
        assert (0, 40) == (letters.index("A"), letters.index("B"))
        captions = next(row for row, line in enumerate(window.lines) if line.startswith("1"))
        assert (
            "1  partial 1 of 3   2  generating       3  partial 2 of 3   4  generating"
            == (window.lines[captions])
        )
        assert "12.3 s              12.3 s              12.3 s" in window.lines[captions + 1]
        assert window.lines[captions + 2].endswith("12.3 s · 0 of 4 done")
        sink.close()

    def test_unchanged_tiles_are_not_drawn_again(self) -> None:
        """A new partial draws its own tile; a tick draws none, and writes the captions alone."""
        window, clock, renderer = Window(), FakeClock(), Counting()
        sink = grid(window, renderer, clock=clock)
        take(sink, of(0, started(), partial(0, ROUGH)) + of(1, started(), partial(0, BETTER)))
        renderer.drawn.clear()
        take(sink, of(1, partial(1, FINE)))
        assert [FINE.data] == renderer.drawn
        before = len("".join(window.writes))
        clock.now += 1
        sink.refresh()
        ticked = "".join(window.writes)[before:]
        assert [FINE.data] == renderer.drawn
        assert 300 > len(ticked)
        assert "A" not in ESCAPES.sub("", ticked)
        sink.close()

    def test_a_job_may_wait(self) -> None:
        """A job that has not started is queued; one that the server refused to begin counts down."""
        window, clock = Window(), FakeClock()
        sink = grid(window, clock=clock, jobs=2)
        take(sink, of(0, started(), waiting(12, "rate limited")))
        clock.now += 2
        sink.refresh()
        assert ["1  retrying in 10 s: rate limited · 2.0 s", "2  queued"] == window.lines[:2]
        sink.close()

    def test_money_is_counted(self) -> None:
        """The row says what the jobs that have ended cost."""
        window = Window()
        sink = grid(window, jobs=3)
        take(sink, run_of(0) + run_of(1))
        assert window.lines[3].endswith("2 of 3 done · $0.1250")
        sink.close()

    @pytest.mark.parametrize("columns", [40, *(pytest.param(n, marks=pytest.mark.slow) for n in (80, 200))])
    def test_more_jobs_than_fit(self, columns: int) -> None:
        """Where not all fit, running ones are shown, then the newest, and how many more there are."""
        window = Window(columns, 24)
        sink = grid(window, Letters(), jobs=60)
        take(sink, [event for job in range(30) for event in run_of(job)])
        take(sink, of(55, started(), partial()))
        (more,) = [line for line in window.lines if line.startswith("+ ")]
        shown = 60 - int(more.split()[1])
        labels = [int(word) for line in window.lines for word in re.findall(r"\b[0-9]+\b(?=  |$)", line)]
        assert {56, 30} <= set(labels)
        assert shown >= 2
        assert 1 not in labels
        sink.close()

    def test_a_thousand_jobs(self) -> None:
        """Of a thousand jobs the newest are shown, all are counted, and old images are let go."""
        window, renderer = Window(), Counting()
        sink = grid(window, renderer, jobs=1000)
        assert "+ 1000 more" == window.lines[0]
        sink.suspend()
        take(sink, [event for job in range(500) for event in run_of(job)])
        sink.resume()
        sink.refresh()
        text = "\n".join(window.lines)
        assert "a-cat-500.png" in text
        assert "500 of 1000 done · $31.25" in text
        *_, more = [line for line in window.lines if line.startswith("+ ")]
        assert 1000 - len(renderer.drawn) == int(more.split()[1])
        sink.close()

    def test_jobs_nobody_announced(self) -> None:
        """A job that was not known beforehand gets the next number, and the end is told by `finish`."""
        window = Window()
        sink = grid(window, jobs=0)
        take(sink, run_of(7) + run_of(8))
        assert window.lines[2].endswith("2 of 2 done · $0.1250")
        sink.finish()
        sink.close()
        assert ["1  a-cat-8.png · 0.0 s · $0.0625", "2  a-cat-9.png · 0.0 s · $0.0625"] == window.lines[:2]


class TestTheEnd:
    """What stays."""

    def test_grid_then_words_then_one_bill(self) -> None:
        """Under the finished grid are the notices, the errors, one bill for all; nothing is said twice."""
        window, clock = Window(80, 24), FakeClock()
        sink = grid(window, Letters(), clock=clock)
        again = notice("gpt-image-1 shuts down soon")
        for job in (0, 3):
            take(sink, of(job, started(), again, final(), saved(f"a-cat-{job + 1}.png")))
        clock.now += 21.2
        take(sink, of(0, completed()) + of(3, completed()))
        take(sink, of(1, started(), Failed(JOB, REFUSED)) + of(2, started(), Failed(JOB, REFUSED)))
        sink.close()
        text = [line for line in window.history if line]
        at = next(row for row, line in enumerate(text) if line.startswith("1"))
        assert ["1", "a-cat-1.png", "2", "failed: refused", "3", "failed: refused", "4", "a-cat-4.png"] == (
            re.split(r"  +", text[at])
        )
        assert ["0.0 s · $0.0625", "0.0 s", "0.0 s", "0.0 s · $0.0625"] == re.split(r"  +", text[at + 1])
        assert [
            "note: gpt-image-1 shuts down soon",
            "2, 3: error: The prompt was refused.",
            "Nothing was charged.",
            "Change the prompt.",
        ] == text[at + 2 : at + 6]
        assert "image model gpt-image-2, 4 partials" in text[8 + at]
        assert (text[-1].split()[0], text[-1].split()[-1]) == ("total", "$0.1250")
        assert window.is_cursor_shown

    def test_all_fits_one_screen(self) -> None:
        """In a usual window the grid, the bill, four paths and the prompt fit one screen."""
        window = Window(80, 24)
        labels = {str(job): str(job + 1) for job in range(4)}
        sink = GridSink(
            window, window.terminal(), price, FakeClock(), labels, Ready(Letters()), period=None
        ).open(footer=Footer(40))
        feed(sink, [event for job in range(4) for event in run_of(job)])
        window.write("".join(f"/pictures/a-cat-{job}.png\r\n" for job in range(4)))
        assert 0 == len(window.screen.history.top)
        assert window.lines[0].startswith("C" * 18)

    def test_nothing_to_show(self) -> None:
        """Where no job brought an image, the tiles are rows of text, and no room is left blank."""
        window = Window()
        sink = grid(window, Letters(), jobs=2)
        take(sink, of(0, started(), Failed(JOB, REFUSED)) + of(1, started()))
        assert ["1  failed: refused · 0.0 s", "2  generating · 0.0 s"] == window.lines[:2]
        take(sink, of(1, Failed(JOB, REFUSED)))
        sink.close()
        assert "1, 2: error: The prompt was refused." == window.lines[2]

    def test_models_are_labels(self) -> None:
        """Of several models each names its tile; a long name has a row of its own."""
        window = Window(80, 24)
        labels = {str(n): name for n, name in enumerate(["gpt-image-2", "gpt-image-2.5-flare", "x", "y"])}
        sink = GridSink(
            window, window.terminal(), price, FakeClock(), labels, Ready(Letters()), period=None
        ).open()
        feed(sink, [event for job in range(4) for event in run_of(job)])
        row = next(row for row, line in enumerate(window.lines) if line.startswith("gpt-image-2"))
        assert ["gpt-image-2", "gpt-image-2.5-fla…", "x", "y"] == window.lines[row].split()
        assert [f"a-cat-{n}.png" for n in range(1, 5)] == window.lines[row + 1].split()

    def test_an_image_that_went_elsewhere_or_nowhere(self) -> None:
        """A tile has the whole path where that is not as expected, and tells what was not saved."""
        window = Window(120, 30)
        problem = Problem(ExitCode.ELSEWHERE, "The disk is full; saved elsewhere.", Charged.YES)
        sink = grid(window, jobs=2)
        feed(sink, of(0, started(), final(), saved(problem=problem), completed()))
        feed(grid(window, jobs=1), of(0, started(), final(), completed()))
        text = "\n".join(window.lines)
        assert "1  /pictures/a-cat.png · " in text
        assert "1: error: The disk is full; saved elsewhere." in text
        assert "1  not saved · " in text

    def test_closed_in_the_middle(self) -> None:
        """Broken off, the grid stays as it was, what ended is billed, and the cursor shows."""
        window = Window()
        sink = grid(window, Letters())
        take(sink, run_of(0) + of(1, started(), partial()))
        sink.close()
        text = "\n".join(window.lines)
        assert "a-cat-1.png" in text
        assert "2  partial 1 of 3" in text
        assert "$0.0625" in text.rpartition("total")[2]
        assert "of 4 done" not in text
        assert window.is_cursor_shown

    def test_notice_after_the_end(self) -> None:
        """Another display that breaks at the very end is still told of, below everything."""
        window = Window(80, 40)
        sink = grid(window, jobs=1)
        take(sink, run_of(0))
        sink.handle(notice("a display failed"))
        sink.close()
        assert "note: a display failed" == [line for line in window.lines if line][-1]


class TestTerminals:
    """Every kind of terminal."""

    @pytest.mark.parametrize(
        "size",
        [(80, 24), (40, 12), pytest.param((200, 50), marks=pytest.mark.slow), (20, 5), (5, 30), (1, 1)],
    )
    @pytest.mark.parametrize("kind", ["letters", "sixel", "kitty", "blocks", "text"])
    def test_every_size(self, kind: str, size: tuple[int, int]) -> None:
        """In a window of any size what was above stays, the cursor is back, and all is told at the end."""
        window = Window(*size)
        window.write("above\r\n")
        renderers: dict[str, Renderer | None] = {
            "letters": Letters(),
            "sixel": SixelRenderer((10, 20)),
            "kitty": KittyRenderer((1, 2)),
            "blocks": BlockRenderer(window.terminal()),
            "text": None,
        }
        write = window.write
        window.write = lambda text: write(Kitty().feed(_unseen(text)))  # type: ignore[method-assign]
        feed(grid(window, renderers[kind]), [event for job in range(4) for event in run_of(job)])
        assert "above"[: size[0]] == window.history[0][:5]
        assert window.is_cursor_shown
        if size[0] >= 20:
            assert "$0.2500" in "\n".join(window.history)

    @pytest.mark.parametrize("route", Route)
    def test_kitty_keeps_each_tile_and_nothing_else(self, route: Route) -> None:
        """On kitty each tile holds one image, swapped without flicker; the finished ones stay."""
        window, kitty = Window(), Kitty()
        reach = unwrapped if route is Route.TMUX else str
        sink = grid(window, KittyRenderer((1, 2), route))
        for job in range(4):
            take(sink, of(job, started(), partial(0, png(64, 64, job)), partial(1, png(64, 64, job + 9))))
        kitty.feed(reach("".join(window.writes)))
        assert (4, 5) == (len(kitty.images), kitty.most)
        window.writes.clear()
        for job in range(4):
            take(sink, of(job, final(png(64, 64, job + 99)), saved(), completed()))
        kitty.feed(reach("".join(window.writes)))
        shown = kitty.virtual if route is Route.TMUX else kitty.shown
        assert (4, 5, 4) == (len(kitty.images), kitty.most, len(shown))
        assert {png(64, 64, job + 99).data for job in range(4)} == set(kitty.images.values())

    def test_kitty_forgets_tiles_without_room(self) -> None:
        """What is no longer shown in a smaller window is gone from the terminal's memory too."""
        window, kitty = Window(200, 50), Kitty()
        sink = grid(window, KittyRenderer((1, 2)), jobs=8)
        for job in range(8):
            take(sink, of(job, started(), partial(0, png(64, 64, job))))
        window.resize(40, 20)
        sink.refresh()
        kitty.feed("".join(window.writes))
        seen = int(next(line for line in window.lines if line.startswith("+ ")).split()[1])
        assert 8 - seen == len(kitty.images)
        window.writes.clear()
        window.resize(40, 3)
        sink.refresh()
        kitty.feed("".join(window.writes))
        assert {} == kitty.images

    @pytest.mark.parametrize("kind", ["sixel", "iterm2"])
    def test_only_what_changes_is_sent(self, kind: str) -> None:
        """On terminals that are sent pixels, a new partial sends its own tile alone."""
        window = Window()
        renderer = SixelRenderer((10, 20)) if kind == "sixel" else ITerm2Renderer((1, 2))
        begins = "\x1bP0;1q" if kind == "sixel" else "\x1b]1337;File="
        write, sent = window.write, list[str]()

        def take_in(text: str) -> int:
            sent.append(text)
            return write(_unseen(text))

        window.write = take_in  # type: ignore[method-assign]
        sink = grid(window, renderer)
        for job in range(4):
            take(sink, of(job, started(), partial()))
        assert 4 == "".join(sent).count(begins)
        sent.clear()
        take(sink, of(2, partial(1, BETTER)))
        text = "".join(sent)
        assert 1 == text.count(begins)
        assert "\x1b[40C" in text
        sink.close()

    def test_text_gives_way_to_images(self) -> None:
        """When the first image comes, nothing stays under it of the text that was there."""
        window = Window()
        write = window.write
        window.write = lambda text: write(_unseen(text))  # type: ignore[method-assign]
        sink = grid(window, SixelRenderer((10, 20)))
        take(sink, of(0, started(), waiting(9, "busy " * 30)))
        assert "busy busy" in window.lines[0][40:]
        take(sink, of(2, started(), partial()))
        assert "" == window.lines[0]
        sink.close()

    @pytest.mark.parametrize("depth", [d for d in ColorDepth if d is not ColorDepth.NONE])
    @pytest.mark.parametrize(
        "glyphs", [PreviewProtocol.BLOCKS, pytest.param(PreviewProtocol.ASCII, marks=pytest.mark.slow)]
    )
    def test_text_in_any_depth(self, depth: ColorDepth, glyphs: PreviewProtocol) -> None:
        """Text shows tiles in any number of colours, and none where there are none."""
        window = Window()
        terminal = Terminal(window.size, depth, unicode=glyphs is not PreviewProtocol.ASCII)
        sink = grid(window, BlockRenderer(terminal, glyphs), terminal=terminal)
        take(sink, [event for job in range(4) for event in of(job, started(), partial(0, BETTER))])
        row = next(row for row, line in enumerate(window.lines) if line.startswith("1  partial"))
        assert 9 == row
        if depth is ColorDepth.TRUECOLOR and glyphs is PreviewProtocol.BLOCKS:
            cells = window.screen.buffer[row - 1]
            assert ["646464", "default", "646464"] == [cells[at].bg for at in (17, 18, 20)]
        take(sink, of(1, Failed(JOB, REFUSED)))
        codes = set(re.findall(r"\x1b\[([0-9;]*)m", "".join(window.writes)))
        if depth is ColorDepth.MONO:
            assert codes <= {"", "0", "1", "2"}
        sink.close()

    def test_a_tile_that_cannot_be_shown(self) -> None:
        """An image that is none costs its own tile's preview, and leaves a partial where it was."""
        window = Window()
        sink = grid(window, Letters())
        junk = EncodedImage.of(b"junk")
        take(sink, of(0, started(), partial(0, junk)) + of(1, started(), partial(), partial(1, junk)))
        assert window.lines[0].startswith("no preview: in an")
        assert "A" * 18 == window.lines[0][20:38]
        sink.close()


class TestTrouble:
    """What may happen to a terminal."""

    @pytest.mark.parametrize("kind", [XtermScreen, WrappingScreen])
    @pytest.mark.parametrize("size", [(200, 50), (60, 24), (80, 14), (30, 40)])
    def test_resize(self, kind: type[XtermScreen], size: tuple[int, int]) -> None:
        """In a window of another size everything is arranged anew, and what was above stays."""
        window = Window(80, 24, kind)
        window.write("above\r\n")
        sink = grid(window, Letters())
        take(sink, [event for job in range(4) for event in of(job, started(), partial())])
        window.resize(*size)
        sink.refresh()
        assert "above" in window.history
        rows = [line for line in window.lines if line and not line.startswith(("above", "A"))]
        assert 1 == sum("of 4 done" in line for line in window.lines)
        assert any(line.startswith("1  ") for line in rows)
        feed(sink, [event for job in range(4) for event in of(job, final(), saved(), completed())])
        text = "\n".join(window.lines)
        assert "A" not in text
        assert 1 == text.count("$0.2500")

    def test_pause(self) -> None:
        """After Ctrl-Z and fg the grid continues below what the shell has written."""
        window = Window(80, 40)
        sink = grid(window, Letters())
        take(sink, [event for job in range(4) for event in of(job, started(), partial())])
        sink.suspend()
        assert window.is_cursor_shown
        window.write("$ fg\r\n")
        take(sink, of(0, partial(1, BETTER)))
        assert "B" not in "".join(window.lines)
        sink.resume()
        sink.refresh()
        at = window.lines.index("$ fg")
        assert window.lines[at + 1].startswith("B" * 34 + "  AAA")
        sink.close()

    def test_stuck_terminal_never_stalls_the_stream(self) -> None:
        """A terminal that takes nothing does not keep events from being taken."""
        window, stuck = Window(), threading.Event()
        labels = {"0": "1", "1": "2"}
        sink = GridSink(
            window, window.terminal(), price, time.monotonic, labels, Ready(Letters()), period=0.01
        ).open()
        write = window.write
        window.write = lambda text: (stuck.wait(20), write(text))[1]  # type: ignore[method-assign]
        began = time.monotonic()
        take(sink, run_of(0) + run_of(1)[:-1] * 20)
        assert 5 > time.monotonic() - began
        stuck.set()
        take(sink, run_of(1)[-1:])
        sink.close()
        assert "total" in "\n".join(window.history)

    def test_foreign_text_is_text(self) -> None:
        """Escape codes in anything that comes from outside are never obeyed, nor passed on."""
        window = Window(200, 60)
        problem = Problem(ExitCode.ELSEWHERE, HOSTILE, Charged.YES, HOSTILE)
        events = (
            started(replace(REQUEST, model=HOSTILE, size=HOSTILE)),
            waiting(3, HOSTILE),
            notice(HOSTILE),
            final(prompt=HOSTILE),
            saved(f"{HOSTILE}.png".replace("/", ""), problem=problem),
            Failed(JOB, problem),
        )
        labels = {JOB: HOSTILE}
        sink = GridSink(
            window, window.terminal(), price, FakeClock(), labels, Ready(Letters()), period=None
        ).open()
        feed(sink, events)
        rest = ESCAPES.sub("", "".join(window.writes)).replace("\r\n", "").replace("\r", "")
        assert "" == "".join(character for character in rest if not character.isprintable())
        assert "[/x][bold]" in rest


def _unseen(text: str) -> str:
    """Leave out sixels, which pyte would print."""
    return re.sub(r"\x1bP.*?\x1b\\", "", text, flags=re.DOTALL)
