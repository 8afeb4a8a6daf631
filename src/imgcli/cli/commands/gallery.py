"""`imgcli gallery`: a web page of the images in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.params import lookup

if TYPE_CHECKING:
    from imgcli.app.context import Context


EPILOG = """\
The page needs no server and sends nothing to anybody: open index.html. It links to your image files
where they are; --copy-originals puts copies of them beside it, for an archive or to share the folder.
An update with --force makes thumbnails of new images only, and removes none.

Exit codes: 0 done; 2 no image, or FOLDER already has a page; 12 FOLDER cannot be written.
"""


Output = Annotated[str, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write the gallery.")]
Originals = Annotated[
    bool, typer.Option("--copy-originals", help="Copy the image files too, instead of linking to them.")
]
Force = Annotated[bool, typer.Option("--force", help="Update the gallery in FOLDER.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        metavar="N",
        help="Only the newest N images.  [default: all]",
        rich_help_panel=lookup.FILTER,
    ),
]


def gallery(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    *,
    output: Output = "imgcli-gallery",
    copy_originals: Originals = False,
    force: Force = False,
    open_page: Open = False,
    search: lookup.Search = None,
    limit: Limit = None,
) -> None:
    """Make a web page of your images, to browse or share.

    \b
    Examples:
      imgcli gallery --open                    all your images, in the browser
      imgcli gallery --open --force            the same again, with the newest
      imgcli gallery --search cat -o cats --copy-originals
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    from imgcli.app.browser.gallery import GalleryOptions, make_gallery

    context: Context = ctx.obj
    options = GalleryOptions(output, search, limit, force, copy_originals, open_page)
    raise typer.Exit(make_gallery(context, options))
