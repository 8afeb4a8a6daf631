"""The options that say whose server it is, the built-in one's seed, and what may be spent there."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.cli.completion import profiles

_WIRE = "The server"
_MONEY = "The money"

Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        envvar="IMGCLI_PROFILE",
        help="Use the server and the defaults of [profile.NAME] in the configuration file (imgcli config "
        "path).",
        rich_help_panel=_WIRE,
        autocompletion=profiles,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Repeat an image of --demo; its seed is written on it.  [default: random]",
        rich_help_panel=_WIRE,
    ),
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate",
        help="Show what it may cost before sending it, or with --dry-run.",
        rich_help_panel=_MONEY,
    ),
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Send nothing that may cost more, by a dated upper bound; off for no limit.",
        rich_help_panel=_MONEY,
    ),
]
DailyCap = Annotated[
    str | None,
    typer.Option(
        "--daily-cap",
        metavar="USD",
        envvar="IMGCLI_DAILY_CAP",
        help="The same for all that is spent today; each run reserves its share before it is sent.",
        rich_help_panel=_MONEY,
    ),
]
