"""imgcli's own folders on this machine, and fallback folders for images."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_APP = "imgcli"
_OWNER = 0o700
_LINUX_FOLDERS = {"config": ".config", "state": ".local/state", "data": ".local/share"}
_OPEN_LINK = "it is a link to a folder that is open to others (chmod 700 closes it)"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for run logs, crash files and rescued images, and make it private.

    The default place first; without one that works, the session's own folder, then the temporary one. When
    none works the default place is returned as it is, and whoever writes there meets the error.
    """
    candidates = list(_candidates(environ))
    for folder in candidates:
        with suppress(OSError):
            return _usable(private_folder(folder))
    return candidates[0]


def _usable(folder: Path) -> Path:
    """Check that run logs can be written and found here; raises `OSError`."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    return folder


def state_places(environ: Mapping[str, str]) -> list[Path]:
    """List where the state folder may be, best first, whether or not it is there; makes none, never empty."""
    return list(dict.fromkeys(_candidates(environ)))


def state_folders(environ: Mapping[str, str]) -> list[Path]:
    """List every folder of ours that was or is the state folder, the default one first; makes none."""
    return [folder for folder in dict.fromkeys(_candidates(environ)) if _is_ours(folder)]


def _is_ours(folder: Path) -> bool:
    try:
        check_owner(folder)
    except OSError:
        return False
    return True


def check_owner(folder: Path) -> None:
    """Raise `OSError` for a folder that is missing, or that somebody else may have planted."""
    for info in (folder.lstat(), folder.stat()):
        if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", folder)


def data_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for the history; makes none. Raises `OSError` without a home."""
    default = _system_folder(environ, "data")
    if default is None:
        raise FileNotFoundError(errno.ENOENT, "HOME is not set")
    return default / _APP


def private_folder(folder: Path) -> Path:
    """Make sure that a folder exists, is ours and opens for nobody else; raises `OSError`.

    A folder that others may look into is closed. Not one behind a link: that is somebody's for other things.
    """
    make_folders(folder)
    check_owner(folder)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        if folder.is_symlink():
            raise PermissionError(errno.EPERM, _OPEN_LINK, folder)
        folder.chmod(_OWNER)
    return folder


def make_folders(folder: Path) -> None:
    """Make a folder and what is missing above it, for its owner alone, whatever the umask; raises `OSError`.

    Also above it, as the XDG base directory specification has it.
    """
    try:
        folder.mkdir(mode=_OWNER)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folders(folder.parent)
        make_folders(folder)
    except OSError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(_OWNER)


@dataclass(frozen=True)
class FallbackFolders:
    """The places for an image that is paid for and cannot go where it was meant to.

    `raw_run` promises to keep the run log and returns its path, None when it does not hold all.
    """

    state: Path
    environ: Mapping[str, str]
    raw_run: Callable[[], Path | None] = lambda: None

    def folders(self) -> Iterator[Path]:
        """Yield the folders to try, best first; one that cannot be made ready is left out."""
        with suppress(OSError):
            yield private_folder(self.state / "rescued")
        runtime = _absolute(self.environ, "XDG_RUNTIME_DIR")
        if runtime:
            yield runtime
        yield _temporary(self.environ)


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield where the state folder may be, best first; never empty."""
    default = _system_folder(environ, "state")
    if default:
        yield default / _APP
    runtime = _absolute(environ, "XDG_RUNTIME_DIR")
    if runtime:
        yield runtime / _APP
    user = os.getuid() if hasattr(os, "getuid") else environ.get("USERNAME", "user")
    yield _temporary(environ) / f"{_APP}-{user}"


def config_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for the configuration; makes none. None without a home."""
    default = _system_folder(environ, "config")
    return default and default / _APP


def _system_folder(environ: Mapping[str, str], kind: str) -> Path | None:
    """Return the folder of all applications' files of a kind: XDG's, else the system's own."""
    if told := _absolute(environ, f"XDG_{kind.upper()}_HOME"):
        return told
    if sys.platform.startswith("linux"):  # by hand: platformdirs makes a relative folder when HOME is missing
        home = _absolute(environ, "HOME")
        return home / _LINUX_FOLDERS[kind] if home else None
    import platformdirs

    folder: Path = getattr(platformdirs, f"user_{kind}_path")()
    return folder


def _absolute(environ: Mapping[str, str], name: str) -> Path | None:
    """Read a folder from the environment; a relative one means nothing."""
    value = environ.get(name, "")
    return Path(value) if os.path.isabs(value) else None  # noqa: PTH117 - an empty string is no path


def _temporary(environ: Mapping[str, str]) -> Path:
    from tempfile import gettempdir

    return _absolute(environ, "TMPDIR") or Path(gettempdir())
