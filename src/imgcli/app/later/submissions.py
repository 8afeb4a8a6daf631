"""Submitted batches: which exist, what was found out about them, and discarding one."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import lookup
from imgcli.core.errors import Cause, Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.messages import age
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.store.publish.atomic import reason
from imgcli.store.submitted_batch import SubmittedBatch, submitted_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imgcli.api.batches import BatchClient
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.remote_batch import RemoteBatch
    from imgcli.store.batch_state import BatchState


_SOON = timedelta(minutes=10)
"""After so long, a batch that the server does not list was not created."""
_KEPT = timedelta(days=30)
"""For so long a batch is kept that was collected, so that nobody collects it twice."""
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 10.0, 300.0, 1.5
"""Seconds between two looks at a batch that is waited for."""
_PASSING = frozenset({ExitCode.BUSY, ExitCode.UNREACHABLE, ExitCode.UNKNOWN})
"""Problems of one look that may be gone at the next."""
_NAME_LENGTH = 80
_MANY = 5


def batch_client(context: Context, server: ServerOptions) -> BatchClient:
    """Return a client for the server's batches. Raises `ImgcliError` without a key."""
    from imgcli.api.auth import credentials

    found = credentials(context.env, server.base_url, server.settings, context.keys)
    # A missing key is reported before the HTTP library is loaded.
    from imgcli.api.batches import BatchClient
    from imgcli.api.client import Clock
    from imgcli.api.transport import Timeouts

    clock = Clock(monotonic=context.monotonic, sleep=context.sleep)
    return BatchClient(found, Timeouts.scaled(server.timeout), clock)


def choose(context: Context, server: ServerOptions, names: Sequence[str]) -> list[SubmittedBatch]:
    """List the batches of these names, or all at this server that may still be collected.

    A name is the server's id, our own key, or the beginning of one. Raises `ImgcliError` (usage).
    """
    known, host = submitted_batches(context.env), server.host(context.env)
    if names:
        named = [_named(name, known) for name in dict.fromkeys(names)]
        for one in named:
            _check_host(one, host)
        return named
    found = [one for one in known if one.is_open]
    elsewhere = sorted({one.facts.server or "?" for one in found if one.facts.server != host})
    if elsewhere:
        hosts = ", ".join(shorten(one, _NAME_LENGTH) for one in elsewhere)
        context.warn([f"other batches are at {hosts}: {_name_it()}"])
    return [one for one in found if one.facts.server == host]


def _named(name: str, known: Sequence[SubmittedBatch]) -> SubmittedBatch:
    exact = [one for one in known if name in (one.batch, one.facts.key)]
    found = exact or [one for one in known if name and one.has_beginning(name)]
    if not found:
        raise usage_error(
            f"No batch {shorten(name, _NAME_LENGTH)} was submitted from here.",
            "`imgcli batch status` lists them.",
        )
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:_MANY])
        raise usage_error(f"{name} matches {len(found)} batches: {names}.", "Type more of the id.")
    return found[0]


def _check_host(record: SubmittedBatch, host: str | None) -> None:
    """Raise `ImgcliError` (usage) for a batch of another server than the one that would be asked."""
    theirs = record.facts.server
    if theirs != host:
        what = f"Batch {record.name} is at {shorten(theirs or '?', _NAME_LENGTH)}, not at {host}."
        raise usage_error(what, f"{_name_it().capitalize()}.", about=("base-url", "profile"))


def _name_it() -> str:
    return f"name the server with {option('base-url')} or {option('profile')}"


def settle_all(context: Context, client: BatchClient, server: ServerOptions) -> None:
    """Find out about every batch of this server of which it is not known whether it was created."""
    for record in submitted_batches(context.env):
        if record.facts.server == server.host(context.env):
            settle(context, client, record)


def settle(context: Context, client: BatchClient, record: SubmittedBatch) -> SubmittedBatch:
    """Find out whether a batch was created, unless a process is about to; drop one that was not.

    Returns what is known of it now. Raises `ImgcliError`.
    """
    if record.batch or not record.is_open:
        return record
    with record.claim() as mine:
        if mine is None or mine.batch or (mine.is_asked and find_created(client, mine)):
            return mine or record
        begun = mine.time
        if not mine.is_asked or not begun or context.now().astimezone() - begun.astimezone() >= _SOON:
            drop(context, mine)
            context.warn([f"batch {mine.name} was not created; its rows were not sent"])
        return mine


def find_created(client: BatchClient, record: SubmittedBatch) -> bool:
    """Look for a batch in the server's list, and note its id. Raises `ImgcliError`."""
    found = client.find(record.facts.key)
    if found:
        note_created(record, found)
    return found is not None


def note_created(record: SubmittedBatch, batch: RemoteBatch) -> None:
    """Note the server's id of a batch; where the disk fails it is found again by our key."""
    with suppress(OSError):
        record.note("created", batch=batch.id, billed=not batch.is_demo)
    record.batch = batch.id


def drop(context: Context, record: SubmittedBatch, log: BatchState | None = None) -> None:
    """Note that a batch was not created: its rows were not sent, and nothing is reserved for it."""
    with task_log(context, record, log) as tasks:
        if tasks:
            for row in record.rows():
                known = tasks.outcomes.get(row.task)
                if known and known.batch == record.facts.key:  # it may be in another batch by now
                    tasks.held(row.task, row.run.job)
    release(context, record)
    with suppress(OSError):  # then it is found out another time
        record.end("dropped")


@contextmanager
def task_log(
    context: Context, record: SubmittedBatch, log: BatchState | None = None
) -> Iterator[BatchState | None]:
    """Open the state file of the batch that a submitted one is part of; None where it is gone or in use."""
    path = Path(record.facts.state) if record.facts.state else None
    if log or path is None or not path.is_file():
        yield log
        return
    from imgcli.store.batch_state import BatchState

    try:
        state = BatchState.open(path, record.facts.source)
    except ImgcliError as error:
        context.warn([f"{error.problem.what} It does not say what became of these rows."])
        yield None
        return
    with state:
        yield state
        context.warn([state.trouble] if state.trouble else [])


def release(context: Context, record: SubmittedBatch) -> None:
    """Release what is reserved of the day for a batch."""
    with suppress(OSError), lookup.connect_history(context, context.history_wait) as history:
        history.release(record.facts.key)


def prune(context: Context) -> None:
    """Remove what is known of batches that were dealt with long ago."""
    for record in submitted_batches(context.env):
        begun = record.time
        if not record.is_open and begun and context.now().astimezone() - begun.astimezone() > _KEPT:
            with suppress(OSError):
                record.path.unlink()


def asked(client: BatchClient, record: SubmittedBatch) -> RemoteBatch:
    """Return a batch that was created as the server has it now. Raises `ImgcliError`."""
    try:
        return client.retrieve(record.batch or "")
    except ImgcliError as error:
        if error.problem.cause is not Cause.NOT_FOUND:
            raise
        what = f"The server has no batch {record.name} (HTTP 404)."
        advice = (
            "Check that the key is of the project that submitted it. If the batch is gone, "
            f"`imgcli recover {option('discard', record.name)}` forgets it."
        )
        charged = Charged.NO if record.is_free else Charged.MAYBE
        raise ImgcliError(replace(error.problem, what=what, charged=charged, advice=advice)) from None


def ended(context: Context, client: BatchClient, record: SubmittedBatch) -> RemoteBatch:
    """Wait until a batch has ended, and return it; a server that cannot be reached for a while ends nothing.

    Raises `ImgcliError`.
    """
    pause, seen = _FIRST_PAUSE, ""
    while True:
        try:
            remote = asked(client, record)
            if remote.has_ended:
                return remote
            done = f", {remote.completed + remote.failed} of {remote.total}" if remote.total else ""
            now = f"{(remote.status or 'in an unknown state').replace('_', ' ')}{done}"
        except ImgcliError as error:
            if error.problem.exit_code not in _PASSING:
                raise
            now = error.problem.what
        if now != seen:
            context.warn([f"waiting for batch {record.name}: {now}"])
            seen = now
        context.sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def without_money(problem: Problem) -> Problem:
    """Return a problem of a command that only asks: "nothing was charged" would mislead about the batch."""
    return replace(problem, is_local=problem.is_local or problem.charged is Charged.NO)


def uncollected(context: Context, names: Sequence[str]) -> dict[str, SubmittedBatch]:
    """Return the batches still to be collected that any of these names means, by the name.

    A name is an id as people see it; of the server's, the beginning is enough. Our own could begin like a
    run's. Raises `ImgcliError` (usage) for the beginning of several ids.
    """
    known = [one for one in submitted_batches(context.env) if one.is_open]
    meant = {name: [one for one in known if one.is_called(name)] for name in names}
    return {name: _named(name, found) for name, found in meant.items() if found}


def discard(context: Context, records: Iterable[SubmittedBatch]) -> ExitCode:
    """Forget batches without collecting them, and say what that means for their rows.

    In the state file their rows may have been charged, but for those of a server that charges nothing.
    """
    code = ExitCode.OK
    for record in records:
        with record.claim() as mine:
            if mine is None or not mine.is_open:
                context.warn([f"another process is collecting batch {record.name}"])
                continue
            _note_discarded(context, mine)
            release(context, mine)
            try:
                mine.path.unlink()
            except OSError as error:
                code = ExitCode.UNWRITABLE
                context.warn([f"{mine.path} could not be removed ({reason(error)})"])
                continue
            again = "" if mine.is_free else f", which may have been charged, with {option('retry-unknown')}"
            how = f"`imgcli batch` on {shorten(mine.facts.source, _NAME_LENGTH)} sends its rows again{again}"
            context.warn([f"discarded {_described(context, mine)}; {how}"])
    return code


def _note_discarded(context: Context, record: SubmittedBatch) -> None:
    """Write into the batch's state file what is known of rows whose answers nobody will collect."""
    charged, cost = (Charged.NO, Decimal(0)) if record.is_free else (Charged.MAYBE, None)
    problem = Problem(ExitCode.UNKNOWN, "The batch was discarded before it was collected.", charged)
    with task_log(context, record) as log:
        for row in record.rows() if log else ():
            known = log.outcomes.get(row.task) if log else None
            if log and known and known.batch == record.facts.key:
                log.failed(row.task, row.run.job, problem, cost)


def reminders(context: Context) -> list[str]:
    """List the batches that wait to be collected, a sentence each."""
    waiting = [record for record in submitted_batches(context.env) if record.is_open]
    return [f"{_described(context, one)}: `imgcli batch collect` saves its images" for one in waiting]


def remaining(context: Context, records: Iterable[SubmittedBatch]) -> list[str]:
    """List batches that were not collected now, a sentence each."""
    return [f"{_described(context, one)} is still to be collected" for one in records]


def _described(context: Context, record: SubmittedBatch) -> str:
    """Format what is known of a batch here: its name, its size, its age."""
    rows = f"{record.facts.total} row{'s' * (record.facts.total != 1)}"
    if record.time is None:
        return f"batch {record.name} ({rows})"
    seconds = (context.now().astimezone() - record.time.astimezone()).total_seconds()
    return f"batch {record.name} ({rows}, submitted {age(seconds)} ago)"
