"""Whether the process that writes a file may still live, where the file system has no locks to say so."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_LONGEST_SILENCE = 86_400.0
"""Seconds without a write after which a process that we cannot see is taken for dead."""
_DEAD = ("Z", "X")


def mark() -> dict[str, Any]:
    """Describe this process, so that others can tell later whether it lives."""
    pid = os.getpid()
    return {"pid": pid, "began": _began(pid), "place": _place()}


def may_live(told: object, info: os.stat_result) -> bool:
    """Return whether the process that described itself with `mark` may still write the file of this `info`.

    A number that another process got meanwhile is known by when that one began. Of a process on another
    machine, in another container or before the last start of this machine, only the file's age tells.
    """
    said = told if isinstance(told, dict) else {}
    place, pid = _place(), said.get("pid")
    if place is None or said.get("place") != place or not isinstance(pid, int):
        return time.time() - info.st_mtime < _LONGEST_SILENCE
    return _began(pid) == said.get("began") is not None


def _began(pid: int) -> str | None:
    """Find out when a process began, in the kernel's own measure; None where there is none."""
    with suppress(OSError, IndexError):
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in _DEAD else fields[19]  # starttime: proc_pid_stat(5)
    return None


def _place() -> str | None:
    """Name the surroundings in which a process's number and its beginning mean one process."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [os.readlink(_PROC / "self/ns" / kind) for kind in ("pid", "time")]  # noqa: PTH115 - no path
    except OSError:
        return None
    return " ".join([boot, *spaces])
