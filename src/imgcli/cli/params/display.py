"""The options about what is seen, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from imgcli.output.sinks.jsonl import InlineImages
from imgcli.output.terminal.database import PreviewProtocol

_SHOW = "What you see"

Speed = Annotated[
    float,
    typer.Option("--speed", metavar="X", help="Replay X times as fast.", rich_help_panel=_SHOW),
]
Fast = Annotated[bool, typer.Option("--fast", help="Replay without any waiting.", rich_help_panel=_SHOW)]
JsonLines = Annotated[
    bool,
    typer.Option("--jsonl", help="Write one JSON object per line to standard output.", rich_help_panel=_SHOW),
]
JsonLinesImages = Annotated[
    InlineImages | None,
    typer.Option(
        "--jsonl-images",
        metavar="HOW",
        help="inline: base64 in every image line; none: paths only.  "
        "[default: inline, without the base64 on a terminal]",
        rich_help_panel=_SHOW,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the saved path and errors only.", rich_help_panel=_SHOW)
]
Preview = Annotated[
    PreviewProtocol | None,
    typer.Option(
        "--preview",
        metavar="HOW",
        help="The live preview: auto (the best this terminal can show), kitty, iterm2, sixel, octants, "
        "sextants, blocks, half, ascii or off.  [default: IMGCLI_PREVIEW, else auto]",
        rich_help_panel=_SHOW,
    ),
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="One line per change, for screen readers and logs.", rich_help_panel=_SHOW),
]
Width = Annotated[
    int | None,
    typer.Option("--width", metavar="COLS", help="The preview's width, in columns.", rich_help_panel=_SHOW),
]
LongBill = Annotated[
    bool,
    typer.Option(
        "--bill",
        help="The bill in full: all its remarks, in as many lines as it takes.",
        rich_help_panel=_SHOW,
    ),
]
Open = Annotated[
    bool,
    typer.Option("--open", help="Open the saved image in the desktop's viewer.", rich_help_panel=_SHOW),
]
Copy = Annotated[
    bool,
    typer.Option("--copy", help="Put the saved image onto the clipboard.", rich_help_panel=_SHOW),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Show before and after side by side, and the share of pixels that changed.",
        rich_help_panel=_SHOW,
    ),
]
