"""A configured command with subcommands: `imgcli batch FILE` and `imgcli batch status`."""

from __future__ import annotations

import textwrap
from typing import Any

from typer.core import TyperGroup

from imgcli.cli.config.command import ConfiguredCommand


class ParentCommand(ConfiguredCommand, TyperGroup):
    """A command that is run by its own name, unless its first argument names one of its `commands`.

    A group as well, because completion looks for commands in groups only.
    """

    allow_extra_args = False  # of a group they are the command's
    allow_interspersed_args = True

    def __init__(self, *args: Any, **attributes: Any) -> None:  # noqa: ANN401 - Typer's own
        super().__init__(*args, **attributes)
        self.commands = self.children()

    def children(self) -> dict[str, Any]:
        """Return the commands below this one, by name."""
        return {}

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer keeps these types private
        """Return the parameters; the commands below are named without them."""
        return super().get_params(ctx) if ctx.command is self else []

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see above
        """Parse the arguments, or leave them to the command that the first one names."""
        if args and args[0] in self.commands:
            ctx._protected_args, ctx.args = args[:1], args[1:]  # noqa: SLF001 - as a group does
            rest: list[str] = ctx.args
            return rest
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - see above
        """Run the command, or the one below it."""
        if not ctx._protected_args:  # noqa: SLF001 - see above
            return super(TyperGroup, self).invoke(ctx)
        (name,), args = ctx._protected_args, ctx.args  # noqa: SLF001 - see above
        with ctx, self.commands[name].make_context(name, args, parent=ctx) as inner:
            return inner.command.invoke(inner)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - see above
        """Return the usage of the command itself; those below it have a list."""
        return [piece for piece in super().collect_usage_pieces(ctx) if piece != self.subcommand_metavar]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - see above
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def write_essentials(self, ctx: Any, formatter: Any, room: int) -> None:  # noqa: ANN401 - see above
        """Write the options that fit, and the names of the commands below."""
        lines = list[str]()
        if self.commands:
            names = ", ".join(f"{ctx.command_path} {name}" for name in self.commands)
            lines = textwrap.wrap(f"Also: {names}", formatter.width, subsequent_indent="  ")
        super().write_essentials(ctx, formatter, room - len(lines) - bool(lines))
        if lines:
            formatter.write("\n" + "\n".join(lines) + "\n")
