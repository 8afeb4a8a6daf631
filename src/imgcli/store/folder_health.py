"""Whether a folder can be written: tried with an empty file that is removed at once; no folder is made."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from imgcli.store.publish.atomic import PRIVATE, create, reason

if TYPE_CHECKING:
    from pathlib import Path


_NAME = ".imgcli-doctor-"


class FolderHealth(NamedTuple):
    """A folder: whether it is there, why it cannot be written (empty where it can), and its free bytes."""

    folder: Path
    exists: bool
    fault: str = ""
    free: int | None = None


def examine_folder(folder: Path, *, is_private: bool = False) -> FolderHealth:
    """Try to write into a folder, or, where it is missing, into the one in which it would be made.

    A private folder has to be this user's own.
    """
    exists = os.path.lexists(folder)
    try:
        nearest = _nearest(folder)
        if is_private and exists:
            _check_owner(folder)
        _probe(nearest)
    except OSError as error:
        return FolderHealth(folder, exists, reason(error))
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(nearest).free
    return FolderHealth(folder, exists, free=free)


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest above it that exists."""
    return next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)


def _check_owner(folder: Path) -> None:
    """Raise `OSError` for a folder that somebody else may have planted."""
    for info in (folder.lstat(), folder.stat()):
        if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", folder)


def _probe(folder: Path) -> None:
    """Create a file and remove it; raises `OSError`."""
    path = folder / f"{_NAME}{os.urandom(8).hex()}"
    descriptor = create(path, PRIVATE)
    try:
        os.write(descriptor, b"\n")  # which a full disk does not take
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
