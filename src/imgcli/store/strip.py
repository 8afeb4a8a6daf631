"""A file without its recipe: in its own place, atomically, or as a copy in another."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imgcli.core.embedded import strip
from imgcli.core.errors import usage_error
from imgcli.core.formats import png
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import OnExists, TempFile, reason
from imgcli.store.publish.file import writing

LARGEST = 256_000_000
"""Bytes: what is larger is no image of ours."""
_NAME_LENGTH = 200
# A pipe is not waited for, a terminal does not become ours.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Original:
    """A PNG file as it is. `name` is what its user calls it, `path` where it is behind every link."""

    name: str
    path: Path
    data: bytes
    info: os.stat_result

    @classmethod
    def read(cls, name: str) -> Original:
        """Read a PNG file; raises `ImgcliError` (usage) for anything else."""
        if not name:
            raise usage_error("The name of a file is empty.")
        shown = shorten(name, _NAME_LENGTH)
        try:
            path = Path(name).resolve(strict=True)
            descriptor = os.open(path, _READ)
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            why = reason(error) if isinstance(error, OSError) else "this cannot be a file's name"
            raise usage_error(f"{shown} cannot be read: {why}.") from None
        try:
            info = os.fstat(descriptor)
            _check_kind(shown, info)
            data = _content(descriptor, info.st_size)
        except OSError as error:
            raise usage_error(f"{shown} cannot be read: {reason(error)}.") from None
        finally:
            os.close(descriptor)
        _check_content(shown, data)
        return cls(name, path, data, info)

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return shorten(self.name, _NAME_LENGTH)

    @property
    def bare(self) -> bytes:
        """Its bytes without the recipe; the very same ones where there is none."""
        return strip(self.data)

    def replace(self, data: bytes) -> None:
        """Put other bytes in the file's place at once, its permissions kept; raises UNWRITABLE.

        Until that has happened the old file is whole. A link to it goes on leading to it.
        """
        with writing(self.shown):
            if not os.access(self.path, os.W_OK):
                raise PermissionError(None, "it is read-only")
            draft = TempFile.write(self.path.parent, data, stat.S_IMODE(self.info.st_mode))
            try:
                _adopt(draft.path, self.info)
                draft.flush()
                draft.publish([self.path.name], OnExists.REPLACE)
            finally:
                draft.discard()


def _check_kind(shown: str, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise usage_error(f"{shown} is a folder.", "Name the files in it.")
    if not stat.S_ISREG(info.st_mode):
        raise usage_error(f"{shown} is no regular file.", "Name a PNG file.")
    if info.st_size > LARGEST:
        raise usage_error(f"{shown} is larger than {LARGEST // 1_000_000} MB.")


def _content(descriptor: int, size: int) -> bytes:
    """Read a file to its end; raises `OSError`."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def _check_content(shown: str, data: bytes) -> None:
    if not data:
        raise usage_error(f"{shown} is empty.")
    if not data.startswith(png.SIGNATURE):
        raise usage_error(f"{shown} is no PNG file.", "Only PNG files hold a recipe.")


def _adopt(path: Path, info: os.stat_result) -> None:
    """Return a new file the owner and the permissions of the old one, as far as this user may."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(path, info.st_uid, info.st_gid)
    with suppress(OSError):
        path.chmod(stat.S_IMODE(info.st_mode))
