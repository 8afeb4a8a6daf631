"""`imgcli open`: an image in the desktop's own viewer, or on its clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.completion import images_and_ids

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
The tools are the desktop's own: xdg-open on Linux, open on macOS; for --copy wl-copy or xclip,
osascript, PowerShell. They get what a desktop's program needs of the environment, and no key.

Exit codes: 0 the tool has it; 2 no such image, or no tool for it.
"""

Thing = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="An image, an id of imgcli history, or last, last~1 and so on.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Copy = Annotated[bool, typer.Option("--copy", help="Put it onto the clipboard instead.")]


def open(ctx: typer.Context, thing: Thing, *, copy: Copy = False) -> None:  # noqa: A001 - the command's name
    """Open an image in the desktop's own viewer.

    \b
    Examples:
      imgcli open last          the newest image
      imgcli open 12            by its id in imgcli history
      imgcli open last --copy   onto the clipboard, to paste it somewhere
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj
    from imgcli.app import desktop, options

    raise typer.Exit(desktop.perform(world, thing, options.Desktop.COPY if copy else options.Desktop.OPEN))
