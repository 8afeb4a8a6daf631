"""`imgcli sheet`: a contact sheet of many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.params import lookup  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
Each image is labeled with its file name and, if its run is in the history, its cost. An image that
cannot be read is reported and left out.

Exit codes: 0 all images are on the sheet; 2 an image cannot be read; 12 the sheet cannot be written.
"""

Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to save: a png, jpg or webp file, or '-' for standard output.",
    ),
]
Columns = Annotated[
    int | None,
    typer.Option(
        "--columns", metavar="N", help="Images per row.  [default: as many as rows]", show_default=False
    ),
]
Tile = Annotated[int, typer.Option("--tile", metavar="PIXELS", help="Size of each image on the sheet.")]
Captions = Annotated[bool, typer.Option("--captions/--no-captions", help="Show names and costs.")]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite an existing file instead of adding a number to the name.")
]


def sheet(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    things: lookup.Images,
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
      imgcli sheet *.png                     all images in this folder
      imgcli sheet last last~1 last~2        the three newest images
      imgcli sheet *.webp -o all.jpg --columns 6
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    from imgcli.app.sheet import SheetOptions, make_sheet
    from imgcli.store.publish.atomic import OnExists

    on_exists = OnExists.REPLACE if force else OnExists.NUMBER
    options = SheetOptions(tuple(things), output, columns, tile, captions, on_exists)
    raise typer.Exit(make_sheet(context, options))
