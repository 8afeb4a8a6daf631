"""`imgcli help`: help for imgcli or one command."""

from __future__ import annotations

from collections.abc import Iterator  # noqa: TC003 - Typer reads the annotations at run time
from typing import Annotated, Any

import typer


def commands(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the commands' names for completion."""
    root: Any = ctx.find_root().command
    yield from (name for name in root.commands if name.startswith(incomplete) and name != "help")


Commands = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="A command.", show_default=False, autocompletion=commands),
]


def help_command(ctx: typer.Context, words: Commands = None) -> None:
    """Show help for a command.

    \b
    Examples:
      imgcli help               help for imgcli itself
      imgcli help gen           the same as imgcli gen --help
      imgcli help config set    the same as imgcli config set --help
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    root: Any = ctx.find_root()
    path = [word for word in words or () if word != "help"]
    if not path:
        typer.echo(root.get_help())
        return
    name, command, rest = root.command.resolve_command(root, [*path, "--help"])
    with command.make_context(name, rest, parent=root) as inner:
        command.invoke(inner)
