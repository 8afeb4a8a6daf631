"""What of the program is another in a forked command, as variables that the command itself never sees.

They stand for what a test would otherwise have to wait for, or start an interpreter for: see `zygote`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from dataclasses import replace
from datetime import datetime
from functools import partialmethod
from typing import Any

from flatpaint import FlatPainting
from imgcli.app.context import Context
from imgcli.demo.painter import painter
from imgcli.demo.server import DemoServer

FLAT = "TESTS_PAINT_FLAT"
"""A demo paints flat, as `flatpaint` does."""
PACE = "TESTS_PACE"
"""A factor for pauses: a demo's, and those before another attempt or the next event of a recording."""
NOON_OF = "TESTS_NOON_OF"
"""A date like 2027-01-13, which it is."""
MORTAL = "TESTS_MORTAL"
"""The modes of files apply, which they do not to root."""
WAITS = "TESTS_WAITS"
"""Waiting times and limits of the program, as JSON: see `waits`."""


def waits(**seconds: float) -> dict[str, str]:
    """Return the variable for values of modules and times of the context: `{"app.lookup._PATIENCE": 1}`."""
    return {WAITS: json.dumps(seconds)}


def substitute(env: dict[str, str]) -> None:
    """Be as the variables have it, and take them out."""
    told = {name: env.pop(name) for name in (FLAT, PACE, NOON_OF, MORTAL, WAITS) if name in env}
    if FLAT in told:
        painter.PaintedImage = FlatPainting  # type: ignore[assignment,misc]
    if MORTAL in told:
        _lose_rights()
    pace = float(told.get(PACE, 1))
    DemoServer.__init__ = partialmethod(DemoServer.__init__, pace=pace)  # type: ignore[assignment]
    times = json.loads(told.get(WAITS, "{}"))
    for name in [name for name in times if "." in name]:
        module, _, constant = f"imgcli.{name}".rpartition(".")
        assert isinstance(getattr(sys.modules[module], constant), int | float), name
        setattr(sys.modules[module], constant, times.pop(name))
    _change_context(pace, told.get(NOON_OF), times)


def _change_context(pace: float, day: str | None, times: dict[str, Any]) -> None:
    of_this_process = Context.of_this_process

    def changed(*args: Any, **told: Any) -> Context:
        context = replace(of_this_process(*args, **told), **times)
        now = (lambda: datetime.fromisoformat(f"{day}T12:00:00").astimezone()) if day else context.now
        return replace(context, now=now, sleep=lambda seconds: context.sleep(pace * seconds))

    Context.of_this_process = changed  # type: ignore[method-assign]


_VERSION, _HALVES = 0x20080522, 2
_OVER_MODES = 0b1110
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER of capabilities(7)."""


def _lose_rights() -> None:
    system = ctypes.CDLL(None, use_errno=True)
    who = (ctypes.c_uint32 * 2)(_VERSION, 0)
    rights = (ctypes.c_uint32 * (3 * _HALVES))()
    assert 0 == system.capget(who, rights)
    for kind in range(3):  # effective, permitted, inheritable
        rights[kind] &= ~_OVER_MODES
    assert 0 == system.capset(who, rights), ctypes.get_errno()
