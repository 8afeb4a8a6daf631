"""What many runs cost together: exact sums, with what is unknown said apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from imgcli.core.history import Expense


_NOTHING = Decimal(0)
UNKNOWN_MODEL = "unknown model"


class Period(StrEnum):
    """The days that are summed; calendar weeks begin on Monday."""

    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"

    def begin(self, today: date) -> date | None:
        """Return the first day, None for the very first."""
        match self:
            case Period.TODAY:
                return today
            case Period.WEEK:
                return today - timedelta(days=today.weekday())
            case Period.MONTH:
                return today.replace(day=1)
            case Period.ALL:
                return None


class GroupBy(StrEnum):
    """What a sum is broken down by."""

    MODEL = "model"
    DAY = "day"


@dataclass
class Sum:
    """The dollars of some runs: those that are `known`, and how many runs' cost is not, or not wholly."""

    name: str
    runs: int = 0
    unknown: int = 0
    known: Decimal = _NOTHING

    def add(self, cost: Decimal | None, known: Decimal) -> None:
        """Count one run."""
        self.runs += 1
        self.unknown += cost is None
        self.known += known

    @property
    def cost(self) -> Decimal | None:
        """All dollars, None if any of them is unknown."""
        return None if self.unknown else self.known


@dataclass
class Spending:
    """What was spent: in all, by group, and what free runs, such as a demo's, would have cost.

    `prices_date` is the day of the oldest price that went into the total, None when none did.
    """

    total: Sum = field(default_factory=lambda: Sum("total"))
    demo: Sum = field(default_factory=lambda: Sum("demo"))
    groups: list[Sum] = field(default_factory=list)
    prices_date: date | None = None


def spending(expenses: Iterable[Expense], by: GroupBy | None, day_of: Callable[[datetime], date]) -> Spending:
    """Add up. `day_of` tells on which day of the user's calendar a moment lies.

    Groups by day come in their order, by model the dearest first.
    """
    spent = Spending()
    groups: dict[str, Sum] = {}
    for expense in expenses:
        if expense.is_free:
            spent.demo.add(expense.cost, expense.known)
            continue
        spent.total.add(expense.cost, expense.known)
        spent.prices_date = min(filter(None, (spent.prices_date, expense.prices_date)), default=None)
        for name, cost, known in _shares(expense, by, day_of):
            groups.setdefault(name, Sum(name)).add(cost, known)
    is_by_model = by is GroupBy.MODEL
    spent.groups = sorted(groups.values(), key=_dearest if is_by_model else _first)
    return spent


def _dearest(group: Sum) -> tuple[Decimal, str]:
    return -group.known, group.name


def _first(group: Sum) -> tuple[Decimal, str]:
    return _NOTHING, group.name


def _shares(
    expense: Expense, by: GroupBy | None, day_of: Callable[[datetime], date]
) -> Iterator[tuple[str, Decimal | None, Decimal]]:
    """Split a run among the groups that it belongs to: each model's share is a row of its bill."""
    match by:
        case GroupBy.DAY:
            yield day_of(expense.started).isoformat(), expense.cost, expense.known
        case GroupBy.MODEL:
            for share in expense.shares:
                yield share.model or UNKNOWN_MODEL, share.cost, share.known
            if not expense.shares and expense.cost is None:
                yield UNKNOWN_MODEL, None, _NOTHING
        case None:
            pass
