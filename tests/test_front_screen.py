"""The live image as a person sees it: the real command on a real pty."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from imgcli.core.params import PreviewProtocol
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.decode import fit
from imgcli.output.sinks.live import LiveSink
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.terminal.screen import Footer
from showing import (
    BETTER,
    FINE,
    ROUGH,
    WHOLE_RUN,
    FakeClock,
    Letters,
    Ready,
    Window,
    final,
    notice,
    price,
    room,
    saved,
    started,
)
from showing import partial as showing_partial
from streams import completed, created, image_item, item_done, partial, png, stream
from terminal import PtyRun
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

PARTIAL = png(0, 0, 250, width=64, height=64)
FINAL = png(250, 0, 0, width=64, height=64)
TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def run_held(*, on_partial: bool = True) -> Reply:
    """Serve a run that stays on its partial until the test lets it go on."""
    rough = stream(created()) + stream(partial(0, PARTIAL))
    item = image_item(FINAL)
    whole = rough + stream(item_done(item)) + stream(completed(item))
    return Reply(whole, holds=(len(rough),) if on_partial else ())


def colours(run: PtyRun) -> set[str]:
    """Collect every colour on the screen."""
    cells = [cell for line in run.screen.buffer.values() for cell in line.values()]
    return {cell.fg for cell in cells if cell.data != " "} | {cell.bg for cell in cells}


def test_a_partial_is_shown_before_the_final(server: Server, world: dict[str, str], folder: Path) -> None:
    """The rough image is on the screen first, the final one takes its very place, the path comes last."""
    wire = server(run_held())
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(["gen", "a cat"], env, folder, before=b"$ imgcli gen\r\n") as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen))
        assert "fa0000" not in colours(run)
        wire.go_on()
        run.wait_for(lambda seen: "fa0000" in colours(seen))
        assert 0 == run.finish()
    assert "0000fa" not in colours(run)
    assert str(folder / "a-cat.png") in run.text.replace("\n", "")
    assert run.cursor_visible


def test_the_bill_is_under_the_image(server: Server, world: dict[str, str], folder: Path) -> None:
    """After the end the image stays, with the bill under it."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_held(on_partial=False)).base_url}
    with PtyRun(["gen", "a cat", "--width", "20"], env, folder, rows=40) as run:
        assert 0 == run.finish()
    image = max(
        row for row, line in run.screen.buffer.items() if any("fa0000" in (c.fg, c.bg) for c in line.values())
    )
    bill = next(row for row, line in enumerate(run.lines) if "gpt-image-2.6-sunburst" in line)
    assert image < bill


GEN, COMPARE = ("gen", "a cat"), ("edit", "a-cat.png", "red", "--compare")
SCREENS = ((80, 24), (50, 20), (40, 12), (120, 40), (80, 19))


@pytest.mark.parametrize(
    ("columns", "rows", "args"),
    [
        *((*size, args) for size in SCREENS for args in (GEN, COMPARE)),
        (80, 24, (*GEN, "--bill")),
    ],
)
def test_everything_fits_one_screen(
    columns: int, rows: int, args: tuple[str, ...], server: Server, world: dict[str, str], folder: Path
) -> None:
    """The whole image, what is said under it, the money and the path are there, and a row for the prompt."""
    (folder / "a-cat.png").write_bytes(PARTIAL)  # which makes a note
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_held(on_partial=False)).base_url}
    before = b"earlier\r\n" * 30
    with PtyRun([*args], env, folder, columns=columns, rows=rows, before=before) as run:
        assert 0 == run.finish()
    painted = [row for row in range(rows) if is_red(run, row)]
    blue = sum("0000fa" in (cell.fg, cell.bg) for cell in run.screen.buffer[painted[0]].values())
    red = sum("fa0000" in (cell.fg, cell.bg) for cell in run.screen.buffer[painted[0]].values())
    assert 1 >= abs(red - 2 * len(painted))
    assert ("--compare" in args) == (blue > 0)
    under = "\n".join(run.lines[painted[-1] + 1 :])
    assert under.startswith("saved a-cat-")
    assert "$" in under
    assert str(folder / "a-cat-") in under.replace("\n", "")
    assert "" == run.lines[run.screen.cursor.y]


def is_red(run: PtyRun, row: int) -> bool:
    """Whether a row shows a part of the final image."""
    return any("fa0000" in (cell.fg, cell.bg) for cell in run.screen.buffer[row].values())


def test_several_images_and_their_paths_fit() -> None:
    """The last of several images is whole above the bill, the paths of all and the prompt."""
    window = Window(80, 24)
    sink = LiveSink(window, window.terminal(), price, FakeClock(), Ready(Letters()), None)
    sink.open(footer=Footer(path_columns=20))
    for event in (started(), final(BETTER, 0), saved("1.png", 0), final(FINE, 1), saved("2.png", 1)):
        sink.handle(event)
    for _ in range(5):
        sink.handle(notice("a note"))
    sink.handle(WHOLE_RUN[-1])
    window.write("/pictures/1.png\r\n/pictures/2.png\r\n$ ")
    assert ["C" * 80] * (24 - 1 - 5 - 4 - 2 - 1) == window.lines[: -1 - 5 - 4 - 2 - 1]
    assert "$" == window.lines[-1]


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (2, 3), (10, 4), (40, 10), (80, 24), (200, 60)])
def test_every_window_size(
    columns: int, rows: int, server: Server, world: dict[str, str], folder: Path
) -> None:
    """In a window of any size the run ends well, and the cursor is back."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_held(on_partial=False)).base_url}
    with PtyRun(["gen", "a cat"], env, folder, columns=columns, rows=rows) as run:
        assert 0 == run.finish()
        assert run.cursor_visible


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_the_terminal_is_put_back(
    signum: signal.Signals, server: Server, world: dict[str, str], folder: Path
) -> None:
    """A signal in the middle leaves a usable terminal: cursor shown, a line of its own, colours reset."""
    wire = server(Reply(stream(created(), partial(0, PARTIAL)), end=End.STALL))
    with PtyRun(["gen", "a cat"], world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}, folder) as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen))
        run.kill(signum)
        assert -signum == run.finish()
    assert run.cursor_visible
    assert 0 == run.screen.cursor.x
    assert "default" == run.screen.cursor.attrs.bg


def test_ctrl_c_is_a_key(server: Server, world: dict[str, str], folder: Path) -> None:
    """Ctrl-C typed at the terminal ends it by SIGINT and says what may have been charged."""
    wire = server(Reply(stream(created(), partial(0, PARTIAL)), end=End.STALL))
    with PtyRun(["gen", "a cat"], world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}, folder) as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen))
        run.type(b"\x03")
        assert -signal.SIGINT == run.finish()
    assert "may have been charged" in run.text


def test_the_window_changes_while_it_runs(server: Server, world: dict[str, str], folder: Path) -> None:
    """Dragging the window's corner mid-stream refits the image; nothing of the old one is left."""
    wire = server(run_held())
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(["gen", "a cat"], env, folder, columns=80, rows=24) as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen) and "partial 1" in seen.text)
        before = len(run.raw)
        run.resize(40, 12)
        run.kill(signal.SIGWINCH)
        run.wait_for(lambda seen: b"2;0;0;250" in seen.raw[before:])
        wire.go_on()
        assert 0 == run.finish()
    assert "0000fa" not in colours(run)


@pytest.mark.parametrize(
    "env",
    [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": ""}],
    ids=lambda env: next(iter(env)),
)
def test_plain_where_a_image_would_be_noise(
    env: dict[str, str], server: Server, world: dict[str, str], folder: Path
) -> None:
    """NO_COLOR, a dumb terminal and CI get plain lines without any escape code."""
    told = world | TRUECOLOR | env | {"OPENAI_BASE_URL": server(run_held(on_partial=False)).base_url}
    with PtyRun(["gen", "a cat"], told, folder, columns=120) as run:
        assert 0 == run.finish()
    assert b"\x1b" not in run.raw
    assert "gpt-image-2.6-sunburst" in run.text


def test_preview_off_still_ticks(server: Server, world: dict[str, str], folder: Path) -> None:
    """--preview off on a terminal shows the status row and no image."""
    wire = server(run_held())
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(["gen", "a cat", "--preview", "off"], env, folder) as run:
        run.wait_for(lambda seen: "partial 1" in seen.text)
        before = len(run.raw)
        run.wait_for(lambda seen: len(seen.raw) > before)
        wire.go_on()
        assert 0 == run.finish()
    assert {"0000fa", "fa0000"} & colours(run) == set()


SHELL = ("bash", "--norc", "--noprofile", "-i")


@dataclass
class Shell:
    """A person's shell on a terminal, with a run in it that stays on its partial."""

    run: PtyRun

    def type(self, line: str) -> None:
        """Type a line."""
        self.run.type(line.encode() + b"\n")

    def see(self, text: str, times: int = 1) -> None:
        """Wait until a text is on the screen as often as that."""
        self.run.wait_for(lambda seen: seen.text.count(text) >= times)


def test_ctrl_z_leaves_a_usable_shell_and_fg_comes_back(
    server: Server, world: dict[str, str], folder: Path
) -> None:
    """Ctrl-Z gives the shell its cursor and colours, under the image; `fg` shows it again till the end."""
    wire = server(run_held())
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "PS1": "$ "}
    with PtyRun([], env | {"OPENAI_API_KEY": "sk-x"}, folder, program=SHELL, rows=40) as run:
        shell = Shell(run)
        shell.type(f"{sys.executable} -m imgcli gen 'a cat' --width 12")
        run.wait_for(lambda seen: "0000fa" in colours(seen) and "partial 1" in seen.text)
        run.type(b"\x1a")
        shell.see("Stopped")
        shell.type("echo still here")
        shell.see("still here", times=2)
        stopped = image_rows(run, "0000fa")
        assert run.cursor_visible
        assert max(stopped) < line_of(run, "Stopped")
        assert "default" == run.screen.cursor.attrs.bg
        before = len(run.raw)
        run.read(0.5)
        assert before == len(run.raw)
        shell.type("fg")
        run.wait_for(lambda seen: len(image_rows(seen, "0000fa")) > len(stopped) and not seen.cursor_visible)
        wire.go_on()
        shell.see("total")
        run.wait_for(lambda seen: seen.cursor_visible)
        assert min(image_rows(run, "fa0000")) > line_of(run, "Stopped")
        assert stopped == image_rows(run, "0000fa")
        shell.type("exit")
        run.finish()


def test_a_run_that_is_sent_to_the_background_paints_nothing_there(
    server: Server, world: dict[str, str], folder: Path
) -> None:
    """After Ctrl-Z and `bg` the shell's screen is its own; the run says in lines what came of it."""
    wire = server(run_held())
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "PS1": "$ "}
    with PtyRun([], env | {"OPENAI_API_KEY": "sk-x"}, folder, program=SHELL, rows=40) as run:
        shell = Shell(run)
        shell.type(f"{sys.executable} -m imgcli gen 'a cat' --width 12")
        run.wait_for(lambda seen: "0000fa" in colours(seen) and "partial 1" in seen.text)
        run.type(b"\x1a")
        shell.see("Stopped")
        shell.type("bg")
        shell.see("--width 12 &")
        wire.go_on()
        shell.see("total")
        assert "fa0000" not in colours(run)
        assert run.cursor_visible
        assert (folder / "a-cat.png").exists()
        shell.type("exit")
        run.finish()


def image_rows(run: PtyRun, colour: str) -> list[int]:
    """List the screen's rows that show a colour."""
    rows = run.screen.buffer.items()
    return sorted(y for y, row in rows if any(colour in (cell.fg, cell.bg) for cell in row.values()))


def line_of(run: PtyRun, text: str) -> int:
    """Find the first row with a text."""
    return next(row for row, line in enumerate(run.lines) if text in line)


PROTOCOLS = [
    PreviewProtocol.OCTANTS,
    PreviewProtocol.SEXTANTS,
    PreviewProtocol.BLOCKS,
    PreviewProtocol.HALF,
    PreviewProtocol.ASCII,
]
TRUE = ColorDepth.TRUECOLOR
WINDOWS = [(1, 1), (33, 40), (7, 3), (200, 60), (2, 2), (20, 5), (80, 24)]


@pytest.mark.parametrize(
    ("protocol", "depth"),
    [
        *((protocol, TRUE) for protocol in PROTOCOLS),
        *(
            pytest.param(protocol, depth, marks=pytest.mark.slow)
            for protocol, depth in (
                (PreviewProtocol.BLOCKS, ColorDepth.ANSI_256),
                (PreviewProtocol.BLOCKS, ColorDepth.ANSI_16),
                (PreviewProtocol.OCTANTS, ColorDepth.MONO),
            )
        ),
    ],
)
def test_every_protocol_in_every_window(protocol: PreviewProtocol, depth: ColorDepth) -> None:
    """Dragged through every size, the image stays in place: what is above stays, nothing is left below."""
    window = Window(80, 24)
    window.write("$ imgcli gen\r\n")
    terminal = window.terminal(depth)
    provider = Ready(BlockRenderer(terminal, protocol))
    sink = LiveSink(window, terminal, price, FakeClock(), provider, None).open()
    sink.handle(started())
    for number, (columns, rows) in enumerate(WINDOWS):
        window.resize(columns, rows)
        sink.handle(showing_partial(number, FINE if number % 2 else BETTER))
        height = fit((64, 64), columns, room(rows))[1] if rows > 1 else 0
        top = window.screen.cursor.y
        assert all(is_painted(window, row) for row in range(top, top + height))
        assert columns == 1 or window.lines[top + height]
        assert not any(is_painted(window, row) for row in range(top + height + 1, rows))
        assert {"", "$", "$ imgcli gen"} >= set(window.lines[:top])
    sink.handle(final())
    sink.handle(WHOLE_RUN[-1])
    sink.close()
    assert window.is_cursor_shown
    assert not any(is_painted(window, row) for row in range(window.screen.cursor.y, 24))
    assert 1 == sum("total" in line for line in window.history)


def is_painted(window: Window, row: int) -> bool:
    """Whether anything is to be seen in a row."""
    cells = window.screen.buffer[row].values()
    return any(cell.data != " " or cell.bg != "default" for cell in cells)


def test_a_tick_costs_a_few_bytes() -> None:
    """While only the clock moves, less than 64 bytes a tick go to the terminal, whatever is shown."""
    window, clock = Window(200, 60), FakeClock()
    terminal = window.terminal()
    sink = LiveSink(window, terminal, price, clock, Ready(BlockRenderer(terminal)), None).open()
    sink.handle(started())
    sink.handle(showing_partial(0, ROUGH))
    for _ in range(200):
        clock.now += 1 / 8
        before = len(window.writes)
        sink.refresh()
        assert 64 > sum(len(text.encode()) for text in window.writes[before:])
