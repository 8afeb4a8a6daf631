"""What a terminal can do, told from its environment."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from imgcli.app.context import size_of
from imgcli.core.params import PreviewProtocol
from imgcli.output.images.protocol import Box
from imgcli.output.images.select import RendererSelector
from imgcli.output.terminal.capabilities import ColorDepth, Display, Terminal, choose_display, detect_terminal
from imgcli.output.text import cell_width, clip
from showing import ROUGH, Window
from tables import each

TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def seen(env: dict[str, str], requested: PreviewProtocol = PreviewProtocol.AUTO) -> Terminal:
    """Look at a terminal with this environment."""
    window = Window()
    return detect_terminal(env, window, window.size, requested)


@each(
    ("env", "depth"),
    [
        (TRUECOLOR, ColorDepth.TRUECOLOR),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, ColorDepth.TRUECOLOR),
        ({"TERM": "xterm-kitty"}, ColorDepth.TRUECOLOR),
        ({"TERM": "xterm-ghostty"}, ColorDepth.TRUECOLOR),
        ({"TERM": "alacritty"}, ColorDepth.TRUECOLOR),
        ({"TERM": "xterm-direct"}, ColorDepth.TRUECOLOR),
        ({"WT_SESSION": "guid"}, ColorDepth.TRUECOLOR),
        ({"TERM": "xterm-256color"}, ColorDepth.ANSI_256),
        ({"TERM": "screen-256color"}, ColorDepth.ANSI_256),
        ({"TERM": "tmux-256color"}, ColorDepth.ANSI_256),
        ({"TERM": "mlterm", "MLTERM": "3.9.0"}, ColorDepth.ANSI_256),
        ({"TERM": "mlterm", "COLORTERM": "truecolor"}, ColorDepth.ANSI_256),
        ({"TERM": "xterm"}, ColorDepth.ANSI_16),
        ({"TERM": "linux"}, ColorDepth.ANSI_16),
        ({"TERM": "vt220"}, ColorDepth.MONO),
        ({"TERM": "xterm-mono"}, ColorDepth.MONO),
        ({}, ColorDepth.NONE),
        ({"TERM": "dumb"}, ColorDepth.NONE),
        (TRUECOLOR | {"TERM": "dumb"}, ColorDepth.NONE),
        (TRUECOLOR | {"NO_COLOR": "1"}, ColorDepth.NONE),
        (TRUECOLOR | {"NO_COLOR": ""}, ColorDepth.TRUECOLOR),
        (TRUECOLOR | {"CI": "true"}, ColorDepth.NONE),
        (TRUECOLOR | {"CI": "1"}, ColorDepth.NONE),
        (TRUECOLOR | {"CI": "false"}, ColorDepth.TRUECOLOR),
    ],
)
def test_colours(env: dict[str, str], depth: ColorDepth) -> None:
    """The usual names and the usual vetoes are understood."""
    assert depth is seen(env).depth


@pytest.mark.parametrize("requested", list(PreviewProtocol))
def test_a_pipe_gets_lines(requested: PreviewProtocol) -> None:
    """Where stderr is no terminal there are plain lines, whatever was asked for."""
    window = Window()
    assert Display.LINES is choose_display(
        requested, detect_terminal(TRUECOLOR, io.StringIO(), window.size, requested)
    )


def test_a_closed_stream_is_no_terminal() -> None:
    """A stream that somebody closed is not asked twice."""
    stream = io.StringIO()
    stream.close()
    assert ColorDepth.NONE is detect_terminal(TRUECOLOR, stream, Window().size).depth


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, TRUECOLOR | {"NO_COLOR": "1"}, TRUECOLOR | {"CI": "1"}])
@pytest.mark.parametrize("requested", [PreviewProtocol.AUTO, PreviewProtocol.OFF])
def test_vetoes_win(requested: PreviewProtocol, env: dict[str, str]) -> None:
    """NO_COLOR, a dumb terminal and CI get plain lines, unless a protocol is asked for by its name."""
    assert Display.LINES is choose_display(requested, seen(env, requested))


@pytest.mark.parametrize(
    "requested",
    [protocol for protocol in PreviewProtocol if protocol not in (PreviewProtocol.AUTO, PreviewProtocol.OFF)],
)
def test_an_order_is_an_order(requested: PreviewProtocol) -> None:
    """Whoever names a protocol gets an image in CI too, with NO_COLOR a grey one, on a dumb terminal none."""
    assert ColorDepth.MONO is seen(TRUECOLOR | {"NO_COLOR": "1"}, requested).depth
    assert ColorDepth.TRUECOLOR is seen(TRUECOLOR | {"CI": "1"}, requested).depth
    assert Display.LINES is choose_display(requested, seen({"TERM": "dumb"}, requested))


@pytest.mark.parametrize("requested", list(PreviewProtocol))
def test_preview(requested: PreviewProtocol) -> None:
    """On a terminal there is an image, or with --preview off a status row."""
    expected = Display.STATUS if requested is PreviewProtocol.OFF else Display.IMAGE
    assert expected is choose_display(requested, seen(TRUECOLOR, requested))


def test_ascii_terminal_gets_letters() -> None:
    """A terminal whose encoding lacks the block glyphs gets an image of letters, no question marks."""

    class Ascii(Window):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return "ANSI_X3.4-1968"

    window = Ascii()
    terminal = detect_terminal(TRUECOLOR, window, window.size)
    assert not terminal.unicode
    assert Display.IMAGE is choose_display(PreviewProtocol.AUTO, terminal)
    frame = RendererSelector({"TERM": "linux"}, window, terminal).renderer().render(ROUGH, Box(20, 10))
    assert "".join(frame.lines).isascii()


@pytest.mark.parametrize(
    ("told", "background"),
    [
        ("15;0", (0, 0, 0)),
        ("0;15", (255, 255, 255)),
        ("0;default;7", (255, 255, 255)),
        ("15;default", None),
        ("", None),
    ],
)
def test_background(told: str, background: tuple[int, int, int] | None) -> None:
    """The background is known where COLORFGBG tells, and nowhere else."""
    assert background == seen(TRUECOLOR | {"COLORFGBG": told}).background


@pytest.mark.parametrize(
    ("pixels", "aspect"), [((800, 480), 2.0), ((800, 360), 1.5), ((0, 0), 2.0), ((10, 4000), 2.0)]
)
def test_shape_of_a_cell(pixels: tuple[int, int], aspect: float) -> None:
    """A cell's shape comes from the window's size in pixels where the terminal tells a sane one."""
    controller, terminal = pty.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, *pixels))
        with os.fdopen(os.dup(terminal), "w") as stream:
            assert aspect == detect_terminal(TRUECOLOR, stream, Window().size).aspect
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize(
    ("text", "width"), [("cat", 3), ("고양이", 6), ("e\N{COMBINING ACUTE ACCENT}", 1), ("猫 cat", 6)]
)
def test_width_of_text(text: str, width: int) -> None:
    """Wide characters count twice, combining ones not at all."""
    assert width == cell_width(text)


@pytest.mark.parametrize(
    ("text", "columns", "kept"),
    [("cat", 2, "ca"), ("고양이", 5, "고양"), ("고양이", 0, ""), ("cat", 9, "cat")],
)
def test_text_is_cut_at_a_cell(text: str, columns: int, kept: str) -> None:
    """Nothing is cut through the middle of a wide character."""
    assert kept == clip(text, columns)


@pytest.mark.parametrize("columns", ["9" * 11, "9" * 30])
def test_absurd_columns(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS and LINES can hold any number, and no image is painted that wide."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    assert (1000, 1000) == size_of(io.StringIO())
