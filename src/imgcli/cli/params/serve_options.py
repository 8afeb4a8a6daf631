"""Options of `serve`: where it listens, and who may use it."""

from __future__ import annotations

from typing import Annotated

import typer

_ACCESS = "Access"

Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Address to listen on. Any but this machine's own (0.0.0.0, say) needs --token.",
        rich_help_panel=_ACCESS,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", help="Port to listen on; 0 picks a free one.", rich_help_panel=_ACCESS
    ),
]
Token = Annotated[
    bool,
    typer.Option(
        "--token",
        help="Serve only who has the token, which is in the address that is printed; new at each start.",
        rich_help_panel=_ACCESS,
    ),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin",
        metavar="ORIGIN",
        help="Let web pages of this origin use the server too, such as http://localhost:5173. Can be given "
        "several times.",
        rich_help_panel=_ACCESS,
        show_default=False,
    ),
]
OpenPage = Annotated[
    bool, typer.Option("--open", help="Open the page in the browser.", rich_help_panel=_ACCESS)
]
AtOnce = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="How many images may be generated at the same time, 1 to 64; more requests are refused (429).",
        rich_help_panel="Server",
    ),
]
EachCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Send no request that may cost more than this; off for no limit.",
        rich_help_panel="Cost",
    ),
]
