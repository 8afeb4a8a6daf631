"""The image files of a gallery: thumbnails, and copies of the originals, named after their content."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from imgcli.app.browser.gallery_images import FilePlaces
from imgcli.core.history import FileStatus
from imgcli.core.image import ImageFormat
from imgcli.core.text import slug
from imgcli.output.images.decode import Undecodable
from imgcli.output.images.thumbnail import webp_thumbnail
from imgcli.store.image_facts import likely_status, read_saved
from imgcli.store.publish.atomic import OnExists, TempFile, make_folder, write_file

if TYPE_CHECKING:
    from imgcli.core.history import SavedImage


THUMBNAILS, ORIGINALS = "thumbnails", "originals"
_LARGEST_DRAWING = 1 << 20
"""Bytes of an SVG file that is its own thumbnail."""
_SHORT_HASH = 16


class GalleryFolder:
    """Adds images to a gallery's folder and replaces none: their names say what is in them.

    So an update makes thumbnails of new images alone, and an image whose file is gone keeps what it has here.
    """

    def __init__(self, root: Path, *, has_originals: bool) -> None:
        self.root = root
        self._has_originals = has_originals
        self._kept = set[Path]()

    @classmethod
    def made(cls, root: Path, *, has_originals: bool) -> Self:
        """Create the folder, or take one that is there; raises `OSError`."""
        make_folder(root / THUMBNAILS)
        if has_originals:
            make_folder(root / ORIGINALS)
        return cls(root, has_originals=has_originals)

    def add(self, image: SavedImage) -> FilePlaces:
        """Make the files of an image that are not there yet, and return where all of them are.

        Raises `OSError`, and `ImgcliError` (UNWRITABLE), where the folder cannot be written.
        """
        is_drawing = image.format is ImageFormat.SVG
        thumbnail = self.root / THUMBNAILS / f"{image.sha256}.{'svg' if is_drawing else 'webp'}"
        copy = self.root / ORIGINALS / _copy_name(image)
        needs_copy = self._has_originals and not _has_bytes(copy, image.length)
        if _has_bytes(thumbnail) and not needs_copy and likely_status(image) is FileStatus.THERE:
            state = FileStatus.THERE  # as far as its size tells: more is not worth reading gigabytes again
        else:
            state, data = read_saved(image)
            if state is FileStatus.THERE:
                _add_thumbnail(thumbnail, data, is_drawing=is_drawing)
                if needs_copy:
                    write_file(copy, data, OnExists.REPLACE)
        return self._places(image, state, thumbnail, copy)

    def others(self) -> int:
        """Count the files of earlier galleries that belong to no image of this one."""
        found = set[Path]()
        for name in (THUMBNAILS, ORIGINALS):
            with suppress(OSError):
                found |= set((self.root / name).iterdir())
        return len(found - self._kept)

    def _places(self, image: SavedImage, state: FileStatus, thumbnail: Path, copy: Path) -> FilePlaces:
        is_copied = _has_bytes(copy, image.length)
        original = copy if is_copied else image.path if state is FileStatus.THERE else None
        self._kept |= {thumbnail, copy}
        return FilePlaces(
            state=FileStatus.THERE if is_copied else state,
            thumbnail=self._address(thumbnail) if _has_bytes(thumbnail) else None,
            original=self._address(original) if original else None,
            argument=str(original.relative_to(self.root) if is_copied else original) if original else None,
            is_in_place=state is FileStatus.THERE,
        )

    def _address(self, path: Path) -> str:
        """Return a file's address relative to the page, or a file URL where another drive has it."""
        try:
            relative = os.path.relpath(path, self.root)
        except ValueError:
            return path.as_uri()
        return quote(os.fsencode(relative.replace(os.sep, "/")))


def _copy_name(image: SavedImage) -> str:
    """Name a copy after the original, and after its content, so that no other image has its name."""
    suffix = image.format.suffix if image.format else ""
    return f"{slug(image.path.stem if image.path else '')}-{image.sha256[:_SHORT_HASH]}{suffix}"


def _add_thumbnail(path: Path, data: bytes, *, is_drawing: bool) -> None:
    """Write a thumbnail where there is none; an image that cannot be decoded has none.

    It is not flushed: it can be made again, and hundreds of flushes take longer than all the rest.
    """
    if _has_bytes(path) or (is_drawing and len(data) > _LARGEST_DRAWING):
        return
    try:
        small = data if is_drawing else webp_thumbnail(data)
    except Undecodable:
        return
    with TempFile.write(path.parent, small) as temp:
        temp.name([path.name], OnExists.REPLACE)


def _has_bytes(path: Path, length: int | None = None) -> bool:
    """Return whether there is a file of this length; an empty one is what a power cut has left."""
    with suppress(OSError, ValueError):
        return path.is_file() and path.stat().st_size in ((length,) if length else range(1, 1 << 62))
    return False
