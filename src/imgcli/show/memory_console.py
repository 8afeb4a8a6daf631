"""rich as a draughtsman: it draws into memory, and whoever asked for the lines writes them."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Literal, TypeAlias

from imgcli.show.terminal import ColorDepth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

_ColorSystem: TypeAlias = Literal["standard", "256", "truecolor"]


def drawn(parts: Iterable[RenderableType], depth: ColorDepth, columns: int) -> list[str]:
    """Draw one thing under another for a terminal of so many columns, as lines of text and colour codes."""
    console = _console(depth, columns)
    for part in parts:
        console.print(part, highlight=False)
    text = console.file.getvalue() if isinstance(console.file, StringIO) else ""
    return [line.rstrip() for line in text.splitlines()]


def _console(depth: ColorDepth, columns: int) -> Console:
    """Make a console that writes to memory: on a broken pipe rich would redirect the process's own stdout."""
    from rich.console import Console

    systems: dict[ColorDepth, _ColorSystem] = {
        ColorDepth.TRUECOLOR: "truecolor",
        ColorDepth.ANSI_256: "256",
    }
    return Console(
        file=StringIO(),
        width=columns,
        force_terminal=True,
        color_system=systems.get(depth, "standard"),
        no_color=False,
        legacy_windows=False,
    )
