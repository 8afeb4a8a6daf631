"""`imgcli tree`: an image's sources and its edits."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - Typer reads the annotations at run time

from imgcli.app.context import size_of
from imgcli.app.lookup import Lookup, open_history
from imgcli.cli.params import lookup  # noqa: TC001 - see above
from imgcli.output.json import family_json
from imgcli.output.tables.history import DRAWN, TYPED, tree_lines
from imgcli.output.terminal.capabilities import speaks_unicode
from imgcli.output.terminal.writer import SafeWriter

if TYPE_CHECKING:
    from imgcli.app.context import Context


_CHUNK = 200
"""Lines that are written together."""

EPILOG = """\
One line per run: its id, cost, outcome if it failed, file and prompt. An image that was not made by a
run in the history is shown by its hash. A run with several parents is drawn once and marked "above"
elsewhere. Masks are not included; imgcli info lists them.

Keys of --json, one object per run or image: asked (true for one of them); id, null without a run;
started; endpoint; outcome; cost_usd; prompt; images (sha256, path); parents (sha256, id); children
(ids, or a hash without a run).

Exit codes: 0 shown; 2 no such file or id, or not an image file.
"""


def tree(ctx: typer.Context, image: lookup.Image, *, as_json: lookup.JsonLines = False) -> None:
    """Show an image's family tree: its sources and its edits.

    \b
    Examples:
      imgcli tree a-cat-edit.png             works after renaming or moving, too
      imgcli tree 12                         a run, by its id in imgcli history
      imgcli tree 12 --json | jq .cost_usd   one JSON object per line
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    out = SafeWriter(context.stdout)
    with open_history(context) as history:
        match = Lookup(context, history).find_described(image)
        context.warn(match.notes)
        family = history.family(match.origin)
    if as_json:
        from imgcli.output.json import to_json

        for member in family_json(family):
            out.lines([to_json(member)])
        return
    columns = size_of(context.stdout).columns if context.stdout.isatty() else None
    lines = tree_lines(family, columns, DRAWN if speaks_unicode(context.stdout) else TYPED)
    while chunk := list(islice(lines, _CHUNK)):
        out.lines(chunk)
    if len(family.members) == 1:
        context.warn(["the history has no images that it was made from, or that were made from it"])
