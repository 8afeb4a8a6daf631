"""Saved paths on standard output, alone, a line each: what a script captures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcli.core.errors import ExitCode
from imgcli.core.events import Completed, Failed, Saved
from imgcli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import TextIO

    from imgcli.core.events import Event


class PathsSink:
    """Prints absolute paths when the job has ended: a live picture may be on the same terminal until then."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._waiting: list[Path] = []

    def handle(self, event: Event) -> None:
        """Collect, then print; raises `OSError` when nobody reads."""
        match event:
            case Saved(path=path, problem=problem):
                if not (problem and problem.exit_code is ExitCode.DAMAGED):  # which is no picture
                    self._waiting.append(path)
            case Completed() | Failed():
                self._print()
            case _:
                pass

    def close(self) -> None:
        """Print what was saved before an interruption."""
        self._print()

    def _print(self) -> None:
        paths, self._waiting = self._waiting, []
        if paths:
            write_paths(self._stdout, paths)


def write_paths(stdout: TextIO, paths: Iterable[Path]) -> None:
    """Write absolute names, a line each, as the bytes they are: a name need not be valid in any encoding.

    On a terminal they are cleaned, for a name may hold what it would obey.
    """
    if stdout.isatty():
        stdout.write("".join(f"{clean(str(path.absolute()))}\n" for path in paths))
        stdout.flush()
        return
    data = b"".join(os.fsencode(path.absolute()) + b"\n" for path in paths)
    stdout.flush()
    binary = getattr(stdout, "buffer", None)
    if binary is None:  # a text stream in memory
        stdout.write(os.fsdecode(data))
    else:
        binary.write(data)
    stdout.flush()
