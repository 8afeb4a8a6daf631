"""Input of `view`, recognized by its content: images, event streams, JSON lines; a file or a pipe."""

from __future__ import annotations

import re
import stat
from contextlib import contextmanager
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from imgcli.core.errors import usage_error
from imgcli.core.image import sniff
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.store.runlog.writer import RunLogHeader


STDIN = "-"
"""The file name that means standard input."""
STDIN_NAME = "standard input"

_CHUNK = 65_536
_ENOUGH = 512
"""Bytes by which everything can be told."""
_LONGEST_HEADER = 4_000_000
LARGEST_IMAGE = 256_000_000
"""Bytes of an image's file; what is larger is something else, perhaps /dev/zero."""

# What Pillow decodes and the API does not send: BMP, TIFF, PNM, AVIF and its like, icons.
_OTHER_IMAGE = regex(rb"BM....\0\0\0\0|II\*\0|MM\0\*|P[1-7][ \t\r\n]|....ftyp(?:avif|avis|mif1)", re.DOTALL)
_LINES = regex(rb'\s*\{\s*"(?:output_index|partial_image_b64s|error"\s*:\s*true)')
_STREAM = regex(rb"\s*(?::|event:|data:|id:|retry:|\{|\[)")
_SPACE = b" \t\r\n\xef\xbb\xbf"


class ViewInputKind(Enum):
    """What it is: an encoded image, an answer of the API as it came, JSON lines."""

    IMAGE = "image"
    ANSWER = "answer"
    LINES = "lines"


@dataclass(frozen=True)
class ViewInput:
    """One thing to view. `is_live` means that somebody may still be writing it."""

    name: str
    kind: ViewInputKind
    chunks: Iterator[bytes]
    header: RunLogHeader | None = None
    is_live: bool = False

    @property
    def title(self) -> str:
        """What images out of it are called where nothing else is known."""
        return "image" if self.name == STDIN_NAME else Path(self.name).stem


@contextmanager
def open_input(name: str, stdin: BinaryIO) -> Iterator[ViewInput]:
    """Open a file, or standard input, and find out what it is. Raises `ImgcliError` (usage)."""
    if name == STDIN:
        yield _view_input(STDIN_NAME, stdin)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; only the opening may fail like this
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "the name holds a NUL"
        raise usage_error(f"{shorten(name, 200)} cannot be read: {why}.") from None
    with file:
        yield _view_input(name, file)


def _view_input(name: str, file: BinaryIO) -> ViewInput:
    chunks = _chunks(name, file)
    head = _head(chunks)
    kind = _kind(name, head)
    header = _header(head) if kind is ViewInputKind.ANSWER else None
    is_live = not stat.S_ISREG(_mode(file))
    return ViewInput(name, kind, chain([head], chunks), header, is_live)


def _header(head: bytes) -> RunLogHeader | None:
    """Return a run log's header, None for another stream."""
    from imgcli.store.runlog.writer import MAGIC, RunLogHeader  # here, so that an image does without it

    return RunLogHeader.parse(head.split(b"\n", 1)[0]) if head.startswith(MAGIC) else None


def _chunks(name: str, file: BinaryIO) -> Iterator[bytes]:
    """Read what is there as soon as it is there."""
    read = getattr(file, "read1", file.read)
    while True:
        try:
            chunk: bytes = read(_CHUNK)
        except OSError as error:
            raise usage_error(f"{shorten(name, 200)} cannot be read: {error.strerror}.") from None
        if not chunk:
            return
        yield chunk


def _head(chunks: Iterator[bytes]) -> bytes:
    """Read as much as tells what it is, and no more: what is live may pause for long."""
    head = b""
    for chunk in chunks:
        head += chunk
        if _is_enough(head):
            break
    return head


def _is_enough(head: bytes) -> bool:
    """Return whether these first bytes tell what it is; of a run log they are the whole header."""
    if sniff(head):
        return True
    from imgcli.store.runlog.writer import MAGIC  # here, so that an image does without it

    if head.startswith(MAGIC):
        return b"\n" in head or len(head) > _LONGEST_HEADER
    known = _LINES.match(head) or _OTHER_IMAGE.match(head)
    return bool(known) or len(head) >= _ENOUGH or b"\n" in head.lstrip(_SPACE)


def _kind(name: str, head: bytes) -> ViewInputKind:
    """Return the kind by the first bytes; what is piped and unknown is left to the reader of answers."""
    bare = head.lstrip(_SPACE)
    if sniff(head) or _OTHER_IMAGE.match(head):
        return ViewInputKind.IMAGE
    if _LINES.match(bare):
        return ViewInputKind.LINES
    if _STREAM.match(bare) or (name == STDIN_NAME and bare):
        return ViewInputKind.ANSWER
    if not bare:
        raise usage_error(f"{shorten(name, 200)} is empty.")
    raise usage_error(
        f"{shorten(name, 200)} is neither an image nor a recorded run.", f"See imgcli view {option('help')}."
    )


def _mode(file: BinaryIO) -> int:
    import os

    return os.fstat(file.fileno()).st_mode
