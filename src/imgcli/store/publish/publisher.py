"""Publishes finished images: to a file or a stream, or to a fallback folder."""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.dataclass import cached_property, dataclass
from imgcli.store.publish import atomic
from imgcli.store.publish.atomic import OnExists, TempFile
from imgcli.store.publish.naming import NameFields, OutputTarget, check_writable, find_device
from imgcli.store.verify import Finding, examine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from imgcli.core.image import EncodedImage, ImageFormat
    from imgcli.store.paths import FallbackFolders


def damaged_problem(damage: str, path: Path, raw_run: Path | None) -> Problem:
    """Return the problem of bytes that are not a whole image, kept all the same."""
    what = f"The image arrived damaged ({damage}); the data is kept as {path}."
    return Problem(ExitCode.DAMAGED, what, Charged.YES, _kept(raw_run) or "A viewer may still open it.")


def partial_problem(damage: str, path: Path) -> Problem:
    """Return the problem of an image that came only in part, kept as it is."""
    what = f"Only part of the image arrived ({damage}); the data is kept as {path}."
    return Problem(ExitCode.DAMAGED, what, Charged.YES, "A viewer may show part of it.")


def elsewhere_problem(refused: str, path: Path, folder: Path) -> Problem:
    """Return the problem of an image that is safe, though not where it was asked for."""
    what = f"The image could not be saved where you asked ({refused}); it is safe in {path}."
    into = os.path.join(folder, "")  # noqa: PTH118 - with its slash: what became a file is not overwritten
    move = f"mv -n {shlex.quote(str(path))} {shlex.quote(into)}"
    return Problem(ExitCode.ELSEWHERE, what, Charged.YES, f"Do not run it again; move it with: {move}")


def unflushed_problem(refused: str, path: Path, raw_run: Path | None) -> Problem:
    """Return the problem of an image that is written, but not confirmed by the disk."""
    what = f"The image is in {path}, but the disk did not confirm the write ({refused})."
    advice = f"Copy it to another disk before you shut down. {_kept(raw_run)}"
    return Problem(ExitCode.ELSEWHERE, what, Charged.YES, advice.strip())


def lost_problem(refused: str, raw_run: Path | None) -> Problem:
    """Return the problem of an image that no folder took: only the run log may still hold it."""
    what = f"The image was paid for, but no folder could store it ({refused})."
    if raw_run:
        return Problem(ExitCode.ELSEWHERE, what, Charged.YES, f"Free some space first. {_kept(raw_run)}")
    return Problem(ExitCode.UNKNOWN, what, Charged.YES, "Free some disk space before you run it again.")


def _kept(raw_run: Path | None) -> str:
    return f"The run log is kept as {raw_run}; `imgcli recover` reads it again." if raw_run else ""


Shield: TypeAlias = "Callable[[], AbstractContextManager[None]]"
"""Makes a context in which a signal waits until an image is safe."""


@dataclass(frozen=True)
class PublishResult:
    """Where an image went. `path` is None when it left as a stream; `size` is in pixels, None if unknown.

    `preferred_name` is the one it has with nothing in its way, `is_named` whether the user gave that name,
    `requested_format` that of the user's ending, `unchecked` what was not verified, None if everything was.
    """

    path: Path | None
    size: tuple[int, int] | None
    problem: Problem | None = None
    preferred_name: str | None = None
    requested_format: ImageFormat | None = None
    unchecked: str | None = None
    is_named: bool = False


class Publisher(Protocol):
    """Saves images where the user asked for them, or in the next best place."""

    def publish(self, image: EncodedImage, image_index: int, shield: Shield) -> PublishResult:
        """Save final image number `image_index` (from 0); raises `ImgcliError` if no place took it."""

    def keep(self, image: EncodedImage, image_index: int, mark: str, shield: Shield) -> Path:
        """Keep another image beside it, `mark` in its name; raises `ImgcliError` if no place took it."""

    def remove_empty_folders(self) -> None:
        """Remove the folders that were made for images which never came."""


@dataclass(frozen=True)
class _OutgoingImage:
    """One image on its way to disk."""

    image: EncodedImage
    image_index: int
    mark: str = ""

    @cached_property
    def finding(self) -> Finding:
        """What verifying it found: done once, when the bytes are safe. Previews are kept unseen."""
        return Finding(None) if self.mark else examine(self.image)

    @property
    def marked(self) -> str:
        return ".damaged" if self.finding.damage else self.mark


@dataclass(frozen=True)
class _SavedFile:
    """Where an image became a file, and why the first place was refused, empty if it was not."""

    path: Path
    refused: str
    is_flushed: bool = True


class FilePublisher:
    """Saves images as files: in the target's folder, else in a fallback folder.

    The target's folder is made where it has gone meanwhile; `made` are folders that were made already.
    """

    def __init__(
        self, target: OutputTarget, on_exists: OnExists, fallback: FallbackFolders, made: Iterable[Path] = ()
    ) -> None:
        self._target = target
        self._made = list(made)
        self._on_exists = on_exists
        self._fallback = fallback
        self._folders: tuple[Path, ...] = (target.folder,)

    @classmethod
    def for_fallback(cls, target: OutputTarget, fallback: FallbackFolders) -> FilePublisher:
        """Make the publisher for what a stream did not take: it uses the fallback folders alone."""
        publisher = cls(target, OnExists.NUMBER, fallback)
        publisher._folders = ()
        return publisher

    def publish(
        self, image: EncodedImage, image_index: int, shield: Shield, refused: str = ""
    ) -> PublishResult:
        """See `Publisher`. `refused` says why another place did not take the image."""
        outgoing = _OutgoingImage(image, image_index)
        with shield():
            saved = self._file(outgoing, refused)
        return PublishResult(
            saved.path,
            outgoing.finding.size,
            self._problem(outgoing, saved),
            self._target.preferred_name(image.format, image_index),
            self._target.requested_format,
            outgoing.finding.unchecked,
            self._target.is_named,
        )

    def keep(self, image: EncodedImage, image_index: int, mark: str, shield: Shield) -> Path:
        """See `Publisher`."""
        with shield():
            return self._file(_OutgoingImage(image, image_index, mark), "").path

    def remove_empty_folders(self) -> None:
        """See `Publisher`."""
        atomic.remove_folders(self._made)

    def _file(self, outgoing: _OutgoingImage, refused: str) -> _SavedFile:
        """Try the folders in turn, the fallback folders last."""
        temps: list[TempFile] = []
        for folder in (*self._folders, *self._fallback.folders()):
            try:
                temps.append(self._temp(outgoing, folder))
                path = self._named(outgoing, temps[-1])
            except OSError as error:
                refused = refused or f"{folder}: {atomic.reason(error)}"
            else:
                temps.pop().discard()
                for temp in temps:
                    temp.unpublish()
                return _SavedFile(path, refused)
        if temps:
            return _SavedFile(self._unflushed(outgoing, temps), refused, is_flushed=False)
        raise ImgcliError(lost_problem(refused, self._fallback.raw_run()))

    def _unflushed(self, outgoing: _OutgoingImage, temps: list[TempFile]) -> Path:
        """Keep the best of the copies that no disk has confirmed, under a name that people find."""
        best, *others = temps
        try:
            best.name(self._names(outgoing), self._policy_for(outgoing, best))
        except OSError:
            return best.place  # a temporary name is a name
        best.discard()
        for temp in others:
            temp.unpublish()
        return best.place

    def _temp(self, outgoing: _OutgoingImage, folder: Path) -> TempFile:
        if folder not in self._folders:
            return TempFile.write(folder, outgoing.image.data, atomic.PRIVATE)
        self._made += atomic.make_folder(folder)
        return TempFile.write(folder, outgoing.image.data, atomic.SHARED)

    def _named(self, outgoing: _OutgoingImage, temp: TempFile) -> Path:
        """Flush first, then look, then name: a decoder that dies on the bytes cannot take them along."""
        temp.flush()
        return temp.publish(self._names(outgoing), self._policy_for(outgoing, temp))

    def _names(self, outgoing: _OutgoingImage) -> Iterator[str]:
        return self._target.names(outgoing.image.format, outgoing.image_index, outgoing.marked)

    def _policy_for(self, outgoing: _OutgoingImage, temp: TempFile) -> OnExists:
        """Replace nothing but what was asked to be replaced."""
        as_asked = temp.path.parent in self._folders and not outgoing.marked
        return self._on_exists if as_asked else OnExists.NUMBER

    def _problem(self, outgoing: _OutgoingImage, saved: _SavedFile) -> Problem | None:
        """Return what is not as it was asked for; damage is more severe than the place."""
        if outgoing.finding.damage:
            return damaged_problem(outgoing.finding.damage, saved.path, self._fallback.raw_run())
        if not saved.is_flushed:
            return unflushed_problem(saved.refused, saved.path, self._fallback.raw_run())
        return elsewhere_problem(saved.refused, saved.path, self._target.folder) if saved.refused else None


class StreamPublisher:
    """Sends images down a stream: standard output, a pipe, a device. When it breaks they become files."""

    def __init__(self, write: Callable[[bytes], None], path: Path | None, aside: FilePublisher) -> None:
        self._write = write
        self._path = path
        self._fallback_files = aside

    def publish(self, image: EncodedImage, image_index: int, shield: Shield) -> PublishResult:
        """See `Publisher`. The writing is not shielded: a reader that sleeps must not hold off Ctrl-C.

        A damaged image is written like any other, and kept as a file too.
        """
        try:
            self._write(image.data)
        except OSError as error:
            refused = f"{self._path or 'standard output'}: {atomic.reason(error)}"
            return self._fallback_files.publish(image, image_index, shield, refused)
        finding = examine(image)
        if finding.damage:
            return self._fallback_files.publish(image, image_index, shield)
        return PublishResult(self._path, finding.size, unchecked=finding.unchecked)

    def keep(self, image: EncodedImage, image_index: int, mark: str, shield: Shield) -> Path:
        """See `Publisher`: a file, since the stream is for the image alone."""
        return self._fallback_files.keep(image, image_index, mark, shield)

    def remove_empty_folders(self) -> None:
        """See `Publisher`: a stream has no folder."""


@dataclass(frozen=True)
class Destination:
    """Where the user wants the images of a run.

    `output` is that option as it was given, `base` the folder that relative names start from.
    """

    output: str | None
    base: Path
    on_exists: OnExists = OnExists.NUMBER


def open_publisher(
    destination: Destination, fields: NameFields, fallback: FallbackFolders, stdout: BinaryIO
) -> Publisher:
    """Return the publisher for a destination, once its folder is made and it is known to work.

    `stdout` is for `-`. Raises `ImgcliError`, usage or UNWRITABLE: call it before anything is sent.
    """
    output, base = destination.output, destination.base
    aside = FilePublisher.for_fallback(OutputTarget.of(None, fields, base), fallback)
    if output == "-":
        return StreamPublisher(partial(atomic.write_stream, stdout), None, aside)
    if device := find_device(output, base):
        return StreamPublisher(partial(atomic.write_device, *device), device[0], aside)
    target = OutputTarget.of(output, fields, base)
    return FilePublisher(target, destination.on_exists, fallback, check_writable(target))
