"""Arguments and options for finding images and runs in the history."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.cli.completion import images_and_ids

FILTER = "Filter"
"""The help panel of options that choose runs."""

Image = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="An image file, a history id, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Images = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="Image files, history ids, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Search = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="TEXT",
        help="Only runs with TEXT in the prompt, the revised prompt or the path.",
        rich_help_panel=FILTER,
    ),
]
JsonLines = Annotated[
    bool,
    typer.Option("--json", help="Write JSON, one object per line, in ASCII.", rich_help_panel="Display"),
]
JsonObject = Annotated[bool, typer.Option("--json", help="Write one JSON object.", rich_help_panel="Display")]
