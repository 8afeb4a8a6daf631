"""Knows what tmux needs: its envelope for the terminal outside, and what it tells about that one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.show.output import ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE = 0.5  # seconds; it answers in about 5 ms
# Options and the terminal's own name (its answer to XTVERSION) are formats: tmux(1), FORMATS.
_FORMAT = "#{allow-passthrough}\t#{client_termtype}\t#{client_termname}\t#{client_termfeatures}"
_NEEDED = ("PATH", "HOME", "TMUX", "TMUX_TMPDIR", "TERM", "LANG", "LC_ALL", "LC_CTYPE")
"""What tmux reads of the environment; the rest, such as a key, is none of its business."""
_ALLOWED = frozenset({"1", "on", "all"})  # a flag before 3.4, a choice since


@dataclass(frozen=True)
class Tmux:
    """A tmux around us: whether envelopes go through, and the terminal outside, such as `kitty(0.40.0)`.

    `has_truecolor` is what tmux is sure of; it may be wrong only where it is False.
    """

    passthrough: bool
    outside: str
    has_truecolor: bool = False


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
        return Tmux(passthrough=False, outside="")
    return parse(done.stdout.decode(errors="replace"))


def parse(answer: str) -> Tmux:
    """Read what tmux printed; versions that know no such option or format leave its place empty."""
    allowed, termtype, termname, features = ([*answer.rstrip("\n").split("\t"), "", "", "", ""])[:4]
    has_truecolor = "RGB" in features.split(",")
    return Tmux(allowed in _ALLOWED, termtype or termname.removeprefix("xterm-"), has_truecolor)
