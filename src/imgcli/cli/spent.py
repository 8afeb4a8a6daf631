"""Sums of money from the history."""

from __future__ import annotations

from datetime import datetime, time
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.cli import lookup, notes
from imgcli.core.errors import ExitCode, usage_error
from imgcli.core.spending import Period, spending
from imgcli.show.cost_table import cost_json, cost_lines
from imgcli.show.output import Output

if TYPE_CHECKING:
    from datetime import date

    from imgcli.cli.world import World
    from imgcli.core.spending import By


class Form(Enum):
    """Who reads it."""

    TABLE = "table"
    JSON = "json"


def period(*, today: bool, week: bool, month: bool) -> Period:
    """Choose the days. Raises `ImgcliError` (usage) for more than one choice."""
    asked = [
        choice
        for choice, wanted in ((Period.TODAY, today), (Period.WEEK, week), (Period.MONTH, month))
        if wanted
    ]
    if len(asked) > 1:
        named = " and ".join(f"--{choice}" for choice in asked)
        raise usage_error(f"{named} contradict each other.", "Choose one.")
    return asked[0] if asked else Period.ALL


def show(world: World, days: Period, by: By | None, form: Form) -> ExitCode:
    """Sum up, and write it."""
    since = days.begin(world.now().date())
    with lookup.opened(world) as history:
        spent = spending(history.charges(_midnight(since)), by, _day)
    if form is Form.JSON:
        from imgcli.show.jsonl import to_json

        Output(world.stdout).lines([to_json(cost_json(spent, since))])
        return ExitCode.OK
    Output(world.stdout).lines(cost_lines(spent))
    if not (spent.total.runs or spent.demo.runs):
        notes.tell(world, [_nothing(days)])
    return ExitCode.OK


def _nothing(days: Period) -> str:
    if days is Period.ALL:
        return "nothing was spent yet; the first `imgcli gen` will be listed here"
    return f"nothing was spent {'today' if days is Period.TODAY else f'this {days}'}"


def _midnight(day: date | None) -> datetime | None:
    """Give the moment at which a day begins here; clocks may have been put forward or back since."""
    return datetime.combine(day, time.min).astimezone() if day else None


def _day(moment: datetime) -> date:
    return moment.astimezone().date()
