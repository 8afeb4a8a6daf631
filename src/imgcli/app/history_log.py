"""Recording runs in the history, and what `recover` needs to do the same."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgcli.app.reporting import pricing
from imgcli.core.json_fields import choice, text
from imgcli.store.paths import data_folder
from imgcli.store.runlog.writer import BILLED, ENDPOINT, HISTORY, PARENTS, TIER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.artifacts import RunArtifacts
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.app.unfinished_run import UnfinishedRun
    from imgcli.core.catalog import Catalog
    from imgcli.core.history import Parent
    from imgcli.store.history import recorder
    from imgcli.store.history.recorder import HistorySink


def for_recovery(context: Context, options: GenerateOptions) -> dict[str, Any]:
    """Return what a run log must hold for `recover` to record the run as this process would."""
    cost: dict[str, Any] = {BILLED: False} if options.server.is_free else {}
    if window := options.draft.completion_window:
        from imgcli.core.billing.rates import WINDOW

        cost[TIER] = f"{WINDOW} {window}"
    if not options.record_history:
        server = {ENDPOINT: options.server.name(context.env)} if options.draft.detach or window else {}
        return {HISTORY: False, **server, **cost}
    parents = [{"sha256": parent.sha256, "role": parent.role} for parent in options.parents]
    return {ENDPOINT: options.server.name(context.env), **({PARENTS: parents} if parents else {}), **cost}


@contextmanager
def open_recorder(
    context: Context, options: GenerateOptions, artifacts: RunArtifacts, models: Catalog
) -> Iterator[list[HistorySink]]:
    """Return the sink that records a run, or none; what goes wrong with it is a note when all is over."""
    if not options.record_history:
        yield []
        return
    from imgcli.store.history.recorder import RunContext

    server = options.server.name(context.env)
    run = RunContext(artifacts.job, server, options.parents, is_free=lambda: artifacts.is_free)
    sink = _sink(context, models, run)
    try:
        yield [sink]
    finally:
        if not (artifacts.has_asked or artifacts.saved):  # a run that never began is none
            sink.skip_history()
        sink.close()
        context.warn(sink.trouble)  # also when quiet: nobody else would say that the history is set aside


@contextmanager
def record_recovered(context: Context, record: UnfinishedRun, models: Catalog) -> Iterator[list[HistorySink]]:
    """Return the sink that records how an unfinished run ended, or none for a run that is not recorded."""
    if record.extra.get(HISTORY) is False:
        yield []
        return
    from imgcli.app.unfinished_run import is_free, recorded_server
    from imgcli.store.history.recorder import RunContext

    parents, began = _parents(record.extra.get(PARENTS)), record.time.astimezone()
    run = RunContext(record.job, recorded_server(record), parents, began, is_free=lambda: is_free(record))
    sink = _sink(context, models, run)
    try:
        yield [sink]
    finally:
        context.warn(sink.trouble)


def _sink(context: Context, models: Catalog, run: recorder.RunContext) -> HistorySink:
    from imgcli.store.history.recorder import HistorySink, PendingRows

    run = replace(run, pending=PendingRows(context.env), patience=context.history_wait)
    return HistorySink(lambda: data_folder(context.env), run, pricing(models, run.endpoint), context.now)


def _parents(fields: object) -> tuple[Parent, ...]:
    """Read what went into a run out of its run log; what is unreadable is left out."""
    from imgcli.core.history import Parent, Role

    if not isinstance(fields, list):
        return ()
    pairs = [
        (text(one.get("sha256")), choice(Role, one.get("role"))) for one in fields if isinstance(one, dict)
    ]
    return tuple(Parent(sha256, role) for sha256, role in pairs if sha256 and role)
