"""`imgcli doctor`: what it finds, what it says to do, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import CANARY_KEY
from imgcli.app.doctor.terminal_checks import terminal_checks
from imgcli.core import catalog
from imgcli.output.images.card import CardRenderer, NamedRenderer, paint_test_card
from imgcli.output.images.decode import decode
from imgcli.output.images.protocol import Box, Frame, Graphic
from imgcli.output.images.select import TerminalReport
from imgcli.output.terminal.answers import Answers, Tmux
from imgcli.output.terminal.capabilities import ColorDepth, Terminal
from imgcli.output.terminal.database import possible_protocols
from showing import HOSTILE
from terminal import PtyRun
from wire import Framing, Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Cli, Result
    from imgcli.core.image import EncodedImage
    from wire import ScriptedServer

    Server = Callable[..., ScriptedServer]

CATALOG = catalog.load()
WIDTH, HEIGHT = 80, 24
TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
OFFLINE = ("doctor", "--offline", "--json")


def listing(*names: str) -> Reply:
    """Answer as `GET /v1/models` does, with the catalog's models unless some are named."""
    models = [{"id": name} for name in names or [model.name for model in CATALOG.models]]
    body = json.dumps({"object": "list", "data": models}).encode()
    return Reply(body, content_type="application/json", framing=Framing.LENGTH)


def found(done: Result) -> dict[str, dict[str, Any]]:
    """Read the checks by name, and see that the document and the exit code agree."""
    document = json.loads(done.stdout)
    assert {"status", "exit_code", "kind", "checks"} == set(document)
    assert document["exit_code"] == done.exit_code
    keys = {"check", "status", "message", "advice", "exit_code", "kind", "facts"}
    assert [keys] * len(document["checks"]) == [set(check) for check in document["checks"]]
    return {check["check"]: check for check in document["checks"]}


def judged(check: dict[str, Any]) -> tuple[str, int]:
    """Return how a check ended."""
    return check["status"], check["exit_code"]


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file and folder below a folder."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def keyed(world: dict[str, str], server: ScriptedServer) -> dict[str, str]:
    """Have a profile whose server, on this machine, takes the canary key."""
    config = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[profile.mine]\nbase-url = "{server.base_url}"\nkey-env = "MY_KEY"\n')
    return {"IMGCLI_PROFILE": "mine", "MY_KEY": CANARY_KEY}


class TestWhatIsFound:
    """Each check, through the front door."""

    def test_all_is_well(self, imgcli: Cli, server: Server, world: dict[str, str]) -> None:
        """With a key that the server takes nothing is a problem; it is asked once, for its models alone."""
        wire = server(listing())
        done = imgcli("doctor", env=keyed(world, wire))
        assert (0, "") == (done.exit_code, done.stderr)
        assert [("GET", "/v1/models")] == [(one.method, one.path) for one in wire.requests]
        assert f"Bearer {CANARY_KEY}" == wire.requests[0].headers["authorization"]
        assert "ok       key           MY_KEY is set and well-formed" in done.lines
        assert any("is valid, profile mine (IMGCLI_PROFILE)" in line for line in done.lines)
        assert any(f"{len(CATALOG.models)} models" in line for line in done.lines)
        assert "no problems, 1 note" == done.lines[-1]  # that there is no terminal
        assert CANARY_KEY not in done.stdout.decode()

    def test_nothing_is_changed(self, imgcli: Cli, world: dict[str, str], folder: Path) -> None:
        """It makes no folder and leaves no file, and a history from before stays as it is."""
        before = files_in(Path(world["HOME"])), files_in(folder)
        imgcli(*OFFLINE)
        assert before == (files_in(Path(world["HOME"])), files_in(folder))
        imgcli("gen", "a cat", "--demo", "--quiet")
        before = files_in(Path(world["HOME"])), files_in(folder)
        checks = found(imgcli(*OFFLINE))
        assert before == (files_in(Path(world["HOME"])), files_in(folder))
        assert ("ok", 1) == (checks["history"]["status"], checks["history"]["facts"]["runs"])

    def test_without_a_key(self, imgcli: Cli) -> None:
        """A missing key is exit code 4, says where to get one, and nobody is asked."""
        done = imgcli("doctor", "--json")
        checks = found(done)
        assert (4, ("problem", 4)) == (done.exit_code, judged(checks["key"]))
        assert "https://platform.openai.com/api-keys" in checks["key"]["advice"]
        assert ("note", False) == (checks["server"]["status"], checks["server"]["facts"]["asked"])

    def test_a_malformed_key(self, imgcli: Cli) -> None:
        """A key with a character that cannot be sent is exit code 4, and is not shown."""
        done = imgcli(*OFFLINE, env={"OPENAI_API_KEY": f"{CANARY_KEY}\u201d"})
        assert ("problem", 4) == judged(found(done)["key"])
        assert CANARY_KEY not in done.stdout.decode()

    @pytest.mark.parametrize(("key", "told"), [('"sk-x"', "begin with sk-"), ("sk-admin-x", "an admin key")])
    def test_an_odd_key(self, imgcli: Cli, key: str, told: str) -> None:
        """A key that OpenAI cannot have given for this is a note."""
        check = found(imgcli(*OFFLINE, env={"OPENAI_API_KEY": key}))["key"]
        assert ("note", 0) == judged(check)
        assert told in check["message"]

    def test_unreachable(self, imgcli: Cli) -> None:
        """A server that is not there is exit code 8."""
        done = imgcli("doctor", "--json", "--base-url", "http://127.0.0.1:9/v1")
        checks = found(done)
        assert (8, ("problem", 8), True) == (
            done.exit_code,
            judged(checks["server"]),
            bool(checks["server"]["advice"]),
        )

    def test_a_rejected_key(self, imgcli: Cli, server: Server, world: dict[str, str]) -> None:
        """A key that the server rejects is exit code 4, in the words of a run."""
        wire = server(error_reply(401, f"Incorrect API key provided: {CANARY_KEY}.", "invalid_api_key"))
        done = imgcli("doctor", "--json", env=keyed(world, wire))
        checks = found(done)
        assert (("ok", 0), ("problem", 4)) == (judged(checks["key"]), judged(checks["server"]))
        assert CANARY_KEY not in done.stdout.decode()

    def test_no_list_of_models(self, imgcli: Cli, server: Server) -> None:
        """A server without a list of models was reached, and that is a note."""
        wire = server(error_reply(404))
        done = imgcli("doctor", "--json", "--base-url", wire.base_url)
        assert (0, ("note", 0)) == (done.exit_code, judged(found(done)["server"]))

    def test_a_model_is_missing(self, imgcli: Cli, server: Server) -> None:
        """A server that lacks the default models is told with what to do."""
        done = imgcli("doctor", "--json", "--base-url", server(listing("other")).base_url)
        check = found(done)["server"]
        assert ("note", 2) == (check["status"], len(check["facts"]["missing_defaults"]))
        assert "imgcli models --live" in check["advice"]

    def test_offline(self, imgcli: Cli, server: Server) -> None:
        """With --offline nothing is sent."""
        wire = server(listing())
        done = imgcli(*OFFLINE, "--base-url", wire.base_url)
        assert (0, []) == (done.exit_code, wire.requests)
        assert "not asked (--offline)" in found(done)["server"]["message"]

    def test_no_address(self, imgcli: Cli) -> None:
        """An address that is none is exit code 2."""
        done = imgcli(*OFFLINE, env={"OPENAI_BASE_URL": "nonsense"})
        checks = found(done)
        assert (2, ("problem", 2)) == (done.exit_code, judged(checks["server"]))
        assert "proxy" not in checks

    def test_a_proxy(self, imgcli: Cli) -> None:
        """A proxy is named without its login, and where the setting is from."""
        env = {"OPENAI_API_KEY": CANARY_KEY, "https_proxy": "http://me:hunter22@proxy.corp:3128"}
        done = imgcli(*OFFLINE, env=env)
        assert "proxy.corp:3128 (https_proxy)" == found(done)["proxy"]["message"]
        assert "hunter22" not in done.stdout.decode()
        passed = found(imgcli(*OFFLINE, env=env | {"no_proxy": "api.openai.com"}))["proxy"]
        assert (False, "proxy.corp:3128") == (passed["facts"]["is_used"], passed["facts"]["proxy"])

    def test_no_proxy_address(self, imgcli: Cli) -> None:
        """A proxy that is no address is exit code 8 without asking anybody, and is not repeated."""
        env = {"OPENAI_API_KEY": CANARY_KEY, "https_proxy": "http://me:hunter22@[bad"}
        done = imgcli(*OFFLINE, env=env)
        assert (8, "https_proxy is not a valid URL.") == (done.exit_code, found(done)["proxy"]["message"])
        assert "hunter22" not in done.stdout.decode()

    def test_certificates(self, imgcli: Cli, folder: Path) -> None:
        """Certificates that cannot be loaded are exit code 8, and the variable is named."""
        env = {"OPENAI_API_KEY": CANARY_KEY, "SSL_CERT_FILE": str(folder / "none.pem")}
        done = imgcli(*OFFLINE, env=env)
        assert (8, "SSL_CERT_FILE" in found(done)["certificates"]["advice"]) == (done.exit_code, True)

    def test_a_read_only_folder(self, mortal: Cli, folder: Path) -> None:
        """A folder that cannot be written is exit code 12, and where else to save is said."""
        folder.chmod(0o500)
        done = mortal(*OFFLINE, "--base-url", "http://127.0.0.1:9/v1")
        folder.chmod(0o700)
        check = found(done)["folder"]
        assert (12, ("problem", 12)) == (done.exit_code, judged(check))
        assert "Permission denied" in check["message"]

    def test_a_read_only_home(self, mortal: Cli, world: dict[str, str]) -> None:
        """Run logs have another place where the home is closed; the history has none."""
        home = Path(world["HOME"])
        home.chmod(0o500)
        done = mortal(*OFFLINE, "--base-url", "http://127.0.0.1:9/v1")
        home.chmod(0o700)
        checks = found(done)
        assert (("note", 0), ("problem", 12)) == (judged(checks["state"]), judged(checks["history"]))
        assert "XDG_DATA_HOME" in checks["history"]["advice"]

    def test_a_broken_configuration(self, imgcli: Cli, world: dict[str, str]) -> None:
        """A configuration that cannot be read is exit code 2 with its line, and the rest is checked too."""
        path = Path(world["XDG_CONFIG_HOME"]) / "imgcli" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text('quality = "low"\nqualty = "low"\n')
        done = imgcli(*OFFLINE, "--base-url", "http://127.0.0.1:9/v1")
        checks = found(done)
        assert (2, ("problem", 2)) == (done.exit_code, judged(checks["config"]))
        assert f"Line 2 of {path}" in checks["config"]["message"]
        assert "ok" == checks["unfinished"]["status"]

    def test_the_most_severe_counts(self, imgcli: Cli) -> None:
        """Of several problems the most severe has the exit code."""
        done = imgcli(*OFFLINE, env={"IMGCLI_PROFILE": "none", "IMGCLI_PREVIEW": "big"})
        checks = found(done)
        assert [2, 2, 4] == [checks[name]["exit_code"] for name in ("config", "preview", "key")]
        assert 4 == done.exit_code

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"no database at all, but text " * 40, "damaged"),
            ("CREATE TABLE other (x); PRAGMA user_version = 7", "from a newer imgcli"),
            ("CREATE TABLE other (x)", "another program's database"),
        ],
    )
    def test_a_broken_history(
        self, imgcli: Cli, world: dict[str, str], content: bytes | str, told: str
    ) -> None:
        """A history that cannot be used is exit code 2, and is left where it is."""
        path = Path(world["XDG_DATA_HOME"]) / "imgcli" / "history.sqlite3"
        path.parent.mkdir(parents=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            connection = sqlite3.connect(path)
            connection.executescript(content)
            connection.close()
        before = files_in(path.parent)
        done = imgcli(*OFFLINE, "--base-url", "http://127.0.0.1:9/v1")
        check = found(done)["history"]
        assert (2, ("problem", 2)) == (done.exit_code, judged(check))
        assert told in check["message"]
        assert before == files_in(path.parent)

    def test_an_unfinished_run(self, imgcli: Cli, world: dict[str, str]) -> None:
        """A run log that was left behind is a note with the command that saves what it holds."""
        runs = Path(world["XDG_STATE_HOME"]) / "imgcli" / "runs"
        runs.mkdir(parents=True)
        log = runs / "20261101-120000-abcd.sse"
        log.write_bytes(b"event: x\ndata: {}\n\n")
        os.utime(log, (1_700_000_000, 1_700_000_000))
        check = found(imgcli(*OFFLINE))["unfinished"]
        assert ("note", ["abcd"]) == (check["status"], check["facts"]["runs"])
        assert "imgcli recover" in check["advice"]

    def test_hostile_surroundings(self, imgcli: Cli) -> None:
        """No variable and no key gets a control character or a secret into the output."""
        hostile = HOSTILE.replace("\0", "")
        env = dict.fromkeys(("TERM", "IMGCLI_PREVIEW", "LANG", "https_proxy", "IMGCLI_PROFILE"), hostile)
        done = imgcli("doctor", "--offline", env=env | {"OPENAI_API_KEY": CANARY_KEY, "TMUX": CANARY_KEY})
        assert [] == [line for line in done.lines if not line.isprintable()]
        assert CANARY_KEY not in done.stdout.decode()


class TestOnATerminal:
    """What a person sees."""

    def test_it_fits_the_screen(self, world: dict[str, str], folder: Path) -> None:
        """Where all is well it fits 80 columns and 24 rows, and says what `auto` takes and why."""
        args = ["doctor", "--offline", "--base-url", "http://127.0.0.1:9/v1"]
        with PtyRun(args, world | TRUECOLOR, folder, columns=WIDTH, rows=HEIGHT) as run:
            assert 0 == run.finish()
            assert run.echoes
        assert run.lines[0].startswith("ok       versions      imgcli ")
        assert "auto takes blocks: it reports neither kitty's protocol" in run.text
        assert "24-bit colors, unknown background" in run.text
        assert "no problems" in run.lines

    def test_answers(self, world: dict[str, str], folder: Path) -> None:
        """What the terminal says of itself is in the report: its name, its cells, and that it has sixels."""
        answers = b"\x1bP>|XTerm(379)\x1b\\\x1b[6;20;10t\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;4;22c"
        args = ["doctor", "--offline", "--json"]
        with PtyRun(args, world | TRUECOLOR, folder, columns=200, rows=300, answers=answers) as run:
            assert 4 == run.finish()
        checks = {check["check"]: check for check in json.loads(run.text)["checks"]}
        facts = checks["terminal"]["facts"]
        assert ("xterm", "379", [10, 20]) == (facts["name"], facts["version"], facts["cell"])
        assert "#ffffff" == checks["colors"]["facts"]["background"]
        assert ["sixel", "blocks", "half", "ascii"] == checks["preview"]["facts"]["possible"]
        assert "auto takes sixel: it reports sixel" in checks["preview"]["message"]

    @pytest.mark.parametrize("told", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}])
    def test_plain(self, world: dict[str, str], folder: Path, told: dict[str, str]) -> None:
        """Where no image is shown it says which variable is the reason, and a test card is refused."""
        ((name, value),) = told.items()
        args = ["doctor", "--offline", "--base-url", "http://127.0.0.1:9/v1"]
        with PtyRun(args, world | TRUECOLOR | told, folder) as run:
            assert 0 == run.finish()
        reason = "TERM is dumb" if value == "dumb" else f"{name} is set"
        assert f"plain lines, because {reason}" in " ".join(run.text.split())

    def test_the_test_card(self, world: dict[str, str], folder: Path) -> None:
        """The card is there in every renderer, each under its name, over a line that says what this is."""
        args = ["doctor", "--offline", "--test-card", "--base-url", "http://127.0.0.1:9/v1"]
        with PtyRun(args, world | TRUECOLOR, folder, columns=WIDTH, rows=HEIGHT) as run:
            assert 0 == run.finish()
            assert run.cursor_visible
        words = run.text.split()
        assert [1, 1] == [words.count(name) for name in ("half", "ascii")]
        assert ["blocks"] == [line.split()[0] for line in run.lines if line.startswith("blocks")]
        last = next(line for line in reversed(run.lines) if line)
        assert f"TERM xterm-256color · {WIDTH}x{HEIGHT} · auto: blocks" in last
        assert {"ff0000", "00ff00", "0000ff", "00ffff", "ffff00"} <= {
            cell.fg for row in run.screen.buffer.values() for cell in row.values()
        } | {cell.bg for row in run.screen.buffer.values() for cell in row.values()}

    def test_the_cards_last_words_fit(self, world: dict[str, str], folder: Path) -> None:
        """In 80 columns the line says what `auto` takes, also where the terminal has a long name."""
        args = ["doctor", "--offline", "--test-card", "--base-url", "http://127.0.0.1:9/v1"]
        answers = b"\x1bP>|WezTerm 20240203-110809-5046fc22\x1b\\\x1b[?65c"
        with PtyRun(args, world | TRUECOLOR, folder, answers=answers) as run:
            assert 0 == run.finish()
        last = next(line for line in reversed(run.lines) if line)
        assert "WezTerm 20240203-110809-5046fc22 · 80x24 · auto: iterm2" in last

    def test_no_terminal_for_the_card(self, imgcli: Cli) -> None:
        """Without a terminal the test card is refused before anything is checked."""
        done = imgcli("doctor", "--test-card")
        assert (2, b"") == (done.exit_code, done.stdout)
        assert "--test-card needs a terminal that shows images." in done.stderr

    def test_json_or_card(self, imgcli: Cli) -> None:
        """--json and --test-card exclude each other."""
        assert 2 == imgcli("doctor", "--test-card", "--json").exit_code


class _Plain:
    """Fills its box with letters, and brings a graphic, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails

    def render(self, _: EncodedImage, box: Box) -> Frame:
        """Return a frame that fills the box."""
        if self.fails:
            raise ValueError("no such thing")
        return Frame(("x" * box.columns,) * box.rows, box.columns, (Graphic("G"),))


class TestTheCard:
    """The card itself."""

    def test_what_is_on_it(self) -> None:
        """It has pure colours at its top, coral, and a corner through which the background shows."""
        image = decode(paint_test_card("sixel").data).convert("RGBA")
        colours = {color for _, color in image.getcolors(1 << 20) or []}
        assert {(255, 0, 0, 255), (0, 0, 255, 255), (244, 113, 80, 255)} <= colours
        assert (0, 0, 0, 0) == image.getpixel((0, image.height - 1))
        assert paint_test_card("sixel") != paint_test_card("kitty")

    @pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
    @pytest.mark.parametrize("box", [Box(80, 22), Box(40, 10), Box(200, 60), Box(3, 2)])
    def test_it_fits(self, count: int, box: Box) -> None:
        """However many renderers there are, the cards stay inside the window, and so do their graphics."""
        names = [NamedRenderer(f"renderer {index}", _Plain()) for index in range(count)]
        frame = CardRenderer(names, 2.0, 60).render([paint_test_card("x")] * count, box)
        assert frame.rows <= box.rows
        assert frame.columns <= box.columns
        assert {frame.columns} == {len(line) for line in frame.lines}
        assert len(frame.graphics) == count or box == Box(3, 2)  # which has no room for several
        assert all(one.row < frame.rows and one.column < frame.columns for one in frame.graphics)

    def test_one_fails(self) -> None:
        """A renderer that fails says why in its place, and the others are shown."""
        names = [NamedRenderer("good", _Plain()), NamedRenderer("bad", _Plain(fails=True))]
        frame = CardRenderer(names, 2.0, 60).render([paint_test_card("x")] * 2, Box(80, 22))
        assert "no such thing" in "".join(frame.lines)
        assert 1 == len(frame.graphics)


def report(name: str, tmux: Tmux | None, **answers: Any) -> TerminalReport:
    """Return the report of a terminal of this name."""
    told = Answers(is_complete=True, name=name, **answers)
    terminal = Terminal(_window, ColorDepth.TRUECOLOR)
    return TerminalReport(terminal, told, tmux, possible_protocols({"TMUX": "1"} if tmux else {}, told, tmux))


def _window() -> os.terminal_size:
    return os.terminal_size((80, 24))


class TestTheReason:
    """Why `auto` takes what it takes."""

    @pytest.mark.parametrize(
        ("known", "told"),
        [
            (report("kitty(0.40.0)", None, kitty=True), "kitty: it answers kitty's query"),
            (report("WezTerm 2024", None), "iterm2: wezterm is known to have it"),
            (report("XTerm(379)", None, sixel=True, cell=(9, 18)), "sixel: it reports sixel"),
            (report("XTerm(379)", None, sixel=True), "blocks: it reports sixel, but not a cell's size"),
            (report("alacritty_terminal 0.23.0", None), "sextants: alacritty is known to have it"),
            (report("tmux 3.4", Tmux(passthrough=True, outside="kitty(0.40.0)")), "lets it through to kitty"),
            (report("Unheard", None, kitty=False), "blocks: it reports neither"),
        ],
    )
    def test_by_terminal(self, known: TerminalReport, told: str) -> None:
        """The reason is what the terminal said, or what is known of it by name."""
        env = {"TERM": "xterm"} | ({"TMUX": "1"} if known.tmux else {})
        checks = {check.name: check for check in terminal_checks(env, known, "auto")}
        assert told in checks["preview"].text

    def test_a_terminal_that_has_no_more_colours(self) -> None:
        """Mlterm is told nothing to export: it has no room for more colours, whatever COLORTERM says."""
        known = replace(report("", None), terminal=Terminal(_window, ColorDepth.ANSI_256))
        checks = {one.name: one for one in terminal_checks({"TERM": "mlterm"}, known, "auto")}
        assert ("256 colors, unknown background", "") == (checks["colors"].text, checks["colors"].advice)

    def test_tmux_in_kitty(self) -> None:
        """Where tmux keeps sharp images from kitty, it says which option lets them through."""
        known = report("tmux 3.4", Tmux(passthrough=False, outside="kitty(0.40.0)"))
        checks = {one.name: one for one in terminal_checks({"TERM": "tmux", "TMUX": "1"}, known, "auto")}
        assert "tmux set -g allow-passthrough on" in checks["tmux"].advice

    @pytest.mark.parametrize(
        ("env", "tmux", "told", "language"),
        [
            ({"TERM": "xterm-kitty"}, None, "paths are links, no progress in its tab", "OSC 99"),
            (
                {"TERM_PROGRAM": "ghostty", "TERM_PROGRAM_VERSION": "1.2.0"},
                None,
                "paths are links, progress in its tab",
                "OSC 777",
            ),
            ({"TERM": "xterm"}, None, "no links, no progress in its tab", None),
            (
                {"TMUX": "1", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.6"},
                Tmux(passthrough=True, outside="kitty(0.40.0)"),
                "paths are links, no progress in its tab",
                "OSC 99",
            ),
            (
                {"TMUX": "1", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.6"},
                Tmux(passthrough=False, outside="kitty(0.40.0)"),
                "paths are links, no progress in its tab",
                None,
            ),
        ],
    )
    def test_extras(self, env: dict[str, str], tmux: Tmux | None, told: str, language: str | None) -> None:
        """Links, progress and notifications are listed as a run would use them here."""
        checks = terminal_checks(env, report("", tmux), "auto")
        extras = next(check for check in checks if check.name == "extras")
        how = f"notifications by {language or 'the desktop or the bell'}"
        assert ("ok", f"{told}, {how}") == (extras.status, extras.text)
        assert language == extras.facts["notifications"]

    def test_another_protocol(self) -> None:
        """A protocol that the user always asks for, and that is not known to work here, is a note."""
        env = {"TERM": "xterm", "IMGCLI_PREVIEW": "kitty"}
        known = report("XTerm(379)", None)
        check = next(one for one in terminal_checks(env, known, "kitty") if one.name == "preview")
        assert ("note", "IMGCLI_PREVIEW asks for kitty; auto takes") == (check.status, check.text[:41])
