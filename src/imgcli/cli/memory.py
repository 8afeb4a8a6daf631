"""The history on the command line's side: what runs leave there, and the door for commands that read it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from imgcli.api.account import place
from imgcli.cli.order import Remembering, Style
from imgcli.cli.report import pricing
from imgcli.cli.world import within
from imgcli.core.entry import DEMO
from imgcli.core.errors import usage_error
from imgcli.core.wording import notice_line
from imgcli.show.output import Output
from imgcli.store.state import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.cli.desk import Desk
    from imgcli.cli.order import Order
    from imgcli.cli.record import Record
    from imgcli.cli.world import World
    from imgcli.core.catalog import Catalog
    from imgcli.core.entry import Parent
    from imgcli.store.history import History
    from imgcli.store.remembering import Circumstances, HistorySink

_PATIENCE = 1.0  # seconds that a terminal which takes nothing may cost
_ENDPOINT, _HISTORY = "endpoint", "history"


def for_recovery(world: World, order: Order) -> dict[str, Any]:
    """Say in a run's record what `recover` must know to remember the run as this process would."""
    if order.remembering is Remembering.NOTHING:
        return {_HISTORY: False}
    return {_ENDPOINT: _place(world, order)}


@contextmanager
def kept(
    world: World, order: Order, desk: Desk, models: Catalog, parents: tuple[Parent, ...] = ()
) -> Iterator[list[HistorySink]]:
    """Give the sink that remembers a run, or none; what goes wrong with it is a note when all is over."""
    if order.remembering is Remembering.NOTHING:
        yield []
        return
    from imgcli.store.remembering import Circumstances

    sink = _sink(world, Circumstances(desk.job, _place(world, order), parents), models)
    try:
        yield [sink]
    finally:
        if not (desk.has_asked or desk.saved):  # a run that never began is none
            sink.forgo()
        sink.close()
        if order.report.style is Style.PEOPLE:
            tell(world, sink.trouble)


@contextmanager
def recovered(world: World, record: Record, models: Catalog) -> Iterator[list[HistorySink]]:
    """Give the sink that remembers how a recorded run was finished, or none where it is to be forgotten."""
    told = record.extra
    if told.get(_HISTORY) is False:
        yield []
        return
    from imgcli.store.remembering import Circumstances

    endpoint = told.get(_ENDPOINT)
    about = Circumstances(
        record.job, endpoint if isinstance(endpoint, str) else None, began=record.time.astimezone()
    )
    sink = _sink(world, about, models)
    try:
        yield [sink]
    finally:
        tell(world, sink.trouble)


@contextmanager
def opened(world: World) -> Iterator[History]:
    """Open the history for a command. Raises `ImgcliError` (usage) where it cannot be read or written."""
    from imgcli.store.history import History, HistoryError

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
        raise usage_error(f"The history in {folder} cannot be used: {error}.") from None


def tell(world: World, sentences: Iterable[str]) -> None:
    """Write notes for people; a terminal that takes nothing is not waited for."""
    lines = list(map(notice_line, sentences))

    def write() -> None:
        with suppress(OSError, ValueError):
            Output(world.stderr).lines(lines)

    if lines:
        within(_PATIENCE, write)


def _sink(world: World, about: Circumstances, models: Catalog) -> HistorySink:
    from imgcli.store.remembering import HistorySink

    return HistorySink(lambda: data_folder(world.env), about, pricing(models), world.now)


def _place(world: World, order: Order) -> str | None:
    return DEMO if order.endpoint.demo else place(world.env, order.endpoint.base_url)
