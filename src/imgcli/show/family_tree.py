"""A picture's family as a tree of lines, and as objects for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgcli.core.text import clean, shorten
from imgcli.show.columns import GAP, cut_end
from imgcli.show.history_table import cost_words, outcome_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.core.entry import Entry
    from imgcli.core.family import Branch, Family, Key

_USUAL_GENERATIONS = 30
"""How deep the guides go where no terminal's width says how much of a line is readable."""
_PROMPT_LENGTH = 60
_NAME_LENGTH = 100
_SHORT_HASH = 12
_BY_NOBODY = "(by no run in the history)"


@dataclass(frozen=True)
class Guides:
    """The lines that lead from parents to children, all three columns wide."""

    child: str
    last: str
    passing: str
    cut: str
    nothing: str = "   "

    def lead_to(self, branch: Branch) -> str:
        """Draw what stands in front of a member, without the generations that there is no room for."""
        if not branch.lasts:
            return ""
        *above, is_last = branch.lasts
        cut = self.cut if branch.depth > len(branch.lasts) else ""
        passing = [self.nothing if is_done else self.passing for is_done in above]
        return cut + "".join(passing) + (self.last if is_last else self.child)


DRAWN = Guides("├─ ", "└─ ", "│  ", "…  ")
TYPED = Guides("|- ", "`- ", "|  ", ".. ")


def tree_lines(family: Family, columns: int | None, guides: Guides) -> Iterator[str]:
    """Draw the family from its roots down, a line a member, cut to so many columns; None for no terminal."""
    room = None if columns is None else columns - 1
    generations = _USUAL_GENERATIONS if room is None else max(room // 2 // len(guides.nothing) - 1, 1)
    names = dict(_names(family))
    for branch in family.branches(generations):
        line = guides.lead_to(branch) + GAP.join(_told(family, branch, names))
        yield line if room is None else cut_end(line, room)


def _told(family: Family, branch: Branch, names: Mapping[str, str]) -> list[str]:
    """Say who a member is: its id or hash first, since the end of a line may be cut."""
    key, entry = branch.key, family.members[branch.key]
    if branch.is_repeated:
        return [f"{_label(key)} (see above)"]
    label = _label(key) + (" (this one)" if key == family.asked else "")
    told = _run(entry) if entry else [*(_file(family, key) or [names.get(str(key), "")]), _BY_NOBODY]
    strangers = ", ".join(map(_label, family.strangers(key)))
    return [label, *filter(None, told), *([f"also from {strangers}"] if strangers else [])]


def _run(entry: Entry) -> list[str]:
    names = [shorten(picture.path.name, _NAME_LENGTH) for picture in entry.saved if picture.path]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    first = [f"{name}{more}" for name in names[:1]]
    return [cost_words(entry), outcome_words(entry), *first, _prompt(entry.prompt)]


def _prompt(prompt: str) -> str:
    return f'"{shorten(prompt, _PROMPT_LENGTH)}"' if prompt else ""


def _label(key: Key) -> str:
    return str(key) if isinstance(key, int) else clean(key[:_SHORT_HASH])


def _file(family: Family, key: Key) -> list[str]:
    """Say what the file that was asked for tells of itself."""
    if family.file is None or key != family.asked:
        return []
    recipe = family.file.recipe
    return [shorten(family.file.path.name, _NAME_LENGTH), *([_prompt(recipe.prompt)] if recipe else [])]


def _names(family: Family) -> Iterator[tuple[str, str]]:
    """Find out what pictures were called when they were sent."""
    for entry in family.members.values():
        for reference in entry.request.references if entry and entry.request else ():
            if reference.sha256:
                yield reference.sha256, shorten(reference.name, _NAME_LENGTH)


def family_json(family: Family) -> Iterator[dict[str, Any]]:
    """Write every member once, in the order in which it is drawn; what is not known is null."""
    for branch in family.branches(1):
        if not branch.is_repeated:
            yield _json(family, branch.key)


def _json(family: Family, key: Key) -> dict[str, Any]:
    entry = family.members[key]
    return {
        "asked": key == family.asked,
        "id": _id(key),
        "started": entry.started.isoformat() if entry else None,
        "endpoint": entry.endpoint if entry else None,
        "outcome": entry.outcome if entry else None,
        "cost_usd": None if entry is None or entry.cost is None else float(entry.cost),
        **(_brought(entry) if entry else _unbrought(family, key)),
        "parents": [
            {"sha256": sha256, "id": _id(origin)} for sha256, origin in family.origins.get(key, {}).items()
        ],
        "children": list(family.children(key)),
    }


def _brought(entry: Entry) -> dict[str, Any]:
    pictures = [
        {"sha256": picture.sha256, "path": str(picture.path) if picture.path else None}
        for picture in entry.pictures
    ]
    return {"prompt": entry.prompt, "pictures": pictures}


def _unbrought(family: Family, key: Key) -> dict[str, Any]:
    file = family.file if key == family.asked else None
    prompt = file.recipe.prompt if file and file.recipe else None
    return {"prompt": prompt, "pictures": [{"sha256": key, "path": str(file.path) if file else None}]}


def _id(key: Key) -> int | None:
    return key if isinstance(key, int) else None
