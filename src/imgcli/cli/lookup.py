"""The door to the history for commands that read it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imgcli.cli import notes
from imgcli.core.errors import usage_error
from imgcli.store.state import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.cli.world import World
    from imgcli.core.errors import ImgcliError
    from imgcli.store.history import History

_PATIENCE = 10.0  # seconds


@contextmanager
def books(world: World, patience: float) -> Iterator[History]:
    """Open the history, waiting so many seconds for a lock. Raises `OSError`."""
    from imgcli.store.history import History  # SQLite, which a run's first row does without

    with History.open(data_folder(world.env), patience) as history:
        try:
            yield history
        finally:
            notes.tell(world, history.notices)


@contextmanager
def opened(world: World, patience: float = _PATIENCE) -> Iterator[History]:
    """Open the history for a command. Raises `ImgcliError` (usage) where it cannot be read or written."""
    from imgcli.store.history import HistoryError

    try:
        data_folder(world.env)
    except OSError as error:
        raise usage_error(f"There is no folder for the history: {error.strerror}.") from None
    try:
        add_pending(world)
        with books(world, patience) as history:
            yield history
    except HistoryError as error:
        raise unusable(world, error) from None


def add_pending(world: World) -> None:
    """Add the rows that the history could not take when their runs ended, as far as it takes them now."""
    from imgcli.store.pending import PendingRows

    pending = PendingRows(world.env)
    if pending.paths:
        with suppress(OSError), books(world, world.history_wait) as history:
            pending.deliver(history)


def unusable(world: World, error: OSError) -> ImgcliError:
    """Say why the history cannot be read or written."""
    return usage_error(f"The history in {data_folder(world.env)} cannot be used: {error}.")
