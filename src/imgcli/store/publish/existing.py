"""Finds images that an earlier, killed attempt has already saved, so that there is no second copy."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from imgcli.store.publish.atomic import OnExists, flush, flush_folder
from imgcli.store.publish.publisher import FilePublisher, PublishResult, damaged_problem, elsewhere_problem
from imgcli.store.verify import examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imgcli.core.errors import Problem
    from imgcli.core.image import EncodedImage
    from imgcli.store.paths import FallbackFolders
    from imgcli.store.publish.naming import OutputTarget
    from imgcli.store.publish.publisher import Shield


_DAMAGED = ".damaged"
_GAPS = 1000  # numbered names that may be missing because somebody removed them
_CHUNK = 1 << 20


class ExistingPublisher:
    """A publisher for recovery: finds an image that is on disk already, and publishes any other.

    Never replaces a file, whatever the run was asked: what has that name by now may be another image.
    `paths` lists every file that it found or made.
    """

    def __init__(self, target: OutputTarget, fallback: FallbackFolders) -> None:
        self._target = target
        self._fallback = fallback
        self._publisher = FilePublisher(target, OnExists.NUMBER, fallback)
        self.paths: list[Path] = []

    @property
    def folders(self) -> list[Path]:
        """The folders in which images of this run may be."""
        return [self._target.folder, *self._fallback.folders()]

    def publish(self, image: EncodedImage, image_index: int, shield: Shield) -> PublishResult:
        """See `Publisher`."""
        result = self._find_whole(image, image_index) or self._find_damaged(image, image_index)
        if result is None:
            result = self._publisher.publish(image, image_index, shield)
        self.paths.extend([result.path] if result.path else [])
        return result

    def keep(self, image: EncodedImage, image_index: int, mark: str, shield: Shield) -> Path:
        """See `Publisher`."""
        path = self._find(image, image_index, mark) or self._publisher.keep(image, image_index, mark, shield)
        self.paths.append(path)
        return path

    def remove_empty_folders(self) -> None:
        """See `Publisher`."""
        self._publisher.remove_empty_folders()

    def _find_whole(self, image: EncodedImage, image_index: int) -> PublishResult | None:
        path = self._find(image, image_index, "")
        if path is None:
            return None
        finding = examine(image)
        if finding.damage:  # an earlier version of imgcli did not see it
            return PublishResult(path, None, damaged_problem(finding.damage, path, self._fallback.raw_run()))
        return PublishResult(path, finding.size, self._place_problem(path), unchecked=finding.unchecked)

    def _place_problem(self, path: Path) -> Problem | None:
        folder = self._target.folder
        return None if path.parent == folder else elsewhere_problem("it was rescued earlier", path, folder)

    def _find_damaged(self, image: EncodedImage, image_index: int) -> PublishResult | None:
        path = self._find(image, image_index, _DAMAGED)
        if path is None:
            return None
        damage = examine(image).damage or "it was examined earlier"
        return PublishResult(path, None, damaged_problem(damage, path, self._fallback.raw_run()))

    def _find(self, image: EncodedImage, image_index: int, mark: str) -> Path | None:
        """Return a file that has exactly these bytes under one of the names, in one of the folders."""
        for folder in self.folders:
            for path in self._candidates(folder, image, image_index, mark):
                if _has_content(path, image.data) and _is_flushed(path):
                    return path
        return None

    def _candidates(self, folder: Path, image: EncodedImage, image_index: int, mark: str) -> Iterator[Path]:
        try:
            present = set(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return
        names = self._target.names(image.format, image_index, mark)
        for name in islice(names, len(present) + _GAPS):
            if name in present:
                yield folder / name


def _has_content(path: Path, data: bytes) -> bool:
    """Return whether a regular file has exactly these bytes."""
    view, position = memoryview(data), 0
    with suppress(OSError):
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode) or info.st_size != len(data):
            return False
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if view[position : position + len(chunk)] != chunk:
                    return False
                position += len(chunk)
        return position == len(data)
    return False


def _is_flushed(path: Path) -> bool:
    """Flush a file and its folder: its publisher may have died before it could."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            flush(descriptor)
        finally:
            os.close(descriptor)
        flush_folder(path.parent)
    except OSError:
        return False
    return True
