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

    from imgcli.show.answers import Answers
    from imgcli.show.tmux import Tmux

Version: TypeAlias = tuple[int, ...]

ALWAYS: Version = ()


class Rung(StrEnum):
    """The ladder of ways to show a picture, the best first; `--preview` takes these names."""

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


class Manners(Enum):
    """How a terminal takes questions: all of them, all but APC sequences, or none without printing them."""

    ASK = "ask"
    NO_APC = "no APC"
    NEVER = "never"


class Quirk(Enum):
    """What a terminal gets wrong, or leaves to its user."""

    HALVES_ONLY = "its font has half blocks, and no quadrants"
    IMAGES_OPTIONAL = "shows images only where DA1 says so"


@dataclass(frozen=True)
class Known:
    """A terminal. `name` begins its answer to XTVERSION, in lower case.

    `signs` are environment variables, `NAME` or `NAME=pattern`, any of which gives it away; its version is in
    `version_in`. Abilities come with the version that brought them, which an unknown version never reaches.
    """

    name: str
    signs: tuple[str, ...]
    abilities: Mapping[Ability, Version] = field(default_factory=dict)
    version_in: str = ""
    manners: Manners = Manners.ASK
    quirks: frozenset[Quirk] = frozenset()

    def can(self, ability: Ability, version: Version) -> bool:
        """Whether it has an ability in a version, ALWAYS standing for one that is unknown."""
        return ability in self.abilities and version >= self.abilities[ability]


UNKNOWN = Known("", ())

# Who is inside comes before who is outside: a terminal leaves its variables to everything started in it.
TERMINALS = (
    # To tmux an APC sequence is the window's title.
    Known("tmux", ("TMUX", "TERM=tmux*"), {Ability.SIXEL: ALWAYS}, manners=Manners.NO_APC),
    Known("screen", ("STY", "TERM=screen*"), manners=Manners.NEVER),
    Known("jediterm", ("TERMINAL_EMULATOR=JetBrains*",), manners=Manners.NEVER),
    Known("emacs", ("INSIDE_EMACS", "TERM=eterm*", "TERM=eat*"), manners=Manners.NEVER),
    Known("neovim", ("NVIM",), manners=Manners.NEVER),
    Known("linux", ("TERM=linux",), manners=Manners.NEVER, quirks=frozenset({Quirk.HALVES_ONLY})),
    Known("dumb", ("TERM=dumb", "TERM=unknown", "TERM="), manners=Manners.NEVER),
    Known("apple", ("TERM_PROGRAM=Apple_Terminal",), manners=Manners.NEVER),
    Known(
        "xterm.js",
        ("TERM_PROGRAM=vscode",),
        {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS},
        quirks=frozenset({Quirk.IMAGES_OPTIONAL}),
    ),
    Known(
        "iterm2",
        ("TERM_PROGRAM=iTerm.app", "LC_TERMINAL=iTerm2"),
        {Ability.ITERM2: ALWAYS, Ability.PARTS: (3, 5)},
        "TERM_PROGRAM_VERSION",
    ),
    # It does kitty's protocol too, without placeholders: https://github.com/wez/wezterm/issues/4531
    Known("wezterm", ("TERM_PROGRAM=WezTerm",), {Ability.ITERM2: ALWAYS}),
    Known(
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
    Known("warpterminal", ("TERM_PROGRAM=WarpTerminal",), {Ability.KITTY: ALWAYS}),
    Known("mintty", ("TERM_PROGRAM=mintty", "TERM=mintty*"), {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS}),
    Known("rio", ("TERM_PROGRAM=rio", "TERM=rio"), {Ability.ITERM2: ALWAYS, Ability.SIXEL: ALWAYS}),
    Known(
        "kitty",
        ("TERM=xterm-kitty", "KITTY_WINDOW_ID"),
        {
            Ability.KITTY: ALWAYS,
            Ability.PLACEHOLDERS: (0, 28),
            Ability.OCTANTS: (0, 40),
            Ability.SEXTANTS: (0, 20),
        },
    ),
    Known("foot", ("TERM=foot*",), {Ability.SIXEL: ALWAYS, Ability.OCTANTS: (1, 20)}),
    Known("contour", ("TERMINAL_NAME=contour", "TERM=contour*"), {Ability.SIXEL: ALWAYS}),
    Known("mlterm", ("MLTERM", "TERM=mlterm*"), {Ability.SIXEL: ALWAYS}),
    Known("konsole", ("KONSOLE_VERSION",), {Ability.KITTY: (22, 4), Ability.SIXEL: ALWAYS}),
    Known("alacritty", ("TERM=alacritty*", "ALACRITTY_WINDOW_ID"), {Ability.SEXTANTS: (0, 14)}),
    Known(
        "vte",
        ("VTE_VERSION",),
        {Ability.SIXEL: ALWAYS, Ability.OCTANTS: (7800,), Ability.SEXTANTS: (6200,)},
        "VTE_VERSION",
    ),
    Known("windowsterminal", ("WT_SESSION",), {Ability.SIXEL: ALWAYS}),
    Known("xterm", ("XTERM_VERSION",), {Ability.SIXEL: ALWAYS}, "XTERM_VERSION"),
)

_LADDER = {
    Ability.KITTY: Rung.KITTY,
    Ability.ITERM2: Rung.ITERM2,
    Ability.SIXEL: Rung.SIXEL,
    Ability.OCTANTS: Rung.OCTANTS,
    Ability.SEXTANTS: Rung.SEXTANTS,
}


def choose_rung(wish: Rung, env: Mapping[str, str], answers: Answers, tmux: Tmux | None = None) -> Rung:
    """Turn `auto` into the best that this terminal is known to do, or says it does; others are orders."""
    if wish is not Rung.AUTO:
        return wish
    terminal, version = identify(env, answers.name)
    is_inside = terminal.name == "tmux"  # its variables are still there in a terminal that was started in it
    if is_inside and tmux and tmux.passthrough and can(Ability.PLACEHOLDERS, tmux.outside):
        return Rung.KITTY
    for ability, rung in _LADDER.items():
        if _is_there(ability, terminal, version, answers):
            return rung
    return Rung.HALF if Quirk.HALVES_ONLY in terminal.quirks else Rung.BLOCKS


def identify(env: Mapping[str, str], name: str = "") -> tuple[Known, Version]:
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


def manners(env: Mapping[str, str]) -> Manners:
    """How to ask this terminal; without a TERM not at all."""
    return identify({"TERM": "", **env})[0].manners


def _is_there(ability: Ability, terminal: Known, version: Version, answers: Answers) -> bool:
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


def _called(name: str) -> Known:
    lowered = name.lower()
    return next((one for one in TERMINALS if lowered.startswith(one.name)), UNKNOWN)


def _shows(terminal: Known, env: Mapping[str, str]) -> bool:
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
