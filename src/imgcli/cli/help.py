"""Help pages with examples first and options in groups, and completions that come at once.

Typer's rich help costs as much again as importing Typer, and so does checking the values of a line that is
still being typed; plain help and unchecked completions keep both fast.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from imgcli.cli.quickly import spare_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "Other options"
_NO_BRACES = str.maketrans("", "", "{}")
_TYPE = re.compile(r" <[a-z\[\]]+>$")
"""Typer's word for an argument's type, which says nothing to people."""


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under the headings of their `rich_help_panel`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see `format_options`
        """Leave values unchecked where nothing can be wrong with them: checking them loads pydantic."""
        if ctx.resilient_parsing:
            return _taken_apart(self, ctx, args)
        spare_checks(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - see below
        """Write arguments as manuals do: `FILE` for one that must be there, `[PROMPT]...` for any number."""
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer keeps these types private
        """Write one section a heading, in the order in which the options are declared."""
        for heading, rows in _sections(self, ctx):
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=26)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - see above
        """Write the epilog as it stands, flush left: it is a section of its own."""
        _write_epilog(self.epilog, formatter)


class OrderedGroup(TyperGroup):
    """The top level: commands in the order in which they were added, and a flush-left epilog."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - see above
        """Find the command of a line that is being completed, and check nothing."""
        if not ctx.resilient_parsing:
            spare_checks(self.get_params(ctx))
            return super().parse_args(ctx, args)
        rest = _taken_apart(self, ctx, args)
        ctx._protected_args, ctx.args = rest[:1], rest[1:]  # noqa: SLF001 - as Typer's own `parse_args` does
        return rest[1:]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - see above
        """Write the epilog as it stands."""
        _write_epilog(self.epilog, formatter)


def _taken_apart(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
    """Tell options and arguments apart as Typer's own `parse_args` does, and no more."""
    parser = command.make_parser(ctx)
    values, rest, _ = parser.parse_args(args=args)
    ctx.params.update(values)
    ctx.args = rest
    ctx._opt_prefixes.update(parser._opt_prefixes)  # noqa: SLF001 - completion asks for them
    return rest


def _sections(command: TyperCommand, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:  # noqa: ANN401
    """Collect the help rows of a command's parameters under their headings."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is not None:
            label, told = row
            heading = getattr(parameter, "rich_help_panel", None) or OTHER
            rows[heading].append((_TYPE.sub("", label), told))
    yield from sorted(rows.items(), key=lambda section: section[0] == OTHER)


def _write_epilog(epilog: str | None, formatter: Any) -> None:  # noqa: ANN401 - see above
    if epilog:
        formatter.write_paragraph()
        formatter.write(epilog.strip("\n") + "\n")
