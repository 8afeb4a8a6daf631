"""Submitted batches: which exist, their status, and cancelling one."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import lookup
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.messages import age
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.output.tables.batches import BatchFigures
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


def figures(
    context: Context, client: BatchClient, records: Iterable[SubmittedBatch]
) -> Iterator[BatchFigures]:
    """Ask the server where batches stand. Raises `ImgcliError` where it cannot be asked."""
    for one in records:
        record = settle(context, client, one)
        remote, remark = None, ""
        if record.is_dropped:
            remark = "not created"
        elif record.batch is None:
            remark = "unknown"
        elif record.is_closed:
            remark = "collected"
        else:
            remote, remark = _asked(client, record.batch)
        yield _figures(record, remote, remark)


def _asked(client: BatchClient, batch: str) -> tuple[RemoteBatch | None, str]:
    try:
        return client.retrieve(batch), "in an unknown state"
    except ImgcliError as error:
        if error.problem.exit_code is not ExitCode.REFUSED:
            raise
        return None, "not found"


def _figures(record: SubmittedBatch, remote: RemoteBatch | None, remark: str) -> BatchFigures:
    facts, ends = record.facts, remote.expires if remote and not remote.has_ended else None
    return BatchFigures(
        record.name,
        facts.key,
        str(remote.status) if remote and remote.status else remark,
        facts.total,
        remote.completed if remote else 0,
        remote.failed if remote else 0,
        len(record.collected),
        record.time,
        datetime.fromtimestamp(ends, UTC) if ends else None,
        facts.source,
        facts.server,
        facts.endpoint,
        facts.model,
        facts.bound,
    )


def cancel(context: Context, server: ServerOptions, name: str) -> ExitCode:
    """Ask the server to end a batch. Raises `ImgcliError`."""
    (one,) = choose(context, server, [name])
    client = batch_client(context, server)
    record = settle(context, client, one)
    if not record.is_open or record.batch is None:
        fate = "was collected" if record.is_closed else "was not created"
        raise usage_error(f"Batch {record.name} {fate}; there is nothing to cancel.")
    if (batch := client.retrieve(record.batch)).has_ended:
        fate = batch.status.value if batch.status else "over"
        what = f"Batch {record.name} is {fate}; there is nothing to cancel, and what it has done is charged."
        advice = f"`imgcli batch collect {record.name}` saves its images."
        raise ImgcliError(Problem(ExitCode.USAGE, what, Charged.MAYBE, advice, is_local=True))
    batch = client.cancel(record.batch)
    done = f"{batch.completed} of {record.facts.total} rows were done by then"
    context.warn([f"batch {batch.id} is being cancelled; {done}, and `imgcli batch collect` saves them"])
    return ExitCode.OK


def reminders(context: Context) -> list[str]:
    """List the batches that wait to be collected, a sentence each."""
    lines: list[str] = []
    for record in submitted_batches(context.env):
        if record.is_open:
            ago = (
                (context.now().astimezone() - record.time.astimezone()).total_seconds() if record.time else 0
            )
            what = f"batch {record.name} ({record.facts.total} rows, submitted {age(ago)} ago)"
            lines.append(f"{what}: `imgcli batch collect` saves its images")
    return lines
