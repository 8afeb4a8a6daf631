"""Options of `serve`: address and access."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.cli.completion import models

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
        help="Require a token, which is part of the printed address and new at each start.",
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
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="IMGCLI_MODEL",
        help="Text or image model for requests that do not name one; see imgcli models.  "
        "[default: gpt-4o-mini; from 2027-01-14 gpt-6-luna]",
        rich_help_panel="Image",
        autocompletion=models,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Where to save: a folder (end a new one with /), a file name, to which further images add a "
        "number, or a template with {slug} {n} {model} {date} {time} {id}.  [default: named after the "
        "prompt, in the current folder]",
        rich_help_panel="Output",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Repeat an image of --demo; its seed is printed on it.  [default: random]",
        rich_help_panel="Server",
    ),
]
