"""How much memory a command takes at its peak."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_UNIT = 1024 if sys.platform != "darwin" else 1  # of ru_maxrss, in bytes
_LAUNCHER = """if True:
    import os, sys
    pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
    _, status, usage = os.wait4(pid, 0)
    print(usage.ru_maxrss)
    sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Measures from a process that is small itself: a child's peak begins at what its parent had."""


def peak(folder: Path, env: dict[str, str], *args: str) -> int:
    """Run `imgcli ARGS...` quietly in `folder`, and give its peak in bytes; raises when it fails."""
    command = [sys.executable, "-S", "-c", _LAUNCHER, sys.executable, "-m", "imgcli", *args]
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return int(done.stdout.splitlines()[-1]) * _UNIT
