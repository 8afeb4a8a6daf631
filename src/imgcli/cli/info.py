"""`imgcli info`: how a picture was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli import history_options as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.completion import pictures_and_ids

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
A file is known by its content, under any name; of runs with equal images the one that saved this
very file is meant. An existing file goes before an id (./12 is always a file), and last, last~1 and so on
are always runs. What the history does not know may stand in the file itself (--embed).

Keys of --json: asked; source (history, recipe, file); file (path, format, bytes, width, height,
sha256, content_credentials: present, absent or unknown), null for an id; image, which of the run's
pictures the file is; run, as in imgcli history --json; saved (image, path, state: there, gone,
changed, unreadable, unsaved; content_credentials); recipe; parents (sha256, role, id, name);
children (ids). What is not known is null.

Exit codes: the gravest of all. 0 shown; 2 no such file or id, or a file that is no picture.
"""

Things = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="Pictures, ids of imgcli history, or last, last~1.",
        show_default=False,
        rich_help_panel="Which pictures",
        autocompletion=pictures_and_ids,
    ),
]


def info(ctx: typer.Context, things: Things, *, as_json: options.JsonObjects = False) -> None:
    """Show how images were made, and what was made from them.

    \b
    Examples:
      imgcli info a-cat.png                   also after it was renamed or moved
      imgcli info 12                          a run of imgcli history, by its id
      imgcli info *.png --json | jq .source   an object a line
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    from imgcli.cli import informing

    raise typer.Exit(
        informing.perform(world, things, informing.Form.JSON if as_json else informing.Form.PEOPLE)
    )
