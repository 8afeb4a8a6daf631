"""What runs leave in the history: the sink that writes it, and what `recover` must know for that."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from imgcli.api.account import place
from imgcli.cli.notes import tell
from imgcli.cli.order import Remembering
from imgcli.cli.record import BILLED
from imgcli.cli.report import pricing
from imgcli.core.entry import DEMO, Parent, Role
from imgcli.core.fields import choice, text
from imgcli.store.runs import recorded
from imgcli.store.state import data_folder, state_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from imgcli.cli.desk import Desk
    from imgcli.cli.order import Endpoint, Order
    from imgcli.cli.record import Record
    from imgcli.cli.world import World
    from imgcli.core.catalog import Catalog
    from imgcli.store.remembering import Circumstances, HistorySink

_ENDPOINT = "endpoint"
_HISTORY = "history"
_PARENTS = "parents"


def for_recovery(world: World, order: Order) -> dict[str, Any]:
    """Say in a run's record what `recover` must know to remember the run as this process would."""
    free = {BILLED: False} if order.endpoint.is_free else {}
    if order.remembering is Remembering.NOTHING:
        return {_HISTORY: False, **free}
    parents = [{"sha256": parent.sha256, "role": parent.role} for parent in order.parents]
    return {_ENDPOINT: place_of(world, order.endpoint), **({_PARENTS: parents} if parents else {}), **free}


@contextmanager
def kept(world: World, order: Order, desk: Desk, models: Catalog) -> Iterator[list[HistorySink]]:
    """Give the sink that remembers a run, or none; what goes wrong with it is a note when all is over."""
    if order.remembering is Remembering.NOTHING:
        yield []
        return
    from imgcli.store.pending import PendingRows
    from imgcli.store.remembering import Circumstances

    about = Circumstances(
        desk.job,
        place_of(world, order.endpoint),
        order.parents,
        is_free=lambda: desk.is_free,
        pending=PendingRows(world.env),
        patience=world.history_wait,
    )
    sink = _sink(world, about, models)
    try:
        yield [sink]
    finally:
        if not (desk.has_asked or desk.saved):  # a run that never began is none
            sink.forgo()
        sink.close()
        tell(world, sink.trouble)  # also with --quiet: nobody else would say that the books are set aside


def is_free(record: Record) -> bool:
    """Tell whether nobody is charged for the run in a record."""
    return recorded_place(record) == DEMO or record.extra.get(BILLED) is False


@contextmanager
def recovered(world: World, record: Record, models: Catalog) -> Iterator[list[HistorySink]]:
    """Give the sink that remembers how a recorded run was finished, or none where it is to be forgotten."""
    told = record.extra
    if told.get(_HISTORY) is False:
        yield []
        return
    from imgcli.store.pending import PendingRows
    from imgcli.store.remembering import Circumstances

    about = Circumstances(
        record.job,
        recorded_place(record),
        _parents(told.get(_PARENTS)),
        record.time.astimezone(),
        is_free=lambda: is_free(record),
        pending=PendingRows(world.env),
        patience=world.history_wait,
    )
    sink = _sink(world, about, models)
    try:
        yield [sink]
    finally:
        tell(world, sink.trouble)


def charged_since(world: World, moment: datetime) -> list[Record]:
    """List the records of runs begun since a moment that may cost something and that are to be remembered.

    Also of runs that are going on, and of those that the history knows.
    """
    from imgcli.cli.desk import RUNS
    from imgcli.cli.record import Record

    folders = state_folders(world.env)
    records = [Record(run, world.now()) for folder in folders for run in recorded(folder / RUNS)]
    return [one for one in records if one.time.astimezone() >= moment and _may_cost(one)]


def _may_cost(record: Record) -> bool:
    return record.has_begun and record.extra.get(_HISTORY) is not False and not is_free(record)


def give_up(world: World, job: str) -> None:
    """Let a run whose record is thrown away count no more in the day's sum than is known; never raises."""
    from imgcli.cli import lookup

    with suppress(OSError), lookup.books(world, world.history_wait) as history:
        history.release(job)


def recorded_place(record: Record) -> str | None:
    """Read out of a run's record which server it had asked, as `place_of` names it."""
    endpoint = record.extra.get(_ENDPOINT)
    return endpoint if isinstance(endpoint, str) else None


def _sink(world: World, about: Circumstances, models: Catalog) -> HistorySink:
    from imgcli.store.remembering import HistorySink

    return HistorySink(lambda: data_folder(world.env), about, pricing(models, about.endpoint), world.now)


def place_of(world: World, endpoint: Endpoint) -> str | None:
    """Name a server as the history does; None for what is no address."""
    return DEMO if endpoint.demo else place(world.env, endpoint.base_url)


def _parents(told: object) -> tuple[Parent, ...]:
    """Read what went into a run out of its record; what is unreadable is left out."""
    if not isinstance(told, list):
        return ()
    pairs = [
        (text(one.get("sha256")), choice(Role, one.get("role"))) for one in told if isinstance(one, dict)
    ]
    return tuple(Parent(sha256, role) for sha256, role in pairs if sha256 and role)
