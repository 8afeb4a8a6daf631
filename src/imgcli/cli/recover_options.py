"""The options of `recover`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer


def _duration(text: str) -> timedelta:
    """Read an age such as 90d, 12h or 2w."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no age: write 90d, 12h or 2w.")
    return (
        int(found[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
    )


Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="The runs to recover, by the first word of their lines in --list, or its beginning.  "
        "[default: all]",
        show_default=False,
    ),
]
Discard = Annotated[
    bool,
    typer.Option("--discard", help="Save nothing: throw the records away, whatever they hold."),
]
Older = Annotated[
    timedelta | None,
    typer.Option(
        "--older", metavar="AGE", help="Only what is at least that old: 90d, 12h, 2w.", parser=_duration
    ),
]
Listing = Annotated[bool, typer.Option("--list", help="Show what there is to recover, and change nothing.")]
