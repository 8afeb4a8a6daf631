"""What a file's bytes say: read as they are, whatever they are, and nothing decoded."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.embedded import read as read_recipe
from imgcli.core.errors import usage_error
from imgcli.core.history import FileFacts, FileStatus, SavedImageStatus
from imgcli.core.image import EncodedImage, content_credentials, header_size
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    from imgcli.core.history import SavedImage


LARGEST = 256_000_000
"""Bytes: what is larger is no image of ours."""
_NAME_LENGTH = 200
# A pipe is not waited for, a terminal does not become ours.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class _UnfitError(Exception):
    """This is nothing that holds an image; the message completes "cat.png ..."."""


def inspect(name: str) -> FileFacts:
    """Read a file to its end; raises `ImgcliError` (usage) where there is none, or none to be read."""
    shown = shorten(name, _NAME_LENGTH)
    try:
        return _facts(Path(name))
    except _UnfitError as unfit:
        raise usage_error(f"{shown} {unfit}.") from None
    except OSError as error:
        raise usage_error(f"{shown} cannot be read: {reason(error)}.") from None
    except ValueError:
        raise usage_error(f"{shown} cannot be read: this cannot be a file's name.") from None


def whereabouts(image: SavedImage) -> SavedImageStatus:
    """Find out what has become of the file of a remembered image. Never raises."""
    if image.path is None:
        return SavedImageStatus(image, FileStatus.UNSAVED)
    try:
        facts = _facts(image.path)
    except (FileNotFoundError, NotADirectoryError):
        return SavedImageStatus(image, FileStatus.GONE)
    except _UnfitError:
        return SavedImageStatus(image, FileStatus.CHANGED)
    except (OSError, ValueError):
        return SavedImageStatus(image, FileStatus.UNREADABLE)
    if facts.sha256 != image.sha256:
        return SavedImageStatus(image, FileStatus.CHANGED)
    return SavedImageStatus(image, FileStatus.THERE, facts)


def _facts(path: Path) -> FileFacts:
    """Read a regular file; raises `_UnfitError`, `OSError`, `ValueError` (no possible name)."""
    image = EncodedImage.of(_content(path))
    return FileFacts(
        path=path.absolute(),
        format=image.format,
        size=header_size(image),
        length=len(image.data),
        sha256=image.sha256,
        credentials=content_credentials(image.data),
        parameters=read_recipe(image.data),
    )


def _content(path: Path) -> bytes:
    descriptor = os.open(path, _READ)
    try:
        info = os.fstat(descriptor)
        _check(info)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(info.st_size)
    finally:
        os.close(descriptor)
    if not data:
        raise _UnfitError("is empty")
    return data


def _check(info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise _UnfitError("is a folder; name the files in it")
    if stat.S_ISFIFO(info.st_mode):
        raise _UnfitError("is a pipe; save the image as a file first")
    if not stat.S_ISREG(info.st_mode):
        raise _UnfitError("is a device, no file")
    if info.st_size > LARGEST:
        raise _UnfitError(f"is larger than {LARGEST // 1_000_000} MB, and no image of imgcli's")
