"""Parents and children of an image, read from the history run by run."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.history import Family, HistoryEntry, Role
from imgcli.dataclass import dataclass
from imgcli.store.history.rows import path_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from imgcli.core.history import FileFacts, Key


Find: TypeAlias = "Callable[[str, Sequence[object]], list[HistoryEntry]]"
"""Reads the entries that a condition on `runs` names, newest first."""

_PRODUCER = (
    "id = (SELECT coalesce(max(CASE WHEN run < ? THEN run END), max(run)) FROM pictures WHERE sha256 = ?)"
)
_BY_RESPONSE = "response_id = ? AND id IN (SELECT run FROM pictures WHERE sha256 = ?)"
_BY_PATH = "id = (SELECT max(run) FROM pictures WHERE path = ? AND sha256 = ? AND run < ?)"
_CHILDREN = "id IN (SELECT run FROM parents WHERE sha256 = ?)"
_UNMASKED_CHILDREN = "id IN (SELECT run FROM parents WHERE sha256 = ? AND role <> ?)"
_ANY = 1 << 62


def producer(find: Find, sha256: str, child: HistoryEntry | None = None) -> HistoryEntry | None:
    """Find the run that made an image which was an input of `child`.

    Several runs can make the same bytes. The one that the child names wins, then the newest before the
    child, then the newest of all.
    """
    named = _named(find, sha256, child) if child else None
    before = child.number if child else None
    return named or next(iter(find(_PRODUCER, [before or _ANY, sha256.lower()])), None)


def children(find: Find, sha256: str, of: HistoryEntry | None = None) -> list[HistoryEntry]:
    """List the runs that had this image as input, oldest first, but none that names another run than `of`."""
    found = find(_CHILDREN, [sha256.lower()])[::-1]
    return [child for child in found if of is None or _may_be_child(find, child, sha256, of.number)]


def _may_be_child(find: Find, child: HistoryEntry, sha256: str, parent: Key | None) -> bool:
    named = _named(find, sha256, child)
    return named is None or named.number == parent


def _named(find: Find, sha256: str, child: HistoryEntry) -> HistoryEntry | None:
    """Find the run that a child names: by the response it went on from or the path of what it sent."""
    request = child.request
    if request is None:
        return None
    if request.previous_response_id and sha256 == child.parent:
        return next(iter(find(_BY_RESPONSE, [request.previous_response_id, sha256])), None)
    sent = [*request.references, *([request.mask] if request.mask else [])]
    paths = [path_cell(Path(each.path)) for each in sent if each.path and each.sha256 == sha256]
    runs = (find(_BY_PATH, [path, sha256, child.number or _ANY]) for path in paths)
    return next((run for found in runs for run in found), None)


def family_of(find: Find, origin: HistoryEntry | FileFacts) -> Family:
    """Collect the family of a run, or of a file that no run is known to have brought.

    Its embedded parameters tell what such a file was made from.
    """
    if isinstance(origin, HistoryEntry):
        return _family(find, _number(origin), origin, _source_hashes(origin), _image_hashes(origin))
    parents = list(origin.parameters.parents) if origin.parameters else []
    family = _family(find, origin.sha256, None, parents, [origin.sha256])
    return replace(family, file=origin)


def _family(
    find: Find, asked: Key, run: HistoryEntry | None, sources: Iterable[str], images: Iterable[str]
) -> Family:
    family = _FamilyCollector(find, {asked: run})
    family.add_ancestors(asked, sources)
    family.add_descendants(asked, images)
    return Family(asked, family.members, family.origins)


@dataclass
class _FamilyCollector:
    """The family as far as it is collected; no member is visited twice, so that cycles end.

    `members` and `origins` are those of `Family`.
    """

    find: Find
    members: dict[Key, HistoryEntry | None]
    origins: dict[Key, dict[str, Key]] = field(default_factory=dict)

    def add_ancestors(self, key: Key, sha256s: Iterable[str]) -> None:
        """Collect what a member was made from, up to the roots."""
        waiting = [(key, sha256s)]
        while waiting:
            key, sha256s = waiting.pop()
            origins = self.origins.setdefault(key, {})
            for sha256 in sha256s:
                run = producer(self.find, sha256, self.members.get(key))
                parent = origins[sha256] = _number(run) if run else sha256
                if parent not in self.members:
                    self.members[parent] = run
                    waiting += [(parent, _source_hashes(run))] if run else []

    def add_descendants(self, key: Key, sha256s: Iterable[str]) -> None:
        """Collect what was made from a member's images, down to the leaves."""
        waiting, seen = [(key, sha256s)], {key}
        while waiting:
            key, sha256s = waiting.pop()
            for sha256 in sha256s:
                for child in self.find(_UNMASKED_CHILDREN, [sha256, Role.MASK.value]):
                    if not _may_be_child(self.find, child, sha256, key):
                        continue
                    self._add_child(child, sha256, key)
                    if _number(child) not in seen:
                        seen.add(_number(child))
                        waiting.append((_number(child), _image_hashes(child)))

    def _add_child(self, child: HistoryEntry, sha256: str, parent: Key) -> None:
        """Put a child under its parent, and find out what else it was made from."""
        key = _number(child)
        self.members.setdefault(key, child)
        origins = self.origins.setdefault(key, {})
        for one in _source_hashes(child):
            if one == sha256:
                origins[one] = parent
            elif one not in origins:
                run = producer(self.find, one, child)
                origins[one] = _number(run) if run else one


def _number(run: HistoryEntry) -> int:
    return run.number or 0


def _source_hashes(run: HistoryEntry) -> list[str]:
    """List what a run started from, the image that was changed first; a mask is no ancestor."""
    ranked = sorted(run.parents, key=lambda parent: parent.role is not Role.ORIGINAL)
    return [parent.sha256 for parent in ranked if parent.role is not Role.MASK]


def _image_hashes(run: HistoryEntry) -> list[str]:
    return [image.sha256 for image in run.images]
