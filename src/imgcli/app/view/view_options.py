"""Options of `view`, as values; flags that contradict each other are refused."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from imgcli.app.view.view_input import STDIN
from imgcli.core.errors import check_between, usage_error
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.app.preview_options import PreviewOptions


_SPEEDS = 0.001, 1_000_000


class Motion(Enum):
    """What becomes of an animation: it is played once, again and again, or only its first frame is shown."""

    ONCE = "once"
    LOOP = "loop"
    NONE = "none"


@dataclass(frozen=True)
class ViewOptions:
    """What to view and how. `speed` is None for as fast as it goes; `save`, the folder for its images."""

    names: tuple[str, ...]
    preview: PreviewOptions
    speed: float | None = 1.0
    save: Path | None = None
    motion: Motion = Motion.ONCE


def view_options(
    files: Iterable[str],
    preview: PreviewOptions,
    speed: float | None,
    save: Path | None,
    motion: Motion,
    context: Context,
) -> ViewOptions:
    """Check what was asked for. Raises `ImgcliError` (usage)."""
    names = tuple(files)
    if not names and not _is_piped(context):
        raise usage_error("There is nothing to view.", "Name a file, or pipe a stream: ... | imgcli view -")
    if names.count(STDIN) > 1:
        raise usage_error("Standard input can be viewed only once.")
    if STDIN in names and not _is_piped(context):
        raise usage_error("Standard input is this terminal.", "Pipe a stream: curl -N ... | imgcli view -")
    check_between("speed", speed, *_SPEEDS)
    return ViewOptions(names or (STDIN,), preview, speed, save, motion)


def _is_piped(context: Context) -> bool:
    try:
        return not context.stdin.isatty()
    except ValueError:  # closed
        return False
