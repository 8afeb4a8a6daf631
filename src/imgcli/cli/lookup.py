"""The door to the history for commands that read it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgcli.cli import notes
from imgcli.core.errors import usage_error
from imgcli.store.state import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.cli.world import World
    from imgcli.core.errors import ImgcliError
    from imgcli.store.history import History


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
                notes.tell(world, history.notices)
    except HistoryError as error:
        raise unusable(world, error) from None


def unusable(world: World, error: OSError) -> ImgcliError:
    """Say why the history cannot be read or written."""
    return usage_error(f"The history in {data_folder(world.env)} cannot be used: {error}.")
