"""The door to the history for commands that read it, and notes about it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imgcli.cli.world import within
from imgcli.core.errors import usage_error
from imgcli.core.wording import notice_line
from imgcli.show.output import Output
from imgcli.store.state import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.cli.world import World
    from imgcli.core.errors import ImgcliError
    from imgcli.store.history import History

_PATIENCE = 1.0  # seconds that a terminal which takes nothing may cost


@contextmanager
def opened(world: World) -> Iterator[History]:
    """Open the history for a command. Raises `ImgcliError` (usage) where it cannot be read or written."""
    from imgcli.store.history import History, HistoryError  # SQLite, which a run's first row does without

    try:
        folder = data_folder(world.env)
    except OSError as error:
        raise usage_error(f"There is no folder for the history: {error.strerror}.") from None
    try:
        with History.open(folder) as history:
            try:
                yield history
            finally:
                tell(world, history.notices)
    except HistoryError as error:
        raise unusable(world, error) from None


def unusable(world: World, error: OSError) -> ImgcliError:
    """Say why the history cannot be read or written."""
    return usage_error(f"The history in {data_folder(world.env)} cannot be used: {error}.")


def tell(world: World, sentences: Iterable[str]) -> None:
    """Write notes for people; a terminal that takes nothing is not waited for."""
    lines = list(map(notice_line, sentences))

    def write() -> None:
        with suppress(OSError, ValueError):
            Output(world.stderr).lines(lines)

    if lines:
        within(_PATIENCE, write)
