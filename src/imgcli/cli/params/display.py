"""Options for the display."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.core.params import InlineImages, PreviewProtocol

_SHOW = "Display"

Speed = Annotated[
    float,
    typer.Option("--speed", metavar="X", help="Replay at X times the original speed.", rich_help_panel=_SHOW),
]
Fast = Annotated[bool, typer.Option("--fast", help="Replay without delays.", rich_help_panel=_SHOW)]
Loop = Annotated[
    bool,
    typer.Option(
        "--loop",
        help="Loop animated images.  [default: play them once]",
        rich_help_panel=_SHOW,
    ),
]
Still = Annotated[
    bool,
    typer.Option(
        "--still",
        help="Show only the first frame of an animated image.",
        rich_help_panel=_SHOW,
    ),
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--jsonl", help="Write events to standard output as JSON, one object per line.", rich_help_panel=_SHOW
    ),
]
JsonLinesImages = Annotated[
    InlineImages | None,
    typer.Option(
        "--jsonl-images",
        metavar="HOW",
        help="Images in --jsonl: inline (as base64) or none (paths only).  "
        "[default: inline, but none in a terminal]",
        rich_help_panel=_SHOW,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the saved path and errors.", rich_help_panel=_SHOW)
]
Preview = Annotated[
    PreviewProtocol | None,
    typer.Option(
        "--preview",
        metavar="HOW",
        help="How to draw the preview: auto (the best this terminal supports), kitty, iterm2, sixel, "
        "octants, sextants, blocks, half, ascii or off.  [default: IMGCLI_PREVIEW, else auto]",
        rich_help_panel=_SHOW,
    ),
]
Plain = Annotated[
    bool,
    typer.Option(
        "--plain", help="Print one line per change, for screen readers and logs.", rich_help_panel=_SHOW
    ),
]
Width = Annotated[
    int | None,
    typer.Option("--width", metavar="COLS", help="Preview width in columns.", rich_help_panel=_SHOW),
]
LongBill = Annotated[
    bool,
    typer.Option(
        "--bill",
        help="Print the bill in full, with all its notes.",
        rich_help_panel=_SHOW,
    ),
]
Open = Annotated[
    bool,
    typer.Option("--open", help="Open the saved image in the default viewer.", rich_help_panel=_SHOW),
]
Copy = Annotated[
    bool,
    typer.Option("--copy", help="Copy the saved image to the clipboard.", rich_help_panel=_SHOW),
]
Notify = Annotated[
    bool,
    typer.Option(
        "--notify",
        help="Show a notification when done: in the terminal if it supports them, else on the desktop.",
        rich_help_panel=_SHOW,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Show before and after side by side, with the percentage of pixels that changed.",
        rich_help_panel=_SHOW,
    ),
]
