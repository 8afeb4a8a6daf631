"""Notifications through the terminal, in each terminal's own sequence; else the bell."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

from imgcli.core.text import shorten
from imgcli.output.terminal.answers import ask_tmux, wrap
from imgcli.output.terminal.database import Ability, can, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


BELL = "\a"
"""What any terminal understands: many mark the window, and tmux does in its status line."""
_TITLE = "imgcli"
_LENGTH = 200
_LANGUAGES = Ability.NOTIFY_99, Ability.NOTIFY_777, Ability.NOTIFY_9


def notification(text: str, env: Mapping[str, str]) -> str | None:
    """Return what shows a notification in this terminal, None where it is not known to have any."""
    body = shorten(text, _LENGTH)
    known, version = identify(env)
    if known.name == "tmux":
        tmux = ask_tmux(env)
        if not tmux or not tmux.passthrough:
            return None
        outside = tmux.outside
        inner = _written(body, lambda ability: can(ability, outside))
        return inner and wrap(inner)
    return _written(body, lambda ability: known.can(ability, version))


def _written(body: str, has: Callable[[Ability], bool]) -> str | None:
    """Write it in the best language of the terminal."""
    match next(filter(has, _LANGUAGES), None):
        case Ability.NOTIFY_99:  # o: not while its window has the focus; e: in base64
            keys = "i=imgcli:o=unfocused:e=1"
            title, text = (b2a_base64(part.encode(), newline=False).decode() for part in (_TITLE, body))
            return f"\x1b]99;{keys}:d=0;{title}\x1b\\\x1b]99;{keys}:p=body;{text}\x1b\\"
        case Ability.NOTIFY_777:  # where a semicolon ends the title, and some end the body with another
            return f"\x1b]777;notify;{_TITLE};{body.replace(';', ',')}\x1b\\"
        case Ability.NOTIFY_9:
            return f"\x1b]9;{_TITLE}: {body}\x1b\\"
        case _:
            return None
