"""The selector: every terminal gets the best image that it can show, and is asked politely."""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from imgcli.core.image import EncodedImage
from imgcli.core.params import PreviewProtocol
from imgcli.output.images.blocks import BlockRenderer
from imgcli.output.images.protocol import Box
from imgcli.output.images.select import RendererSelector
from imgcli.output.terminal.capabilities import ColorDepth, detect_terminal
from showing import FINE, Window
from streams import BLUE, GREEN, RED, completed, created, image_item, item_done, partial, stream
from substitutes import waits
from terminal import PtyRun
from test_iterm2 import _SEQUENCE as ITERM2
from test_kitty import Kitty, unwrapped
from test_query import KITTY_0_26, TMUX, XTERM, XTERM_VT340
from test_sixel import draw
from wire import End, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
ITERM2_3_5 = b"\x1bP>|iTerm2 3.5.0\x1b\\\x1b[?64;1;2;4;6;17;18;21;22c"
QUESTION = b"\x1b[c"
SIXEL = re.compile(r"\x1bP0;1q[^\x1b]*\x1b\\")
CELL = (10, 20)


HASTY = waits(**{"output.terminal.probe._LATE": 0.4})
"""Who asked a terminal that does not answer waits less long for what may still come."""


def held_run(*, is_held: bool = True) -> Reply:
    """Serve two partials and a final image; it goes on from each partial when the test says so."""
    item = image_item(RED)
    pieces = [
        stream(created(), partial(0, BLUE)),
        stream(partial(1, GREEN)),
        stream(item_done(item), completed(item)),
    ]
    ends = [sum(map(len, pieces[: n + 1])) for n in range(2)]
    return Reply(b"".join(pieces), holds=tuple(ends) if is_held else ())


def generate(
    server: Server, world: dict[str, str], folder: Path, answers: bytes, *args: str, image: bytes = b""
) -> PtyRun:
    """Run `imgcli gen` on a terminal that answers so; with the beginning of an `image`, each is painted."""
    wire = server(held_run(is_held=bool(image)))
    env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": "sk-x"}
    with PtyRun(["gen", "a cat", *args], env, folder, answers=answers, cell=CELL) as run:
        for count in (1, 2) if image else ():
            run.wait_for(lambda seen, least=count: least <= after_asking(seen).encode().count(image))  # type: ignore[misc]
            wire.go_on()
        assert 0 == run.finish()
    return run


def show(world: dict[str, str], folder: Path, answers: bytes, *args: str, **env: str) -> PtyRun:
    """Run `imgcli view` on a terminal that answers so."""
    (folder / "a.png").write_bytes(RED)
    return show_file(world, folder, answers, "a.png", *args, **env)


def show_file(world: dict[str, str], folder: Path, answers: bytes, *args: str, **env: str) -> PtyRun:
    """Run `imgcli view` with a file that is there."""
    with PtyRun(["view", *args], world | TRUECOLOR | env, folder, answers=answers, cell=CELL) as run:
        assert 0 == run.finish()
    return run


def in_tmux(folder: Path, told: str) -> dict[str, str]:
    """The environment in a tmux that tells this of itself."""
    tmux = folder / "tmux"
    tmux.write_text(f"#!/bin/sh\nprintf '{told}\\n'\n")
    tmux.chmod(0o755)
    return {"TERM": "screen", "COLORTERM": "", "TMUX": "/t,1,0", "PATH": f"{folder}:{os.environ['PATH']}"}


def after_asking(run: PtyRun) -> str:
    """What was written, without the question whether the terminal is a kitty."""
    return run.raw.decode().replace("\x1b_Gi=4211,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", "")


class TestLive:
    """A run, as it arrives, in pixels."""

    def test_kitty_swaps_one_image_for_the_next(
        self, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """On kitty every partial is shown, the one before is forgotten, and the final image stays."""
        run = generate(server, world, folder, KITTY_0_26, image=b"a=T")
        kitty = Kitty()
        kitty.feed(after_asking(run))
        assert [RED] == list(kitty.images.values())
        assert (1, True, 2) == (len(kitty.shown), kitty.seen_at_any_time, kitty.most)
        assert run.cursor_visible
        assert "a-cat.png" in run.text
        assert "partial 2 of" not in run.text

    def test_sixels_are_drawn_in_one_place(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """On a sixel terminal each image is drawn over the one before, and the text goes on below it."""
        run = generate(server, world, folder, XTERM_VT340, "--width", "80", image=b"\x1bP0;1q")
        drawn = [draw(found) for found in SIXEL.findall(run.raw.decode())]
        assert 3 == len(drawn)
        assert {(450, 300)} == {one.size for one in drawn}
        assert all(
            abs(told - meant) < 5 for told, meant in zip(drawn[-1].pixels[5, 5], (200, 40, 40), strict=True)
        )
        assert run.cursor_visible

    def test_iterm2_gets_the_very_file(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """On iTerm2 the bytes are those that were saved."""
        run = generate(server, world, folder, ITERM2_3_5, image=b"MultipartFile=")
        parts = [value for name, value in ITERM2.findall(run.raw.decode()) if name == "FilePart"]
        assert [BLUE, GREEN, RED] == [base64.b64decode(part) for part in parts]

    def test_a_resize_leaves_one_image(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """After the window was dragged there is one image, in its new size, and none of the old."""
        wire = server(held_run())
        env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": "sk-x"}
        args = ["gen", "a cat", "--width", "80"]
        with PtyRun(args, env, folder, answers=KITTY_0_26, cell=CELL) as run:
            run.wait_for(lambda seen: b"a=T" in seen.raw)
            run.resize(30, 10)
            run.wait_for(lambda seen: 2 == after_asking(seen).count("a=T"))
            wire.go_on(2)
            assert 0 == run.finish()
        kitty = Kitty()
        kitty.feed(after_asking(run))
        assert ([RED], [(30, 9)]) == (list(kitty.images.values()), list(kitty.shown.values()))


class TestByName:
    """Whoever names a protocol gets it."""

    def test_kitty(self, world: dict[str, str], folder: Path) -> None:
        """--preview kitty speaks kitty's protocol, also to a terminal that does not claim to know it."""
        run, kitty = show(world, folder, XTERM, "--preview", "kitty"), Kitty()
        kitty.feed(after_asking(run))
        assert [RED] == list(kitty.images.values())

    def test_iterm2(self, world: dict[str, str], folder: Path) -> None:
        """--preview iterm2 speaks iTerm2's, also to a terminal that does not claim to know it."""
        run = show(world, folder, XTERM, "--preview", "iterm2")
        ((name, value),) = ITERM2.findall(run.raw.decode())
        assert ("File", RED) == (name, base64.b64decode(value.partition(":")[2]))

    def test_sixel(self, world: dict[str, str], folder: Path) -> None:
        """--preview sixel draws sixels, also where the terminal does not tell the size of its cells."""
        run = show(world, folder, b"\x1b[?62c", "--preview", "sixel", "--width", "10")
        (found,) = SIXEL.findall(run.raw.decode())
        assert (99, 66) == draw(found).size

    @pytest.mark.parametrize(
        ("protocol", "glyphs"),
        [
            ("octants", r"[\U0001CD00-\U0001CDE5\u2580-\u259f\U0001FB00-\U0001FBFF\U0001CEA0-\U0001CEAF ]"),
            ("sextants", r"[\U0001FB00-\U0001FB3B\u2580-\u259f ]"),
            ("blocks", r"[\u2580-\u259f ]"),
            ("half", r"[\u2580\u2584\u2588 ]"),
            ("ascii", r"[ -~]"),
        ],
    )
    def test_text_in_glyphs_of_that_protocol_only(self, protocol: str, glyphs: str) -> None:
        """A protocol of text uses the glyphs that it is named for, and no other, in every depth of colour."""
        window = Window()
        noise = EncodedImage.of(_noise())
        for depth in (ColorDepth.MONO, ColorDepth.ANSI_16, ColorDepth.ANSI_256, ColorDepth.TRUECOLOR):
            frame = BlockRenderer(window.terminal(depth), PreviewProtocol(protocol)).render(
                noise, Box(30, 12)
            )
            text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(frame.lines))
            assert "" == re.sub(glyphs, "", text)

    @pytest.mark.parametrize("protocol", ["half", "blocks"])
    def test_as_good_as_by_itself(self, protocol: str, world: dict[str, str], folder: Path) -> None:
        """A renderer asked for by name gets what the terminal says of itself: here, all its colours."""
        env = {"TERM": "xterm", "COLORTERM": ""}
        run = show(world, folder, XTERM, "--preview", protocol, "--width", "10", **env)
        assert "c82828" == run.screen.buffer[0][0].bg
        assert b"\x1b_G" not in after_asking(run).encode()

    @pytest.mark.parametrize(("revision", "least"), [(1700, 0), (2100, 0), (2300, 1), (2500, 1)])
    def test_alacritty_tells_its_version_in_its_own_way(
        self, revision: int, least: int, world: dict[str, str], folder: Path
    ) -> None:
        """Alacritty, which tells only its library's version, shows sextants where it draws them itself."""
        answers = f"\x1b[>0;{revision};1c\x1b[?6c".encode()
        (folder / "b.png").write_bytes(_noise())
        run = show_file(world, folder, answers, "b.png", TERM="alacritty")
        assert least == min(1, len(re.findall(r"[\U0001FB00-\U0001FB3B]", run.raw.decode())))

    def test_tmux_has_more_colours_than_its_term_says(self, world: dict[str, str], folder: Path) -> None:
        """In a tmux that calls itself `screen`, images have 256 colours and not 16."""
        env = {"TERM": "screen", "COLORTERM": "", "TMUX": "/nowhere,1,0"}
        assert b"48;5;" in show(world, folder, TMUX, "--width", "10", **env).raw

    @pytest.mark.parametrize("protocol", ["auto", "half"])
    def test_tmux_tells_of_every_colour(self, protocol: str, world: dict[str, str], folder: Path) -> None:
        """Where tmux knows that the terminal outside has all colours, images are not dithered to 256."""
        env = in_tmux(folder, "off\\tXTerm(379)\\txterm\\t256,RGB,title")
        run = show(world, folder, TMUX, "--preview", protocol, "--width", "10", **env)
        assert "c82828" == run.screen.buffer[0][0].bg

    def test_captions_are_right_under_their_images(self, world: dict[str, str], folder: Path) -> None:
        """Where a terminal tells the shape of its cells only when asked, as VTE does, tiles have it too."""
        for name in ("a.png", "b.png", "c.png"):
            (folder / name).write_bytes(_noise())
        args = ["view", "a.png", "b.png", "c.png"]
        with PtyRun(args, world | TRUECOLOR, folder, answers=b"\x1b[6;21;7t\x1b[?6c") as run:
            assert 0 == run.finish()
        (caption,) = [row for row, line in enumerate(run.lines) if line.startswith("a.png")]
        assert "default" != run.screen.buffer[caption - 1][0].bg

    def test_sixels_fill_their_cells_in_tmux(self, world: dict[str, str], folder: Path) -> None:
        """Tmux sends whole cells on: where an image ends in the middle of one, the background goes on."""
        env = in_tmux(folder, "off\\tfoot(1.21.0)\\tfoot\\tRGB,sixel")
        answers = b"\x1bP>|tmux 3.5a\x1b\\\x1b[6;15;7t\x1b]11;rgb:1616/1616/1e1e\x1b\\\x1b[?1;2;4c"
        (found,) = SIXEL.findall(show(world, folder, answers, **env).raw.decode())
        drawn = draw(found)
        assert (13 * 7, 4 * 15) == drawn.size
        assert {drawn.colors[0]} == {drawn.pixels[90, y] for y in range(60)}
        assert drawn.colors[0] == pytest.approx((0x16, 0x16, 0x1E), abs=2)
        assert drawn.pixels[89, 50] == pytest.approx((200, 40, 40), abs=3)

    def test_tmux_tells_of_every_colour_unasked(self, folder: Path) -> None:
        """Also where tmux cannot be asked as a terminal: while a file manager reads it key by key."""
        env = TRUECOLOR | in_tmux(folder, "off\\tXTerm(379)\\txterm\\t256,RGB,title")
        renderer = RendererSelector(env, Window(), detect_terminal(env, Window(), Window().size)).renderer()
        assert isinstance(renderer, BlockRenderer)
        assert ColorDepth.TRUECOLOR is renderer.depth

    @pytest.mark.parametrize(
        ("protocol", "told", "why"),
        [
            ("kitty", "off\\tkitty(0.40.0)\\t", "tmux stops kitty images (tmux set -g allow-passthrough on)"),
            ("iterm2", "0\\tiTerm2 3.5.0\\t", "tmux stops iterm2 images (tmux set -g allow-passthrough on)"),
            ("sixel", "off\\tfoot(1.16)\\t", "this tmux, or the terminal around it, shows no sixels"),
        ],
    )
    def test_tmux_may_let_nothing_through(
        self, protocol: str, told: str, why: str, world: dict[str, str], folder: Path
    ) -> None:
        """What tmux would swallow is shown in another way, and why is said, with what to do about it."""
        env = in_tmux(folder, f"{told}xterm\\tRGB")
        run = show(world, folder, TMUX, "--preview", protocol, "--width", "10", **env)
        assert f"{why}: shown as blocks" == run.screen.display[0].rstrip()
        assert "c82828" == run.screen.buffer[1][0].bg

    def test_gen_says_too_what_tmux_does_not_let_through(
        self, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """A live run says it above the image, once."""
        env = world | in_tmux(folder, "off\\tkitty(0.40.0)\\txterm-kitty\\tRGB")
        run = generate(server, env, folder, TMUX, "--preview", "kitty")
        assert 1 == run.raw.count(b"allow-passthrough on")
        assert "c82828" in {cell.bg for line in run.screen.buffer.values() for cell in line.values()}

    def test_a_tmux_that_says_nothing_is_given_what_was_asked_for(
        self, world: dict[str, str], folder: Path
    ) -> None:
        """A named protocol is an order where tmux cannot be asked, or is too old to have the option."""
        kitty, env = Kitty(), in_tmux(folder, "\\tkitty(0.40.0)\\txterm-kitty\\tRGB")
        kitty.feed(unwrapped(after_asking(show(world, folder, TMUX, "--preview", "kitty", **env))))
        assert [RED] == list(kitty.images.values())

    @pytest.mark.parametrize(
        ("answers", "args", "columns"),
        [
            pytest.param(XTERM, (), 48, id="text, a pixel in two columns"),
            pytest.param(KITTY_0_26, (), 6, id="kitty, cells of 9 pixels"),
            pytest.param(ITERM2_3_5, (), 5, id="iTerm2, cells of 10 pixels"),
            pytest.param(XTERM_VT340, (), 5, id="sixel, cells of 10 pixels"),
            pytest.param(KITTY_0_26, ("--width", "30"), 30, id="an order"),
        ],
    )
    def test_an_icon_is_not_blown_up(
        self, answers: bytes, args: tuple[str, ...], columns: int, world: dict[str, str], folder: Path
    ) -> None:
        """A small image is at most twice as large as it is, unless --width asks for more."""
        Image.new("RGB", (24, 16), (200, 40, 40)).save(folder / "i.png")
        with PtyRun(["view", "i.png", *args], world | TRUECOLOR, folder, answers=answers, cell=CELL) as run:
            assert 0 == run.finish()
        told = re.search(r"c=([0-9]+),r|width=([0-9]+);|q\"1;1;([0-9]+)", run.raw.decode())
        if not told:
            assert columns == sum(cell.bg == "c82828" for cell in run.screen.buffer[0].values())
        elif told[3]:
            assert columns == -(-int(told[3]) // 10)
        else:
            assert columns == int(told[1] or told[2])

    def test_a_theme_of_sixteen_colours_is_asked_for(self, world: dict[str, str], folder: Path) -> None:
        """Where there are sixteen colours the terminal is asked which; here its blue is red."""
        theme = b"".join(b"\x1b]4;%d;rgb:%02x/28/28\x07" % (n, 200 if n == 4 else 8 * n) for n in range(16))
        env = {"TERM": "xterm", "COLORTERM": ""}
        run = show(world, folder, theme + b"\x1b[?62c", "--preview", "half", "--width", "10", **env)
        assert b"\x1b]4;0;?;1;?" in run.raw
        assert {"blue"} == {cell.bg for cell in run.screen.buffer[0].values()} - {"default"}
        assert b"\x1b]4;" not in show(world, folder, XTERM, "--width", "10").raw

    def test_the_environment_has_the_habit(self, world: dict[str, str], folder: Path) -> None:
        """IMGCLI_PREVIEW is what somebody always wants; the option beats it, and nonsense is told."""
        run = show(world, folder, KITTY_0_26, "--width", "10", IMGCLI_PREVIEW="ascii")
        assert not re.search("[\u2580-\u259f]", run.text)
        assert b"\x1b_G" not in after_asking(run).encode()
        with PtyRun(["view", "a.png"], world | TRUECOLOR | {"IMGCLI_PREVIEW": "best"}, folder) as wrong:
            assert 2 == wrong.finish()
        assert "IMGCLI_PREVIEW must be one of auto, kitty, iterm2" in wrong.text

    def test_no_color_is_kept_to(self, world: dict[str, str], folder: Path) -> None:
        """With NO_COLOR there is no image, unless it is asked for by name: then it has no colours."""
        assert b"\x1b" not in show(world, folder, XTERM, NO_COLOR="1").raw
        run = show(world, folder, XTERM, "--preview", "blocks", NO_COLOR="1")
        assert {"default"} == {cell.fg for line in run.screen.buffer.values() for cell in line.values()}
        assert re.search("[\u2580-\u259f]", run.text)


class TestAsking:
    """The terminal is asked late, briefly, and only where an image is wanted."""

    def test_the_status_row_comes_first(self, server: Server, world: dict[str, str], folder: Path) -> None:
        """There is something to see before the terminal is asked."""
        run = generate(server, world, folder, KITTY_0_26)
        assert 0 < run.raw.index(b"connecting") < run.raw.index(QUESTION)

    @pytest.mark.parametrize("args", [("--preview", "off"), ("--jsonl",)])
    def test_no_image_no_question(
        self, args: tuple[str, ...], server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """Where no image is shown, nothing is asked."""
        assert QUESTION not in generate(server, world, folder, KITTY_0_26, *args).raw

    def test_silence_costs_the_budget_and_no_more(self, world: dict[str, str], folder: Path) -> None:
        """A terminal that never answers gets blocks, after a fifth of a second."""
        times = []
        for args in ((), ("--preview", "blocks")):
            began = time.monotonic()
            run = show(world, folder, b"", "--width", "10", *args, **HASTY)
            times.append(time.monotonic() - began)
            assert "c82828" == run.screen.buffer[0][0].bg
        assert times[0] - times[1] < 20

    @pytest.mark.parametrize("answer", [XTERM[:30], b"garbage\r\xff\x1b[?62;"])
    def test_garbage_is_no_answer(self, answer: bytes, world: dict[str, str], folder: Path) -> None:
        """Half an answer and noise get an image that is safe everywhere, and are not seen."""
        run = show(world, folder, answer, "--width", "10", **HASTY)
        assert "c82828" == run.screen.buffer[0][0].bg
        assert "garbage" not in run.text

    @pytest.mark.slow
    def test_late_answers_are_neither_seen_nor_typed(
        self, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """What a slow terminal says after all is not on the screen, and not in the shell's next line."""
        wire = server(held_run())
        env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": "sk-x"}
        script = f"{sys.executable} -m imgcli gen 'a cat' --width 10; read -rt 0.3 -n 1 x; echo \"left:[$x]\""
        shell = ("bash", "--norc", "-c")
        with PtyRun([script], env, folder, program=shell, answers=b"") as run:
            run.wait_for(lambda seen: "partial 1" in seen.text)
            run.type(KITTY_0_26)
            wire.go_on(2)
            run.wait_for(lambda seen: "left:[" in seen.text)
            run.finish()
        assert "left:[]" in run.text
        assert not re.search(r"kitty|rgb:|62;c|\^\[", run.text)

    @pytest.mark.parametrize(
        ("command", "keys"),
        [
            pytest.param("gen 'a cat' --no-save", b"\x03", id="gen, Ctrl-C"),
            pytest.param("view cat.png", b"", marks=pytest.mark.slow, id="view, a short run"),
            pytest.param("gen 'a cat' --no-save", b"", marks=pytest.mark.slow, id="gen, a short run"),
            pytest.param("view cat.png", b"\x03", marks=pytest.mark.slow, id="view, Ctrl-C"),
        ],
    )
    def test_answers_that_come_at_the_end_are_not_typed_into_the_shell(
        self, command: str, keys: bytes, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """A run that ends between question and answer leaves none of the answer to the next program."""
        (folder / "cat.png").write_bytes(FINE.data)
        wire = server(Reply(end=End.SILENT) if keys else held_run(is_held=False))
        env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url}
        script = (
            f"trap : INT; {sys.executable} -m imgcli {command} --width 10; "
            'stty -icanon -echo; read -rt 0.5 -n 1 x; echo "left:[$x]"'
        )
        with PtyRun([script], env, folder, program=("bash", "--norc", "-c"), answers=b"") as run:
            run.wait_for(lambda seen: QUESTION in seen.raw)
            run.type(keys)
            time.sleep(0.5)
            run.type(KITTY_0_26)
            run.wait_for(lambda seen: "left:[" in seen.text)
        assert "left:[]" in run.text
        assert not re.search(r"kitty|rgb:|62;c|\^\[\[", run.text)

    def test_what_is_typed_ahead_is_not_eaten_by_a_terminal_that_answers(
        self, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """Keys that are pressed while the image arrives are there for the next program."""
        wire = server(held_run())
        env = world | TRUECOLOR | {"OPENAI_BASE_URL": wire.base_url, "OPENAI_API_KEY": "sk-x"}
        script = f"{sys.executable} -m imgcli gen 'a cat' --width 10; read -rt 1 x; echo \"left:[$x]\""
        with PtyRun([script], env, folder, program=("bash", "--norc", "-c"), answers=KITTY_0_26) as run:
            run.wait_for(lambda seen: "partial 1" in seen.text)
            run.type(b"ls\n")
            wire.go_on(2)
            run.wait_for(lambda seen: "left:[" in seen.text)
            run.finish()
        assert "left:[ls]" in run.text

    @pytest.mark.slow
    def test_in_the_background_the_terminal_is_somebody_elses(
        self, server: Server, world: dict[str, str], folder: Path
    ) -> None:
        """`imgcli gen ... &` asks nothing, paints nothing, and says in plain lines what came of it."""
        env = (
            world
            | TRUECOLOR
            | {"OPENAI_BASE_URL": server(held_run(is_held=False)).base_url, "OPENAI_API_KEY": "sk-x"}
        )
        script = f"set -m; {sys.executable} -m imgcli gen 'a cat' & wait; echo done"
        with PtyRun([script], env, folder, program=("bash", "--norc", "-c")) as run:
            assert 0 == run.finish()
        assert b"\x1b" not in run.raw
        assert "partial 2" in run.text


class TestWithoutATerminal:
    """Choosing, without a process."""

    def test_a_stream_that_is_no_terminal_is_never_asked(self) -> None:
        """An image on anything but our own terminal is made without asking ours."""
        window = Window()
        selector = RendererSelector(TRUECOLOR, window, detect_terminal(TRUECOLOR, window, window.size))
        renderer = selector.renderer()
        selector.close()
        assert isinstance(renderer, BlockRenderer)
        assert renderer is selector.renderer()
        assert 10 == renderer.render(FINE, Box(20, 10)).rows


def _noise() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((120, 96), 90).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
