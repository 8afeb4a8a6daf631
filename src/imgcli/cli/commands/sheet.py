"""`imgcli sheet`: a contact sheet of many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.completion import images_and_ids

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
Under each image stands its file name and, where the history knows the run, its cost. An image that
cannot be read is reported and left out.

Exit codes: 0 the sheet has every image; 2 an image cannot be read; 12 the sheet cannot be written.
"""

Things = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="Images, ids of imgcli history, or last, last~1.",
        show_default=False,
        autocompletion=images_and_ids,
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where to save it: png, jpg or webp; '-' for standard output."
    ),
]
Columns = Annotated[
    int | None,
    typer.Option(
        "--columns", metavar="N", help="Images per row.  [default: about as many as rows]", show_default=False
    ),
]
Tile = Annotated[int, typer.Option("--tile", metavar="PIXELS", help="Side of an image on the sheet.")]
Captions = Annotated[bool, typer.Option("--captions/--no-captions", help="Write names and costs.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file instead of numbering.")]


def sheet(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    things: Things,
    *,
    output: Output = "sheet.png",
    columns: Columns = None,
    tile: Tile = 320,
    captions: Captions = True,
    force: Force = False,
) -> None:
    """Put many images on one contact sheet.

    \b
    Examples:
      imgcli sheet *.png                     all images here, as sheet.png
      imgcli sheet last last~1 last~2        the three newest
      imgcli sheet *.webp -o all.jpg --columns 6
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    from imgcli.app.sheet import SheetOptions, make_sheet
    from imgcli.store.publish.atomic import OnExists

    on_exists = OnExists.REPLACE if force else OnExists.NUMBER
    options = SheetOptions(tuple(things), output, columns, tile, captions, on_exists)
    raise typer.Exit(make_sheet(context, options))
