"""Very small disks, without being root: a tmpfs in a mount namespace of its own."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from faults.runner import kill_quietly

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNT = 'mount -t tmpfs -o "$2" none "$1" && echo ready && read -r _'
_ENTER = 'cd "$1" && shift && exec "$@"'


@cache
def permitted() -> bool:
    """Tell whether this machine lets us mount."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def small(folder: Path, options: str) -> Iterator[tuple[Path, list[str]]]:
    """Mount a tmpfs on a folder, seen by nobody else.

    Gives the root directory under which it can be looked at from outside, and the command that enters it.
    """
    keeper = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", str(folder), options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"ready\n"
        enter = ["nsenter", "-t", str(keeper.pid), "-U", "-m", "--preserve-credentials"]
        yield Path(f"/proc/{keeper.pid}/root"), [*enter, "sh", "-c", _ENTER, "sh"]
    finally:
        kill_quietly(keeper)
        for stream in (keeper.stdin, keeper.stdout):
            if stream:
                stream.close()
