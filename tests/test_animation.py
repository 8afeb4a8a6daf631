"""Animated images: played by kitty, repainted elsewhere, and still where nobody wants motion."""

from __future__ import annotations

import json
import re
import signal
import sys
import tracemalloc
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from imgcli.core.image import EncodedImage
from imgcli.output.images.animation import Animation
from streams import completed, created, image_item, item_done, stream
from terminal import PtyRun
from test_front_screen import SHELL, TRUECOLOR, Shell, colours, image_rows, line_of, run_held
from wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cli
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

KITTY = {"TERM": "xterm-kitty"}
KITTY_ANSWERS = b"\x1b_Gi=4211;OK\x1b\\\x1bP>|kitty(%s)\x1b\\\x1b[6;20;10t\x1b[?62;c"
ENOUGH = (640, 480)
RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def gif(*colors: tuple[int, ...], size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    """Return an animation with a frame for each colour."""
    first, *others = (Image.new("RGB", size, color) for color in colors)
    out = BytesIO()
    first.save(out, "GIF", save_all=True, append_images=others, **{"duration": 20} | options)
    return out.getvalue()


def animation(data: bytes) -> Animation | None:
    """Read an animation."""
    return Animation.of(EncodedImage.of(data), ENOUGH)


def pixels(data: bytes, at: tuple[int, int] = (1, 1)) -> list[Any]:
    """Return a pixel of every frame."""
    found = animation(data)
    assert found
    return [Image.open(BytesIO(frame.image.data)).getpixel(at) for frame in found.frames()]


def test_frames_and_their_times() -> None:
    """Each frame is shown for its own time, one without a time for as long as browsers show it."""
    found = animation(gif(RED, GREEN, BLUE, duration=[0, 50, 10]))
    assert found
    assert [0.1, 0.05, 0.1] == [frame.seconds for frame in found.frames()]
    assert [RED, GREEN, BLUE] == pixels(gif(RED, GREEN, BLUE))


def test_disposal_and_transparency() -> None:
    """A frame that is taken away again leaves nothing behind; one that stays is seen through the next."""
    clear = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    half = clear.copy()
    half.paste((*BLUE, 255), (20, 0, 40, 20))
    first = clear.copy()
    first.paste((*RED, 255), (0, 0, 20, 20))
    for disposal, left in ((2, 0), (1, 255)):
        out = BytesIO()
        first.save(out, "GIF", save_all=True, append_images=[half], duration=20, disposal=disposal)
        assert left == pixels(out.getvalue())[1][3]
        assert BLUE == pixels(out.getvalue(), (30, 10))[1][:3]


def test_what_is_no_animation() -> None:
    """One frame, another format, or nothing whole but one frame: an image as any other."""
    assert animation(gif(RED)) is None
    out = BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    assert animation(out.getvalue()) is None
    noisy = [Image.effect_noise((200, 200), 90).convert("RGB") for _ in range(3)]
    noisy[0].save(out := BytesIO(), "GIF", save_all=True, append_images=noisy[1:])
    data = out.getvalue()
    whole = animation(data[: len(data) * 5 // 6])
    assert whole
    assert 2 == len(list(whole.frames()))
    assert animation(data[: len(data) // 2]) is None


@pytest.mark.slow
def test_many_frames_take_no_more_memory() -> None:
    """A frame is decoded when it is shown, and forgotten then; kitty is not asked to keep ten thousand."""
    found = animation(gif(*[(shade, 0, 0) for shade in range(250)], size=(300, 300)))
    assert found
    assert not found.is_small
    tracemalloc.start()
    assert 250 == sum(1 for _ in found.frames())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000


def view(
    data: bytes, env: dict[str, str], folder: Path, *options: str, answers: bytes = b"\x1b[?62;c"
) -> PtyRun:
    """View an animation in a terminal, to its end."""
    (folder / "a.gif").write_bytes(data)
    with PtyRun(("view", "a.gif", *options), env, folder, answers=answers) as run:
        assert 0 == run.finish()
    return run


def test_kitty_plays_it(world: dict[str, str], folder: Path) -> None:
    """Kitty gets all frames with their times, plays them once, and we are done."""
    data = gif(RED, GREEN, BLUE, duration=[70, 80, 90])
    raw = view(data, world | KITTY, folder, answers=KITTY_ANSWERS % b"0.47.4").raw.decode(errors="replace")
    (image_id,) = re.findall(r"\x1b_Ga=T[^;]*,i=([0-9]+)", raw)
    assert [f"a=a,q=2,i={image_id},r=1,z=70", f"a=a,q=2,i={image_id},s=2"] == re.findall(
        r"\x1b_G(a=a,[^\x1b]*,(?:r=1,z=70|s=2))\x1b", raw
    )
    assert ["80", "90"] == re.findall(rf"\x1b_Ga=f,q=2,i={image_id},f=100,z=([0-9]+),m=0;", raw)
    assert f"\x1b_Ga=a,q=2,i={image_id},s=3,v=2\x1b\\" in raw


def test_kitty_loops(world: dict[str, str], folder: Path) -> None:
    """--loop leaves it playing, without us; --still sends one frame."""
    data = gif(RED, GREEN)
    assert (
        b",s=3,v=1\x1b\\"
        in view(data, world | KITTY, folder, "--loop", answers=KITTY_ANSWERS % b"0.47.4").raw
    )
    assert b"a=f" not in view(data, world | KITTY, folder, "--still", answers=KITTY_ANSWERS % b"0.47.4").raw


def test_it_is_repainted_elsewhere(world: dict[str, str], folder: Path) -> None:
    """A terminal that shows blocks gets one frame after the other in the same place, and keeps the last."""
    run = view(gif(RED, GREEN, BLUE, duration=300), world | TRUECOLOR, folder)
    assert b"250;0;0" in run.raw
    assert b"0;250;0" in run.raw
    assert "0000fa" in colours(run)
    assert {"fa0000", "00fa00"}.isdisjoint(colours(run))
    assert 1 == run.text.count("a.gif")
    assert run.cursor_visible


def test_ctrl_c_ends_a_loop(world: dict[str, str], folder: Path) -> None:
    """Ctrl-C ends what goes on for ever, with the cursor below the image, and shown."""
    (folder / "a.gif").write_bytes(gif(RED, GREEN, duration=30))
    with PtyRun(("view", "a.gif", "--loop"), world | TRUECOLOR, folder, before=b"$ imgcli\r\n") as run:
        run.wait_for(lambda seen: seen.raw.count(b"250;0;0") > 2)
        run.type(b"\x03")
        assert -signal.SIGINT == run.finish()
    assert run.cursor_visible
    assert run.screen.cursor.y > 1
    assert "$ imgcli" in run.text


def test_iterm2_gets_the_file(world: dict[str, str], folder: Path) -> None:
    """iTerm2 plays a GIF by itself, for ever: that is what --loop asks for, and nothing else."""
    env = world | {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.5"}
    data = gif(RED, GREEN)
    assert b"R0lGOD" in view(data, env, folder, "--loop").raw
    assert b"R0lGOD" not in view(data, env, folder).raw


@pytest.mark.parametrize("options", [(), ("--loop",)])
def test_nothing_moves_without_a_terminal(options: tuple[str, ...], imgcli: Cli, folder: Path) -> None:
    """In a pipe, an animation is a line as any image; --loop does not make it go on for ever."""
    (folder / "a.gif").write_bytes(gif(RED, GREEN))
    done = imgcli("view", "a.gif", *options)
    assert 0 == done.exit_code
    assert ["a.gif, gif, 40x20"] == [line.rpartition(",")[0] for line in done.lines]


def test_several_stand_still(world: dict[str, str], folder: Path) -> None:
    """Side by side, animations show their first frame."""
    (folder / "b.gif").write_bytes(gif(GREEN, BLUE))
    run = view(gif(RED, BLUE), world | TRUECOLOR, folder, "b.gif")
    assert b"0;0;250" not in run.raw


@pytest.mark.parametrize(("version", "is_told"), [(b"0.48.0", True), (b"0.47.4", False), (b"0.26.5", False)])
def test_kitty_knows_what_is_brief(
    version: bytes, *, is_told: bool, server: Server, world: dict[str, str], folder: Path
) -> None:
    """From 0.48 on, kitty is told that a partial image is soon replaced, and that the final one is not."""
    wire = server(run_held())
    env = world | KITTY | {"OPENAI_BASE_URL": wire.base_url}
    with PtyRun(("gen", "a cat", "--partials", "1"), env, folder, answers=KITTY_ANSWERS % version) as run:
        run.wait_for(lambda seen: b"a=T" in seen.raw)
        wire.go_on()
        assert 0 == run.finish()
    hints = [b",N=1" in keys for keys in re.findall(rb"\x1b_G(a=T[^;]*);", run.raw)]
    assert not hints[-1]
    assert is_told == any(hints)


def answered(data: bytes) -> Reply:
    """Serve a run that brings an animation."""
    item = image_item(data)
    return Reply(stream(created()) + stream(item_done(item)) + stream(completed(item)))


def gen_env(server: Server, world: dict[str, str], data: bytes, **more: str) -> dict[str, str]:
    """Return the environment of a run that brings an animation."""
    return world | TRUECOLOR | {"OPENAI_BASE_URL": server(answered(data)).base_url} | more


def generated(run: PtyRun) -> bytes:
    """Return what a run wrote after the path of its file, the last thing that it prints."""
    return run.raw.rpartition(b"here/a-cat.gif")[2]


def test_a_generated_animation_is_played(server: Server, world: dict[str, str], folder: Path) -> None:
    """What a run has saved is played once, in its place above the bill and the path; the last frame stays."""
    data = gif(RED, GREEN, BLUE, duration=300)
    with PtyRun(("gen", "a cat"), gen_env(server, world, data), folder, columns=120) as run:
        run.wait_for(lambda seen: b"here/a-cat.gif" in seen.raw)
        printed, row = run.text, run.screen.cursor.y
        assert data == (folder / "a-cat.gif").read_bytes()
        assert 0 == run.finish()
    assert b"0;250;0" in generated(run)
    assert "0000fa" in colours(run)
    assert {"fa0000", "00fa00"}.isdisjoint(colours(run))
    assert printed.split() == run.text.split()
    assert row == run.screen.cursor.y
    assert run.cursor_visible


def test_kitty_plays_a_generated_animation(server: Server, world: dict[str, str], folder: Path) -> None:
    """Kitty plays it by itself, in the place of the image that was shown, which is gone."""
    env = gen_env(server, world, gif(RED, GREEN, BLUE)) | KITTY
    with PtyRun(("gen", "a cat"), env, folder, answers=KITTY_ANSWERS % b"0.47.4") as run:
        assert 0 == run.finish()
    shown, played = re.findall(rb"\x1b_Ga=T[^;]*,i=([0-9]+)", run.raw)
    assert b"a=d,d=I,i=" + shown in run.raw
    assert 2 == run.raw.count(b"\x1b_Ga=f,q=2,i=" + played)
    assert b"i=" + played + b",s=3,v=2" in generated(run)


@pytest.mark.parametrize(
    ("options", "more"),
    [
        (("--plain",), {}),
        (("--preview", "off"), {}),
        (("--jsonl", "--preview", "blocks"), {}),
        (("--preview", "blocks"), {"CI": "1"}),
        (("--still",), {}),
    ],
)
def test_a_run_stands_still_for_others(
    options: tuple[str, ...], more: dict[str, str], server: Server, world: dict[str, str], folder: Path
) -> None:
    """Nothing moves in plain lines, in a preview that is off, beside JSON, in CI, nor with --still."""
    env = gen_env(server, world, gif(RED, GREEN, duration=300)) | more
    with PtyRun(("gen", "a cat", *options), env, folder) as run:
        assert 0 == run.finish()
    assert (folder / "a-cat.gif").exists()
    assert b"0;250;0" not in run.raw


def test_ctrl_c_ends_the_playing_and_nothing_else(
    server: Server, world: dict[str, str], folder: Path, imgcli: Cli
) -> None:
    """Ctrl-C while it plays ends a run that is whole: saved, recorded, bill and path on a clean screen."""
    data = gif(RED, *[GREEN, BLUE] * 50, duration=100)
    with PtyRun(("gen", "a cat"), gen_env(server, world, data), folder, columns=120) as run:
        run.wait_for(lambda seen: b"0;250;0" in generated(seen))
        run.type(b"\x03")
        assert -signal.SIGINT == run.finish()
    assert data == (folder / "a-cat.gif").read_bytes()
    assert ["saved", "total", "here/a-cat.gif"] == [
        word for word in ("saved", "total", "here/a-cat.gif", "^C", "Interrupted") if word in run.text
    ]
    assert line_of(run, "here/a-cat.gif") + 1 == run.screen.cursor.y
    assert run.cursor_visible
    (entry,) = map(json.loads, imgcli("history", "--json").lines)
    assert ("ok", "yes") == (entry["outcome"], entry["charged"])
    assert entry["cost_usd"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["view", "gen"])
def test_ctrl_z_leaves_the_animation_to_the_shell(
    command: str, server: Server, world: dict[str, str], folder: Path
) -> None:
    """Ctrl-Z while it is repainted gives the shell its cursor below it; `fg` lets the command end."""
    data = gif(RED, *[GREEN, BLUE] * 20, duration=100)
    (folder / "a.gif").write_bytes(data)
    what = {"view": "view a.gif", "gen": "gen 'a cat'"}[command]
    env = gen_env(server, world, data, PS1="$ ", OPENAI_API_KEY="sk-x")
    with PtyRun([], env, folder, program=SHELL, rows=40) as run:
        shell = Shell(run)
        shell.type(f"{sys.executable} -m imgcli {what} --width 12")
        run.wait_for(lambda seen: "00fa00" in colours(seen) or "0000fa" in colours(seen))
        run.type(b"\x1a")
        shell.see("Stopped")
        assert run.cursor_visible
        assert max(image_rows(run, "00fa00") + image_rows(run, "0000fa")) < line_of(run, "Stopped")
        before = len(run.raw)
        run.read(0.5)
        assert before == len(run.raw)
        shell.type("fg; echo code $?")
        shell.see("code 0")
        assert run.cursor_visible
