"""Knows terminals by name: what each can show, since when, what it gets wrong; and chooses a way to show.

Kitty, xterm and tmux were tried; the others are as their change logs, users and other viewers describe them.
In doubt a terminal is not asked, and gets blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.output.terminal.answers import Answers, Tmux


Version: TypeAlias = tuple[int, ...]

ALWAYS: Version = ()


class PreviewProtocol(StrEnum):
    """The ladder of ways to show an image, the best first; `--preview` takes these names."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    OCTANTS = "octants"
    SEXTANTS = "sextants"
    BLOCKS = "blocks"
    HALF = "half"
    ASCII = "ascii"
    OFF = "off"


class Ability(Enum):
    """What a terminal may be able to do; listed as the ladder has them, then what some of them need."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    OCTANTS = "octants"
    SEXTANTS = "sextants"
    PLACEHOLDERS = "placeholders"
    PARTS = "parts"


class QueryPolicy(Enum):
    """How a terminal takes questions: all of them, all but APC sequences, or none without printing them."""

    ASK = "ask"
    NO_APC = "no APC"
    NEVER = "never"


class Quirk(Enum):
    """What a terminal gets wrong, or leaves to its user."""

    HALVES_ONLY = "its font has half blocks, and no quadrants"
    IMAGES_OPTIONAL = "shows images only where DA1 says so"


@dataclass(frozen=True)
class TerminalInfo:
    """A terminal. `name` begins its answer to XTVERSION, in lower case.

    `signs` are environment variables, `NAME` or `NAME=pattern`, any of which gives it away; its version is in
    `version_in`. Abilities come with the version that brought them, which an unknown version never reaches.
    """

    name: str
    signs: tuple[str, ...]
    abilities: Mapping[Ability, Version] = field(default_factory=dict)
    version_in: str = ""
    manners: QueryPolicy = QueryPolicy.ASK
    quirks: frozenset[Quirk] = frozenset()

    def can(self, ability: Ability, version: Version) -> bool:
        """Whether it has an ability in a version, ALWAYS standing for one that is unknown."""
        return ability in self.abilities and version >= self.abilities[ability]


UNKNOWN = TerminalInfo("", ())

# Who is inside comes before who is outside: a terminal leaves its variables to everything started in it.
TERMINALS = (
    # To tmux an APC sequence is the window's title.
    TerminalInfo("tmux", ("TMUX", "TERM=tmux*"), {Ability.SIXEL: ALWAYS}, manners=QueryPolicy.NO_APC),
    TerminalInfo("screen", ("STY", "TERM=screen*"), manners=QueryPolicy.NEVER),
    TerminalInfo("jediterm", ("TERMINAL_EMULATOR=JetBrains*",), manners=QueryPolicy.NEVER),
    TerminalInfo("emacs", ("INSIDE_EMACS", "TERM=eterm*", "TERM=eat*"), manners=QueryPolicy.NEVER),
    TerminalInfo("neovim", ("NVIM",), manners=QueryPolicy.NEVER),
    TerminalInfo("linux", ("TERM=linux",), manners=QueryPolicy.NEVER, quirks=frozenset({Quirk.HALVES_ONLY})),
    TerminalInfo("dumb", ("TERM=dumb", "TERM=unknown", "TERM="), manners=QueryPolicy.NEVER),
    TerminalInfo("apple", ("TERM_PROGRAM=Apple_Terminal",), manners=QueryPolicy.NEVER),
    TerminalInfo(
        "xterm.js",
        ("TERM_PROGRAM=vscode",),
        {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS},
        quirks=frozenset({Quirk.IMAGES_OPTIONAL}),
    ),
    TerminalInfo(
        "iterm2",
        ("TERM_PROGRAM=iTerm.app", "LC_TERMINAL=iTerm2"),
        {Ability.ITERM2: ALWAYS, Ability.PARTS: (3, 5)},
        "TERM_PROGRAM_VERSION",
    ),
    # It does kitty's protocol too, without placeholders: https://github.com/wez/wezterm/issues/4531
    TerminalInfo("wezterm", ("TERM_PROGRAM=WezTerm",), {Ability.ITERM2: ALWAYS}),
    TerminalInfo(
        "ghostty",
        ("TERM_PROGRAM=ghostty", "TERM=xterm-ghostty"),
        {
            Ability.KITTY: ALWAYS,
            Ability.PLACEHOLDERS: ALWAYS,
            Ability.OCTANTS: (1, 2),
            Ability.SEXTANTS: (1, 0),
        },
        "TERM_PROGRAM_VERSION",
    ),
    TerminalInfo("warpterminal", ("TERM_PROGRAM=WarpTerminal",), {Ability.KITTY: ALWAYS}),
    TerminalInfo(
        "mintty", ("TERM_PROGRAM=mintty", "TERM=mintty*"), {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS}
    ),
    TerminalInfo("rio", ("TERM_PROGRAM=rio", "TERM=rio"), {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS}),
    TerminalInfo(
        "kitty",
        ("TERM=xterm-kitty", "KITTY_WINDOW_ID"),
        {
            Ability.KITTY: ALWAYS,
            Ability.PLACEHOLDERS: (0, 28),
            Ability.OCTANTS: (0, 40),
            Ability.SEXTANTS: (0, 20),
        },
    ),
    TerminalInfo("foot", ("TERM=foot*",), {Ability.SIXEL: ALWAYS, Ability.OCTANTS: (1, 20)}),
    TerminalInfo("contour", ("TERMINAL_NAME=contour", "TERM=contour*"), {Ability.SIXEL: ALWAYS}),
    TerminalInfo("mlterm", ("MLTERM", "TERM=mlterm*"), {Ability.SIXEL: ALWAYS}),
    TerminalInfo("konsole", ("KONSOLE_VERSION",), {Ability.KITTY: (22, 4), Ability.SIXEL: ALWAYS}),
    TerminalInfo("alacritty", ("TERM=alacritty*", "ALACRITTY_WINDOW_ID"), {Ability.SEXTANTS: (0, 14)}),
    TerminalInfo(
        "vte",
        ("VTE_VERSION",),
        {Ability.SIXEL: ALWAYS, Ability.OCTANTS: (7800,), Ability.SEXTANTS: (6200,)},
        "VTE_VERSION",
    ),
    TerminalInfo("windowsterminal", ("WT_SESSION",), {Ability.SIXEL: ALWAYS}),
    TerminalInfo("xterm", ("XTERM_VERSION",), {Ability.SIXEL: ALWAYS}, "XTERM_VERSION"),
)

_LADDER = {
    Ability.KITTY: PreviewProtocol.KITTY,
    Ability.ITERM2: PreviewProtocol.ITERM2,
    Ability.SIXEL: PreviewProtocol.SIXEL,
    Ability.OCTANTS: PreviewProtocol.OCTANTS,
    Ability.SEXTANTS: PreviewProtocol.SEXTANTS,
}


def choose_protocol(
    wish: PreviewProtocol, env: Mapping[str, str], answers: Answers, tmux: Tmux | None = None
) -> PreviewProtocol:
    """Turn `auto` into the best that this terminal is known to do, or says it does; others are orders."""
    if wish is not PreviewProtocol.AUTO:
        return wish
    terminal, version = identify(env, answers.name)
    is_inside = terminal.name == "tmux"  # its variables are still there in a terminal that was started in it
    if is_inside and tmux and tmux.passthrough and can(Ability.PLACEHOLDERS, tmux.outside):
        return PreviewProtocol.KITTY
    for ability, rung in _LADDER.items():
        if _is_there(ability, terminal, version, answers):
            return rung
    return PreviewProtocol.HALF if Quirk.HALVES_ONLY in terminal.quirks else PreviewProtocol.BLOCKS


def identify(env: Mapping[str, str], name: str = "") -> tuple[TerminalInfo, Version]:
    """Which terminal this is, UNKNOWN or known, and its version, ALWAYS where nobody tells.

    `name`, its answer to XTVERSION, says more than the environment, which programs inherit from far away.
    """
    if name:
        return _called(name), _version(name)
    found = next((one for one in TERMINALS if _shows(one, env)), UNKNOWN)
    return found, _version(env.get(found.version_in, ""))


def can(ability: Ability, name: str) -> bool:
    """Whether the terminal of this name and version, in XTVERSION's manner, has an ability."""
    return _called(name).can(ability, _version(name))


def manners(env: Mapping[str, str]) -> QueryPolicy:
    """How to ask this terminal; without a TERM not at all."""
    return identify({"TERM": "", **env})[0].manners


def _is_there(ability: Ability, terminal: TerminalInfo, version: Version, answers: Answers) -> bool:
    """Whether an ability can be relied on.

    Where the terminal has answered at all, it must have said so itself, if that is something it can say.
    Where it is unknown, what it says is all there is.
    """
    if terminal is not UNKNOWN and not terminal.can(ability, version):
        return False
    match ability:
        case Ability.KITTY:
            return answers.kitty or (terminal is not UNKNOWN and not answers.is_complete)
        case Ability.SIXEL:
            return answers.sixel and answers.cell is not None
        case Ability.ITERM2 if Quirk.IMAGES_OPTIONAL in terminal.quirks:
            return answers.sixel
        case _:
            return terminal is not UNKNOWN


def _called(name: str) -> TerminalInfo:
    lowered = name.lower()
    return next((one for one in TERMINALS if lowered.startswith(one.name)), UNKNOWN)


def _shows(terminal: TerminalInfo, env: Mapping[str, str]) -> bool:
    """Whether one of a terminal's signs is in the environment."""
    for sign in terminal.signs:
        name, is_valued, pattern = sign.partition("=")
        value = env.get(name)
        if value is not None and (fnmatchcase(value, pattern) if is_valued else value):
            return True
    return False


def _version(text: str) -> Version:
    """The first run of numbers with dots: 0.40.0 of `kitty(0.40.0)`, 379 of `XTerm(379)`."""
    found = re.search(r"(?<![a-zA-Z])[0-9]{1,9}(?:\.[0-9]{1,9})*", text)
    return tuple(map(int, found[0].split("."))) if found else ALWAYS
