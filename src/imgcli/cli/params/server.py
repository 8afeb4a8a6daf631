"""Options for the server and spending limits."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.cli.completion import profiles

_SERVER = "Server"
_COST = "Cost"

Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        envvar="IMGCLI_PROFILE",
        help="Use the server and the defaults of [profile.NAME] in the configuration file (see "
        "imgcli config).",
        rich_help_panel=_SERVER,
        autocompletion=profiles,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Repeat an image of --demo; its seed is printed on it. Also repeats what {NAME|choice} picks.  "
        "[default: random]",
        rich_help_panel=_SERVER,
    ),
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate",
        help="Show the estimated cost before sending the request; also with --dry-run.",
        rich_help_panel=_COST,
    ),
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Send no request that may cost more than this; off for no limit.",
        rich_help_panel=_COST,
    ),
]
DailyCap = Annotated[
    str | None,
    typer.Option(
        "--daily-cap",
        metavar="USD",
        envvar="IMGCLI_DAILY_CAP",
        help="Send no request that may raise today's spending above this; off for no limit. Runs in progress "
        "count too.",
        rich_help_panel=_COST,
    ),
]
