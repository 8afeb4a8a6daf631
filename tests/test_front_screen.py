"""The live picture as a person sees it: the real command on a real pty."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

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


def run_with_pauses(pause: float) -> Reply:
    """Serve a run that stays on its partial, and on its final picture, for a moment."""
    opening = stream(created())
    rough = opening + stream(partial(0, PARTIAL))
    item = image_item(FINAL)
    whole = rough + stream(item_done(item)) + stream(completed(item))
    return Reply(whole, pauses=((len(opening), pause), (len(rough), pause)))


def colours(run: PtyRun) -> set[str]:
    """Collect every colour on the screen."""
    cells = [cell for line in run.screen.buffer.values() for cell in line.values()]
    return {cell.fg for cell in cells if cell.data != " "} | {cell.bg for cell in cells}


def test_a_partial_is_shown_before_the_final(server: Server, world: dict[str, str], folder: Path) -> None:
    """The rough picture is on the screen first, the final one takes its very place, the path comes last."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_with_pauses(0.5)).base_url}
    with PtyRun(["gen", "a cat"], env, folder, before=b"$ imgcli gen\r\n") as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen))
        assert "fa0000" not in colours(run)
        run.wait_for(lambda seen: "fa0000" in colours(seen))
        assert 0 == run.finish()
    assert "0000fa" not in colours(run)
    assert str(folder / "a-cat.png") in run.text.replace("\n", "")
    assert run.cursor_visible


def test_the_bill_is_under_the_picture(server: Server, world: dict[str, str], folder: Path) -> None:
    """After the end the picture stays, with the bill under it."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_with_pauses(0.1)).base_url}
    with PtyRun(["gen", "a cat", "--width", "20"], env, folder, rows=40) as run:
        assert 0 == run.finish()
    picture = max(
        row for row, line in run.screen.buffer.items() if any("fa0000" in (c.fg, c.bg) for c in line.values())
    )
    bill = next(row for row, line in enumerate(run.lines) if "gpt-image-2.6-sunburst" in line)
    assert picture < bill


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (2, 3), (10, 4), (40, 10), (80, 24), (200, 60)])
def test_every_window_size(
    columns: int, rows: int, server: Server, world: dict[str, str], folder: Path
) -> None:
    """In a window of any size the run ends well, and the cursor is back."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_with_pauses(0)).base_url}
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
    """Dragging the window's corner mid-stream refits the picture; nothing of the old one is left."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_with_pauses(1.2)).base_url}
    with PtyRun(["gen", "a cat"], env, folder, columns=80, rows=24) as run:
        run.wait_for(lambda seen: "0000fa" in colours(seen))
        run.resize(40, 12)
        run.kill(signal.SIGWINCH)
        assert 0 == run.finish()
    assert "0000fa" not in colours(run)


@pytest.mark.parametrize(
    "env",
    [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": ""}],
    ids=lambda env: next(iter(env)),
)
def test_plain_where_a_picture_would_be_noise(
    env: dict[str, str], server: Server, world: dict[str, str], folder: Path
) -> None:
    """NO_COLOR, a dumb terminal and CI get plain lines without any escape code."""
    told = world | TRUECOLOR | env | {"OPENAI_BASE_URL": server(run_with_pauses(0)).base_url}
    with PtyRun(["gen", "a cat"], told, folder, columns=120) as run:
        assert 0 == run.finish()
    assert b"\x1b" not in run.raw
    assert "gpt-image-2.6-sunburst" in run.text


def test_preview_off_still_ticks(server: Server, world: dict[str, str], folder: Path) -> None:
    """--preview off on a terminal shows the status row and no picture."""
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": server(run_with_pauses(0.4)).base_url}
    with PtyRun(["gen", "a cat", "--preview", "off"], env, folder) as run:
        assert 0 == run.finish()
    assert {"0000fa", "fa0000"} & colours(run) == set()
