"""Whole files that a user asked for by name, beside the images of a run: copies and contact sheets."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError
from imgcli.core.problem import ExitCode, Problem
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import OnExists, TempFile, make_folder, reason
from imgcli.store.publish.naming import NAME_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_SHOWN_LENGTH = 200


def write_file(path: Path, data: bytes, on_exists: OnExists = OnExists.NUMBER) -> Path:
    """Write a file atomically and flushed, under a numbered name where its own is taken; create its folder.

    Return its path. Raises `ImgcliError` (UNWRITABLE) and then leaves nothing behind.
    """
    with writing(shorten(str(path), _SHOWN_LENGTH)):
        make_folder(path.parent)
        draft = TempFile.write(path.parent, data)
        try:
            draft.flush()
            return draft.publish(_names(path.name), on_exists)
        finally:
            draft.discard()


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn what the disk refuses into a sentence: raise `ImgcliError` (UNWRITABLE) for an `OSError`."""
    try:
        yield
    except OSError as error:
        what = f"{name} cannot be written ({reason(error)})."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice="The file is as it was.")) from None


def _names(name: str) -> Iterator[str]:
    """Yield names for a file endlessly, best first, each within `NAME_MAX`."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    yield name
    for number in count(2):
        tail = f"-{number}{ending}"
        yield os.fsdecode(os.fsencode(stem)[: NAME_MAX - len(os.fsencode(tail))]) + tail
