"""Publishes bytes under a name on disk: exclusive, atomic, flushed; also whole files."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, Self

from imgcli.core.errors import ExitCode, ImgcliError, Problem
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


if sys.platform != "win32":
    import fcntl

PRIVATE = 0o600
SHARED = 0o666
"""Modes of new files, less the process's umask."""

TEMP_START, TEMP_END = ".imgcli-", ".part"
"""How a temporary name begins and ends."""

NAME_MAX = 255
"""The longest file name, in bytes, that file systems in use agree on."""
_SHOWN_LENGTH = 200
_TRIES = 3
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Some file systems cannot flush a folder, some folders can be written but not read: no news about the disk.
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EISDIR}


class OnExists(StrEnum):
    """What to do when a file of that name exists."""

    NUMBER = "number"
    REPLACE = "replace"


class TempFile:
    """A file written in full under a temporary name, in the folder where it is to get its own.

    `flush`, then `publish`. Whoever made it uses it with `with`, or calls `discard` on every path, once the
    bytes are safe elsewhere or still in hand; after `publish` that does nothing. It is locked until then, so
    that nobody takes it for the leftover of a dead process.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._final: Path | None = None
        self._is_new = False
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @property
    def place(self) -> Path:
        """Where the bytes are now: under the final name, or still under the temporary one."""
        return self._final or self.path

    @classmethod
    def write(cls, folder: Path, data: bytes, mode: int = SHARED) -> Self:
        """Write bytes to a new file; raises `OSError` and then leaves nothing behind."""
        temp = cls(*_create_temp(folder, mode))
        try:
            write_all(temp._descriptor, data)
        except BaseException:
            temp.discard()
            raise
        return temp

    def flush(self) -> None:
        """Flush the bytes to the disk; after an `OSError` from here they belong into another file."""
        flush(self._descriptor)
        if sys.platform == "win32":  # where an open file cannot be renamed
            self._close()

    def publish(self, names: Iterable[str], on_exists: OnExists = OnExists.NUMBER) -> Path:
        """Rename the file to the first of these names that is free, and flush the folder.

        With `OnExists.REPLACE` it takes the first name, whatever had it; a symbolic link is replaced, never
        followed. Raises `OSError`.
        """
        final = self.name(names, on_exists)
        flush_folder(final.parent)
        self._close()
        return final

    def name(self, names: Iterable[str], on_exists: OnExists = OnExists.NUMBER) -> Path:
        """Rename the file as `publish` does, on a disk that flushes nothing; raises `OSError`."""
        if self._final is None:
            self._final = self._rename(names, on_exists)
            self._is_new = on_exists is OnExists.NUMBER
        return self._final

    def discard(self) -> None:
        """Remove the temporary name."""
        with suppress(OSError):
            self.path.unlink()
        self._close()

    def unpublish(self) -> None:
        """Remove every name that the file was given, once the bytes are safe in another one.

        A name for which another file had to go stays: it is all that is left there.
        """
        if self._final and self._is_new:
            with suppress(OSError):
                self._final.unlink()
        self.discard()

    def _close(self) -> None:
        """Close the file, and with it the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        close_file(descriptor)

    def _rename(self, names: Iterable[str], on_exists: OnExists) -> Path:
        for name in names:
            final = self.path.with_name(name)
            if on_exists is OnExists.REPLACE:
                return self.path.replace(final)
            with suppress(FileExistsError):
                self._link(final)
                return final
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path.parent)

    def _link(self, final: Path) -> None:
        """Take a name; raises `FileExistsError` where another file has it."""
        try:
            final.hardlink_to(self.path)
        except FileExistsError:
            raise
        except OSError:
            self._rename_without_links(final)
        else:
            with suppress(OSError):  # the image has its name; a second one is only untidy
                self.path.unlink()

    def _rename_without_links(self, final: Path) -> None:
        """Reserve the name with an empty file, then rename over it: never half an image under that name."""
        os.close(create(final, SHARED))
        try:
            self.path.replace(final)
        except OSError:
            with suppress(OSError):
                final.unlink()
            raise


def _create_temp(folder: Path, mode: int) -> tuple[Path, int]:
    """Create and lock a file with a temporary name; another one if it was removed in between."""
    for _ in range(_TRIES):
        path = folder / _temporary_name()
        descriptor = create(path, mode)
        if try_lock(descriptor) and path.exists():
            return path, descriptor
        os.close(descriptor)
        path.unlink(missing_ok=True)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)


def create(path: Path, mode: int) -> int:
    """Open a file that must not exist yet, for writing; never through a symbolic link. Raises `OSError`."""
    return os.open(path, _CREATE, mode)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; raises `OSError`."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def close_file(descriptor: int) -> None:
    """Close an open file; -1 is none. Never raises: what was to be flushed has been."""
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)


def append(descriptor: int, data: bytes) -> None:
    """Write bytes at the end of an open file, flushed. Raises `OSError`, and then leaves none of them."""
    length = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, data)
        flush(descriptor)
    except BaseException:
        os.ftruncate(descriptor, length)
        raise


def write_device(path: Path, expected: os.stat_result, data: bytes) -> None:
    """Write every byte to a device or a pipe, waiting for its reader; raises `OSError`.

    Also where the name leads to another file than the `expected` one by now, which is then left alone.
    """
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    try:
        actual = os.fstat(descriptor)
        has_same_kind = stat.S_IFMT(actual.st_mode) == stat.S_IFMT(expected.st_mode)
        if not (os.path.samestat(actual, expected) and has_same_kind):  # inode numbers are soon reused
            raise FileExistsError(errno.EEXIST, "another file has taken its place")
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_stream(stream: BinaryIO, data: bytes) -> None:
    """Write every byte to an open stream and flush it; raises `OSError`."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def flush(descriptor: int) -> None:
    """Flush a file's bytes to the disk; raises `OSError`."""
    if sys.platform == "darwin":  # where fsync stops at the drive's own cache
        with suppress(OSError):  # network file systems have only the plain kind
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system can; raises `OSError`."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def make_folder(folder: Path) -> list[Path]:
    """Create a folder and its parents, flushed, where there are none; raises `OSError` and then leaves none.

    Returns those that were made, the outermost first.
    """
    made: list[Path] = []
    try:
        for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            with suppress(FileExistsError):  # somebody else has made it, or it is spelt with ".."
                one.mkdir()
                made.append(one)
                flush_folder(one.parent)
    except OSError:
        remove_folders(made)
        raise
    return made


def remove_folders(made: Iterable[Path]) -> None:
    """Remove those of our own folders in which there is nothing."""
    for folder in reversed(list(made)):
        with suppress(OSError):
            folder.rmdir()


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process dies; False when another process has it.

    True where the file system or the system has no locks: then nobody can tell.
    """
    return _flock(descriptor, is_exclusive=True) is not False


def try_share(descriptor: int) -> bool:
    """Lock an open file against `try_lock`, but not against others who share it; True likewise."""
    return _flock(descriptor) is not False


def has_locks(descriptor: int) -> bool:
    """Return whether a lock on this file would mean anything; false on some network file systems.

    For a descriptor that holds no lock itself: it would lose it.
    """
    return _probe_lock(descriptor) is not None


def is_locked(descriptor: int) -> bool:
    """Return whether another process has locked a file; False where there are no locks. As `has_locks`."""
    return _probe_lock(descriptor) is False


def _probe_lock(descriptor: int) -> bool | None:
    """Share a lock for a moment; None where there are no locks."""
    taken = _flock(descriptor)
    if taken:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    return taken


def _flock(descriptor: int, *, is_exclusive: bool = False) -> bool | None:
    """Return whether a lock was free and is taken now; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def probe(folder: Path, length: int) -> None:
    """Check that a file with a name of `length` bytes can be created in a folder; raises `OSError`."""
    name = _temporary_name()
    path = folder / name.ljust(length, "_")
    os.close(create(path, PRIVATE))
    path.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Return the system's words for an error."""
    return error.strerror or type(error).__name__


def _temporary_name() -> str:
    return f"{TEMP_START}{os.urandom(8).hex()}{TEMP_END}"


def write_file(path: Path, data: bytes, on_exists: OnExists = OnExists.NUMBER) -> Path:
    """Write a file atomically and flushed, under a numbered name where its own is taken; create its folder.

    Return its path. Raises `ImgcliError` (UNWRITABLE) and then leaves nothing behind.
    """
    with writing(shorten(str(path), _SHOWN_LENGTH)):
        make_folder(path.parent)
        with TempFile.write(path.parent, data) as temp:
            temp.flush()
            return temp.publish(numbered_names(path.name), on_exists)


def replace_file(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put bytes in a file's place at once, flushed; until then the old file is whole. Raises `OSError`."""
    with TempFile.write(path.parent, data, PRIVATE) as temp:
        if mode != PRIVATE:
            temp.path.chmod(mode)
        temp.flush()
        temp.publish([path.name], OnExists.REPLACE)


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn what the disk refuses into a sentence: raise `ImgcliError` (UNWRITABLE) for an `OSError`."""
    try:
        yield
    except OSError as error:
        what = f"{name} cannot be written ({reason(error)})."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice="The file is unchanged.")) from None


def numbered_names(name: str) -> Iterator[str]:
    """Yield names for a file endlessly, best first, each within `NAME_MAX`."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    yield name
    for number in count(2):
        tail = f"-{number}{ending}"
        yield os.fsdecode(os.fsencode(stem)[: NAME_MAX - len(os.fsencode(tail))]) + tail
