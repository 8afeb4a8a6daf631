"""Options of a batch, and those of `gen` that one does without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.completion import batch_files

_INPUT = "Input"
_RUN = "Batch"

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A file of JSON Lines, CSV, or one prompt per line. CSV has a header row; in plain text # "
        "begins a comment. '-' is standard input.",
        rich_help_panel=_INPUT,
        autocompletion=batch_files,
        show_default=False,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="TEXT",
        help='Prompt for rows that have none, such as "a {animal} in {place}".',
        rich_help_panel=_INPUT,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Other choices for {NAME|choice}, which are the same each time a batch is run; with --demo also "
        "the seed of the images.  [default: 0]",
        rich_help_panel=_INPUT,
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="How many requests run at the same time, 1 to 64.",
        rich_help_panel=_RUN,
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        metavar="N/min",
        help="Start at most N requests per minute, such as 30/min (also 2/s, 100/h).  [default: as the "
        "server allows]",
        rich_help_panel=_RUN,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write path, cost, time and error of each row to FILE: CSV or JSON by its ending.",
        rich_help_panel=_RUN,
    ),
]
RetryUnknown = Annotated[
    bool,
    typer.Option(
        "--retry-unknown",
        help="Also send rows again that may already have been paid for.",
        rich_help_panel=_RUN,
    ),
]
Later = Annotated[
    bool,
    typer.Option(
        "--later",
        help="Submit everything to OpenAI's Batch API: half price, done within 24 hours.",
        rich_help_panel=_RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show what would be sent and its maximum cost, without sending it; needs no key. With --jsonl "
        "one JSON object per image.",
        rich_help_panel="Server",
    ),
]
NoRecord = Annotated[Path | None, typer.Option("--record", hidden=True)]
NoCompare = Annotated[bool, typer.Option("--compare", hidden=True)]
NoOpen = Annotated[bool, typer.Option("--open", hidden=True)]
NoCopy = Annotated[bool, typer.Option("--copy", hidden=True)]
