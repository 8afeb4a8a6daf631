"""Reading back the records of runs that did not end well."""

from __future__ import annotations

import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from imgcli.store.locks import is_locked, try_lock
from imgcli.store.spool import MAGIC, SUFFIX, Header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 65_536
_LONGEST_HEADER = 4_000_000
_TRIES, _PAUSE = 3, 0.02  # seconds: whoever only counts the records holds each for a moment
# A planted link is not followed, a planted pipe not waited for.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Run:
    """One record. `header` is None when it cannot be read; the bytes may hold a picture all the same."""

    path: Path
    header: Header | None

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read a record's header; raises `OSError`."""
        with _opened(path) as file:
            line = file.readline(_LONGEST_HEADER)
        return cls(path, Header.parse(line) if line.startswith(MAGIC) else None)

    @property
    def has_begun(self) -> bool:
        """Whether the request can have gone out: before that the header is on disk. Raises `OSError`."""
        with _opened(self.path) as file:
            line = file.readline(_LONGEST_HEADER)
            return line.endswith(b"\n") and (not line.startswith(MAGIC) or file.readline() == b"\n")

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes as the server sent them, without the header; raises `OSError`."""
        with _opened(self.path) as file:
            if file.readline(_LONGEST_HEADER).startswith(MAGIC):
                file.readline()
            else:
                file.seek(0)
            while chunk := file.read(_CHUNK):
                yield chunk

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Hold the record against other processes; False when one has it, or has finished it already."""
        try:
            file = _opened(self.path)
        except OSError:
            yield False
            return
        with file:
            yield _locked(file.fileno()) and os.fstat(file.fileno()).st_nlink > 0

    def discard(self) -> None:
        """Remove the record, once its pictures are safe; raises `OSError`."""
        self.path.unlink(missing_ok=True)


def unfinished(folder: Path) -> list[Run]:
    """List the records in a folder that no live process is writing, oldest first."""
    runs: list[Run] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(OSError):
            run = Run.read(path)
            with run.claim() as ours:
                runs.extend([run] if ours else [])
    return runs


def recorded(folder: Path) -> list[Run]:
    """List every record in a folder, also those of runs that are going on."""
    runs: list[Run] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(OSError):
            runs.append(Run.read(path))
    return runs


def count_unfinished(folder: Path) -> int:
    """Count the records in a folder that no live process is writing, without reading them."""
    return sum(map(_is_left, folder.glob(f"*{SUFFIX}")))


def _is_left(path: Path) -> bool:
    try:
        with _opened(path) as file:
            return not is_locked(file.fileno())
    except OSError:
        return False


def _locked(descriptor: int) -> bool:
    """Lock a record, trying more than once."""
    for attempt in range(_TRIES):
        if try_lock(descriptor):
            return True
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE)
    return False


def _opened(path: Path) -> BinaryIO:
    """Open a regular file for reading; raises `OSError`."""
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return os.fdopen(descriptor, "rb")
