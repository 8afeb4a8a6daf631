"""The terminal's capabilities, from its environment alone: nothing is asked here."""

from __future__ import annotations

import codecs
import os
import struct
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.params import PreviewProtocol
from imgcli.dataclass import dataclass
from imgcli.output.terminal.database import Ability, Quirk, identify
from imgcli.output.terminal.probe import is_in_background

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO


SizeOf: TypeAlias = Callable[[], os.terminal_size]
"""Tells the terminal's columns and lines as they are now: windows change while an image arrives."""

Rgb: TypeAlias = tuple[int, int, int]

_USUAL_ASPECT = 2.0
_ODDEST_ASPECT = 4.0


class ColorDepth(IntEnum):
    """How many colours can be shown; NONE means plain lines, without any escape code."""

    NONE = 0
    MONO = 2
    ANSI_16 = 16
    ANSI_256 = 256
    TRUECOLOR = 1 << 24


class Display(Enum):
    """What the user gets: plain lines, a status row that ticks, or an image above it."""

    LINES = "lines"
    STATUS = "status"
    IMAGE = "image"


@dataclass(frozen=True)
class Terminal:
    """A terminal's abilities.

    `unicode` says whether more than ASCII can be written, `aspect` how many times a cell is taller than wide,
    `background` the colour behind everything, `palette` its first sixteen; None where nobody told. `progress`
    says whether it shows OSC 9;4 in its tab or the taskbar. It draws U+1FB3C to 1FB6F itself where it
    `has_wedges`.
    """

    size: SizeOf
    depth: ColorDepth
    unicode: bool = True
    aspect: float = _USUAL_ASPECT
    background: Rgb | None = None
    palette: tuple[Rgb, ...] | None = None
    progress: bool = False
    has_wedges: bool = False


def detect_terminal(
    env: Mapping[str, str], stream: TextIO, size: SizeOf, requested: PreviewProtocol = PreviewProtocol.AUTO
) -> Terminal:
    """Return what can be shown on a stream; `size` is kept, and asked again at every frame.

    Whoever names a protocol gets it, in black and white where NO_COLOR says so.
    """
    is_order = requested not in {PreviewProtocol.AUTO, PreviewProtocol.OFF}
    is_live = _can_repaint(env, stream) and (is_order or not _wants_plain_text(env))
    known, version = identify(env)
    return Terminal(
        size=size,
        depth=_depth(env) if is_live else ColorDepth.NONE,
        unicode=speaks_unicode(stream),
        aspect=_aspect(stream),
        background=_background(env.get("COLORFGBG", "")),
        progress=is_live and not _is_ci(env) and known.can(Ability.PROGRESS, version),
    )


def has_color(env: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether lines may be coloured: on a terminal with colours, without NO_COLOR or CI."""
    has_escape_codes = _is_terminal(stream) and not _is_dumb(env) and not _wants_plain_text(env)
    return has_escape_codes and _depth(env) > ColorDepth.MONO


def takes_codes(env: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether lines may hold codes that are no colours, whatever NO_COLOR says; not in CI."""
    return _is_terminal(stream) and not _is_dumb(env) and not _is_ci(env)


def choose_display(requested: PreviewProtocol, terminal: Terminal) -> Display:
    """Return what to show for a requested protocol on this terminal."""
    if terminal.depth is ColorDepth.NONE:
        return Display.LINES
    return Display.STATUS if requested is PreviewProtocol.OFF else Display.IMAGE


def is_one_terminal(one: TextIO, other: TextIO) -> bool:
    """Return whether two streams lead to the same terminal."""
    try:
        return one.isatty() and other.isatty() and os.ttyname(one.fileno()) == os.ttyname(other.fileno())
    except (OSError, ValueError, AttributeError):  # AttributeError: no terminal has a name here
        return False


def _can_repaint(env: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether somebody looks at a terminal that can repaint, and that is not another job's."""
    return not _is_dumb(env) and _is_terminal(stream) and not is_in_background(stream)


def _is_dumb(env: Mapping[str, str]) -> bool:
    return env.get("TERM", "") in {"", "dumb", "unknown"} and "WT_SESSION" not in env


def _wants_plain_text(env: Mapping[str, str]) -> bool:
    return bool(env.get("NO_COLOR")) or _is_ci(env)


def _is_ci(env: Mapping[str, str]) -> bool:
    return env.get("CI", "").lower() not in {"", "0", "false"}


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


_TRUECOLOR_TERMS = ("alacritty", "contour", "foot", "ghostty", "kitty", "rio", "wezterm")
_MONO_TERMS = ("vt1", "vt2", "vt3", "hp", "wy", "adm")


def _depth(env: Mapping[str, str]) -> ColorDepth:
    """Read the terminal's colours from its names; what is unknown has at least sixteen."""
    term = env.get("TERM", "").lower()
    if env.get("NO_COLOR"):
        return ColorDepth.MONO
    if Quirk.FEW_COLOURS in identify(env)[0].quirks:
        return ColorDepth.ANSI_256
    if env.get("COLORTERM", "").lower() in {"truecolor", "24bit"} or "WT_SESSION" in env:
        return ColorDepth.TRUECOLOR
    if "direct" in term or any(name in term for name in _TRUECOLOR_TERMS):
        return ColorDepth.TRUECOLOR
    if "256" in term:
        return ColorDepth.ANSI_256
    mono = term.startswith(_MONO_TERMS) or term.endswith(("-m", "-mono"))
    return ColorDepth.MONO if mono else ColorDepth.ANSI_16


def speaks_unicode(stream: TextIO) -> bool:
    """Return whether a stream takes more than ASCII."""
    try:
        return codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    except LookupError:
        return False


def _aspect(stream: TextIO) -> float:
    """Ask the kernel, not the terminal, for a cell's shape; many terminals leave it at zero."""
    try:
        import fcntl
        import termios

        answer = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):
        return _USUAL_ASPECT
    rows, columns, width, height = struct.unpack("4H", answer)
    if not (rows and columns and width and height):
        return _USUAL_ASPECT
    aspect = (height / rows) / (width / columns)
    return aspect if 1 <= aspect <= _ODDEST_ASPECT else _USUAL_ASPECT


_WHITES = frozenset({"7", "15"})


def _background(colors: str) -> Rgb | None:
    """Read `COLORFGBG`, such as `15;0`: its last number is the background's place in the palette."""
    number = colors.rpartition(";")[2]
    if not number.isdecimal():
        return None
    return (255, 255, 255) if number in _WHITES else (0, 0, 0)
