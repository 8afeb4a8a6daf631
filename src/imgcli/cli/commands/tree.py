"""`imgcli tree`: what an image came from, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app import context, lookup
from imgcli.app.context import size_of
from imgcli.app.lookup import Lookup
from imgcli.cli.commands import history as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.completion import images_and_ids
from imgcli.core.errors import ExitCode
from imgcli.output.tables.history import DRAWN, TYPED, family_json, tree_lines
from imgcli.output.terminal.capabilities import speaks_unicode
from imgcli.output.text import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.core.history import Family


_CHUNK = 200
"""Lines that are written together."""


def print_tree(world: Context, name: str) -> ExitCode:
    """Draw the family. Raises `ImgcliError` (usage)."""
    family = _family(world, name)
    columns = size_of(world.stdout).columns if world.stdout.isatty() else None
    out, waiting = SafeWriter(world.stdout), list[str]()
    for line in tree_lines(family, columns, DRAWN if speaks_unicode(world.stdout) else TYPED):
        waiting.append(line)
        if len(waiting) >= _CHUNK:
            out.lines(waiting)
            waiting.clear()
    out.lines(waiting)
    if len(family.members) == 1:
        context.warn(world, ["the history knows of nothing that it was made from, or that was made from it"])
    return ExitCode.OK


def print_tree_json(world: Context, name: str) -> ExitCode:
    """Write the family for a program, a line a member. Raises `ImgcliError` (usage)."""
    from imgcli.output.sinks.jsonl import to_json

    out = SafeWriter(world.stdout)
    for told in family_json(_family(world, name)):
        out.lines([to_json(told)])
    return ExitCode.OK


def _family(world: Context, name: str) -> Family:
    with lookup.open_history(world) as history:
        found = Lookup(world, history).find_told(name)
        context.warn(world, found.notes)
        return history.family(found.origin)


EPILOG = """\
A line a run: its id, what it cost, how it ended where not well, the file, the prompt. An image that
no run in the history brought is told by its hash. Whatever stands in two places is drawn once, and
named "above" the second time. Masks are no ancestors; imgcli info names them.

Keys of --json, an object a run or image: asked (true for one of them); id, null without a run;
started; endpoint; outcome; cost_usd; prompt; images (sha256, path); parents (sha256, id); children
(ids, or a hash without a run).

Exit codes: 0 drawn; 2 no such file or id, or a file that is no image.
"""

Thing = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="An image, an id of imgcli history, or last, last~1.",
        show_default=False,
        rich_help_panel="Which image",
        autocompletion=images_and_ids,
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
    world: Context = ctx.obj

    raise typer.Exit(print_tree_json(world, thing) if as_json else print_tree(world, thing))
