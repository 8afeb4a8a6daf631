"""Removes embedded parameters from a file: in place, atomically, or in a copy."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from imgcli.core.embedded import strip
from imgcli.core.errors import usage_error
from imgcli.core.formats import png
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.store.files import LARGEST_IMAGE, read_named
from imgcli.store.publish.atomic import OnExists, TempFile, writing

_NAME_LENGTH = 200


@dataclass(frozen=True)
class PngFile:
    """A PNG file as it is. `name` is what its user calls it, `path` where it is behind every link."""

    name: str
    path: Path
    data: bytes
    info: os.stat_result

    @classmethod
    def read(cls, name: str) -> PngFile:
        """Read a PNG file; raises `ImgcliError` (usage) for anything else."""
        if not name:
            raise usage_error("The name of a file is empty.")
        path = os.path.realpath(name) if "\0" not in name else name
        data, info = read_named(name, LARGEST_IMAGE, "Name a PNG file.", path)
        if not data.startswith(png.SIGNATURE):
            raise usage_error(
                f"{shorten(name, _NAME_LENGTH)} is not a PNG file.", "Only PNG files can hold parameters."
            )
        return cls(name, Path(path), data, info)

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return shorten(self.name, _NAME_LENGTH)

    @property
    def stripped(self) -> bytes:
        """Its bytes without embedded parameters; the very same ones where there is none."""
        return strip(self.data)

    def replace(self, data: bytes) -> None:
        """Put other bytes in the file's place at once, its permissions kept; raises UNWRITABLE.

        Until that has happened the old file is whole. A link to it goes on leading to it.
        """
        with writing(self.shown):
            if not os.access(self.path, os.W_OK):
                raise PermissionError(None, "it is read-only")
            with TempFile.write(self.path.parent, data, stat.S_IMODE(self.info.st_mode)) as temp:
                _copy_owner(temp.path, self.info)
                temp.flush()
                temp.publish([self.path.name], OnExists.REPLACE)


def _copy_owner(path: Path, info: os.stat_result) -> None:
    """Set a new file's owner and permissions to those of the old one, as far as this user may."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(path, info.st_uid, info.st_gid)
    with suppress(OSError):
        path.chmod(stat.S_IMODE(info.st_mode))
