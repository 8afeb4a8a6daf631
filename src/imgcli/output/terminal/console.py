"""Prints encoded rows through rich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing import IO

    from rich.console import Console, ConsoleOptions, RenderResult

    from imgcli.output.terminal.writer import SafeWriter


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """What rich prints as it is: rows with their colours, and the codes that put them in their place.

    Rich counts and crops escape codes in text, but not in a segment that controls the terminal.
    """

    text: str

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Yield one segment that controls the terminal."""
        from rich.segment import ControlType, Segment

        yield Segment(self.text, None, [(ControlType.HOME,)])


def paint(out: SafeWriter, text: str) -> None:
    """Print encoded rows by a rich console over a stream.

    The console is a new one each time: one that a signal breaks into would print the same again later.
    """
    from rich.console import Console

    if text:
        file = cast("IO[str]", out)  # of which rich calls `write` and `flush`
        # The size is of no matter, and rich need not ask for it.
        console = Console(file=file, force_terminal=True, legacy_windows=False, width=80, height=25)
        console.print(EncodedRows(text), end="", soft_wrap=True)
