"""`imgcli strip`: the recipe out of a picture's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.completion import pictures_and_ids

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
Exit codes: the gravest of all files. 0 no file holds a recipe any more; 2 a file cannot be read, or
is no PNG; 12 a file cannot be written, and is as it was.
"""


Pictures = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="PNG files, ids of imgcli history, or last, last~1.",
        show_default=False,
        autocompletion=pictures_and_ids,
    ),
]
CleanCopy = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Write a clean copy there, over nothing that is there: a file, a folder, or '-' for standard "
        "output.  [default: in the file's own place]",
    ),
]


def strip(ctx: typer.Context, files: Pictures, *, output: CleanCopy = None) -> None:
    """Remove embedded parameters from PNG files (see gen --embed).

    Nothing else in the file changes, and nothing is encoded again: it has the very bytes that the server
    sent, so that content credentials verify again. A file without a recipe is left untouched.

    \b
    Examples:
      imgcli strip cat.png                 before you give the picture away
      imgcli strip *.png                   many at once
      imgcli strip cat.png -o clean.png    a clean copy; cat.png keeps its recipe
      imgcli strip cat.png -o - | upload   the clean bytes, for another program
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    from imgcli.cli import stripping

    raise typer.Exit(stripping.perform(world, files, output))
