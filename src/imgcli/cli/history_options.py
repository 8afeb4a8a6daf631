"""The options of the commands that look back, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.core.spending import By
from imgcli.show.known import Rung

_WHICH = "Which runs"
_SHOW = "What you see"
_FORGET = "Forgetting"

Search = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="TEXT",
        help="Runs with TEXT in the prompt, in the revised prompt or in the path.",
        rich_help_panel=_WHICH,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", metavar="N", help="At most N, the newest.  [default: 20]", rich_help_panel=_WHICH
    ),
]
Thumbnails = Annotated[
    Rung | None,
    typer.Option(
        "--preview",
        metavar="HOW",
        help="Thumbnails: auto (the best that this terminal can), kitty, iterm2, sixel, octants, sextants, "
        "blocks, half, ascii or off.",
        rich_help_panel=_SHOW,
    ),
]
JsonObjects = Annotated[
    bool, typer.Option("--json", help="Write one JSON object a line, in ASCII.", rich_help_panel=_SHOW)
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget",
        help="Forget the runs that --search and --limit name, all of them without; their pictures stay.",
        rich_help_panel=_FORGET,
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Forget them without asking.", rich_help_panel=_FORGET)
]
Today = Annotated[bool, typer.Option("--today", help="Since midnight.", rich_help_panel=_WHICH)]
Week = Annotated[bool, typer.Option("--week", help="Since Monday.", rich_help_panel=_WHICH)]
Month = Annotated[bool, typer.Option("--month", help="Since the first of the month.", rich_help_panel=_WHICH)]
ByOption = Annotated[
    By | None,
    typer.Option("--by", metavar="WHAT", help="Break it down by model or day.", rich_help_panel=_SHOW),
]
JsonObject = Annotated[bool, typer.Option("--json", help="Write one JSON object.", rich_help_panel=_SHOW)]
