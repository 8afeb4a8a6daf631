"""How bytes get a name on disk: exclusively, atomically, flushed."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def is_locked(descriptor: int) -> bool:
    """Return whether somebody has locked an open file; False where there are no locks."""
    with suppress(ImportError, OSError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def has_locks(descriptor: int) -> bool:
    """Return whether a lock on this file would say anything; false on some network file systems.

    For a descriptor that holds no lock itself: it would lose it.
    """
    with suppress(ImportError, OSError):
        import fcntl

        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        return True
    return False


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process dies; False when somebody else has it.

    True where the file system or the system has no locks: then nobody can tell.
    """
    with suppress(ImportError, OSError):
        import fcntl

        return _has_locked(descriptor, fcntl.LOCK_EX)
    return True


def try_share(descriptor: int) -> bool:
    """Lock an open file against `try_lock`, but not against others who share it; True likewise."""
    with suppress(ImportError, OSError):
        import fcntl

        return _has_locked(descriptor, fcntl.LOCK_SH)
    return True


def _has_locked(descriptor: int, kind: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if sys.platform == "darwin":
    import fcntl

PRIVATE = 0o600
SHARED = 0o666
"""Modes of new files, less the process's umask."""

DRAFT_START, DRAFT_END = ".imgcli-", ".part"
"""How the name of a file begins and ends that has not yet got its own."""

_TRIES = 3
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Some file systems cannot flush a folder, some folders can be written but not read: no news about the disk.
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EISDIR}


class OnExists(StrEnum):
    """What to do about a name that is taken."""

    NUMBER = "number"
    REPLACE = "replace"


class TempFile:
    """A file written in full under a temporary name, in the folder where it is to get its own.

    `flush`, then `publish`. Whoever made it calls `discard` on every path, once the bytes are safe elsewhere
    or still in hand; after `publish` that does nothing. It is locked until then, so that nobody takes it for
    the leftover of a dead process.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._final: Path | None = None
        self._is_new = False
        self._descriptor = descriptor

    @property
    def place(self) -> Path:
        """Where the bytes are now: under the final name, or still under the temporary one."""
        return self._final or self.path

    @classmethod
    def write(cls, folder: Path, data: bytes, mode: int = SHARED) -> TempFile:
        """Write bytes to a new file; raises `OSError` and then leaves nothing behind."""
        draft = cls(*_begun(folder, mode))
        try:
            write_all(draft._descriptor, data)
        except BaseException:
            draft.discard()
            raise
        return draft

    def flush(self) -> None:
        """Bring the bytes to the disk; after an `OSError` from here they belong into another file."""
        flush(self._descriptor)
        if sys.platform == "win32":  # where an open file cannot be renamed
            self._close()

    def publish(self, names: Iterable[str], clash: OnExists = OnExists.NUMBER) -> Path:
        """Return the file the first of these names that is free, and flush the folder.

        With `Clash.REPLACE` it takes the first name, whatever had it; a symbolic link is replaced, never
        followed. Raises `OSError`.
        """
        final = self.name(names, clash)
        flush_folder(final.parent)
        self._close()
        return final

    def name(self, names: Iterable[str], clash: OnExists = OnExists.NUMBER) -> Path:
        """Return the file its name as `publish` does, on a disk that flushes nothing; raises `OSError`."""
        if self._final is None:
            self._final = self._named(names, clash)
            self._is_new = clash is OnExists.NUMBER
        return self._final

    def discard(self) -> None:
        """Remove the temporary name."""
        with suppress(OSError):
            self.path.unlink()
        self._close()

    def withdraw(self) -> None:
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
        with suppress(OSError):  # what was to be flushed has been
            if descriptor >= 0:
                os.close(descriptor)

    def _named(self, names: Iterable[str], clash: OnExists) -> Path:
        for name in names:
            final = self.path.with_name(name)
            if clash is OnExists.REPLACE:
                return self.path.replace(final)
            with suppress(FileExistsError):
                self._take(final)
                return final
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path.parent)

    def _take(self, final: Path) -> None:
        """Take a name that nobody has."""
        try:
            final.hardlink_to(self.path)
        except FileExistsError:
            raise
        except OSError:
            self._take_without_links(final)
        else:
            with suppress(OSError):  # the image has its name; a second one is only untidy
                self.path.unlink()

    def _take_without_links(self, final: Path) -> None:
        """Reserve the name with an empty file, then rename over it: never half an image under that name."""
        os.close(create(final, SHARED))
        try:
            self.path.replace(final)
        except OSError:
            with suppress(OSError):
                final.unlink()
            raise


def _begun(folder: Path, mode: int) -> tuple[Path, int]:
    """Make and lock a file with a temporary name; another one if somebody swept it away in between."""
    for _ in range(_TRIES):
        path = folder / _temporary()
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


def write_device(path: Path, known: os.stat_result, data: bytes) -> None:
    """Write every byte to a device or a pipe, waiting for its reader; raises `OSError`.

    Also where the name leads to another file than the `known` one by now, which is then left alone.
    """
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    try:
        found = os.fstat(descriptor)
        is_same = os.path.samestat(found, known) and stat.S_IFMT(found.st_mode) == stat.S_IFMT(known.st_mode)
        if not is_same:  # the number of a file that has gone is soon another file's
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
    """Bring a file's bytes to the disk; raises `OSError`."""
    if sys.platform == "darwin":  # where fsync stops at the drive's own cache
        with suppress(OSError):  # network file systems have only the plain kind
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where the system can; raises `OSError`."""
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
    """Make a folder and its parents, flushed, where there are none; raises `OSError` and then leaves none.

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


def probe(folder: Path, length: int) -> None:
    """Prove that a file with a name of `length` bytes can be made in a folder; raises `OSError`."""
    name = _temporary()
    path = folder / name.ljust(length, "_")
    os.close(create(path, PRIVATE))
    path.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Return the system's words for an error."""
    return error.strerror or type(error).__name__


def _temporary() -> str:
    return f"{DRAFT_START}{os.urandom(8).hex()}{DRAFT_END}"
