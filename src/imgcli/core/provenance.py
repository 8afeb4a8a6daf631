"""What is known of one picture or one run, as a value: from the history, from a recipe, from the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from imgcli.core.credentials import Credentials
    from imgcli.core.dimensions import Size
    from imgcli.core.entry import Entry, KeptPicture, Role
    from imgcli.core.events import ImageFormat
    from imgcli.core.recipe import Recipe


class Source(StrEnum):
    """Where the knowledge comes from, the best first."""

    HISTORY = "history"
    RECIPE = "recipe"
    FILE = "file"


class By(StrEnum):
    """By what somebody's word was understood."""

    CONTENT = "content"
    ID = "id"
    NAME = "name"


class State(StrEnum):
    """What has become of a picture's file. CHANGED stands for a file of other bytes under the same name."""

    THERE = "there"
    GONE = "gone"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNSAVED = "unsaved"


@dataclass(frozen=True)
class FileFacts:
    """What a file's bytes say of themselves. `path` is absolute; `format` is None for no picture of ours.

    `size` is width and height in pixels, None where the header does not tell; `length` is in bytes.
    """

    path: Path
    format: ImageFormat | None
    size: Size | None
    length: int
    sha256: str
    credentials: Credentials
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Whereabouts:
    """One picture of a remembered run, and what has become of its file; no `facts` unless it is there."""

    picture: KeptPicture
    state: State
    facts: FileFacts | None = None


@dataclass(frozen=True)
class Ancestor:
    """A picture that went into another one. `entry` is the run that brought it, None where none is known.

    `role` is None where nobody wrote it down; `name` is what its user called it.
    """

    sha256: str
    role: Role | None = None
    entry: Entry | None = None
    name: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Everything that is known of what somebody asked for.

    `file` is the file that was named, None for a run that was named, or a file that is gone. `image` says
    which of the run's pictures it holds. `pictures` are all of the run's, `children` the runs that a file, or
    any of a run's pictures, went into.
    """

    asked: str
    by: By
    source: Source
    file: FileFacts | None = None
    entry: Entry | None = None
    image: int | None = None
    pictures: tuple[Whereabouts, ...] = ()
    parents: tuple[Ancestor, ...] = ()
    children: tuple[Entry, ...] = ()

    @property
    def recipe(self) -> Recipe | None:
        """The recipe inside the file that was named."""
        return self.file.recipe if self.file else None
