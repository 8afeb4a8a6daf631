"""Whether a target will work: found out before anything is sent and paid."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.store.publish import probe, reason

if TYPE_CHECKING:
    from imgcli.store.naming import Target

_STANDARD_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")


def current_folder() -> Path:
    """Find the folder that relative names start from; raises UNWRITABLE when it has been deleted."""
    try:
        return Path.cwd()
    except OSError as error:
        raise _unwritable(
            f"The current folder cannot be used ({reason(error)})", "Change to another one."
        ) from None


def check(target: Target) -> None:
    """Make sure that a picture can be saved; raises UNWRITABLE, and nothing was sent."""
    folder = target.folder
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        advice = f"Make it with: mkdir -p {shlex.quote(str(folder))}"
        raise _unwritable(f"There is no folder {folder}", advice) from None
    except OSError as error:
        raise _unwritable(f"{folder} cannot be reached ({reason(error)})") from None
    if not stat.S_ISDIR(mode):
        raise _unwritable(f"{folder} is a file, not a folder")
    try:
        probe(folder, len(os.fsencode(target.wanted(target.asked))))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _unwritable(f"The name is too long for {folder}", "Choose a shorter one with -o.") from None
        raise _unwritable(f"{folder} cannot be written to ({reason(error)})") from None


def device(output: str | None, base: Path) -> tuple[Path, os.stat_result] | None:
    """Tell whether `-o` names a device or a pipe, which is written to as a stream; None for anything else.

    Gives also what it is now, by which it is known again. Raises a usage error for what would overwrite a
    disk or a redirected file.
    """
    if output is None:
        return None
    path = base / output
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    mode = info.st_mode
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise usage_error(f"{path} is no place for a picture.", "Give -o a file or a folder.")
    if stat.S_ISREG(mode) and str(path).startswith(_STANDARD_STREAMS):
        raise usage_error(f"{path} leads to a file that is already open.", "Use `-o -` for standard output.")
    return (path, info) if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) else None


def _unwritable(what: str, advice: str = "Choose another place with -o.") -> ImgcliError:
    return ImgcliError(Problem(ExitCode.UNWRITABLE, f"{what}.", advice=advice))
