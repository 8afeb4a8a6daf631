"""Queries to a terminal and to tmux, and their answers, parsed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.terminal.writer import ENVELOPE
from imgcli.regex import regex

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping


Rgb = tuple[int, int, int]
Size = tuple[int, int]

_NAME_LENGTH = 80
_MOST = 1 << 15  # pixels; whatever claims more is garbage

KITTY = b"\x1b_Gi=4211,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
"""Could you show this pixel? Kitty's graphics protocol, "Querying support"."""
KITTY_FILE = b"\x1b_Gi=4212,s=1,v=1,a=q,t=t,f=24;%s\x1b\\"
"""And the one in this temporary file? Asked where the terminal may be on this machine, before QUESTIONS."""
QUESTIONS = (
    b"\x1b[>q"  # XTVERSION: its name
    b"\x1b[>c"  # DA2: a version, which is all that Alacritty tells
    b"\x1b[16t"  # a cell's size in pixels
    b"\x1b[14t"  # the text area's size in pixels
    b"\x1b[?1;1;0S"  # XTSMGRAPHICS: how many colours sixels have
    b"\x1b[?2;1;0S"  # and how many pixels
    b"\x1b]11;?\x1b\\"  # the background's colour
    b"\x1b[c"  # DA1, which every terminal answers, and answers last
)
"""What else there is to ask: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html."""

_THEMED = 16  # colours that themes redefine, the first of every palette
PALETTE = b"\x1b]4;" + b";".join(b"%d;?" % number for number in range(_THEMED)) + b"\x1b\\"
"""Which are the sixteen colours? Asked where there are no others, and before QUESTIONS."""

# A sequence that was cut by the next one, or by the end, is still not something that a person has typed.
_SEQUENCE = regex(rb"\x1b(?:[P\]_^X][^\x07\x1b]*(?:\x07|\x1b\\|\x1b\Z)?|\[[0-?]*[ -/]*[@-~]?|[@-~]?)")
_DEVICE = regex(rb"\x1b\[\?([0-9;]*)c")
_REVISION = regex(rb"\x1b\[>0;([0-9]{1,6});1c")
_KITTY = regex(rb"\x1b_Gi=4211;OK\x1b\\")
_KITTY_FILE = regex(rb"\x1b_Gi=4212;OK\x1b\\")
_VERSION = regex(rb"\x1bP>\|([^\x07\x1b]*)\x1b\\")
_CELL = regex(rb"\x1b\[6;([0-9]{1,5});([0-9]{1,5})t")
_WINDOW = regex(rb"\x1b\[4;([0-9]{1,5});([0-9]{1,5})t")
_REGISTERS = regex(rb"\x1b\[\?1;0;([0-9]{1,5})S")
_LARGEST = regex(rb"\x1b\[\?2;0;([0-9]{1,5});([0-9]{1,5})S")
_BACKGROUND = regex(
    rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})(?:/[0-9a-fA-F]{1,4})?(?:\x07|\x1b\\)"
)
_PALETTE = regex(rb";([0-9]{1,2});rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_SIXEL = b"4"  # among the parameters of DA1


@dataclass(frozen=True)
class Answers:
    """What a terminal says of itself; what it did not say is False, empty or None.

    `is_complete` means that the last answer came, so that silence elsewhere means no. `name` is its own, as
    in `kitty(0.40.0)`; `revision` is the number in DA2 of a terminal without a type there. `cell`, `window`
    and `largest`, the largest sixel image, are width and height in pixels; `registers` counts sixel colours.
    `palette` are its sixteen colours, all of them. `reads_files` says that it found the pixel of KITTY_FILE.
    """

    is_complete: bool = False
    kitty: bool = False
    sixel: bool = False
    name: str = ""
    revision: int | None = None
    cell: Size | None = None
    window: Size | None = None
    background: Rgb | None = None
    registers: int | None = None
    largest: Size | None = None
    palette: tuple[Rgb, ...] | None = None
    reads_files: bool = False


SILENCE = Answers()


def is_complete(raw: bytes, owed: int = 1) -> bool:
    """Return whether DA1 has been answered, as often as it was asked: nothing more will come."""
    return len(_DEVICE.findall(raw)) >= owed


def parse(raw: bytes) -> Answers:
    """Read a terminal's input; garbage, half answers and keys typed in between are passed over."""
    device, version = _DEVICE.search(raw), _VERSION.search(raw)
    registers, revision = _REGISTERS.search(raw), _REVISION.search(raw)
    return Answers(
        is_complete=device is not None,
        kitty=_KITTY.search(raw) is not None,
        sixel=device is not None and _SIXEL in device[1].split(b";"),
        name=shorten(version[1].decode(errors="replace"), _NAME_LENGTH) if version else "",
        revision=int(revision[1]) if revision else None,
        cell=_size(_CELL.search(raw)),
        window=_size(_WINDOW.search(raw)),
        background=_color(_BACKGROUND.search(raw)),
        registers=int(registers[1]) or None if registers else None,
        largest=_size(_LARGEST.search(raw), width=1, height=2),
        palette=_palette(raw),
        reads_files=_KITTY_FILE.search(raw) is not None,
    )


def typed(raw: bytes) -> bytes:
    """Return the keys in a terminal's input: all but escape sequences: answers, whole or cut, and arrows."""
    return _SEQUENCE.sub(b"", raw)


def _size(found: re.Match[bytes] | None, width: int = 2, height: int = 1) -> Size | None:
    """Return width and height, from groups of these numbers: most reports tell height first."""
    if not found:
        return None
    pixels = int(found[width]), int(found[height])
    return pixels if 0 < min(pixels) <= max(pixels) <= _MOST else None


def _color(found: re.Match[bytes] | None) -> Rgb | None:
    return (_level(found[1]), _level(found[2]), _level(found[3])) if found else None


def _palette(raw: bytes) -> tuple[Rgb, ...] | None:
    """Read the answers to PALETTE, one for each colour or one for several; None where any is missing."""
    levels = {int(number): (_level(r), _level(g), _level(b)) for number, r, g, b in _PALETTE.findall(raw)}
    colours = [levels[number] for number in range(_THEMED) if number in levels]
    return tuple(colours) if len(colours) == _THEMED else None


def _level(digits: bytes) -> int:
    """Parse one to four hexadecimal digits, whatever their number, as 0 to 255: XParseColor(3)."""
    most: int = 16 ** len(digits) - 1
    return (int(digits, 16) * 255 + most // 2) // most


_PATIENCE = 0.5  # seconds; it answers in about 5 ms
# Options and the terminal's own name (its answer to XTVERSION) are formats: tmux(1), FORMATS.
_FORMAT = "#{allow-passthrough}\t#{client_termtype}\t#{client_termname}\t#{client_termfeatures}"
_NEEDED = ("PATH", "HOME", "TMUX", "TMUX_TMPDIR", "TERM", "LANG", "LC_ALL", "LC_CTYPE")
"""What tmux reads of the environment; the rest, such as a key, is none of its business."""
_ALLOWED = frozenset({"1", "on", "all"})  # a flag before 3.4, a choice since


@dataclass(frozen=True)
class Tmux:
    """A tmux around us: whether envelopes go through, and the terminal outside, such as `kitty(0.40.0)`.

    `passthrough` is None where it did not tell. `features` are those of the terminal outside of which tmux is
    sure; it may not know of all.
    """

    passthrough: bool | None
    outside: str
    features: frozenset[str] = frozenset()

    @property
    def has_truecolor(self) -> bool:
        """Whether 24-bit colours reach the terminal outside as they are."""
        return "RGB" in self.features

    @property
    def has_kitty(self) -> bool:
        """Whether it takes kitty's protocol itself.

        A feature of that name is in its branch 4902-image-support, and in no release up to 3.8.
        """
        return "kitty" in self.features

    @property
    def may_show_sixels(self) -> bool:
        """Whether sixels may reach the terminal outside; tmux itself says yes wherever it can read them."""
        return not self.features or "sixel" in self.features


def wrap(escape: str) -> str:
    """Put an escape sequence into tmux's envelope: tmux(1), allow-passthrough."""
    return f"{ENVELOPE}{escape.replace(chr(27), chr(27) * 2)}\x1b\\"


def ask_tmux(env: Mapping[str, str]) -> Tmux | None:
    """Ask the tmux around us, if there is one; a tmux that does not answer lets nothing through."""
    if not env.get("TMUX"):
        return None
    pane = ["-t", env["TMUX_PANE"]] if env.get("TMUX_PANE") else []
    command = ["tmux", "display-message", "-p", *pane, _FORMAT]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            env={name: env[name] for name in _NEEDED if name in env},
            timeout=_PATIENCE,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return Tmux(passthrough=None, outside="")
    return parse_tmux(done.stdout.decode(errors="replace"))


def parse_tmux(answer: str) -> Tmux:
    """Read what tmux printed; versions that know no such option or format leave its place empty."""
    allowed, termtype, termname, features = ([*answer.rstrip("\n").split("\t"), "", "", "", ""])[:4]
    outside = termtype or termname.removeprefix("xterm-")
    passthrough = allowed in _ALLOWED if allowed else None
    return Tmux(passthrough, outside, frozenset(filter(None, features.split(","))))
