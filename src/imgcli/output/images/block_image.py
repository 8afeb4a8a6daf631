"""A block image as a rich renderable, for any console, panel or table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image as PILImage
    from rich.color import Color
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.segment import Segment


@dataclass(frozen=True)
class BlockImage:
    """An image in cells: their characters row by row, and two images of their colours with a pixel a cell.

    The images are RGB; or L with numbers of the terminal's colours; or None, where its own two serve. `clear`
    is a mask of the cells that show the terminal's own background, None where there are none.
    """

    columns: int
    text: str
    foreground: PILImage | None
    background: PILImage | None
    clear: PILImage | None = None

    @property
    def rows(self) -> list[slice]:
        """Where each row's cells are."""
        return [slice(start, start + self.columns) for start in range(0, len(self.text), self.columns)]

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> Iterator[Segment]:
        """Return its segments."""
        return self.segments()

    def segments(self) -> Iterator[Segment]:
        """Yield segments of equal style, a newline after every row."""
        from rich.segment import Segment
        from rich.style import Style

        inks, papers = _colours(self, self.foreground), _colours(self, self.background)
        if self.clear is not None:
            masked = zip(papers, self.clear.tobytes(), strict=True)
            papers = [None if is_clear else paper for paper, is_clear in masked]
        for row in self.rows:
            shown = zip(inks[row], papers[row], self.text[row], strict=True)
            for colours, cells in groupby(shown, _visible):
                yield Segment("".join(char for _, _, char in cells), Style.from_color(*colours))
            yield Segment.line()

    def __rich_measure__(self, _console: Console, _options: ConsoleOptions) -> Measurement:
        """Return its width, which cannot be changed."""
        from rich.measure import Measurement

        return Measurement(self.columns, self.columns)


def _visible(cell: tuple[Color | None, Color | None, str]) -> tuple[Color | None, Color | None]:
    """Return the colours that matter to a cell: a space has no ink."""
    ink, paper, char = cell
    return None if char == " " else ink, paper


def _colours(blocks: BlockImage, colours: PILImage | None) -> Sequence[Color | None]:
    from rich.color import Color

    if colours is None:
        return [None] * len(blocks.text)
    data = colours.tobytes()
    if colours.mode == "RGB":
        return [Color.from_rgb(*rgb) for rgb in zip(data[0::3], data[1::3], data[2::3], strict=True)]
    by_number = [Color.from_ansi(number) for number in range(256)]
    return [by_number[number] for number in data]
