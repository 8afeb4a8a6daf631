"""Reads regular files within a limit: never waits for a pipe or reads an endless device."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


LARGEST_IMAGE = 256 << 20
"""Bytes: what is larger is not an image of ours."""

_LONGEST_NAME = 200
# A pipe is not waited for, a terminal does not become ours.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class UnfitFileError(Exception):
    """A file that is not read; the message completes "cat.png ..."."""


def open_regular(path: str | Path, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading, through a symbolic link only if `follow`.

    Raises `OSError`, also for anything else than a file: that is a `FileNotFoundError` without `follow`,
    else an `UnfitFileError`. A name that holds a NUL is a `ValueError`.
    """
    descriptor = os.open(path, _READ if follow else _READ | getattr(os, "O_NOFOLLOW", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if not follow:
        raise FileNotFoundError(path)
    kinds = {stat.S_IFDIR: "is a folder", stat.S_IFIFO: "is a pipe"}
    raise UnfitFileError(kinds.get(stat.S_IFMT(mode), "is a device, not a file"))


def read_regular(path: str | Path, limit: int, *, may_be_empty: bool = False) -> tuple[bytes, os.stat_result]:
    """Read a regular file of at most `limit` bytes; raises as `open_regular` does."""
    with open_regular(path) as file:
        info = os.fstat(file.fileno())
        if info.st_size > limit:
            raise UnfitFileError(f"is larger than {limit >> 20} MB")
        data = file.read(info.st_size)
    if not (data or may_be_empty):
        raise UnfitFileError("is empty")
    return data, info


def read_named(name: str, limit: int, advice: str, path: str | None = None) -> tuple[bytes, os.stat_result]:
    """Read a file that a user named, from `path` if that is where the name leads.

    Raises `ImgcliError` (usage), with this advice where the file is not one that could be read.
    """
    from imgcli.core.errors import usage_error
    from imgcli.core.text import shorten

    shown = shorten(name, _LONGEST_NAME)
    try:
        return read_regular(path or name, limit)
    except UnfitFileError as unfit:
        raise usage_error(f"{shown} {unfit}.", advice) from None
    except OSError as error:
        raise usage_error(f"{shown} cannot be read: {error.strerror or type(error).__name__}.") from None
    except ValueError:
        raise usage_error(f"{shown} cannot be read: the name holds a NUL.") from None
