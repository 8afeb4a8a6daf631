"""Sums over the costs of many runs: exact, with unknown costs counted separately."""

from __future__ import annotations

from dataclasses import field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from imgcli.core.history import RunCost


_ZERO = Decimal(0)
UNKNOWN_MODEL = "unknown model"


class Period(StrEnum):
    """A period to sum up; weeks start on Monday."""

    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"

    def begin(self, today: date) -> date | None:
        """Return the first day, None without a limit."""
        match self:
            case Period.TODAY:
                return today
            case Period.WEEK:
                return today - timedelta(days=today.weekday())
            case Period.MONTH:
                return today.replace(day=1)
            case Period.ALL:  # pragma: no branch - there is no other
                return None


class GroupBy(StrEnum):
    """What a sum is broken down by."""

    MODEL = "model"
    DAY = "day"


@dataclass
class Sum:
    """The cost of several runs: the `known` dollars, and the number of runs with an `unknown` part."""

    name: str
    runs: int = 0
    unknown: int = 0
    known: Decimal = _ZERO

    def add(self, cost: Decimal | None, known: Decimal, runs: int = 1) -> None:
        """Add a run, or several."""
        self.runs += runs
        self.unknown += runs if cost is None else 0
        self.known += known

    @property
    def cost(self) -> Decimal | None:
        """The total, None if any part of it is unknown."""
        return None if self.unknown else self.known


@dataclass
class Spending:
    """Spending: the total, by group, and what free runs, such as demo runs, would have cost.

    `prices_date` is the date of the oldest price in the total, None without any.
    """

    total: Sum = field(default_factory=lambda: Sum("total"))
    demo: Sum = field(default_factory=lambda: Sum("demo"))
    groups: list[Sum] = field(default_factory=list)
    prices_date: date | None = None


def spending(expenses: Iterable[RunCost], by: GroupBy | None, day_of: Callable[[datetime], date]) -> Spending:
    """Sum up runs, or without groups sums of them. `day_of` converts a time to a day in the user's time zone.

    Days are sorted by date, models by cost, the most expensive first.
    """
    spent = Spending()
    groups: dict[str, Sum] = {}
    for expense in expenses:
        if expense.is_free:
            spent.demo.add(expense.cost, expense.known, expense.runs)
            continue
        spent.total.add(expense.cost, expense.known, expense.runs)
        spent.prices_date = min(filter(None, (spent.prices_date, expense.prices_date)), default=None)
        for name, cost, known in _shares(expense, by, day_of):
            groups.setdefault(name, Sum(name)).add(cost, known)
    spent.groups = sorted(groups.values(), key=lambda group: group.name)
    if by is GroupBy.MODEL:
        spent.groups.sort(key=lambda group: -group.known)
    return spent


def _shares(
    expense: RunCost, by: GroupBy | None, day_of: Callable[[datetime], date]
) -> Iterator[tuple[str, Decimal | None, Decimal]]:
    """Yield a run's part in each group; a model's part is a row of the bill."""
    match by:
        case GroupBy.DAY:
            yield day_of(expense.started).isoformat(), expense.cost, expense.known
        case GroupBy.MODEL:
            for share in expense.shares:
                yield share.model or UNKNOWN_MODEL, share.cost, share.known
            if not expense.shares and expense.cost is None:
                yield UNKNOWN_MODEL, None, _ZERO
