"""A table of text: padded lines for pipes and files, drawn by rich on a terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Literal, TypeAlias

from imgcli.dataclass import dataclass
from imgcli.output.terminal.capabilities import ColorDepth
from imgcli.output.text import GAP, align_columns, widths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table as RichTable

    from imgcli.output.terminal.capabilities import Terminal


_ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]

_COLOR_SYSTEMS: dict[ColorDepth, _ColorSystem] = {
    ColorDepth.TRUECOLOR: "truecolor",
    ColorDepth.ANSI_256: "256",
}
_NARROWEST = 20  # columns; rich has nothing sensible to draw below


@dataclass(frozen=True)
class Table:
    """Cells under headings, and a total where there is one.

    The first column, and those whose headings are in `words`, hold words and begin at the left; others hold
    numbers. `styles` are rich's, a row each.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None = None
    title: str = ""
    words: frozenset[str] = frozenset()
    styles: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The table as lines of plain text, without any escape code."""
        words = {index for index in range(len(self.headings)) if self._has_words(index)}
        return [line.rstrip() for line in align_columns(self._all_rows, words)]

    @property
    def widths(self) -> list[int]:
        """The width of each column's widest cell."""
        return widths(self._all_rows)

    @property
    def width(self) -> int:
        """The columns that it takes where no cell is folded."""
        return sum(self.widths) + len(GAP) * (len(self.headings) - 1)

    @property
    def _all_rows(self) -> list[tuple[str, ...]]:
        return [self.headings, *self.rows, *([self.total] if self.total else [])]

    def without(self, heading: str) -> Table:
        """Return the table without one column."""
        index = self.headings.index(heading)
        headings, *rows = (row[:index] + row[index + 1 :] for row in (self.headings, *self.rows))
        total = self.total and self.total[:index] + self.total[index + 1 :]
        return replace(self, headings=headings, rows=tuple(rows), total=total)

    def drawing(self) -> RichTable:
        """Return the table for rich; cells are `Text`, in which nothing is markup."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            box=box.SIMPLE,
            show_footer=self.total is not None,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for index, heading in enumerate(self.headings):
            table.add_column(
                Text(heading),
                footer=Text(self.total[index] if self.total else ""),
                justify="left" if self._has_words(index) else "right",
                overflow="fold",
                no_wrap=self.total is not None and index > 0,  # a sum that is broken in two is misread
                footer_style="bold",
            )
        for row, style in zip(self.rows, self.styles or [""] * len(self.rows), strict=True):
            table.add_row(*map(Text, row), style=style)
        return table

    def _has_words(self, index: int) -> bool:
        return index == 0 or self.headings[index] in self.words


def can_draw(terminal: Terminal, columns: int) -> bool:
    """Return whether rich has something sensible to draw here; others are better served by plain lines."""
    return terminal.unicode and columns >= _NARROWEST


def rendered_lines(parts: Iterable[RenderableType], depth: ColorDepth, columns: int) -> list[str]:
    """Render one thing under another for a terminal of so many columns, as lines of text and colour codes."""
    return [line.rstrip() for line in rendered(parts, depth, columns).splitlines()]


def rendered(parts: Iterable[RenderableType], depth: ColorDepth, columns: int) -> str:
    """Render one thing under another for a terminal of so many columns.

    It is rendered into memory, because on a broken pipe rich would redirect the process's own stdout.
    """
    from rich.console import Console

    file = StringIO()
    console = Console(
        file=file,
        width=columns,
        force_terminal=True,
        color_system=_COLOR_SYSTEMS.get(depth, "standard"),
        no_color=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part, highlight=False)
    return file.getvalue()
