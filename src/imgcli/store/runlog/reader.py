"""Finds the run logs of interrupted runs, and whether a process still writes one."""

from __future__ import annotations

import mmap
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from imgcli.core.errors import usage_error
from imgcli.core.json_fields import as_object
from imgcli.dataclass import dataclass
from imgcli.store.files import open_regular
from imgcli.store.publish.atomic import TEMP_END, TEMP_START, flush, has_locks, is_locked, reason, try_lock
from imgcli.store.runlog.writer import MAGIC, SUFFIX, RunLogHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


RUNS = "runs"
"""The folder of run logs, inside the state folder."""
PROCESS = "process"
"""The key under which a record names the process that writes it."""

_CHUNK = 65_536
_START_LENGTH = 4 * _CHUNK
"""Bytes of a record that are read at every start; in more than that, an image has begun."""
_LONGEST_HEADER = 64_000_000
"""Bytes of a header that is read; a longer one is passed over, not the answer after it."""
_TRIES, _PAUSE = 3, 0.02  # seconds: whoever only counts the records holds each for a moment
_PROC = Path("/proc")
_LONGEST_SILENCE = 86_400.0
"""Seconds without a write after which a process that we cannot see is taken for dead."""
_DEAD = ("Z", "X")


class AnswerStart(NamedTuple):
    """The first bytes of an answer, and whether they are all that came."""

    answer: bytes
    is_whole: bool


@dataclass(frozen=True)
class RunLogFile:
    """One record. `header` is None when it cannot be read; the bytes may hold an image all the same."""

    path: Path
    header: RunLogHeader | None

    @classmethod
    def read(cls, path: Path) -> RunLogFile:
        """Read a record's header; raises `OSError`."""
        with open_regular(path, follow=False) as file:
            line = file.readline(_LONGEST_HEADER)
        return cls(path, RunLogHeader.parse(line) if line.startswith(MAGIC) else None)

    @property
    def id(self) -> str:
        """The short name by which a person picks this record."""
        return self.path.stem.rpartition("-")[2]

    @property
    def has_begun(self) -> bool:
        """Whether the request can have gone out: before that the header is on disk. Raises `OSError`."""
        with open_regular(self.path, follow=False) as file:
            start = file.read(len(MAGIC))
            file.seek(0)
            return not MAGIC.startswith(start) if start != MAGIC else _skip_header(file)

    @contextmanager
    def mapped(self) -> Iterator[tuple[bytes | mmap.mmap, int]]:
        """Return all bytes, not read into memory, and where the answer begins; none on an error."""
        try:
            with open_regular(self.path, follow=False) as file:
                _skip_header(file)
                start = file.tell()
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # ValueError: it is empty
            yield b"", 0
            return
        with content:
            yield content, start

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes as the server sent them, without the header; raises `OSError`."""
        with open_regular(self.path, follow=False) as file:
            _skip_header(file)
            while chunk := file.read(_CHUNK):
                yield chunk

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Lock the record; False when another process has it, or has finished it already."""
        try:
            file = open_regular(self.path, follow=False)
        except OSError:
            yield False
            return
        with file:
            is_free = _locked(file.fileno()) if has_locks(file.fileno()) else not self.may_be_in_use(file)
            yield is_free and os.fstat(file.fileno()).st_nlink > 0

    def may_be_in_use(self, file: BinaryIO) -> bool:
        """Return whether a process may still write the record, where no lock says so."""
        told = self.header.extra if self.header else {}
        return may_be_running(told.get(PROCESS) if isinstance(told, dict) else None, os.fstat(file.fileno()))

    def append(self, chunks: Iterable[bytes]) -> None:
        """Add what came later, and flush it to the disk; raises `OSError`."""
        with self.path.open("ab") as file:
            file.writelines(chunks)
            file.flush()
            flush(file.fileno())

    def discard(self) -> None:
        """Remove the record, once its images are safe; raises `OSError`."""
        self.path.unlink(missing_ok=True)


def unfinished(folder: Path) -> list[RunLogFile]:
    """List the records in a folder that no live process is writing, oldest first.

    Raises `ImgcliError` for a folder that cannot be read: it may hold the only copy of an image.
    """
    runs: list[RunLogFile] = []
    try:
        records = sorted(_run_log_paths(folder))
    except OSError as error:
        what = f"{folder} may contain run logs but cannot be read ({reason(error)})."
        raise usage_error(what, "Make it yours again, with chown and chmod 700.") from None
    for path in records:
        with suppress(OSError):
            run = RunLogFile.read(path)
            with run.claim() as ours:
                runs.extend([run] if ours else [])
    return runs


def recorded(folder: Path) -> list[RunLogFile]:
    """List every record in a folder, also those of runs that are going on."""
    runs: list[RunLogFile] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(OSError):
            runs.append(RunLogFile.read(path))
    return runs


def answer_starts(folder: Path) -> Iterator[AnswerStart]:
    """Return the beginnings of the answers in records that no live process is writing."""
    with suppress(OSError):
        for path in filter(_is_unattended, _run_log_paths(folder)):
            with suppress(OSError), open_regular(path, follow=False) as file:
                yield _answer_start(file.read(_START_LENGTH + 1))


def _answer_start(content: bytes) -> AnswerStart:
    """Leave the header out, which ends with an empty line."""
    is_whole, answer = len(content) <= _START_LENGTH, content[:_START_LENGTH]
    if answer.startswith(MAGIC):
        answer = answer.partition(b"\n\n")[2]
    return AnswerStart(answer, is_whole=is_whole)


def _run_log_paths(folder: Path) -> list[Path]:
    """List the files that may be records; raises `OSError` for a folder that cannot be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - `glob` finds nothing where it may not look
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names if name.endswith(SUFFIX)]


def _is_unattended(path: Path) -> bool:
    try:
        with open_regular(path, follow=False) as file:
            if has_locks(file.fileno()):
                return not is_locked(file.fileno())
            return not RunLogFile.read(path).may_be_in_use(file)
    except OSError:
        return False


def _skip_header(file: BinaryIO) -> bool:
    """Go to where the answer begins; false for a header without its end."""
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
        return True
    while (part := file.readline(_CHUNK)) and not part.endswith(b"\n"):
        pass
    return part.endswith(b"\n") and file.readline() == b"\n"


def _locked(descriptor: int) -> bool:
    """Lock a record, trying more than once."""
    for attempt in range(_TRIES):
        if try_lock(descriptor):
            return True
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE)
    return False


def process_identity() -> dict[str, Any]:
    """Return a description of this process, by which others can find out later whether it lives."""
    pid = os.getpid()
    return {"pid": pid, "began": _start_time(pid), "place": _namespace()}


def may_be_running(description: object, info: os.stat_result) -> bool:
    """Return whether the process that described itself with `process_identity` may still write a file.

    `info` is that of the file. Another process that has got the same number since is known by its start. For
    a process on another machine, in another container or before this machine's last start, only the file's
    age counts.
    """
    fields = as_object(description)
    namespace, pid = _namespace(), fields.get("pid")
    if namespace is None or fields.get("place") != namespace or not isinstance(pid, int):
        return time.time() - info.st_mtime < _LONGEST_SILENCE
    return _start_time(pid) == fields.get("began") is not None


def _start_time(pid: int) -> str | None:
    """Return when a process began, in the kernel's own measure; None where there is none."""
    with suppress(OSError, IndexError):
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in _DEAD else fields[19]  # starttime: proc_pid_stat(5)
    return None


def _namespace() -> str | None:
    """Return a name of the surroundings in which a process's number and start time mean one process."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [os.readlink(_PROC / "self/ns" / kind) for kind in ("pid", "time")]  # noqa: PTH115 - no path
    except OSError:
        return None
    return " ".join([boot, *spaces])


def remove_leftovers(folders: Iterable[Path], safe: Sequence[Path]) -> None:
    """Remove leftovers that are the beginning, or all, of an image that is safe under a name of its own.

    `safe` lists such images. A file of a live process is locked; any other may be the only copy there is,
    and stays.
    """
    for path in leftovers(folders):
        with suppress(OSError), _open_own(path) as file:
            if _is_abandoned(file) and try_lock(file.fileno()) and _is_saved(file, safe):
                path.unlink()


def leftovers(folders: Iterable[Path]) -> Iterator[Path]:
    """List the temporary files in these folders that belong to no live process."""
    for folder in dict.fromkeys(folders):
        for path in _temporary_files(folder):
            with suppress(OSError), _open_own(path) as file:
                is_left = _is_abandoned(file)
                if is_left:
                    yield path


def _is_abandoned(file: BinaryIO) -> bool:
    if has_locks(file.fileno()):
        return not is_locked(file.fileno())
    return not may_be_running(None, os.fstat(file.fileno()))


def _temporary_files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [folder / name for name in sorted(os.listdir(folder)) if _is_temporary(name)]  # noqa: PTH208
    return []


def _is_temporary(name: str) -> bool:
    return name.startswith(TEMP_START) and name.rstrip("_").endswith(TEMP_END)


def _open_own(path: Path) -> BinaryIO:
    """Open a regular file that belongs to this user; raises `OSError`."""
    file = open_regular(path, follow=False)
    if hasattr(os, "geteuid") and os.fstat(file.fileno()).st_uid != os.geteuid():
        file.close()
        raise FileNotFoundError(path)
    return file


def _is_saved(file: BinaryIO, safe: Sequence[Path]) -> bool:
    """Return whether every byte of a file stands at the beginning of a safe one."""
    return not os.fstat(file.fileno()).st_size or any(_is_start_of(file, path) for path in safe)


def _is_start_of(file: BinaryIO, path: Path) -> bool:
    file.seek(0)
    with suppress(OSError), path.open("rb") as whole:
        while chunk := file.read(_CHUNK):
            if whole.read(len(chunk)) != chunk:
                return False
        return True
    return False
