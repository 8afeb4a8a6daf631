"""Runs in the history, the relations between images, and what is known about a file."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.errors import Charged, ExitCode
from imgcli.core.params import DEMO
from imgcli.dataclass import cached_property, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from imgcli.core.billing.bill import Row
    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.events import Json
    from imgcli.core.image import ContentCredentials, ImageFormat, Size
    from imgcli.core.request import ImageRequest


OK = ExitCode.OK.kind
"""The outcome of a run in which every image was saved as requested."""

_ZERO = Decimal(0)


class Role(StrEnum):
    """The role of an input image: the one that was edited, a reference, or the mask."""

    ORIGINAL = "original"
    REFERENCE = "reference"
    MASK = "mask"


@dataclass(frozen=True)
class Parent:
    """An input image of a run, identified by the SHA-256 of its bytes in lowercase hex."""

    sha256: str
    role: Role = Role.ORIGINAL


@dataclass(frozen=True)
class SavedImage:
    """An image of a run. `image_index` numbers the images from 0; `length` is in bytes, `size` in pixels.

    `path` is absolute, None for an image that went to a stream or was only displayed. `received` is the
    SHA-256 of the image as it arrived, where parameters were embedded in it.
    """

    image_index: int
    sha256: str
    length: int
    path: Path | None = None
    format: ImageFormat | None = None
    size: tuple[int, int] | None = None
    revised_prompt: str | None = None
    received: str | None = None


@dataclass(frozen=True)
class HistoryEntry:
    """A run in the history. `number` is the id that people type, None before the entry is recorded.

    `job` is unique. `request` is None where it is unreadable. `endpoint` is the server's host, `DEMO`, or
    None where it is unknown. `outcome` is the kind of the most severe problem, or `OK`; `message` is that
    problem's sentence. `cost` is exact, in US dollars, None where it is unknown; `charges` are the rows of
    the bill, `prices_date` is the date of its oldest price, `prices_from` names the price tables, None where
    all are built in. `billed` is false for a server that does not charge.
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
    prices_from: str | None = None

    @property
    def is_demo(self) -> bool:
        """Whether the offline demo made it, so that its cost was never charged."""
        return self.endpoint == DEMO

    @property
    def is_free(self) -> bool:
        """Whether its cost was never charged: by the demo, or by a server that does not bill."""
        return self.is_demo or not self.billed

    @property
    def known(self) -> Decimal:
        """The known part of the cost, which is a minimum where `cost` is None."""
        return sum((row.known for row in self.charges), _ZERO) if self.cost is None else self.cost

    @property
    def parent(self) -> str | None:
        """The SHA-256 of the edited image, else of the first reference; None without any."""
        sources = [parent for parent in self.parents if parent.role is not Role.MASK]
        originals = [parent for parent in sources if parent.role is Role.ORIGINAL]
        return next((parent.sha256 for parent in [*originals, *sources]), None)

    @property
    def saved(self) -> tuple[SavedImage, ...]:
        """The images that have a file."""
        return tuple(image for image in self.images if image.path)

    def merged_with(self, earlier: HistoryEntry) -> HistoryEntry:
        """Return this entry completed from an earlier one of the same run.

        What only the earlier entry holds is kept: a recovered run no longer knows its server.
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
        if self.charges or not earlier.charges:
            return merged
        return replace(
            merged,
            usage=earlier.usage,
            tool_usage=earlier.tool_usage,
            cost=earlier.cost,
            charges=earlier.charges,
            prices_date=earlier.prices_date,
            prices_from=earlier.prices_from,
        )

    def is_same_as(self, other: HistoryEntry) -> bool:
        """Return whether all but the number and the time of the end is equal."""
        return replace(self, number=None, ended=other.ended) == replace(other, number=None)


@dataclass(frozen=True)
class ModelCost:
    """One model's part of a run's cost in US dollars; `cost` is None where any of it is unknown."""

    model: str | None
    cost: Decimal | None
    known: Decimal


@dataclass(frozen=True)
class RunCost:
    """The cost of a run, fields as in `HistoryEntry`, or the sum of several, the first of which started then.

    A failed run may have no `shares`, and a sum has none.
    """

    number: int
    started: datetime
    is_free: bool
    cost: Decimal | None
    shares: tuple[ModelCost, ...] = ()
    prices_date: date | None = None
    endpoint: str | None = None
    runs: int = 1

    @property
    def known(self) -> Decimal:
        """The known part of the cost, which is a minimum where `cost` is None."""
        return sum((share.known for share in self.shares), _ZERO) if self.cost is None else self.cost


Key: TypeAlias = int | str
"""A run's number, or the SHA-256 of an image whose run is unknown."""


@dataclass(frozen=True)
class TreeLine:
    """A line of the tree.

    `lasts` holds whether each ancestor, and the member itself, is its parent's last child, without the root
    and perhaps without the most distant generations, all of which `depth` counts. A member that was drawn
    before `is_repeated`; its children are not drawn again.
    """

    key: Key
    depth: int
    lasts: tuple[bool, ...]
    is_repeated: bool = False


@dataclass(frozen=True)
class Family:
    """Ancestors and descendants of the member `asked`.

    `members` are runs, None for an image that is known only by its hash. `origins` maps every member to the
    SHA-256 of the images that it was made from, the edited one first, and each of these to its run, which
    need not be a member. `file` is the file that was named, where its run is unknown.
    """

    asked: Key
    members: Mapping[Key, HistoryEntry | None]
    origins: Mapping[Key, Mapping[str, Key]]
    file: FileFacts | None = None

    def branches(self, generations: int) -> Iterator[TreeLine]:
        """Yield the lines of the tree from the roots down; each member's children once, so that it ends.

        `generations` limits the length of `lasts`: a deep tree would not fit on a line.
        """
        drawn = set[Key]()
        for root in self._roots():
            if root not in drawn:
                yield from self._subtree(root, drawn, generations)

    def children(self, key: Key) -> tuple[Key, ...]:
        """Return the members made from a member, oldest first."""
        return tuple(self._children.get(key, ()))

    def outside_parents(self, key: Key) -> tuple[Key, ...]:
        """Return the parents of a member that are not members."""
        return tuple(parent for parent in self._parents(key) if parent not in self.members)

    def _subtree(self, root: Key, drawn: set[Key], generations: int) -> Iterator[TreeLine]:
        waiting = [TreeLine(root, 0, ())]
        while waiting:
            branch = waiting.pop()
            if branch.key in drawn:
                yield TreeLine(branch.key, branch.depth, branch.lasts, is_repeated=True)
                continue
            drawn.add(branch.key)
            yield branch
            children = self.children(branch.key)
            for child in reversed(children):
                lasts = (*branch.lasts, child == children[-1])[-generations:]
                waiting.append(TreeLine(child, branch.depth + 1, lasts))

    def _roots(self) -> Iterator[Key]:
        """Yield the root of the main line of `asked`, then the other roots, then every member for cycles."""
        yield self._main_root()
        yield from (key for key in self.members if not self._member_parents(key))
        yield from self.members

    def _main_root(self) -> Key:
        key, seen = self.asked, set[Key]()
        while key not in seen and (above := self._member_parents(key)):
            seen.add(key)
            key = above[0]
        return key

    def _member_parents(self, key: Key) -> tuple[Key, ...]:
        return tuple(parent for parent in self._parents(key) if parent in self.members)

    def _parents(self, key: Key) -> tuple[Key, ...]:
        return tuple(dict.fromkeys(self.origins.get(key, {}).values()))

    @cached_property
    def _children(self) -> Mapping[Key, list[Key]]:
        found: dict[Key, dict[Key, None]] = {}
        for key in sorted(self.members, key=_by_age):
            for parent in self._member_parents(key):
                found.setdefault(parent, {})[key] = None
        return {parent: list(children) for parent, children in found.items()}


def _by_age(key: Key) -> tuple[int, str]:
    """Return a sort key: runs as they were recorded, then images without a run."""
    return (key, "") if isinstance(key, int) else (1 << 63, key)


class KnowledgeSource(StrEnum):
    """Where information about an image comes from, the best source first."""

    HISTORY = "history"
    EMBEDDED = "recipe"
    FILE = "file"


class MatchKind(StrEnum):
    """How an argument was resolved."""

    CONTENT = "content"
    ID = "id"
    NAME = "name"


class FileStatus(StrEnum):
    """The state of an image's file. CHANGED means that a file of this name has other bytes."""

    THERE = "there"
    GONE = "gone"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNSAVED = "unsaved"


@dataclass(frozen=True)
class FileFacts:
    """What a file's bytes contain. `path` is absolute; `format` is None for a file that is not an image.

    `size` is in pixels, None where the header is broken; `length` is in bytes.
    """

    path: Path
    format: ImageFormat | None
    size: Size | None
    length: int
    sha256: str
    credentials: ContentCredentials
    parameters: EmbeddedParameters | None = None


@dataclass(frozen=True)
class SavedImageStatus:
    """An image of a run and the state of its file; `facts` is None unless the file is there."""

    image: SavedImage
    state: FileStatus
    facts: FileFacts | None = None


@dataclass(frozen=True)
class Ancestor:
    """An input image of another image. `entry` is the run that made it, None where it is unknown.

    `role` is None where it was not recorded; `name` is the name that its user gave.
    """

    sha256: str
    role: Role | None = None
    entry: HistoryEntry | None = None
    name: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Everything known about an image or a run.

    `file` is the named file, None for a named run or a file that is gone; `image_index` is the run's image in
    it. `images` are all images of the run, `children` are the runs that the file, or any of the run's images,
    was an input of.
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
    def parameters(self) -> EmbeddedParameters | None:
        """The parameters embedded in the named file."""
        return self.file.parameters if self.file else None
