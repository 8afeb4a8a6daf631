"""Progress in the terminal's tab: only where it is taken as that, and never left behind."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from imgcli.output.terminal.database import Ability, identify
from imgcli.output.terminal.progress import ProgressBar
from streams import completed, created, image_item, item_done, partial, png, stream
from terminal import PtyRun
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

GHOSTTY = {"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty", "TERM_PROGRAM_VERSION": "1.2.0"}
ROUGH = stream(created()) + stream(partial(0, png(0, 0, 250)))
ITEM = image_item(png(250, 0, 0))
WHOLE = ROUGH + stream(item_done(ITEM)) + stream(completed(ITEM))
GEN = ("gen", "a cat", "--preview", "off", "--partials", "3")


def states(run: PtyRun) -> list[str]:
    """List what the tab has shown, without repetitions."""
    return [state.decode() for state in re.findall(rb"\x1b\]9;4;([0-9;]+)\x1b\\", run.raw)]


def test_a_run(server: Server, world: dict[str, str], folder: Path) -> None:
    """The tab spins until the first partial, then fills, and is empty at the end."""
    wire = server(Reply(WHOLE, holds=(len(ROUGH),)))
    with PtyRun(GEN, world | GHOSTTY | {"OPENAI_BASE_URL": wire.base_url}, folder) as run:
        run.wait_for(lambda seen: "1;25" in states(seen))
        wire.go_on()
        assert 0 == run.finish()
    assert ["3", "1;25"] == states(run)[:2]
    assert "0" == states(run)[-1]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(signum: int, server: Server, world: dict[str, str], folder: Path) -> None:
    """Whatever ends a run takes its progress away."""
    wire = server(Reply(WHOLE, holds=(len(ROUGH),)))
    with PtyRun(GEN, world | GHOSTTY | {"OPENAI_BASE_URL": wire.base_url}, folder) as run:
        run.wait_for(lambda seen: "1;25" in states(seen))
        run.kill(signum)
        assert -signum == run.finish()
    assert "0" == states(run)[-1]


def test_failure(server: Server, world: dict[str, str], folder: Path) -> None:
    """So does an error."""
    wire = server(Reply(b'{"error": {"message": "no", "code": "invalid_api_key"}}', status=401))
    with PtyRun(GEN, world | GHOSTTY | {"OPENAI_BASE_URL": wire.base_url}, folder) as run:
        assert 4 == run.finish()
    assert ["3", "0"] == states(run)


@pytest.mark.slow
def test_a_crash(server: Server, world: dict[str, str], folder: Path) -> None:
    """So does a bug of ours."""
    (folder / "sitecustomize.py").write_text(
        "import imgcli.store.publish.stage\n"
        "def broken(*_):\n    raise ZeroDivisionError\n"
        "imgcli.store.publish.stage.SavingStage._final = broken\n"
    )
    env = world | GHOSTTY | {"OPENAI_BASE_URL": server(Reply(WHOLE)).base_url, "PYTHONPATH": str(folder)}
    with PtyRun(GEN, env, folder) as run:
        assert 1 == run.finish()
    assert "ZeroDivisionError" in run.text
    assert "3" == states(run)[0]
    assert "0" == states(run)[-1]


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("view run.sse", False),
        pytest.param("view - < <(cat run.sse)", True, marks=pytest.mark.slow),
    ],
)
def test_a_replay(command: str, *, shown: bool, world: dict[str, str], folder: Path) -> None:
    """A run that was recorded is no work that goes on; one that another program still brings is."""
    (folder / "run.sse").write_bytes(WHOLE)
    line = f"{sys.executable} -m imgcli {command}"
    with PtyRun(("-c", line), world | GHOSTTY, folder, program=("bash",)) as run:
        assert 0 == run.finish()
    assert shown == bool(states(run))


def test_a_batch(world: dict[str, str], folder: Path) -> None:
    """A batch fills the tab row by row."""
    (folder / "rows.txt").write_text("a cat\na dog\n")
    with PtyRun(("batch", "rows.txt", "--demo", "--preview", "off"), world | GHOSTTY, folder) as run:
        assert 0 == run.finish()
    assert "3" == states(run)[0]
    assert "0" == states(run)[-1]


@pytest.mark.parametrize(
    ("env", "is_taken"),
    [
        (GHOSTTY, True),
        ({"TERM_PROGRAM": "ghostty", "TERM_PROGRAM_VERSION": "1.1.3"}, False),
        ({"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.6.6"}, True),
        ({"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.6.5"}, False),
        ({"TERM_PROGRAM": "WezTerm", "TERM_PROGRAM_VERSION": "20240203-110809-5046fc22"}, False),
        ({"TERM_PROGRAM": "WezTerm", "TERM_PROGRAM_VERSION": "20250301-010203-abcdef01"}, True),
        ({"VTE_VERSION": "7900"}, True),
        ({"VTE_VERSION": "7801"}, False),
        ({"WT_SESSION": "x"}, True),
        (
            {"TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.7b"} | {"VTE_VERSION": "7900"},
            True,
        ),
        (
            {"TMUX": "x", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.6a"} | {"VTE_VERSION": "7900"},
            False,
        ),
        ({"TERM": "xterm-kitty"}, False),
        ({"TERM": "xterm-256color"}, False),
    ],
)
def test_who_takes_it(env: dict[str, str], *, is_taken: bool) -> None:
    """An older version would show a notification that says "4;1;50", so an unknown one gets nothing."""
    terminal, version = identify(env)
    assert is_taken == terminal.can(Ability.PROGRESS, version)


def test_it_is_repeated_now_and_then() -> None:
    """What Ghostty would take for stale is written again, and nothing else is."""
    bar = ProgressBar(is_supported=True)
    assert "\x1b]9;4;1;50\x1b\\" == bar.update(0.5, 0) == bar.update(0.5, 10)
    assert "" == bar.update(0.5, 11) == ProgressBar(is_supported=False).update(0.5, 0)
    assert "\x1b]9;4;0\x1b\\" == bar.clear()
    assert "" == bar.clear()
