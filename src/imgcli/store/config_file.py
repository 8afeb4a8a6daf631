"""The configuration file: finding, reading, creating and replacing it."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.store.files import UnfitFileError, read_regular
from imgcli.store.paths import config_folder, make_folders

if TYPE_CHECKING:
    from collections.abc import Mapping


VARIABLE = "IMGCLI_CONFIG"
"""The environment variable that names another file."""

_LARGEST = 1 << 20  # bytes
_NAME_LENGTH = 200


def config_path(environ: Mapping[str, str]) -> Path | None:
    """Find the configuration file's place, whether or not it exists; None on a machine without a home."""
    told = environ.get(VARIABLE, "")
    if told.strip():
        return Path(told)
    folder = config_folder(environ)
    return folder / "config.toml" if folder else None


def read_text(environ: Mapping[str, str]) -> str | None:
    """Read the configuration, None where there is none; raises `ImgcliError` (usage) when it cannot be read.

    Only a file that was named must exist.
    """
    path = config_path(environ)
    if path is None:
        return None
    try:
        return _read(path)
    except FileNotFoundError:
        if not environ.get(VARIABLE, "").strip():
            return None
        raise usage_error(
            f"{VARIABLE} names {_shown(path)}, which does not exist.", "Unset it, or write the file."
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise usage_error(f"Line {line} of {_shown(path)} is not UTF-8 text.") from None
    except UnfitFileError as unfit:
        raise usage_error(f"{_shown(path)} {unfit}.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise usage_error(f"{_shown(path)} cannot be read: {why}.") from None


def write_new(path: Path, text: str) -> None:
    """Write a file that was not there, readable by its owner alone; raises `OSError`."""
    make_folders(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        path.unlink(missing_ok=True)  # half an example helps nobody, and would be in the next one's way
        raise


def replace(path: Path, text: str) -> None:
    """Replace the text of an existing file in one step; raises `OSError`.

    Its mode, its line ends and its byte order mark stay; a symbolic link keeps pointing at it.
    """
    from imgcli.store.publish.atomic import replace_file

    real = path.resolve()
    old, mode = real.read_bytes(), stat.S_IMODE(real.stat().st_mode)
    line_end = "\r\n" if old.count(b"\r\n") * 2 > old.count(b"\n") else "\n"
    encoding = "utf-8-sig" if old.startswith(codecs.BOM_UTF8) else "utf-8"
    replace_file(real, text.replace("\n", line_end).encode(encoding), mode)


def _read(path: Path) -> str:
    """Read a file of sane size; /dev/null counts as an empty one."""
    if os.fspath(path) == os.devnull:
        return ""
    data, _ = read_regular(path, _LARGEST, may_be_empty=True)
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def _shown(path: Path) -> str:
    return shorten(str(path), _NAME_LENGTH)
