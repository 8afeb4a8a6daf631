"""Known terminals: what each supports, since when, and its quirks; the choice of a protocol.

Alacritty, foot, kitty, Konsole, mlterm, tmux, VTE and xterm were looked at; the others are as their change
logs, users and other viewers describe them. Which glyphs a terminal draws itself, and since when, is as its
source has it: the file is named beside it. In doubt a terminal is not asked, and gets blocks.
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from imgcli.core.params import PreviewProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.output.terminal.answers import Answers, Tmux


Version: TypeAlias = tuple[int, ...]

ALWAYS: Version = ()


class Ability(Enum):
    """What a terminal may be able to do beside showing images."""

    TRUECOLOR = "truecolor"
    PLACEHOLDERS = "placeholders"  # kitty's, which travel through tmux as text
    MULTIPART = "multipart"  # iTerm2's images in several sequences
    ANIMATION = "animation"  # kitty's, which goes on without us
    GIF = "gif"  # iTerm2's images may be animated
    BRIEF = "brief"  # kitty's hint for images that are soon replaced
    LINKS = "links"  # OSC 8
    PROGRESS = "progress"  # OSC 9;4; to others it is a notification that says "4;1;50"
    NOTIFY_9 = "OSC 9"
    NOTIFY_99 = "OSC 99"
    NOTIFY_777 = "OSC 777"
    WEDGES = "wedges"  # U+1FB3C to 1FB6F, by itself: hardly a font has them


class QueryPolicy(Enum):
    """How a terminal takes questions: all of them, all but APC sequences, or none without printing them."""

    ASK = "ask"
    NO_APC = "no APC"
    NEVER = "never"


class Quirk(Enum):
    """What a terminal gets wrong, or leaves to its user."""

    HALVES_ONLY = "its font has half blocks, and no quadrants"
    IMAGES_OPTIONAL = "shows images only where DA1 says so"
    ANSWERS_ALWAYS = "answers kitty's images, also where it is told not to"
    NAMELESS = "answers no XTVERSION; DA2 has its library's version, two digits for a part"
    FEW_COLOURS = "has room for 240 24-bit colours, and shows what is beyond them in others"


class TerminalInfo(NamedTuple):
    """A terminal. `name` begins its answer to XTVERSION, in lower case.

    `signs` are environment variables, `NAME` or `NAME=pattern`, any of which identifies it; its version is in
    `version_in`. Abilities come with their first version, which an unknown version never reaches.
    """

    name: str
    signs: tuple[str, ...]
    abilities: Mapping[PreviewProtocol | Ability, Version] = MappingProxyType({})
    version_in: str = ""
    queries: QueryPolicy = QueryPolicy.ASK
    quirks: frozenset[Quirk] = frozenset()

    def can(self, ability: PreviewProtocol | Ability, version: Version) -> bool:
        """Return whether it has an ability in a version; ALWAYS stands for an unknown version."""
        return ability in self.abilities and version >= self.abilities[ability]


UNKNOWN = TerminalInfo("", ())

KITTY, ITERM2, SIXEL = PreviewProtocol.KITTY, PreviewProtocol.ITERM2, PreviewProtocol.SIXEL
OCTANTS, SEXTANTS = PreviewProtocol.OCTANTS, PreviewProtocol.SEXTANTS
TRUECOLOR, PLACEHOLDERS, MULTIPART = Ability.TRUECOLOR, Ability.PLACEHOLDERS, Ability.MULTIPART
ANIMATION, GIF, BRIEF = Ability.ANIMATION, Ability.GIF, Ability.BRIEF
LINKS, PROGRESS = Ability.LINKS, Ability.PROGRESS
NOTIFY_9, NOTIFY_99, NOTIFY_777 = Ability.NOTIFY_9, Ability.NOTIFY_99, Ability.NOTIFY_777
WEDGES = Ability.WEDGES

# Who is inside comes before who is outside: a terminal leaves its variables to everything started in it.
TERMINALS = (
    # To tmux an APC sequence is the window's title; see `Tmux.has_kitty` for one that will take images.
    TerminalInfo(
        "tmux",
        ("TMUX", "TERM=tmux*"),
        {SIXEL: ALWAYS, LINKS: (3, 4), PROGRESS: (3, 7)},
        "TERM_PROGRAM_VERSION",
        queries=QueryPolicy.NO_APC,
    ),
    TerminalInfo("screen", ("STY", "TERM=screen*"), queries=QueryPolicy.NEVER),
    TerminalInfo("jediterm", ("TERMINAL_EMULATOR=JetBrains*",), queries=QueryPolicy.NEVER),
    TerminalInfo("emacs", ("INSIDE_EMACS", "TERM=eterm*", "TERM=eat*"), queries=QueryPolicy.NEVER),
    TerminalInfo("neovim", ("NVIM",), queries=QueryPolicy.NEVER),
    TerminalInfo("linux", ("TERM=linux",), queries=QueryPolicy.NEVER, quirks=frozenset({Quirk.HALVES_ONLY})),
    TerminalInfo("dumb", ("TERM=dumb", "TERM=unknown", "TERM="), queries=QueryPolicy.NEVER),
    TerminalInfo("apple", ("TERM_PROGRAM=Apple_Terminal",), queries=QueryPolicy.NEVER),
    TerminalInfo(
        "xterm.js",
        ("TERM_PROGRAM=vscode",),
        {ITERM2: ALWAYS, SIXEL: ALWAYS, TRUECOLOR: ALWAYS, LINKS: (1, 72)},
        "TERM_PROGRAM_VERSION",
        quirks=frozenset({Quirk.IMAGES_OPTIONAL, Quirk.ANSWERS_ALWAYS}),
    ),
    TerminalInfo(
        "iterm2",
        ("TERM_PROGRAM=iTerm.app", "LC_TERMINAL=iTerm2"),
        {
            ITERM2: ALWAYS,
            MULTIPART: (3, 5),
            GIF: ALWAYS,
            TRUECOLOR: ALWAYS,
            LINKS: (3, 1),
            PROGRESS: (3, 6, 6),
            NOTIFY_9: ALWAYS,
        },
        "TERM_PROGRAM_VERSION",
    ),
    # It does kitty's protocol too, without placeholders: https://github.com/wez/wezterm/issues/4531
    # Progress since February 2025, which no release has: https://github.com/wezterm/wezterm/issues/6581
    # Glyphs: wezterm-gui/src/customglyph.rs; no release has its octants (94610314e) and wedges (a38793110).
    TerminalInfo(
        "wezterm",
        ("TERM_PROGRAM=WezTerm",),
        {
            ITERM2: ALWAYS,
            GIF: ALWAYS,
            OCTANTS: (20250208,),
            SEXTANTS: (20210814,),
            WEDGES: (20240505,),
            TRUECOLOR: ALWAYS,
            LINKS: ALWAYS,
            PROGRESS: (20250211,),
            NOTIFY_777: (20210314,),
        },
        "TERM_PROGRAM_VERSION",
    ),
    # Glyphs: src/font/sprite/Face.zig; octants from 1.1.1 on, those that `images/glyphs.py` sets apart later.
    TerminalInfo(
        "ghostty",
        ("TERM_PROGRAM=ghostty", "TERM=xterm-ghostty"),
        {
            KITTY: ALWAYS,
            PLACEHOLDERS: ALWAYS,
            OCTANTS: (1, 1, 1),
            SEXTANTS: (1, 0),
            WEDGES: (1, 0),
            TRUECOLOR: ALWAYS,
            LINKS: ALWAYS,
            PROGRESS: (1, 2),
            NOTIFY_777: ALWAYS,
        },
        "TERM_PROGRAM_VERSION",
    ),
    TerminalInfo("warpterminal", ("TERM_PROGRAM=WarpTerminal",), {KITTY: ALWAYS, TRUECOLOR: ALWAYS}),
    TerminalInfo(
        "mintty",
        ("TERM_PROGRAM=mintty", "TERM=mintty*"),
        {ITERM2: ALWAYS, SIXEL: ALWAYS, TRUECOLOR: ALWAYS, LINKS: (3, 1)},
        "TERM_PROGRAM_VERSION",
    ),
    TerminalInfo("rio", ("TERM_PROGRAM=rio", "TERM=rio"), {ITERM2: ALWAYS, SIXEL: ALWAYS, TRUECOLOR: ALWAYS}),
    TerminalInfo(
        "kitty",
        ("TERM=xterm-kitty", "KITTY_WINDOW_ID"),
        # Glyphs: kitty/fonts/box_drawing.py, kitty/decorations.c since 0.40. Sextants were wrong up to 0.19.2
        # (PR 3105), wedges in quarters of a cell up to 0.33 (PR 7267).
        {
            KITTY: ALWAYS,
            PLACEHOLDERS: (0, 28),
            ANIMATION: (0, 20),
            BRIEF: (0, 48),
            OCTANTS: (0, 40),
            SEXTANTS: (0, 19, 3),
            WEDGES: (0, 34),
            TRUECOLOR: ALWAYS,
            LINKS: ALWAYS,
            NOTIFY_99: ALWAYS,
        },
    ),
    # Glyphs: box-drawing.c. Sextants came with 1.7, wedges with 1.9, octants with 1.20.0, which crashes at
    # U+1FB00 to 1FB9B (https://codeberg.org/dnkl/foot/issues/1901): none before 1.20.1, as it has sixels.
    TerminalInfo(
        "foot",
        ("TERM=foot*",),
        {
            SIXEL: ALWAYS,
            OCTANTS: (1, 20, 1),
            SEXTANTS: (1, 20, 1),
            WEDGES: (1, 20, 1),
            TRUECOLOR: ALWAYS,
            LINKS: ALWAYS,
            NOTIFY_777: ALWAYS,
        },
    ),
    # Glyphs: src/vtrasterizer/BoxDrawingRenderer.cpp; "U+1FB00 to 1FBAF" in its change log of 0.2.1.
    TerminalInfo(
        "contour",
        ("TERMINAL_NAME=contour", "TERM=contour*"),
        {SIXEL: ALWAYS, SEXTANTS: (0, 2, 1), WEDGES: (0, 2, 1), TRUECOLOR: ALWAYS, LINKS: ALWAYS},
    ),
    # vtemu/vt_color.c, MAX_EXT_COLORS; it says COLORTERM=truecolor all the same since 3.9.3.
    TerminalInfo(
        "mlterm", ("MLTERM", "TERM=mlterm*"), {SIXEL: ALWAYS}, quirks=frozenset({Quirk.FEW_COLOURS})
    ),
    # Its links are switched off until its user allows them, and then text as any other.
    # Glyphs: src/characters/LineBlockCharacters.cpp, bcd83d81a.
    TerminalInfo(
        "konsole",
        ("KONSOLE_VERSION",),
        {
            KITTY: (22, 4),
            SIXEL: ALWAYS,
            SEXTANTS: (22, 4),
            WEDGES: (22, 4),
            TRUECOLOR: ALWAYS,
            LINKS: ALWAYS,
        },
    ),
    # Glyphs: alacritty/src/renderer/text/builtin_font.rs: sextants from Alacritty 0.13.2 on, no wedges and no
    # octants up to 0.17. The version that it tells is that of its crate alacritty_terminal, 0.23 in 0.13.2.
    TerminalInfo(
        "alacritty",
        ("TERM=alacritty*", "ALACRITTY_WINDOW_ID"),
        {SEXTANTS: (0, 23), TRUECOLOR: ALWAYS, LINKS: ALWAYS},
        quirks=frozenset({Quirk.NAMELESS}),
    ),
    # Glyphs: src/minifont.cc, src/vtedraw.cc before 0.62.
    TerminalInfo(
        "vte",
        ("VTE_VERSION",),
        {
            SIXEL: ALWAYS,
            OCTANTS: (7800,),
            SEXTANTS: (6000,),
            WEDGES: (6000,),
            TRUECOLOR: ALWAYS,
            LINKS: (5001,),
            PROGRESS: (7900,),
        },
        "VTE_VERSION",
    ),
    TerminalInfo(
        "windowsterminal",
        ("WT_SESSION",),
        {SIXEL: ALWAYS, TRUECOLOR: ALWAYS, LINKS: ALWAYS, PROGRESS: ALWAYS},
    ),
    TerminalInfo("xterm", ("XTERM_VERSION",), {SIXEL: ALWAYS, TRUECOLOR: (331,)}, "XTERM_VERSION"),
)


def choose_protocol(
    requested: PreviewProtocol, env: Mapping[str, str], answers: Answers, tmux: Tmux | None = None
) -> PreviewProtocol:
    """Return for `auto` the best protocol that this terminal is known, or claims, to have; else the same."""
    return possible_protocols(env, answers, tmux)[0] if requested is PreviewProtocol.AUTO else requested


def possible_protocols(
    env: Mapping[str, str], answers: Answers, tmux: Tmux | None = None
) -> tuple[PreviewProtocol, ...]:
    """List what this terminal is known, or claims, to be able to show, the best first; never empty."""
    terminal, version = identify(env, answers.name)
    is_inside = terminal.name == "tmux"  # its variables are still there in a terminal that was started in it
    is_through = is_inside and tmux and tmux.passthrough and can(PLACEHOLDERS, tmux.outside)
    is_native = is_inside and tmux and tmux.has_kitty and answers.kitty
    is_lost = is_inside and tmux and not tmux.may_show_sixels
    better = (
        protocol
        for protocol in (KITTY, ITERM2, *(() if is_lost else (SIXEL,)), OCTANTS, SEXTANTS)
        if (protocol is KITTY and (is_native or is_through))
        or _is_reliable(protocol, terminal, version, answers)
    )
    has_quadrants = Quirk.HALVES_ONLY not in terminal.quirks
    blocks = (PreviewProtocol.BLOCKS,) if has_quadrants else ()
    return (*better, *blocks, PreviewProtocol.HALF, PreviewProtocol.ASCII)


def identify(env: Mapping[str, str], name: str = "") -> tuple[TerminalInfo, Version]:
    """Return which terminal this is, or UNKNOWN, and its version, ALWAYS where that is unknown.

    `name`, its answer to XTVERSION, says more than the environment, which programs inherit from far away.
    """
    if name:
        return _by_name(name), _version(name)
    found = next((one for one in TERMINALS if _matches(one, env)), UNKNOWN)
    return found, _version(env.get(found.version_in, ""))


def name_by_revision(env: Mapping[str, str], revision: int | None) -> str:
    """Return library and version of a terminal that tells only a number for them; empty for others."""
    terminal, _ = identify(env)
    if revision is None or Quirk.NAMELESS not in terminal.quirks:
        return ""
    return f"{terminal.name}_terminal {revision // 10_000}.{revision // 100 % 100}.{revision % 100}"


def can(ability: PreviewProtocol | Ability, name: str) -> bool:
    """Return whether the terminal that calls itself so, as XTVERSION answers do, has an ability."""
    return _by_name(name).can(ability, _version(name))


def query_policy(env: Mapping[str, str]) -> QueryPolicy:
    """Return how to ask this terminal; without a TERM not at all."""
    return identify({"TERM": "", **env})[0].queries


def _is_reliable(
    protocol: PreviewProtocol, terminal: TerminalInfo, version: Version, answers: Answers
) -> bool:
    """Return whether a protocol can be relied on.

    A terminal that has answered at all must have said so itself, if that is something it can say.
    Where it is unknown, what it says is all there is.
    """
    if terminal is not UNKNOWN and not terminal.can(protocol, version):
        return False
    match protocol:
        case PreviewProtocol.KITTY:
            return answers.kitty or (terminal is not UNKNOWN and not answers.is_complete)
        case PreviewProtocol.SIXEL:
            return answers.sixel and answers.cell is not None
        case PreviewProtocol.ITERM2 if Quirk.IMAGES_OPTIONAL in terminal.quirks:
            return answers.sixel
        case _:
            return terminal is not UNKNOWN


def _by_name(name: str) -> TerminalInfo:
    lowered = name.lower()
    return next((one for one in TERMINALS if lowered.startswith(one.name)), UNKNOWN)


def _matches(terminal: TerminalInfo, env: Mapping[str, str]) -> bool:
    """Return whether one of a terminal's signs is in the environment."""
    for sign in terminal.signs:
        name, is_valued, pattern = sign.partition("=")
        value = env.get(name)
        if value is not None and (fnmatchcase(value, pattern) if is_valued else value):
            return True
    return False


def _version(text: str) -> Version:
    """Parse the first run of numbers with dots: 0.40.0 of `kitty(0.40.0)`, 379 of `XTerm(379)`."""
    found = re.search(r"(?<![a-zA-Z])[0-9]{1,9}(?:\.[0-9]{1,9})*", text)
    return tuple(map(int, found[0].split("."))) if found else ALWAYS
