"""The input of a batch: the file, its name, and what the command line sets for all rows."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import reason

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.core.config import Preset
    from imgcli.core.template import Variable


STDIN = "-"
_STDIN_NAME = "standard input"
_LARGEST = 1 << 30
_LONGEST_NAME = 200


class BatchInput(NamedTuple):
    """What the user gave: the file's bytes and names, and what holds for all rows.

    `ending` is the file name's, empty for standard input. `prompt` is for rows without one; `images`,
    `mask` and `markup` go with every row that names none. `seed` decides what `{name|choice}` picks. Each
    image is asked for `times` times from each of the `models`, in one request where `is_single_request`.
    `presets` frame every prompt, the first one innermost.
    """

    data: bytes
    name: str
    ending: str = ""
    prompt: str | None = None
    variables: tuple[Variable, ...] = ()
    seed: str = "0"
    output: str | None = None
    images: tuple[str, ...] = ()
    mask: str | None = None
    markup: str | None = None
    models: tuple[str, ...] = ()
    times: int = 1
    is_single_request: bool = False
    presets: tuple[Preset, ...] = ()


class BatchFile(NamedTuple):
    """A batch file that was read; `path` is None where no state can be kept beside it: a pipe."""

    data: bytes
    name: str
    ending: str = ""
    path: Path | None = None


def read_batch_file(context: Context, name: str) -> BatchFile:
    """Read a batch file, or standard input for `-`. Raises `ImgcliError` (usage)."""
    if not name:
        raise usage_error("FILE is empty.", "Is a shell variable empty?")
    if name == STDIN:
        if context.stdin.isatty():
            raise usage_error("- reads the rows from standard input, which is a terminal.", "Pipe them in.")
        return BatchFile(_read(context.stdin.buffer, _STDIN_NAME), _STDIN_NAME)
    try:
        with open(name, "rb") as stream:  # noqa: PTH123 - a pipe of the shell's, too
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            data = _read(stream, name)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "the name holds a NUL"
        raise usage_error(f"{shorten(name, _LONGEST_NAME)} cannot be read: {why}.") from None
    path = Path(name)
    return BatchFile(data, path.name, path.suffix, path if is_file else None)


def _read(stream: BinaryIO, name: str) -> bytes:
    data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise usage_error(f"{shorten(name, _LONGEST_NAME)} is larger than {_LARGEST >> 30} GB.")
    return data
