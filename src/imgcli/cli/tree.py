"""`imgcli tree`: what a picture came from, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli import history_options as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.completion import pictures_and_ids

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
A line a run: its id, what it cost, how it ended where not well, the file, the prompt. A picture that
no run in the history brought is told by its hash. Whatever stands in two places is drawn once, and
named "above" the second time. Masks are no ancestors; imgcli info names them.

Keys of --json, an object a run or picture: asked (true for one of them); id, null without a run;
started; endpoint; outcome; cost_usd; prompt; pictures (sha256, path); parents (sha256, id); children
(ids, or a hash without a run).

Exit codes: 0 drawn; 2 no such file or id, or a file that is no picture.
"""

Thing = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="A picture, an id of imgcli history, or last, last~1.",
        show_default=False,
        rich_help_panel="Which picture",
        autocompletion=pictures_and_ids,
    ),
]


def tree(ctx: typer.Context, thing: Thing, *, as_json: options.JsonObjects = False) -> None:
    """Draw where an image came from, and what was made from it.

    \b
    Examples:
      imgcli tree a-cat-edit.png           also after it was renamed or moved
      imgcli tree 12                       a run of imgcli history, by its id
      imgcli tree 12 --json | jq .cost_usd an object a line
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    from imgcli.cli import relations

    raise typer.Exit(relations.show_json(world, thing) if as_json else relations.show(world, thing))
