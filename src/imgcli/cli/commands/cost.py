"""`imgcli cost`: what runs have cost."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app.lookup import open_history
from imgcli.cli.params import lookup  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.billing.spending import GroupBy, Period, spending
from imgcli.core.errors import usage_error
from imgcli.output.json import cost_json
from imgcli.output.tables.bill import cost_lines
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context


_PERIOD = "Period"

Today = Annotated[bool, typer.Option("--today", help="Since midnight.", rich_help_panel=_PERIOD)]
Week = Annotated[bool, typer.Option("--week", help="Since Monday.", rich_help_panel=_PERIOD)]
Month = Annotated[
    bool, typer.Option("--month", help="Since the first of the month.", rich_help_panel=_PERIOD)
]
By = Annotated[
    GroupBy | None,
    typer.Option("--by", metavar="WHAT", help="Group by model or day.", rich_help_panel="Display"),
]

EPILOG = """\
Costs are calculated from imgcli's price table; what you owe is shown on OpenAI's usage page. Runs of
unknown cost are counted, not estimated. Demo runs are free and not included.
"""


def cost(
    ctx: typer.Context,
    *,
    today: Today = False,
    week: Week = False,
    month: Month = False,
    by: By = None,
    as_json: lookup.JsonObject = False,
) -> None:
    """Show what your runs cost.

    \b
    Examples:
      imgcli cost                     all runs in the history
      imgcli cost --month --by day    this month, day by day
      imgcli cost --by model          the cost of each model
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    period = read_period(today=today, week=week, month=month)
    since = period.begin(context.now().date())
    # The moment at which that day began here: clocks may have been put forward or back since.
    midnight = datetime.combine(since, time.min).astimezone() if since else None
    with open_history(context) as history:
        costs = history.charges(midnight, each=by is not None)
        spent = spending(costs, by, lambda moment: moment.astimezone().date())
    if as_json:
        from imgcli.output.json import to_json

        SafeWriter(context.stdout).lines([to_json(cost_json(spent, since))])
        return
    SafeWriter(context.stdout).lines(cost_lines(spent))
    if not (spent.total.runs or spent.demo.runs):
        when = {Period.ALL: "yet; try `imgcli gen`", Period.TODAY: "today"}.get(period, f"this {period}")
        context.warn([f"no runs {when}"])


def read_period(*, today: bool, week: bool, month: bool) -> Period:
    """Return the period. Raises `ImgcliError` (usage) for more than one."""
    options = {Period.TODAY: today, Period.WEEK: week, Period.MONTH: month}
    chosen = [period for period, is_chosen in options.items() if is_chosen]
    if len(chosen) > 1:
        names = " and ".join(f"--{period}" for period in chosen)
        raise usage_error(f"{names} cannot be combined.", "Choose one.")
    return chosen[0] if chosen else Period.ALL
