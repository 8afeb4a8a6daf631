"""What runs leave in the history: the sink that writes it, and what `recover` must know for that."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from imgcli.app.context import warn
from imgcli.app.options import Remembering, place_of
from imgcli.app.reporting import pricing
from imgcli.app.unfinished_run import _ENDPOINT, _HISTORY, _PARENTS, BILLED, is_free, recorded_place
from imgcli.core.history import Parent, Role
from imgcli.core.json_fields import choice, text
from imgcli.store.paths import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.app.unfinished_run import UnfinishedRun
    from imgcli.core.catalog import Catalog
    from imgcli.store.history.recorder import HistorySink, RunContext


def for_recovery(world: Context, order: GenerateOptions) -> dict[str, Any]:
    """Say in a run's record what `recover` must know to remember the run as this process would."""
    free = {BILLED: False} if order.endpoint.is_free else {}
    if order.remembering is Remembering.NOTHING:
        return {_HISTORY: False, **free}
    parents = [{"sha256": parent.sha256, "role": parent.role} for parent in order.parents]
    return {_ENDPOINT: place_of(world, order.endpoint), **({_PARENTS: parents} if parents else {}), **free}


@contextmanager
def open_recorder(
    world: Context, order: GenerateOptions, desk: RunArtifacts, models: Catalog
) -> Iterator[list[HistorySink]]:
    """Return the sink that remembers a run, or none; what goes wrong with it is a note when all is over."""
    if order.remembering is Remembering.NOTHING:
        yield []
        return
    from imgcli.store.history.recorder import PendingRows, RunContext

    about = RunContext(
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
        warn(world, sink.trouble)  # also with --quiet: nobody else would say that the books are set aside


@contextmanager
def record_recovered(world: Context, record: UnfinishedRun, models: Catalog) -> Iterator[list[HistorySink]]:
    """Return the sink that remembers how a recorded run was finished, or none where it is to be forgotten."""
    told = record.extra
    if told.get(_HISTORY) is False:
        yield []
        return
    from imgcli.store.history.recorder import PendingRows, RunContext

    about = RunContext(
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
        warn(world, sink.trouble)


def _sink(world: Context, about: RunContext, models: Catalog) -> HistorySink:
    from imgcli.store.history.recorder import HistorySink

    return HistorySink(lambda: data_folder(world.env), about, pricing(models, about.endpoint), world.now)


def _parents(told: object) -> tuple[Parent, ...]:
    """Read what went into a run out of its record; what is unreadable is left out."""
    if not isinstance(told, list):
        return ()
    pairs = [
        (text(one.get("sha256")), choice(Role, one.get("role"))) for one in told if isinstance(one, dict)
    ]
    return tuple(Parent(sha256, role) for sha256, role in pairs if sha256 and role)
