"""The history as lines, and a family of images as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.billing.bill import dollars
from imgcli.core.errors import ExitCode
from imgcli.core.history import OK
from imgcli.core.text import clean, shorten
from imgcli.output.text import GAP, align_columns, cut_end, cut_start, left, widths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from imgcli.core.history import Family, HistoryEntry, Key, TreeLine


_LONGEST = 1500
"""Characters of a prompt or a path where no terminal's width says how much is readable."""
_NARROWEST = 12
"""Columns below which a path tells nothing."""


class PathFormatter(NamedTuple):
    """Formats paths for a reader in the current folder, with this home; None where there is none."""

    folder: Path | None
    home: Path | None

    def format(self, path: Path) -> str:
        """Format a path relative to the current folder, or to the home."""
        if self.folder and path.is_relative_to(self.folder):
            return str(path.relative_to(self.folder))
        if self.home and path.is_relative_to(self.home):
            return f"~/{path.relative_to(self.home)}"
        return str(path)


def history_lines(entries: Sequence[HistoryEntry], paths: PathFormatter, columns: int | None) -> list[str]:
    """Format a line for each run: id, time, cost, outcome unless it is ok, prompt, path.

    They fit into so many columns; with None, for a pipe or a file, hardly anything is cut.
    """
    if not entries:
        return []
    columns_of_cells = [cells for cells in zip(*map(_leading_cells, entries), strict=True) if any(cells)]
    heads = align_columns(list(zip(*columns_of_cells, strict=True)), {_OUTCOME})
    rest = None if columns is None else max(columns - 1 - len(heads[0]) - len(GAP), 0)
    prompts = [shorten(entry.prompt, _LONGEST) or "-" for entry in entries]
    names = [_path(entry, paths) for entry in entries]
    return [
        f"{head}{GAP}{tail}".rstrip() for head, tail in zip(heads, _tails(prompts, names, rest), strict=True)
    ]


_OUTCOME = 3
"""Which of the leading columns holds words."""


def _leading_cells(entry: HistoryEntry) -> tuple[str, str, str, str]:
    when = f"{entry.started.astimezone():%Y-%m-%d %H:%M}"
    return str(entry.number), when, cost_words(entry), outcome_words(entry)


def outcome_words(entry: HistoryEntry) -> str:
    """Name what went wrong; beside an unknown cost, the kind `unknown` would say nothing."""
    if entry.outcome == OK:
        return ""
    is_unknown = entry.outcome == ExitCode.UNKNOWN.kind
    return "no image" if is_unknown and not entry.images else shorten(entry.outcome, _NARROWEST)


def cost_words(entry: HistoryEntry) -> str:
    """Format what a run cost, with a plus where it was at least that."""
    if entry.is_demo:
        return "demo"
    if not entry.billed:
        return "free"
    return f"{dollars(entry.known)}+" if entry.cost is None and entry.known else dollars(entry.cost)


def _path(entry: HistoryEntry, paths: PathFormatter) -> str:
    names = [clean(paths.format(image.path)) for image in entry.images if image.path]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return shorten(names[0], _LONGEST) + more if names else ""


def _tails(prompts: Sequence[str], paths: Sequence[str], room: int | None) -> list[str]:
    """Format prompts and paths for the rest of the lines, of which a path takes half at most."""
    if room is None:
        return [f"{prompt}{GAP}{path}" for prompt, path in zip(prompts, paths, strict=True)]
    half = room // 2
    (longest,) = widths([[path] for path in paths])
    beside = min(longest, half) if half >= _NARROWEST else 0
    (widest,) = widths([[prompt] for prompt in prompts])
    wide = min(widest, room - beside - len(GAP) if beside else room)
    return [
        f"{left(cut_end(prompt, wide), wide)}{GAP}{cut_start(path, beside)}"
        if beside
        else cut_end(prompt, wide)
        for prompt, path in zip(prompts, paths, strict=True)
    ]


_USUAL_GENERATIONS = 30
"""How deep the guides go where no terminal's width says how much of a line is readable."""
_PROMPT_LENGTH = 60
_NAME_LENGTH = 100
_SHORT_HASH = 12
_NO_RUN = "(not from any run in the history)"


@dataclass(frozen=True)
class Guides:
    """The lines that lead from parents to children, all three columns wide."""

    child: str
    last: str
    passing: str
    cut: str
    nothing: str = "   "

    def lead_to(self, branch: TreeLine) -> str:
        """Return what stands in front of a member, without the generations that there is no room for."""
        if not branch.lasts:
            return ""
        *above, is_last = branch.lasts
        cut = self.cut if branch.depth > len(branch.lasts) else ""
        passing = [self.nothing if is_done else self.passing for is_done in above]
        return cut + "".join(passing) + (self.last if is_last else self.child)


DRAWN = Guides("├─ ", "└─ ", "│  ", "…  ")
TYPED = Guides("|- ", "`- ", "|  ", ".. ")


def tree_lines(family: Family, columns: int | None, guides: Guides) -> Iterator[str]:
    """Yield the family from its roots down, a line a member, cut to so many columns; None for no terminal."""
    room = None if columns is None else columns - 1
    generations = _USUAL_GENERATIONS if room is None else max(room // 2 // len(guides.nothing) - 1, 1)
    names = dict(_names(family))
    for branch in family.branches(generations):
        line = guides.lead_to(branch) + GAP.join(_relation(family, branch, names))
        yield line if room is None else cut_end(line, room)


def _relation(family: Family, branch: TreeLine, names: Mapping[str, str]) -> list[str]:
    """Describe a member: its id or hash first, since the end of a line may be cut."""
    key, entry = branch.key, family.members[branch.key]
    if branch.is_repeated:
        return [f"{_label(key)} (see above)"]
    label = _label(key) + (" (this one)" if key == family.asked else "")
    cells = _run(entry) if entry else [*(_file(family, key) or [names.get(str(key), "")]), _NO_RUN]
    strangers = ", ".join(map(_label, family.outside_parents(key)))
    return [label, *filter(None, cells), *([f"also from {strangers}"] if strangers else [])]


def _run(entry: HistoryEntry) -> list[str]:
    names = [shorten(image.path.name, _NAME_LENGTH) for image in entry.saved if image.path]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    first = [f"{name}{more}" for name in names[:1]]
    return [cost_words(entry), outcome_words(entry), *first, _prompt(entry.prompt)]


def _prompt(prompt: str) -> str:
    return f'"{shorten(prompt, _PROMPT_LENGTH)}"' if prompt else ""


def _label(key: Key) -> str:
    return str(key) if isinstance(key, int) else clean(key[:_SHORT_HASH])


def _file(family: Family, key: Key) -> list[str]:
    """Return what is known of the file that was asked for."""
    if family.file is None or key != family.asked:
        return []
    parameters = family.file.parameters
    prompt = [_prompt(parameters.prompt)] if parameters else []
    return [shorten(family.file.path.name, _NAME_LENGTH), *prompt]


def _names(family: Family) -> Iterator[tuple[str, str]]:
    """Yield the names that images had when they were sent, by their hashes."""
    for entry in family.members.values():
        for reference in entry.request.references if entry and entry.request else ():
            if reference.sha256:
                yield reference.sha256, shorten(reference.name, _NAME_LENGTH)
