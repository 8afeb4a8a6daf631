"""`imgcli cost`: what was spent."""

from __future__ import annotations

from datetime import datetime, time
from enum import Enum
from typing import TYPE_CHECKING

import typer

from imgcli.app import context, lookup
from imgcli.cli.commands import history as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.billing.spending import Period, spending
from imgcli.core.errors import ExitCode, usage_error
from imgcli.output.tables.bill import cost_json, cost_lines
from imgcli.output.text import SafeWriter

if TYPE_CHECKING:
    from datetime import date

    from imgcli.app.context import Context
    from imgcli.core.billing.spending import GroupBy


EPILOG = """\
Prices come from imgcli's own table; what is due is what OpenAI's usage page says. A cost that is
not known is counted as such, never guessed. Demo runs cost nothing and are not in the sum.
"""


def cost(
    ctx: typer.Context,
    *,
    today: options.Today = False,
    week: options.Week = False,
    month: options.Month = False,
    by: options.ByOption = None,
    as_json: options.JsonObject = False,
) -> None:
    """Sum up what your runs cost.

    \b
    Examples:
      imgcli cost                     everything that is in the history
      imgcli cost --month --by day    this month, day by day
      imgcli cost --by model          which model the money went to
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj

    period = read_period(today=today, week=week, month=month)
    raise typer.Exit(print_costs(world, period, by, CostFormat.JSON if as_json else CostFormat.TABLE))


class CostFormat(Enum):
    """Who reads it."""

    TABLE = "table"
    JSON = "json"


def read_period(*, today: bool, week: bool, month: bool) -> Period:
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


def print_costs(world: Context, days: Period, by: GroupBy | None, form: CostFormat) -> ExitCode:
    """Sum up, and write it."""
    since = days.begin(world.now().date())
    with lookup.open_history(world) as history:
        spent = spending(history.charges(_midnight(since)), by, _day)
    if form is CostFormat.JSON:
        from imgcli.output.sinks.jsonl import to_json

        SafeWriter(world.stdout).lines([to_json(cost_json(spent, since))])
        return ExitCode.OK
    SafeWriter(world.stdout).lines(cost_lines(spent))
    if not (spent.total.runs or spent.demo.runs):
        context.warn(world, [_nothing(days)])
    return ExitCode.OK


def _nothing(days: Period) -> str:
    if days is Period.ALL:
        return "nothing was spent yet; the first `imgcli gen` will be listed here"
    return f"nothing was spent {'today' if days is Period.TODAY else f'this {days}'}"


def _midnight(day: date | None) -> datetime | None:
    """Return the moment at which a day begins here; clocks may have been put forward or back since."""
    return datetime.combine(day, time.min).astimezone() if day else None


def _day(moment: datetime) -> date:
    return moment.astimezone().date()
