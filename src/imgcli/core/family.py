"""A picture's family: what it was made from and what was made from it, and in which order that is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.core.entry import Entry
    from imgcli.core.provenance import FileFacts

Key: TypeAlias = int | str
"""A run's number, or the SHA-256 of a picture that no run is known to have brought."""


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

    `members` are runs, None for a picture that is only known by its hash. `origins` say of every member which
    pictures it was made from, by their SHA-256, the one that was changed first, and where each of them came
    from; that need not be a member. `file` is what was asked for where no run brought it.
    """

    asked: Key
    members: Mapping[Key, Entry | None]
    origins: Mapping[Key, Mapping[str, Key]]
    file: FileFacts | None = None

    def branches(self, generations: int) -> Iterator[Branch]:
        """Give the lines of the tree from the roots down; every member's children once, so that it ends.

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
        """Give the root of the asked member's main line, then the other roots.

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
    """Put runs in the order in which they were recorded, and a picture without a run after them."""
    return (key, "") if isinstance(key, int) else (1 << 63, key)
