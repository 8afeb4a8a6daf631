"""What was spent, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.core.bill import dollars
from imgcli.core.text import shorten
from imgcli.show.columns import numbers_lined_up

if TYPE_CHECKING:
    from datetime import date

    from imgcli.core.spending import Spending, Sum

_NAME_LENGTH = 60


def cost_lines(spent: Spending) -> list[str]:
    """Write the sums as lines: the groups, the total, and what is to be known about it."""
    rows = [("", "runs", "dollars"), *map(_cells, spent.groups), _cells(spent.total)]
    table = numbers_lined_up(rows) if spent.total.runs else []
    return [*table, *_remarks(spent)]


def _cells(group: Sum) -> tuple[str, str, str]:
    return shorten(group.name, _NAME_LENGTH), f"{group.runs:,}", _dollars(group)


def _dollars(group: Sum) -> str:
    """Say at least what is known."""
    if group.cost is None and group.known:
        return f"at least {dollars(group.known)}"
    return dollars(group.cost)


def _remarks(spent: Spending) -> list[str]:
    dated = [f"the oldest prices are of {spent.prices_date.isoformat()}"] if spent.prices_date else []
    return [*_about_unknown(spent.total.unknown), *dated, *_about_demo(spent.demo)]


def _about_unknown(count: int) -> list[str]:
    if not count:
        return []
    whose = "1 run's cost is" if count == 1 else f"{count:,} runs' costs are"
    return [f"{whose} not known, or not wholly; your usage page has the rest"]


def _about_demo(demo: Sum) -> list[str]:
    if not demo.runs:
        return []
    runs = "1 free run" if demo.runs == 1 else f"{demo.runs:,} free runs"
    return [f"{runs} not charged; the price would have been {_dollars(demo)}"]


def cost_json(spent: Spending, since: date | None) -> dict[str, Any]:
    """Write the sums for programs; `cost_usd` is null where any of it is unknown, `known_usd` never."""
    return {
        "since": since.isoformat() if since else None,
        **_json(spent.total),
        "prices_date": spent.prices_date.isoformat() if spent.prices_date else None,
        "groups": [{"name": group.name, **_json(group)} for group in spent.groups],
        "demo": _json(spent.demo),
    }


def _json(group: Sum) -> dict[str, Any]:
    return {
        "runs": group.runs,
        "cost_usd": None if group.cost is None else float(group.cost),
        "known_usd": float(group.known),
        "unknown_runs": group.unknown,
    }
