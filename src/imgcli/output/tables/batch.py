"""The summary at the end of a batch: images saved, failures, cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.batch_result import RowStatus, TaskStatus
from imgcli.core.billing.bill import dollars
from imgcli.core.option import option
from imgcli.core.text import MINUTE, duration, shorten
from imgcli.output.tables.table import Table, can_draw, rendered_lines
from imgcli.output.terminal.hyperlinks import NO_LINKS
from imgcli.output.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imgcli.core.batch_result import BatchRowResult
    from imgcli.output.terminal.capabilities import Terminal
    from imgcli.output.terminal.hyperlinks import Hyperlinks


_NOTHING = Decimal(0)
_KIND_LENGTH = 30
_PATH_LENGTH = 500
_ORDER = ("saved", "saved earlier", "failed", "unknown", "submitted", "not sent")
"""The beginnings of the labels, from top to bottom."""


class Money(NamedTuple):
    """What some tasks have cost: the known dollars, and the most, None where that is unknown."""

    known: Decimal
    most: Decimal | None

    @classmethod
    def of(cls, rows: Iterable[BatchRowResult]) -> Money:
        """Add up what tasks have cost; of those whose cost is unknown, their bounds."""
        known, most = _NOTHING, [_NOTHING]
        unknown = False
        for outcome in (row.outcome for row in rows):
            if outcome is None or (outcome.status is TaskStatus.FAILED_FREE and outcome.cost is None):
                continue
            if outcome.cost is not None:
                known += outcome.cost
            elif outcome.bound is not None:
                most.append(outcome.bound)
            else:
                unknown = True
        return cls(known, None if unknown else known + sum(most, _NOTHING))

    @property
    def words(self) -> str:
        """The amount for people: exact, up to a bound, or at least so much."""
        if self.most is None:
            return f"{dollars(self.known)}+" if self.known else dollars(None)
        if self.most == self.known:
            return dollars(self.known)
        return (
            f"{dollars(self.known)} to {dollars(self.most)}" if self.known else f"up to {dollars(self.most)}"
        )


def summary_lines(
    rows: Sequence[BatchRowResult],
    seconds: float,
    columns: int | None = None,
    links: Hyperlinks = NO_LINKS,
    *,
    is_kept: bool = True,
) -> list[str]:
    """Format the summary as plain lines; `seconds` is how long this run of the batch took.

    `is_kept` says that it can continue: there is a state file.
    """
    notes = [line for note in _notes(rows, seconds, is_kept=is_kept) for line in _fitted(note, columns)]
    folder = _folder(rows)
    name = shorten(folder or "", _PATH_LENGTH)
    linked = {f"in {name}": f"in {links.to(Path(folder), name)}"} if folder else {}
    return [*_table(rows).lines, *(linked.get(note, note) for note in notes)]


def count_words(rows: Sequence[BatchRowResult]) -> str:
    """Format in one line how many of the rows ended in which way: `12 saved, 1 failed`."""
    counts = Counter(row.status.value for row in rows)
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def rich_summary_lines(
    rows: Sequence[BatchRowResult], seconds: float, terminal: Terminal, columns: int
) -> list[str]:
    """Draw the summary for a terminal of so many columns, as lines of text and colour codes."""
    table = _table(rows)
    if not can_draw(terminal, columns) or table.width > columns:
        return summary_lines(rows, seconds, columns)
    from rich.text import Text

    notes = [Text(note, style="dim") for note in _notes(rows, seconds)]
    return rendered_lines([table.drawing(), *notes], terminal.depth, columns)


def _table(rows: Sequence[BatchRowResult]) -> Table:
    groups: dict[str, list[BatchRowResult]] = defaultdict(list)
    for row in rows:
        groups[_label(row)].append(row)
    labels = sorted(groups, key=lambda label: (_ORDER.index(label.partition(":")[0]), -len(groups[label])))
    cells = [(label, f"{len(groups[label]):,}", _cost(groups[label])) for label in labels]
    styles = ["red" if label.startswith(("failed", "unknown")) else "" for label in labels]
    total = ("total", f"{len(rows):,}", _money(rows))
    return Table(("batch", "images", "dollars"), tuple(cells), total, styles=tuple(styles))


def _label(row: BatchRowResult) -> str:
    match row.status:
        case RowStatus.SAVED:
            return "saved earlier" if row.is_earlier else "saved"
        case RowStatus.FAILED:
            kind = (row.outcome and row.outcome.kind) or "no reason known"
            return f"failed: {shorten(kind, _KIND_LENGTH)}"
        case RowStatus.LEFT:
            return "not sent"
        case status:
            return status.value


def _cost(group: Sequence[BatchRowResult]) -> str:
    return _money(group) if any(row.outcome for row in group) else ""


def _money(rows: Sequence[BatchRowResult]) -> str:
    """Format what rows have cost; images for nothing, as of the demo, are free."""
    money = Money.of(rows)
    is_free = money.most == _NOTHING and any(row.status is RowStatus.SAVED for row in rows)
    return "free" if is_free else money.words


def _notes(rows: Sequence[BatchRowResult], seconds: float, *, is_kept: bool = True) -> Iterator[str]:
    """Yield how long it took, what this run of several has cost, and how it goes on."""
    if now := [row for row in rows if row.outcome and not row.is_earlier]:
        yield _this_run(rows, now, seconds)
        if folder := _folder(rows):
            yield f"in {shorten(folder, _PATH_LENGTH)}"
    counts = Counter(_next_step(row) for row in rows)
    if again := counts["again"]:
        words = "is left and has" if again == 1 else "are left and have"
        how = ": run the same command again" if is_kept else ""
        yield f"{_count(again, 'image')} {words} cost nothing{how}."
    if unclear := counts["unclear"]:
        them = "it" if unclear == 1 else "them"
        charged = "may have been charged without an image"
        how = f": {option('retry-unknown')} repeats {them}" if is_kept else ""
        yield f"{_count(unclear, 'request')} {charged}{how}."
    if submitted := counts["submitted"]:
        where, them = ("is in a batch", "it") if submitted == 1 else ("are in batches", "them")
        yield f"{_count(submitted, 'image')} {where} at the server: `imgcli batch collect` saves {them}."
    if (again or unclear) and not is_kept:
        yield "Rows of a pipe are not remembered: the same command would send, and pay for, every row again."


def _folder(rows: Iterable[BatchRowResult]) -> str | None:
    """Return the folder of all images of this run of several, None where there is more than one."""
    now = [row.outcome for row in rows if row.outcome and not row.is_earlier]
    folders = {str(Path(path).parent) for outcome in now for path in outcome.paths}
    return folders.pop() if len(folders) == 1 else None


def _this_run(rows: Sequence[BatchRowResult], now: Sequence[BatchRowResult], seconds: float) -> str:
    """Format what this run has saved, how fast, and for how much where earlier runs cost something too."""
    saved = sum(row.status is RowStatus.SAVED for row in now)
    pace = f", {saved * MINUTE / seconds:.1f} a minute" if saved > 1 and seconds > 0 else ""
    cost = f"; this run: {_money(now)}" if len(now) < sum(bool(row.outcome) for row in rows) else ""
    return f"{_count(saved, 'image')} saved in {duration(seconds)}{pace}{cost}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _next_step(row: BatchRowResult) -> str:
    match row.outcome.status if row.outcome else None:
        case None | TaskStatus.FAILED_FREE:
            return "again"
        case TaskStatus.UNKNOWN | TaskStatus.FAILED_CHARGED:
            return "unclear"
        case TaskStatus.SUBMITTED:
            return "submitted"
        case _:
            return ""


def _fitted(note: str, columns: int | None) -> list[str]:
    return [note] if columns is None else wrapped(note, columns)
