"""Help pages: examples first, options in groups, plain text.

Typer's rich help costs as much again as importing Typer; this keeps `--help` fast and its text pipeable.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "Other options"


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under the headings of their `rich_help_panel`."""

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

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - see above
        """Write the epilog as it stands."""
        _write_epilog(self.epilog, formatter)


def _sections(command: TyperCommand, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:  # noqa: ANN401
    """Collect the help rows of a command's parameters under their headings."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is not None:
            rows[getattr(parameter, "rich_help_panel", None) or OTHER].append(row)
    yield from sorted(rows.items(), key=lambda section: section[0] == OTHER)


def _write_epilog(epilog: str | None, formatter: Any) -> None:  # noqa: ANN401 - see above
    if epilog:
        formatter.write_paragraph()
        formatter.write(epilog.strip("\n") + "\n")
