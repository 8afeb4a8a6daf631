"""Saved paths on standard output, alone, a line each: what a script captures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, Saved
from imgcli.core.text import clean

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from imgcli.core.events import Event


def printed_path(saved: Saved) -> Path | None:
    """Return what a script gets of a file: its absolute path, None for what is no image."""
    damaged = saved.problem and saved.problem.exit_code is ExitCode.DAMAGED
    return None if damaged else saved.path.absolute()


class PathsSink:
    """Prints absolute paths when the job has ended: a live picture may be on the same terminal until then."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._waiting: list[Path] = []

    def handle(self, event: Event) -> None:
        """Collect, then print; raises `OSError` when nobody reads."""
        match event:
            case Saved():
                if path := printed_path(event):
                    self._waiting.append(path)
            case Completed() | Failed():
                self._print()
            case _:
                pass

    def close(self) -> None:
        """Print what was saved before an interruption."""
        self._print()

    def _print(self) -> None:
        """Write names as the bytes they are: a name need not be valid in any encoding."""
        paths, self._waiting = self._waiting, []
        if not paths:
            return
        if self._stdout.isatty():  # a name may hold what a terminal would obey
            self._stdout.write("".join(f"{clean(str(path.absolute()))}\n" for path in paths))
            self._stdout.flush()
            return
        data = b"".join(os.fsencode(path.absolute()) + b"\n" for path in paths)
        self._stdout.flush()
        binary = getattr(self._stdout, "buffer", None)
        if binary is None:  # a text stream in memory
            self._stdout.write(os.fsdecode(data))
        else:
            binary.write(data)
        self._stdout.flush()
