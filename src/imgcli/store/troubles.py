"""What it means for the user that a picture is not where or what it should be."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from imgcli.core.errors import Charged, ExitCode, Problem

if TYPE_CHECKING:
    from pathlib import Path


def damaged(damage: str, path: Path, raw_run: Path | None) -> Problem:
    """Describe bytes that are no whole picture, kept all the same."""
    what = f"The picture came damaged ({damage}); its bytes are kept as {path}."
    return Problem(ExitCode.DAMAGED, what, Charged.YES, _kept(raw_run) or "A viewer may still open them.")


def torn(damage: str, path: Path) -> Problem:
    """Describe the bytes of an image that did not all come, kept as they are."""
    what = f"Only a part of the image came ({damage}); its bytes are kept as {path}."
    return Problem(ExitCode.DAMAGED, what, Charged.YES, "A viewer may show what is there.")


def elsewhere(refused: str, path: Path, folder: Path) -> Problem:
    """Describe a picture that is safe, though not where it was asked for."""
    what = f"The picture could not be saved where you asked ({refused}); it is safe in {path}."
    into = os.path.join(folder, "")  # noqa: PTH118 - with its slash: what became a file is not overwritten
    move = f"mv -n {shlex.quote(str(path))} {shlex.quote(into)}"
    return Problem(ExitCode.ELSEWHERE, what, Charged.YES, f"Do not run it again; move it with: {move}")


def unflushed(refused: str, path: Path, raw_run: Path | None) -> Problem:
    """Describe a picture that is written, on a disk that does not say so."""
    what = f"The picture is in {path}, but no disk confirmed that it holds it ({refused})."
    advice = f"Copy it to a disk that works before you switch off. {_kept(raw_run)}"
    return Problem(ExitCode.ELSEWHERE, what, Charged.YES, advice.strip())


def lost(refused: str, raw_run: Path | None) -> Problem:
    """Describe a picture that no folder took: only the record of the run may still hold it."""
    what = f"The picture was paid for, and no folder could take it ({refused})."
    if raw_run:
        return Problem(ExitCode.ELSEWHERE, what, Charged.YES, f"Make room first. {_kept(raw_run)}")
    return Problem(ExitCode.UNKNOWN, what, Charged.YES, "Make room on the disk before you run it again.")


def _kept(raw_run: Path | None) -> str:
    return f"The raw run is kept as {raw_run}; `imgcli recover` reads it again." if raw_run else ""
