from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from imgcli.core.params import PreviewProtocol
from imgcli.output.terminal.answers import SILENCE, Answers, Tmux, ask_tmux, parse_tmux, wrap
from imgcli.output.terminal.database import (
    TERMINALS,
    UNKNOWN,
    Ability,
    QueryPolicy,
    can,
    choose_protocol,
    identify,
    query_policy,
)
from tables import each

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CELL = (10, 20)


def said(name: str = "", *, kitty: bool = False, sixel: bool = False) -> Answers:
    """A terminal's answers, all of them."""
    return Answers(is_complete=True, name=name, kitty=kitty, sixel=sixel, cell=CELL)


KITTY = {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}
GHOSTTY = {"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty", "TERM_PROGRAM_VERSION": "1.2.0"}
ITERM2 = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app", "LC_TERMINAL": "iTerm2"}
WEZTERM = {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}
VSCODE = {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}
XTERM = {"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(379)"}
GNOME = {"TERM": "xterm-256color", "VTE_VERSION": "7802"}
WINDOWS = {"TERM": "xterm-256color", "WT_SESSION": "guid"}
KONSOLE = {"TERM": "xterm-256color", "KONSOLE_VERSION": "221203"}
ALACRITTY = {"TERM": "alacritty"}
IN_TMUX = {"TERM": "tmux-256color", "TMUX": "/run/tmux-0/default,1,0", "TERM_PROGRAM": "tmux"}
SSH = {"TERM": "xterm-256color", "SSH_CONNECTION": "1 2 3 4"}

CHOICES: list[tuple[str, Mapping[str, str], Answers, PreviewProtocol]] = [
    ("kitty", KITTY, said("kitty(0.40.0)", kitty=True), PreviewProtocol.KITTY),
    ("kitty, slow to answer", KITTY, SILENCE, PreviewProtocol.KITTY),
    ("ghostty", GHOSTTY, said("ghostty 1.2.0", kitty=True), PreviewProtocol.KITTY),
    ("ghostty, its images switched off", GHOSTTY, said("ghostty 1.2.0"), PreviewProtocol.OCTANTS),
    ("old ghostty, its images switched off", GHOSTTY, said("ghostty 1.1.0"), PreviewProtocol.SEXTANTS),
    ("iTerm2", ITERM2, said("iTerm2 3.5.0"), PreviewProtocol.ITERM2),
    ("iTerm2, slow to answer", ITERM2, SILENCE, PreviewProtocol.ITERM2),
    (
        "WezTerm",
        WEZTERM,
        said("WezTerm 20240203-110809-5046fc22", kitty=True, sixel=True),
        PreviewProtocol.ITERM2,
    ),
    ("VS Code, images on", VSCODE, said("xterm.js(5.6.0)", sixel=True), PreviewProtocol.ITERM2),
    ("VS Code, images off", VSCODE, said("xterm.js(5.6.0)"), PreviewProtocol.BLOCKS),
    ("VS Code, silent", VSCODE, SILENCE, PreviewProtocol.BLOCKS),
    ("xterm -ti vt340", XTERM, said("XTerm(379)", sixel=True), PreviewProtocol.SIXEL),
    ("xterm", XTERM, said("XTerm(379)"), PreviewProtocol.BLOCKS),
    ("sixel, and no cell's size", XTERM, Answers(is_complete=True, sixel=True), PreviewProtocol.BLOCKS),
    ("foot", {"TERM": "foot"}, said("foot(1.20.2)", sixel=True), PreviewProtocol.SIXEL),
    ("foot without sixel", {"TERM": "foot"}, said("foot(1.20.1)"), PreviewProtocol.OCTANTS),
    ("foot that crashes at a sextant", {"TERM": "foot"}, said("foot(1.20.0)"), PreviewProtocol.BLOCKS),
    ("GNOME Terminal", GNOME, said("VTE(7802)"), PreviewProtocol.OCTANTS),
    ("GNOME Terminal, silent", GNOME, SILENCE, PreviewProtocol.OCTANTS),
    ("older GNOME Terminal", {**GNOME, "VTE_VERSION": "6800"}, said("VTE(6800)"), PreviewProtocol.SEXTANTS),
    ("ancient GNOME Terminal", {**GNOME, "VTE_VERSION": "5202"}, said(), PreviewProtocol.BLOCKS),
    ("VTE with sixel", GNOME, said("VTE(7802)", sixel=True), PreviewProtocol.SIXEL),
    ("Windows Terminal 1.22", WINDOWS, said(sixel=True), PreviewProtocol.SIXEL),
    ("older Windows Terminal", WINDOWS, said(), PreviewProtocol.BLOCKS),
    (
        "Alacritty that tells its version",
        ALACRITTY,
        said("alacritty_terminal 0.25.0"),
        PreviewProtocol.SEXTANTS,
    ),
    ("older Alacritty", ALACRITTY, said("alacritty_terminal 0.21.0"), PreviewProtocol.BLOCKS),
    ("Alacritty that does not", ALACRITTY, said(), PreviewProtocol.BLOCKS),
    ("Konsole", KONSOLE, said("Konsole 22.12.3", kitty=True, sixel=True), PreviewProtocol.KITTY),
    ("Konsole through ssh", SSH, said("Konsole 22.12.3", kitty=True, sixel=True), PreviewProtocol.KITTY),
    ("Konsole that draws sixels alone", KONSOLE, said("Konsole 22.12.3", sixel=True), PreviewProtocol.SIXEL),
    ("Konsole without images", KONSOLE, said("Konsole 22.12.3"), PreviewProtocol.SEXTANTS),
    ("older Konsole", KONSOLE, said("Konsole 21.12.3"), PreviewProtocol.BLOCKS),
    ("Konsole, silent", KONSOLE, SILENCE, PreviewProtocol.BLOCKS),
    (
        "Terminal.app",
        {"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"},
        SILENCE,
        PreviewProtocol.BLOCKS,
    ),
    ("the Linux console", {"TERM": "linux"}, SILENCE, PreviewProtocol.HALF),
    ("screen", {"TERM": "screen.xterm-256color", "STY": "1.x"}, SILENCE, PreviewProtocol.BLOCKS),
    ("unknown, with kitty's protocol", SSH, said("novelty 1.0", kitty=True), PreviewProtocol.KITTY),
    ("unknown, with sixel", SSH, said("novelty 1.0", sixel=True), PreviewProtocol.SIXEL),
    ("unknown", SSH, said("novelty 1.0"), PreviewProtocol.BLOCKS),
    ("unknown and silent", SSH, SILENCE, PreviewProtocol.BLOCKS),
    ("kitty through ssh", SSH, said("kitty(0.40.0)", kitty=True), PreviewProtocol.KITTY),
    ("tmux through ssh", SSH, said("tmux 3.4", sixel=True), PreviewProtocol.SIXEL),
    ("xterm started from kitty", {**KITTY, **XTERM}, said("XTerm(379)"), PreviewProtocol.BLOCKS),
    ("VS Code started from kitty", {**KITTY, **VSCODE}, said("xterm.js(5.6.0)"), PreviewProtocol.BLOCKS),
    ("Alacritty started from kitty", {**KITTY, **ALACRITTY}, said(), PreviewProtocol.BLOCKS),
    ("neovim's terminal in kitty", {**KITTY, "NVIM": "/run/nvim.1"}, SILENCE, PreviewProtocol.BLOCKS),
]


@each(("name", "env", "answers", "expected"), CHOICES)
def test_each_terminal_gets_its_best_image(
    name: str, env: Mapping[str, str], answers: Answers, expected: PreviewProtocol
) -> None:
    """Without an option the image is the best that this terminal can show, and never boxes instead."""
    assert expected == choose_protocol(PreviewProtocol.AUTO, env, answers), name


@pytest.mark.parametrize(
    "requested", [protocol for protocol in PreviewProtocol if protocol is not PreviewProtocol.AUTO]
)
def test_a_request_is_an_order(requested: PreviewProtocol) -> None:
    """`--preview octants` shows octants, whatever we think of this terminal."""
    assert requested == choose_protocol(requested, {"TERM": "dumb"}, SILENCE)


IN_KITTY = Tmux(passthrough=True, outside="kitty(0.40.0)")
INSIDE: list[tuple[str, Answers, Tmux, PreviewProtocol]] = [
    ("kitty outside", said("tmux 3.5"), IN_KITTY, PreviewProtocol.KITTY),
    (
        "ghostty outside",
        said("tmux 3.5"),
        Tmux(passthrough=True, outside="ghostty 1.2.0"),
        PreviewProtocol.KITTY,
    ),
    (
        "nothing let through",
        said("tmux 3.5"),
        Tmux(passthrough=False, outside="kitty(0.40.0)"),
        PreviewProtocol.BLOCKS,
    ),
    (
        "kitty before placeholders",
        said("tmux 3.5"),
        Tmux(passthrough=True, outside="kitty(0.26.5)"),
        PreviewProtocol.BLOCKS,
    ),
    (
        "WezTerm has none",
        said("tmux 3.5"),
        Tmux(passthrough=True, outside="WezTerm 20240203"),
        PreviewProtocol.BLOCKS,
    ),
    (
        "sixel",
        said("tmux 3.5", sixel=True),
        Tmux(passthrough=False, outside="foot(1.20.0)"),
        PreviewProtocol.SIXEL,
    ),
    (
        "octants outside",
        said("tmux 3.5"),
        Tmux(passthrough=True, outside="VTE(7802)"),
        PreviewProtocol.BLOCKS,
    ),
    (
        "no sixel outside",
        said("tmux 3.7", sixel=True),
        Tmux(passthrough=False, outside="XTerm(379)", features=frozenset({"256", "RGB"})),
        PreviewProtocol.BLOCKS,
    ),
    (
        "sixel outside",
        said("tmux 3.7", sixel=True),
        Tmux(passthrough=False, outside="XTerm(379)", features=frozenset({"256", "sixel"})),
        PreviewProtocol.SIXEL,
    ),
    (
        "images of its own",
        said("tmux 3.9", kitty=True),
        Tmux(passthrough=False, outside="kitty(0.48.0)", features=frozenset({"RGB", "kitty"})),
        PreviewProtocol.KITTY,
    ),
    ("silent", SILENCE, Tmux(passthrough=None, outside=""), PreviewProtocol.BLOCKS),
    ("left behind", said("XTerm(379)"), IN_KITTY, PreviewProtocol.BLOCKS),
]


@pytest.mark.parametrize(
    ("answers", "inside", "expected"), [case[1:] for case in INSIDE], ids=[case[0] for case in INSIDE]
)
def test_tmux_decides_what_goes_through(answers: Answers, inside: Tmux, expected: PreviewProtocol) -> None:
    """In tmux there are real images where it lets them through or draws them, and blocks elsewhere."""
    assert expected == choose_protocol(
        PreviewProtocol.AUTO, IN_TMUX | KITTY | {"TERM": "tmux-256color"}, answers, inside
    )


def test_every_protocol_has_the_name_that_people_type() -> None:
    """`--preview` takes the names that the manual lists."""
    expected = "auto kitty iterm2 sixel octants sextants blocks half ascii off"
    assert expected == " ".join(PreviewProtocol)


def test_a_terminal_is_known_by_its_own_name_first() -> None:
    """A terminal's answer is believed before an environment that may be inherited."""
    assert ("xterm", (379,)) == _named(KITTY, "XTerm(379)")
    assert ("kitty", ()) == _named(KITTY, "")
    assert ("ghostty", (1, 2, 0)) == _named(GHOSTTY, "")
    assert ("xterm.js", (5, 6, 0)) == _named({}, "xterm.js(5.6.0)")
    assert ("iterm2", (3, 5, 0)) == _named({}, "iTerm2 3.5.0")
    assert (UNKNOWN, (1,)) == identify(KITTY, "novelty 1")


def _named(env: Mapping[str, str], name: str) -> tuple[str, tuple[int, ...]]:
    terminal, version = identify(env, name)
    return terminal.name, version


def test_an_ability_may_need_a_version() -> None:
    """What came with a later version is not used on an earlier one, nor where the version is unknown."""
    names = ("iTerm2 3.5.0", "iTerm2 3.4.16", "iTerm2", "novelty 9")
    assert [True, False, False, False] == [can(Ability.MULTIPART, name) for name in names]
    drawers = ("kitty(0.34.0)", "kitty(0.33.1)", "kitty", "ghostty 1.0.0", "alacritty(0.15)")
    assert [True, False, False, True, False] == [can(Ability.WEDGES, name) for name in drawers]


def test_an_absurd_version() -> None:
    """A variable can hold any number of digits, and costs no more than the version."""
    env = {"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "9" * 5000}
    assert ("iterm2", (999_999_999,)) == _named(env, "")


def test_the_table_is_in_order() -> None:
    """Each terminal has one entry, under a name that terminals can answer, and none hides another."""
    names = [terminal.name for terminal in TERMINALS]
    hidden = [(a, b) for n, a in enumerate(names) for b in names[n + 1 :] if b.startswith(a)]
    assert (len(set(names)), []) == (len(names), hidden)
    assert all(name == name.lower() and name for name in names)
    assert query_policy({}) is QueryPolicy.NEVER


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("1\tkitty(0.40.0)\txterm-kitty\n", Tmux(passthrough=True, outside="kitty(0.40.0)")),
        ("on\tkitty(0.40.0)\txterm-kitty\n", Tmux(passthrough=True, outside="kitty(0.40.0)")),
        ("all\t\txterm-ghostty\n", Tmux(passthrough=True, outside="ghostty")),
        ("0\tXTerm(379)\txterm\n", Tmux(passthrough=False, outside="XTerm(379)")),
        ("off\tfoot\tfoot\tRGB,sixel\n", Tmux(False, "foot", frozenset({"RGB", "sixel"}))),
        ("\t\t\n", Tmux(passthrough=None, outside="")),
        ("", Tmux(passthrough=None, outside="")),
    ],
)
def test_what_tmux_tells_is_understood(answer: str, expected: Tmux) -> None:
    """Each version of tmux says in its own way what it lets through."""
    assert expected == parse_tmux(answer)


def test_no_tmux_is_asked_where_there_is_none() -> None:
    """Outside of tmux it costs nothing."""
    assert ask_tmux({"PATH": "/nowhere"}) is None


def test_tmux_is_told_no_key(tmp_path: Path) -> None:
    """The tmux that is asked gets what it needs of the environment, and no key."""
    (tmp_path / "tmux").write_text(f"#!/bin/sh\nenv > {tmp_path}/told\n")
    (tmp_path / "tmux").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ask_tmux({"PATH": path, "TMUX": "/t,1,0", "OPENAI_API_KEY": "canary", "MY_TOKEN": "canary"})
    told = (tmp_path / "told").read_text()
    assert "TMUX=/t,1,0\n" in told
    assert "canary" not in told


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("tmux", 1)])
def test_a_tmux_that_does_not_answer_lets_nothing_through(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A tmux that hangs or is gone costs a moment, and the image is made of blocks."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("subprocess.run", fail)
    assert Tmux(passthrough=None, outside="") == ask_tmux(IN_TMUX)


def test_an_envelope_holds_the_sequence() -> None:
    """Tmux takes off exactly what was put around a sequence."""
    assert "\x1bPtmux;\x1b\x1b_Ga=d\x1b\x1b\\\x1b\\" == wrap("\x1b_Ga=d\x1b\\")
