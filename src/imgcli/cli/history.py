"""`imgcli history`: what was asked for, what came of it, what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcli.cli import history_options as options  # noqa: TC001 - Typer reads the annotations at run time

if TYPE_CHECKING:
    from imgcli.cli.world import World

EPILOG = """\
Exit codes: 0 done, also where nothing was found; 2 a wrong option, or a history that cannot be
read just now.
"""


def history(  # noqa: PLR0913 - a command's signature declares its options
    ctx: typer.Context,
    *,
    search: options.Search = None,
    limit: options.Limit = None,
    json_lines: options.JsonObjects = False,
    preview: options.Thumbnails = None,
    forget: options.Forget = False,
    yes: options.Yes = False,
) -> None:
    """List past runs, newest first.

    A line a run: its id, when it was, what it cost ("+": at least that), how it ended where not well, the
    prompt, and where the picture was saved.

    \b
    Examples:
      imgcli history                           the last 20
      imgcli history --search cat --limit 5    the last five about cats
      imgcli history --preview auto            with thumbnails
      imgcli history --json | jq -r .prompt    one JSON object per line
      imgcli history --forget --search secret  as if it had never been; asks first
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: World = ctx.obj
    from imgcli.cli import listing

    asked = listing.selection(search, limit)
    if forget:
        listing.refuse_beside_forget(shows=json_lines or preview is not None)
        raise typer.Exit(listing.forget(world, asked, listing.Consent.GIVEN if yes else listing.Consent.ASK))
    listing.refuse_yes_alone(yes=yes)
    if json_lines:
        raise typer.Exit(listing.show_json(world, asked, preview))
    raise typer.Exit(listing.show(world, asked, preview))
