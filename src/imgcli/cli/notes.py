"""Notes for people on standard error: beside the matter, so that writing them never fails and never waits."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from imgcli.cli.world import within
from imgcli.core.wording import notice_line
from imgcli.show.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgcli.cli.world import World

_PATIENCE = 1.0  # seconds that a terminal which takes nothing may cost


def tell(world: World, sentences: Iterable[str]) -> None:
    """Write sentences, each marked as a note."""
    write(world, map(notice_line, sentences))


def confirm(world: World, question: str) -> bool | None:
    """Ask on the terminal, where no answer is a no; None where nobody is there to be asked."""
    if not (world.stdin.isatty() and world.stderr.isatty()):
        return None
    Output(world.stderr).write(f"{question} [y/N] ")
    return world.stdin.readline().strip().lower() in {"y", "yes"}


def write(world: World, lines: Iterable[str]) -> None:
    """Write lines as they are; a stream that takes nothing is let be."""
    told = list(lines)

    def write_all() -> None:
        with suppress(OSError, ValueError):
            Output(world.stderr).lines(told)

    if told:
        within(_PATIENCE, write_all)
