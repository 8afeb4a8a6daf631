"""One remembered run, as a value: what was asked for, what came of it, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.params import DEMO
from imgcli.core.problem import Charged, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from imgcli.core.billing.bill import Row
    from imgcli.core.events import Json
    from imgcli.core.image import ContentCredentials, ImageFormat, Size
    from imgcli.core.recipe import Recipe
    from imgcli.core.request import ImageRequest


OK = ExitCode.OK.kind
"""The outcome of a run in which every image was saved as asked."""

_NOTHING = Decimal(0)


class Role(StrEnum):
    """What an earlier image was to a run: the one that was changed, one to look at, or the mask."""

    ORIGINAL = "original"
    REFERENCE = "reference"
    MASK = "mask"


@dataclass(frozen=True)
class Parent:
    """An image that went into a run, known by its bytes' SHA-256 in lower-case hex."""

    sha256: str
    role: Role = Role.ORIGINAL


@dataclass(frozen=True)
class SavedImage:
    """An image that a run brought. `image` numbers a run's images from 0; `size` is width and height.

    `path` is where it was saved, absolute, None for one that went to a stream or was only shown. `length` is
    in bytes.
    """

    image_index: int
    sha256: str
    length: int
    path: Path | None = None
    format: ImageFormat | None = None
    size: tuple[int, int] | None = None
    revised_prompt: str | None = None


@dataclass(frozen=True)
class HistoryEntry:
    """One run in the history. `number` is the id that people type, None before the entry is recorded.

    `job` is the run's name, unique. `request` is None where nobody can read it any more. `endpoint` is the
    server's host, `DEMO`, or None where it is not known. `outcome` is the kind of the gravest problem, or
    `OK`; `message` is that problem's sentence. `cost` is in US dollars, exact, None when it is unknown; the
    bill's rows are `charges`, the oldest price in it is of `prices_date`. `billed` is false where nobody is
    charged for what the server counted.
    """

    job: str
    started: datetime
    ended: datetime
    prompt: str
    request: ImageRequest | None
    model: str | None = None
    image_model: str | None = None
    endpoint: str | None = None
    response_id: str | None = None
    usage: Json | None = None
    tool_usage: Json | None = None
    cost: Decimal | None = None
    prices_date: date | None = None
    outcome: str = OK
    message: str | None = None
    charged: Charged = Charged.YES
    images: tuple[SavedImage, ...] = ()
    charges: tuple[Row, ...] = ()
    parents: tuple[Parent, ...] = ()
    number: int | None = None
    billed: bool = True

    @property
    def is_demo(self) -> bool:
        """Whether the demo painted it, so that its cost was never charged."""
        return self.endpoint == DEMO

    @property
    def is_free(self) -> bool:
        """Whether its cost was never charged: of a demo, or of a server that does not bill."""
        return self.is_demo or not self.billed

    @property
    def known(self) -> Decimal:
        """The dollars that are known: where `cost` is None, it was at least this."""
        return sum((row.known for row in self.charges), _NOTHING) if self.cost is None else self.cost

    @property
    def parent(self) -> str | None:
        """The SHA-256 of the image that was changed, else of the first reference; None without any."""
        sources = [parent for parent in self.parents if parent.role is not Role.MASK]
        originals = [parent for parent in sources if parent.role is Role.ORIGINAL]
        return next((parent.sha256 for parent in [*originals, *sources]), None)

    @property
    def saved(self) -> tuple[SavedImage, ...]:
        """The images that have a file."""
        return tuple(image for image in self.images if image.path)

    def after(self, earlier: HistoryEntry) -> HistoryEntry:
        """Tell of the same run as `earlier`, which was recorded before more of it was known.

        What only the earlier entry knows stays: a recovered run no longer knows whom it had asked.
        """
        merged = replace(
            self,
            number=earlier.number,
            started=earlier.started,
            prompt=self.prompt or earlier.prompt,
            request=self.request or earlier.request,
            endpoint=self.endpoint or earlier.endpoint,
            parents=self.parents or earlier.parents,
            billed=self.billed and earlier.billed,
        )
        return merged if self.charges or not earlier.charges else _billed_as(merged, earlier)

    def says_the_same(self, other: HistoryEntry) -> bool:
        """Compare everything but the number and the time of the end."""
        return replace(self, number=None, ended=other.ended) == replace(other, number=None)


def _billed_as(entry: HistoryEntry, earlier: HistoryEntry) -> HistoryEntry:
    return replace(
        entry,
        usage=earlier.usage,
        tool_usage=earlier.tool_usage,
        cost=earlier.cost,
        charges=earlier.charges,
        prices_date=earlier.prices_date,
    )


@dataclass(frozen=True)
class Share:
    """One model's part of what a run cost, in US dollars; `cost` is None where any of it is unknown."""

    model: str | None
    cost: Decimal | None
    known: Decimal


@dataclass(frozen=True)
class Expense:
    """What one run cost: an `Entry`, reduced to the money. A failed run may have no `shares`.

    `endpoint` and `is_free` are as in `Entry`.
    """

    number: int
    started: datetime
    is_free: bool
    cost: Decimal | None
    shares: tuple[Share, ...] = ()
    prices_date: date | None = None
    endpoint: str | None = None

    @property
    def known(self) -> Decimal:
        """The dollars that are known: where `cost` is None, it was at least this."""
        return sum((share.known for share in self.shares), _NOTHING) if self.cost is None else self.cost


Key: TypeAlias = int | str
"""A run's number, or the SHA-256 of an image that no run is known to have brought."""


@dataclass(frozen=True)
class Branch:
    """One line of the tree.

    `lasts` tells whether those above this member, and it itself, are the last of their parents' children; the
    root is left out, and the farthest generations may be. `depth` counts them all. A member that was drawn
    before `is_repeated`, and its children are not drawn again.
    """

    key: Key
    depth: int
    lasts: tuple[bool, ...]
    is_repeated: bool = False


@dataclass(frozen=True)
class Family:
    """Ancestors and descendants of one member, which is `asked`.

    `members` are runs, None for an image that is only known by its hash. `origins` say of every member which
    images it was made from, by their SHA-256, the one that was changed first, and where each of them came
    from; that need not be a member. `file` is what was asked for where no run brought it.
    """

    asked: Key
    members: Mapping[Key, HistoryEntry | None]
    origins: Mapping[Key, Mapping[str, Key]]
    file: FileFacts | None = None

    def branches(self, generations: int) -> Iterator[Branch]:
        """Return the lines of the tree from the roots down; every member's children once, so that it ends.

        `lasts` holds at most so many generations: a branch a thousand generations deep has no room for more.
        """
        drawn = set[Key]()
        for root in self._beginnings():
            if root not in drawn:
                yield from self._grown(root, drawn, generations)

    def children(self, key: Key) -> tuple[Key, ...]:
        """List what was made from a member, oldest first."""
        return tuple(self._children.get(key, ()))

    def strangers(self, key: Key) -> tuple[Key, ...]:
        """List what a member was made from besides the other members."""
        return tuple(parent for parent in self._parents(key) if parent not in self.members)

    def _grown(self, root: Key, drawn: set[Key], generations: int) -> Iterator[Branch]:
        waiting = [Branch(root, 0, ())]
        while waiting:
            branch = waiting.pop()
            if branch.key in drawn:
                yield Branch(branch.key, branch.depth, branch.lasts, is_repeated=True)
                continue
            drawn.add(branch.key)
            yield branch
            children = self.children(branch.key)
            for child in reversed(children):
                lasts = (*branch.lasts, child == children[-1])[-generations:]
                waiting.append(Branch(child, branch.depth + 1, lasts))

    def _beginnings(self) -> Iterator[Key]:
        """Return the root of the asked member's main line, then the other roots.

        A circle has none, and begins anywhere.
        """
        yield self._main_root()
        yield from (key for key in self.members if not self._kin(key))
        yield from self.members

    def _main_root(self) -> Key:
        key, seen = self.asked, set[Key]()
        while key not in seen and (above := self._kin(key)):
            seen.add(key)
            key = above[0]
        return key

    def _kin(self, key: Key) -> tuple[Key, ...]:
        return tuple(parent for parent in self._parents(key) if parent in self.members)

    def _parents(self, key: Key) -> tuple[Key, ...]:
        return tuple(dict.fromkeys(self.origins.get(key, {}).values()))

    @cached_property
    def _children(self) -> Mapping[Key, list[Key]]:
        found: dict[Key, dict[Key, None]] = {}
        for key in sorted(self.members, key=_age):
            for parent in self._kin(key):
                found.setdefault(parent, {})[key] = None
        return {parent: list(children) for parent, children in found.items()}


def _age(key: Key) -> tuple[int, str]:
    """Put runs in the order in which they were recorded, and an image without a run after them."""
    return (key, "") if isinstance(key, int) else (1 << 63, key)


class KnowledgeSource(StrEnum):
    """Where the knowledge comes from, the best first."""

    HISTORY = "history"
    RECIPE = "recipe"
    FILE = "file"


class MatchKind(StrEnum):
    """By what somebody's word was understood."""

    CONTENT = "content"
    ID = "id"
    NAME = "name"


class FileStatus(StrEnum):
    """What has become of an image's file. CHANGED stands for a file of other bytes under the same name."""

    THERE = "there"
    GONE = "gone"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNSAVED = "unsaved"


@dataclass(frozen=True)
class FileFacts:
    """What a file's bytes say of themselves. `path` is absolute; `format` is None for no image of ours.

    `size` is width and height in pixels, None where the header does not tell; `length` is in bytes.
    """

    path: Path
    format: ImageFormat | None
    size: Size | None
    length: int
    sha256: str
    credentials: ContentCredentials
    recipe: Recipe | None = None


@dataclass(frozen=True)
class SavedImageStatus:
    """One image of a remembered run, and what has become of its file; no `facts` unless it is there."""

    image: SavedImage
    state: FileStatus
    facts: FileFacts | None = None


@dataclass(frozen=True)
class Ancestor:
    """An image that went into another one. `entry` is the run that brought it, None where none is known.

    `role` is None where nobody wrote it down; `name` is what its user called it.
    """

    sha256: str
    role: Role | None = None
    entry: HistoryEntry | None = None
    name: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Everything that is known of what somebody asked for.

    `file` is the file that was named, None for a run that was named, or a file that is gone. `image` says
    which of the run's images it holds. `images` are all of the run's, `children` the runs that a file, or
    any of a run's images, went into.
    """

    asked: str
    by: MatchKind
    source: KnowledgeSource
    file: FileFacts | None = None
    entry: HistoryEntry | None = None
    image_index: int | None = None
    images: tuple[SavedImageStatus, ...] = ()
    parents: tuple[Ancestor, ...] = ()
    children: tuple[HistoryEntry, ...] = ()

    @property
    def recipe(self) -> Recipe | None:
        """The recipe inside the file that was named."""
        return self.file.recipe if self.file else None
