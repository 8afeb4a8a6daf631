"""Who descends from whom, read out of the history run by run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.entry import Entry, Role
from imgcli.core.family import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from imgcli.core.family import Key
    from imgcli.core.provenance import FileFacts

Find: TypeAlias = "Callable[[str, Sequence[object]], list[Entry]]"
"""Reads the entries that a condition on `runs` names, newest first."""

_BRINGER = (
    "id = (SELECT coalesce(max(CASE WHEN run < ? THEN run END), max(run)) FROM pictures WHERE sha256 = ?)"
)
_TAKERS = "id IN (SELECT run FROM parents WHERE sha256 = ? AND role <> ?)"
_ANY = 1 << 62


def bringer(find: Find, sha256: str, before: int | None = None) -> Entry | None:
    """Find the run that brought a picture: the newest of those before another run, else the newest of all.

    The same picture can come twice: the stand-in always paints a prompt alike.
    """
    return next(iter(find(_BRINGER, [before or _ANY, sha256.lower()])), None)


def family_of(find: Find, origin: Entry | FileFacts) -> Family:
    """Collect the family of a run, or of a file that no run is known to have brought.

    What such a file was made from, its recipe tells.
    """
    if isinstance(origin, Entry):
        return _family(find, _number(origin), origin, _sources(origin), _brought(origin))
    parents = list(origin.recipe.parents) if origin.recipe else []
    family = _family(find, origin.sha256, None, parents, [origin.sha256])
    return replace(family, file=origin)


def _family(
    find: Find, asked: Key, run: Entry | None, sources: Iterable[str], brought: Iterable[str]
) -> Family:
    kin = _Kin(find, {asked: run})
    kin.rise(asked, sources)
    kin.descend(asked, brought)
    return Family(asked, kin.members, kin.origins)


@dataclass
class _Kin:
    """The family as far as it is collected; nobody is visited twice, so that circles end.

    `members` and `origins` are those of `Family`.
    """

    find: Find
    members: dict[Key, Entry | None]
    origins: dict[Key, dict[str, Key]] = field(default_factory=dict)

    def rise(self, key: Key, sha256s: Iterable[str]) -> None:
        """Collect what a member was made from, up to the roots."""
        waiting = [(key, sha256s)]
        while waiting:
            key, sha256s = waiting.pop()
            origins = self.origins.setdefault(key, {})
            for sha256 in sha256s:
                run = bringer(self.find, sha256, _before(key))
                parent = origins[sha256] = _number(run) if run else sha256
                if parent not in self.members:
                    self.members[parent] = run
                    waiting += [(parent, _sources(run))] if run else []

    def descend(self, key: Key, sha256s: Iterable[str]) -> None:
        """Collect what was made from a member's pictures, down to the leaves."""
        waiting, seen = [(key, sha256s)], {key}
        while waiting:
            key, sha256s = waiting.pop()
            for sha256 in sha256s:
                for child in self.find(_TAKERS, [sha256, Role.MASK.value]):
                    self._adopt(child, sha256, key)
                    if _number(child) not in seen:
                        seen.add(_number(child))
                        waiting.append((_number(child), _brought(child)))

    def _adopt(self, child: Entry, sha256: str, parent: Key) -> None:
        """Put a child under its parent, and find out what else it was made from."""
        key = _number(child)
        self.members.setdefault(key, child)
        origins = self.origins.setdefault(key, {})
        for one in _sources(child):
            if one == sha256:
                origins[one] = parent
            elif one not in origins:
                run = bringer(self.find, one, key)
                origins[one] = _number(run) if run else one


def _number(run: Entry) -> int:
    return run.number or 0


def _before(key: Key) -> int | None:
    return key if isinstance(key, int) else None


def _sources(run: Entry) -> list[str]:
    """List what a run started from, the picture that was changed first; a mask is no ancestor."""
    ranked = sorted(run.parents, key=lambda parent: parent.role is not Role.ORIGINAL)
    return [parent.sha256 for parent in ranked if parent.role is not Role.MASK]


def _brought(run: Entry) -> list[str]:
    return [picture.sha256 for picture in run.pictures]
