"""Facts about an image file, read without decoding it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.embedded import read as read_parameters
from imgcli.core.history import FileFacts, FileStatus, SavedImageStatus
from imgcli.core.image import EncodedImage, content_credentials, header_size
from imgcli.store.files import LARGEST_IMAGE, UnfitFileError, read_named, read_regular

if TYPE_CHECKING:
    from imgcli.core.history import SavedImage


def inspect(name: str) -> FileFacts:
    """Return the facts of a file; raises `ImgcliError` (usage) where it cannot be read."""
    data, _ = read_named(name, LARGEST_IMAGE, "Name an image file.")
    return facts_of(Path(name), data)


def saved_image_status(image: SavedImage) -> SavedImageStatus:
    """Return what has become of the file of an image in the history. Never raises."""
    state, data = read_saved(image)
    facts = facts_of(image.path, data) if image.path and state is FileStatus.THERE else None
    return SavedImageStatus(image, state, facts)


def likely_status(image: SavedImage) -> FileStatus:
    """Return what has become of an image's file, judged by its length. Never raises."""
    if image.path is None:
        return FileStatus.UNSAVED
    try:
        if not image.path.exists():
            return FileStatus.GONE
        is_same = image.path.is_file() and image.path.stat().st_size == image.length
    except (OSError, ValueError):
        return FileStatus.UNREADABLE
    return FileStatus.THERE if is_same else FileStatus.CHANGED


def read_saved(image: SavedImage) -> tuple[FileStatus, bytes]:
    """Return what has become of an image's file, and its bytes if they are still there. Never raises."""
    if image.path is None:
        return FileStatus.UNSAVED, b""
    try:
        data = read_regular(image.path, LARGEST_IMAGE)[0]
    except (FileNotFoundError, NotADirectoryError):
        return FileStatus.GONE, b""
    except UnfitFileError:
        return FileStatus.CHANGED, b""
    except (OSError, ValueError):
        return FileStatus.UNREADABLE, b""
    is_same = EncodedImage.of(data).sha256 == image.sha256
    return (FileStatus.THERE, data) if is_same else (FileStatus.CHANGED, b"")


def facts_of(path: Path, data: bytes) -> FileFacts:
    """Return what the bytes of a file contain."""
    image = EncodedImage.of(data)
    return FileFacts(
        path=path.absolute(),
        format=image.format,
        size=header_size(image),
        length=len(image.data),
        sha256=image.sha256,
        credentials=content_credentials(image.data),
        parameters=read_parameters(image.data),
    )
