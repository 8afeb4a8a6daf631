"""`imgcli cost`: what was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcli.cli import history_options as options  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.cli.world import World

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
    world: World = ctx.obj
    from imgcli.cli import spent

    period = spent.period(today=today, week=week, month=month)
    raise typer.Exit(spent.show(world, period, by, spent.Form.JSON if as_json else spent.Form.TABLE))
