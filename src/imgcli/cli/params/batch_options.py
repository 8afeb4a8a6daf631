"""Options of `batch`, and those of `gen` that it does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.completion import batch_files, images_and_ids
from imgcli.core.params import PARAMETERS

ROW_OPTIONS = (
    *("image", "mask", "markup", "model", "image-model", "count"),
    *(parameter.flag for parameter in PARAMETERS),
    *("partials", "embed", "keep-partials", "api", "detach", "stream"),
)
"""The options that a row may set. A batch file may come from somebody else, so it names no server, key,
limit or record, reads no file but images, and overwrites nothing."""

_INPUT = "Input"
_RUN = "Batch"

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A file of JSON Lines, CSV, or one prompt per line. CSV has a header row; in plain text # "
        "begins a comment. '-' is standard input; such a batch cannot be continued.",
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
        help="Seed for {NAME|choice}: the same N always picks the same values. With --demo also the seed of "
        "the images.  [default: 0]",
        rich_help_panel=_INPUT,
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="Maximum number of requests at the same time, 1 to 64.",
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
        help="Also retry rows that may already have been paid for.",
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
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        "-i",
        metavar="FILE",
        help="Input image for rows that name none: a PNG, JPEG or WebP file, a history id, or an https URL. "
        "Can be given up to 16 times.",
        rich_help_panel=_INPUT,
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Count = Annotated[
    int,
    typer.Option(
        "--count",
        "-n",
        metavar="N",
        help="Generate N images for each row, one request each.",
        rich_help_panel="Image",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Where to save: a folder, or a template with variables and {slug} {n} {model} {date} {time} "
        "{id}; missing folders are created.  [default: named after the prompt, in the current folder]",
        rich_help_panel="Output",
    ),
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Maximum cost of the whole batch, over all its runs; off for no limit. Rows that would "
        "exceed it are not sent.",
        rich_help_panel="Cost",
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
NoWindow = Annotated[str | None, typer.Option("--completion-window", hidden=True)]
NoCompare = Annotated[bool, typer.Option("--compare", hidden=True)]
NoOpen = Annotated[bool, typer.Option("--open", hidden=True)]
NoCopy = Annotated[bool, typer.Option("--copy", hidden=True)]
NoStill = Annotated[bool, typer.Option("--still", hidden=True)]
NoBill = Annotated[bool, typer.Option("--bill", hidden=True)]
