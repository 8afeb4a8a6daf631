"""`imgcli open`, --open and --copy: images handed to the desktop's own tools, played here by scripts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beside import PATIENCE, wait_for
from conftest import CANARY_KEY
from earlier import AT, remember
from imgcli.core.image import ImageFormat
from imgcli.output import desktop
from imgcli.output.desktop import IMAGE, Tool, copiers, openers
from streams import BLUE, RED, created, image_item, item_done, stream, whole_run
from webclient import serving
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]
    Gen = Callable[..., Result]
    Install = Callable[..., dict[str, str]]

RECORDING = """#!/bin/sh
printf '%s\\n' "$@" > {log}.args
cat > {log}.input
echo $$ > {log}.pid
env > {log}.env
: > {log}.done
{then}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Name the place in which the tools tell what they were given."""
    path = tmp_path / "log"
    path.mkdir()
    return path


@pytest.fixture
def install(tmp_path: Path, log: Path) -> Install:
    """Put tools that record what they are given onto a PATH of their own, and give the environment for it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "env", "sleep"):
        (programs / name).symlink_to(f"/bin/{name}")

    def one(*names: str, then: str = "") -> dict[str, str]:
        for name in names:
            tool = programs / name
            tool.write_text(RECORDING.format(log=log / name, then=then))
            tool.chmod(0o755)
        return {"PATH": str(programs)}

    return one


def given(log: Path, name: str) -> tuple[list[str], bytes]:
    """Read a tool's arguments, and what it read from its standard input; nobody has waited for it."""
    wait_for((log / f"{name}.done").exists)
    return (log / f"{name}.args").read_text().splitlines(), (log / f"{name}.input").read_bytes()


def test_the_saved_image_is_opened_and_copied(
    server: Server, gen: Gen, folder: Path, install: Install, log: Path
) -> None:
    """--open and --copy give the saved file to the viewer and its bytes to the clipboard."""
    env = install("xdg-open", "xclip")
    done = gen(server(Reply(whole_run())), "a cat", "--quiet", "--open", "--copy", env=env)
    path = folder / "a-cat.png"
    assert (0, [str(path)], "") == (done.exit_code, done.lines, done.stderr)
    assert ([str(path)], b"") == given(log, "xdg-open")
    assert (["-selection", "clipboard", "-target", "image/png"], RED) == given(log, "xclip")


def test_the_tools_get_no_key(server: Server, gen: Gen, install: Install, log: Path) -> None:
    """A viewer gets what a desktop's program needs of my environment: no key, no proxy, nothing of ours."""
    env = install("xdg-open") | {"DISPLAY": ":7", "HTTPS_PROXY": "http://me:pw@[::1]:9", "MY_KEY": CANARY_KEY}
    gen(server(Reply(whole_run())), "a cat", "--open", env=env)
    given(log, "xdg-open")
    told = (log / "xdg-open.env").read_text()
    assert CANARY_KEY not in told
    names = {line.partition("=")[0] for line in told.splitlines()}
    assert {"DISPLAY", "HOME", "PATH", IMAGE} <= names
    assert set() == names & {"OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTPS_PROXY", "MY_KEY", "PYTHONWARNINGS"}


def test_a_tool_that_is_missing_fails_no_run(server: Server, gen: Gen, install: Install) -> None:
    """A missing tool is one sentence on standard error, and no other exit code."""
    done = gen(server(Reply(whole_run())), "a cat", "--quiet", "--open", env=install())
    told = "note: xdg-open is not installed, so the image was not opened.\n"
    assert (0, told) == (done.exit_code, done.stderr)


def test_the_page_of_the_server_is_opened(
    world: dict[str, str], folder: Path, install: Install, log: Path
) -> None:
    """`serve --open` gives the browser the page, and no list of processes the token."""
    with serving(world, folder, "--demo", "--token", "--open", **install("xdg-open")) as site:
        assert ([f"{site.origin}/"], b"") == given(log, "xdg-open")


def test_a_tool_that_fails(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that fails at once is one sentence, too."""
    monkeypatch.setattr(desktop, "_PATIENCE", PATIENCE)
    with pytest.raises(desktop.DesktopError) as caught:
        desktop.open_image(tmp_path, install("xdg-open", then="exit 3"))
    assert "The image was not opened: xdg-open failed (exit code 3)." == str(caught.value)


def test_a_viewer_that_stays_holds_nothing_up(server: Server, gen: Gen, install: Install, log: Path) -> None:
    """The command ends although its viewer goes on, and the viewer outlives it."""
    env = install("xdg-open", then="exec sleep 60")
    began = time.monotonic()
    done = gen(server(Reply(whole_run())), "a cat", "--quiet", "--open", env=env)
    assert (0, "", True) == (done.exit_code, done.stderr, time.monotonic() - began < 50)
    given(log, "xdg-open")
    viewer = int((log / "xdg-open.pid").read_text())
    assert os.getsid(viewer) == viewer
    os.kill(viewer, signal.SIGKILL)


def test_what_is_damaged_is_not_opened(server: Server, gen: Gen, install: Install, log: Path) -> None:
    """Only an image is handed over: neither damaged bytes nor a run that brought nothing."""
    env = install("xdg-open", "xclip")
    for body in (stream(created(), item_done(image_item(RED[:60]))), stream(created())):
        assert 0 != gen(server(Reply(body)), "a cat", "--open", "--copy", env=env).exit_code
    assert [] == list(log.iterdir())


@pytest.mark.parametrize("args", [["--no-save", "--preview", "half"], ["-o", "-"]])
@pytest.mark.parametrize("option", ["--open", "--copy"])
def test_without_a_file_there_is_nothing_to_open(
    args: list[str], option: str, refused: Callable[..., str]
) -> None:
    """--open and --copy beside what keeps no file are refused before anything is sent."""
    assert f"{option} needs a file, and {args[0]}" in refused("gen", "a cat", option, *args)


def test_a_habit_gives_way(imgcli: Cli, world: dict[str, str], install: Install, log: Path) -> None:
    """`open = true` in the configuration opens what is saved, and is in nobody's way where nothing is."""
    config = Path(world["XDG_CONFIG_HOME"]) / "imgcli/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("open = true\n")
    env = install("xdg-open")
    assert 0 == imgcli("gen", "a cat", *AT, "-o", "-", env=env).exit_code
    assert 0 == imgcli("gen", "a cat", "--demo", "--no-open", "--quiet", env=env).exit_code
    assert [] == list(log.iterdir())
    assert 0 == imgcli("gen", "a cat", "--demo", "--quiet", env=env).exit_code
    assert "a-cat-2.png" in given(log, "xdg-open")[0][0]


class TestOpen:
    """The command of that name."""

    @pytest.mark.parametrize("name", ["a.png", "1", "last~1"])
    def test_files_and_runs(
        self, name: str, imgcli: Cli, world: dict[str, str], folder: Path, install: Install, log: Path
    ) -> None:
        """A file, an id and last~1 are opened, by their whole path."""
        remember(world, (RED, folder / "a.png"))
        remember(world, (BLUE, folder / "b.png"))
        done = imgcli("open", name, env=install("xdg-open"))
        assert (0, b"") == (done.exit_code, done.stdout)
        assert ([str(folder / "a.png")], b"") == given(log, "xdg-open")

    def test_copy(self, imgcli: Cli, folder: Path, install: Install, log: Path) -> None:
        """--copy gives the bytes to the clipboard, on Wayland by its own tool, and opens nothing."""
        (folder / "-a.png").write_bytes(RED)
        env = install("xdg-open", "xclip", "wl-copy") | {"WAYLAND_DISPLAY": "wayland-0"}
        done = imgcli("open", "./-a.png", "--copy", env=env)
        assert (0, "") == (done.exit_code, done.stderr)
        assert (["--type", "image/png"], RED) == given(log, "wl-copy")
        assert {"wl-copy"} == {path.stem for path in log.iterdir()}

    @pytest.mark.parametrize("name", ["missing.png", "7", "last", "notes.txt", "pipe", "-", ""])
    def test_no_image(self, name: str, imgcli: Cli, folder: Path, install: Install, log: Path) -> None:
        """What is no image, or is not there, is one sentence; nothing is started."""
        (folder / "notes.txt").write_text("a cat")
        os.mkfifo(folder / "pipe")
        done = imgcli("open", name, env=install("xdg-open"))
        assert (2, []) == (done.exit_code, list(log.iterdir())), done.stderr

    def test_no_tool(self, imgcli: Cli, folder: Path, install: Install) -> None:
        """Where there is no tool, nothing was opened, and the exit code says so."""
        (folder / "a.png").write_bytes(RED)
        done = imgcli("open", "a.png", "--copy", env=install() | {"WAYLAND_DISPLAY": "wayland-0"})
        assert 2 == done.exit_code
        assert "Neither wl-copy nor xclip is installed, so the image was not copied." in done.stderr


def test_other_systems() -> None:
    """On macOS and Windows a path is an argument or a variable, and never a part of a script."""
    hostile = '/a"; beep; ".png'
    assert [Tool(("open", hostile))] == openers(hostile, "darwin")
    for kind in ImageFormat:
        (mac,) = copiers(hostile, kind, {}, "darwin")
        (windows,) = copiers(hostile, kind, {}, "win32")
        assert ("osascript", hostile) == (mac.command[0], mac.command[-1])
        assert hostile not in "".join(mac.command[:-1]) + "".join(windows.command)
        assert f"$env:{IMAGE}" in windows.command[-1]
