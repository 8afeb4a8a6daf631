"""`imgcli open`: open an image in the desktop's viewer, or copy it to the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.params import lookup  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
Uses the desktop's own tools: xdg-open on Linux, open on macOS; for --copy wl-copy or xclip,
osascript, PowerShell. They run with a reduced environment, without API keys.

Exit codes: 0 handed to the tool; 2 no such image, or no tool for it.
"""

Copy = Annotated[bool, typer.Option("--copy", help="Copy it to the clipboard instead.")]


def open(ctx: typer.Context, image: lookup.Image, *, copy: Copy = False) -> None:  # noqa: A001 - the command's name
    """Open an image in the default viewer.

    \b
    Examples:
      imgcli open last          the newest image
      imgcli open 12            by its id in imgcli history
      imgcli open last --copy   copy it to the clipboard
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.app import desktop, options

    context: Context = ctx.obj
    raise typer.Exit(desktop.perform(context, image, options.Desktop.COPY if copy else options.Desktop.OPEN))
