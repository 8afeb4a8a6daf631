"""Temporary files of processes that died while they published."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from imgcli.store.liveness import may_live
from imgcli.store.locks import has_locks, is_locked, try_lock
from imgcli.store.publish import DRAFT_END, DRAFT_START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


def sweep(folders: Iterable[Path], safe: Sequence[Path]) -> None:
    """Remove leftovers that are the beginning, or all, of a picture that is safe under a name of its own.

    `safe` lists such pictures. A file of a live process is locked; any other may be the only copy there is,
    and stays.
    """
    for path in leftovers(folders):
        with suppress(OSError), _opened(path) as file:
            if _is_abandoned(file) and try_lock(file.fileno()) and _is_known(file, safe):
                path.unlink()


def leftovers(folders: Iterable[Path]) -> Iterator[Path]:
    """List the temporary files in these folders that belong to no live process."""
    for folder in dict.fromkeys(folders):
        for path in _drafts(folder):
            with suppress(OSError), _opened(path) as file:
                is_left = _is_abandoned(file)
                if is_left:
                    yield path


def _is_abandoned(file: BinaryIO) -> bool:
    if has_locks(file.fileno()):
        return not is_locked(file.fileno())
    return not may_live(None, os.fstat(file.fileno()))


def _drafts(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [folder / name for name in sorted(os.listdir(folder)) if _is_draft(name)]  # noqa: PTH208
    return []


def _is_draft(name: str) -> bool:
    return name.startswith(DRAFT_START) and name.rstrip("_").endswith(DRAFT_END)


def _opened(path: Path) -> BinaryIO:
    """Open a regular file that is ours; raises `OSError`."""
    descriptor = os.open(path, _READ)
    info = os.fstat(descriptor)
    is_ours = not hasattr(os, "geteuid") or info.st_uid == os.geteuid()
    if not (stat.S_ISREG(info.st_mode) and is_ours):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return os.fdopen(descriptor, "rb")


def _is_known(file: BinaryIO, safe: Sequence[Path]) -> bool:
    """Tell whether every byte of a file stands at the beginning of a safe one."""
    return not os.fstat(file.fileno()).st_size or any(_is_beginning(file, path) for path in safe)


def _is_beginning(file: BinaryIO, path: Path) -> bool:
    file.seek(0)
    with suppress(OSError), path.open("rb") as whole:
        while chunk := file.read(_CHUNK):
            if whole.read(len(chunk)) != chunk:
                return False
        return True
    return False
