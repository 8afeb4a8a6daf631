"""Where finished pictures are brought: into a file or down a stream, and elsewhere when that fails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from imgcli.core.errors import ImgcliError, Problem
from imgcli.store.naming import Subject, Target
from imgcli.store.preflight import check, device
from imgcli.store.publish import PRIVATE, SHARED, Clash, Draft, reason, write_device, write_stream
from imgcli.store.troubles import damaged, elsewhere, lost, unflushed
from imgcli.store.verify import Finding, examine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from imgcli.core.events import ImageFormat, Picture
    from imgcli.store.state import Rescue

Shield: TypeAlias = "Callable[[], AbstractContextManager[None]]"
"""Makes the span in which a signal waits until a picture is safe."""


@dataclass(frozen=True)
class Placed:
    """Where a picture went. `path` is None when it left as a stream; `size` is in pixels, None if unknown.

    `wanted` is the name it would have with nothing in its way, `asked` the format of the user's ending,
    `unchecked` what was not verified, None if everything was.
    """

    path: Path | None
    size: tuple[int, int] | None
    problem: Problem | None = None
    wanted: str | None = None
    asked: ImageFormat | None = None
    unchecked: str | None = None


class Publisher(Protocol):
    """Brings pictures to where the user asked for them, or to the next best place."""

    def publish(self, picture: Picture, image: int, shield: Shield) -> Placed:
        """Bring the final picture number `image` (from 0) there; raises `ImgcliError` if no place took it."""

    def keep(self, picture: Picture, image: int, mark: str, shield: Shield) -> Path:
        """Keep another picture beside it, `mark` in its name; raises `ImgcliError` if no place took it."""


@dataclass(frozen=True)
class _Shot:
    """One picture on its way to disk."""

    picture: Picture
    image: int
    mark: str = ""

    @cached_property
    def finding(self) -> Finding:
        """What an examination says: made once, when the bytes are safe. Previews are kept unseen."""
        return Finding(None) if self.mark else examine(self.picture)

    @property
    def marked(self) -> str:
        return ".damaged" if self.finding.damage else self.mark


@dataclass(frozen=True)
class _Filed:
    """Where a picture became a file, and why the first place was refused, empty if it was not."""

    path: Path
    refused: str
    is_flushed: bool = True


class FilePublisher:
    """Saves pictures as files: in the target's folder, else in one of the rescue's."""

    def __init__(self, target: Target, clash: Clash, rescue: Rescue) -> None:
        self._target = target
        self._clash = clash
        self._rescue = rescue
        self._folders: tuple[Path, ...] = (target.folder,)

    @classmethod
    def aside(cls, target: Target, rescue: Rescue) -> FilePublisher:
        """Make the publisher for what a stream did not take: it has the rescue's folders alone."""
        publisher = cls(target, Clash.NUMBER, rescue)
        publisher._folders = ()
        return publisher

    def publish(self, picture: Picture, image: int, shield: Shield, refused: str = "") -> Placed:
        """See `Publisher`. `refused` tells in words why another place did not take the picture."""
        shot = _Shot(picture, image)
        with shield():
            filed = self._file(shot, refused)
        return Placed(
            filed.path,
            shot.finding.size,
            self._problem(shot, filed),
            self._target.wanted(picture.format, image),
            self._target.asked,
            shot.finding.unchecked,
        )

    def keep(self, picture: Picture, image: int, mark: str, shield: Shield) -> Path:
        """See `Publisher`."""
        with shield():
            return self._file(_Shot(picture, image, mark), "").path

    def _file(self, shot: _Shot, refused: str) -> _Filed:
        """Try one folder after the other, the rescue's last."""
        drafts: list[Draft] = []
        for folder in (*self._folders, *self._rescue.folders()):
            try:
                drafts.append(self._draft(shot, folder))
                path = self._named(shot, drafts[-1])
            except OSError as error:
                refused = refused or f"{folder}: {reason(error)}"
            else:
                drafts.pop().discard()
                for draft in drafts:
                    draft.withdraw()
                return _Filed(path, refused)
        if drafts:
            return _Filed(self._unflushed(shot, drafts), refused, is_flushed=False)
        raise ImgcliError(lost(refused, self._rescue.raw_run()))

    def _unflushed(self, shot: _Shot, drafts: list[Draft]) -> Path:
        """Keep the best of the copies that no disk has confirmed, under a name that people find."""
        best, *others = drafts
        try:
            best.name(self._names(shot), self._clash_for(shot, best))
        except OSError:
            return best.place  # a temporary name is a name
        best.discard()
        for draft in others:
            draft.withdraw()
        return best.place

    def _draft(self, shot: _Shot, folder: Path) -> Draft:
        mode = SHARED if folder in self._folders else PRIVATE
        return Draft.write(folder, shot.picture.data, mode)

    def _named(self, shot: _Shot, draft: Draft) -> Path:
        """Flush first, then look, then name: a decoder that dies on the bytes cannot take them along."""
        draft.flush()
        return draft.publish(self._names(shot), self._clash_for(shot, draft))

    def _names(self, shot: _Shot) -> Iterator[str]:
        return self._target.names(shot.picture.format, shot.image, shot.marked)

    def _clash_for(self, shot: _Shot, draft: Draft) -> Clash:
        """Replace nothing but what was asked to be replaced."""
        as_asked = draft.path.parent in self._folders and not shot.marked
        return self._clash if as_asked else Clash.NUMBER

    def _problem(self, shot: _Shot, filed: _Filed) -> Problem | None:
        """Say what is not as it was asked for; damage is graver than the place."""
        if shot.finding.damage:
            return damaged(shot.finding.damage, filed.path, self._rescue.raw_run())
        if not filed.is_flushed:
            return unflushed(filed.refused, filed.path, self._rescue.raw_run())
        return elsewhere(filed.refused, filed.path, self._target.folder) if filed.refused else None


class StreamPublisher:
    """Sends pictures down a stream: standard output, a pipe, a device. When it breaks they become files."""

    def __init__(self, write: Callable[[bytes], None], path: Path | None, aside: FilePublisher) -> None:
        self._write = write
        self._path = path
        self._aside = aside

    def publish(self, picture: Picture, image: int, shield: Shield) -> Placed:
        """See `Publisher`. The writing is not shielded: a reader that sleeps must not hold off Ctrl-C.

        A damaged picture is written like any other, and kept as a file too.
        """
        try:
            self._write(picture.data)
        except OSError as error:
            refused = f"{self._path or 'standard output'}: {reason(error)}"
            return self._aside.publish(picture, image, shield, refused)
        finding = examine(picture)
        if finding.damage:
            return self._aside.publish(picture, image, shield)
        return Placed(self._path, finding.size, unchecked=finding.unchecked)

    def keep(self, picture: Picture, image: int, mark: str, shield: Shield) -> Path:
        """See `Publisher`: a file, since the stream is for the picture alone."""
        return self._aside.keep(picture, image, mark, shield)


@dataclass(frozen=True)
class Destination:
    """Where the user wants the pictures of a run.

    `output` is `-o` as it was given, `base` the folder that relative names start from.
    """

    output: str | None
    base: Path
    clash: Clash = Clash.NUMBER


def open_publisher(destination: Destination, subject: Subject, rescue: Rescue, stdout: BinaryIO) -> Publisher:
    """Choose the publisher for a destination and make sure that it will work.

    `stdout` is for `-o -`. Raises `ImgcliError`, usage or UNWRITABLE: call it before anything is sent.
    """
    output, base = destination.output, destination.base
    aside = FilePublisher.aside(Target.of(None, subject, base), rescue)
    if output == "-":
        return StreamPublisher(partial(write_stream, stdout), None, aside)
    if found := device(output, base):
        return StreamPublisher(partial(write_device, *found), found[0], aside)
    target = Target.of(output, subject, base)
    check(target)
    return FilePublisher(target, destination.clash, rescue)
