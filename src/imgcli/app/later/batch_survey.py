"""Where submitted batches stand at their server, and cancelling one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imgcli.app.later.submissions import asked, batch_client, choose, settle
from imgcli.core.errors import Cause, Charged, ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.remote_batch import BatchStatus
from imgcli.output.tables.batches import BatchFigures

if TYPE_CHECKING:
    from imgcli.api.batches import BatchClient
    from imgcli.app.context import Context
    from imgcli.app.options import ServerOptions
    from imgcli.core.remote_batch import RemoteBatch
    from imgcli.store.submitted_batch import SubmittedBatch


OF_ONE_BATCH = frozenset({ExitCode.REFUSED, ExitCode.BUSY, ExitCode.UNKNOWN})
"""What a server may say of one batch, and otherwise of the next."""
_COLLECTED, _NOT_CREATED, _NOT_FOUND, _NO_ANSWER = "collected", "not created", "not found", "no answer"


class BatchSurvey:
    """Asks a server where batches stand, one after the other, until it turns out that it cannot be asked.

    `problem` is why the server did not say it of all of them, None where it did.
    """

    def __init__(self, context: Context, server: ServerOptions) -> None:
        self.problem: Problem | None = None
        self._context, self._server = context, server
        self._client: BatchClient | None = None
        self._is_over = False

    def figures(self, record: SubmittedBatch) -> BatchFigures:
        """Return where a batch stands: as the server says, else as far as it is known here."""
        if self._is_over and record.is_open:
            return _figures(record, _NO_ANSWER)
        try:
            return self._asked(record)
        except ImgcliError as error:
            if error.problem.cause is Cause.NOT_FOUND:
                return _figures(record, _NOT_FOUND)
            self.problem = self.problem or error.problem
            self._is_over = error.problem.exit_code not in OF_ONE_BATCH
            return _figures(record, _NO_ANSWER)

    def _asked(self, record: SubmittedBatch) -> BatchFigures:
        """Find out about one batch. Raises `ImgcliError`."""
        if not record.is_open:
            return _figures(record, _COLLECTED if record.is_closed else _NOT_CREATED)
        self._client = self._client or batch_client(self._context, self._server)
        record = settle(self._context, self._client, record)
        if record.is_dropped:
            return _figures(record, _NOT_CREATED)
        if record.batch is None:
            return _figures(record, "unknown")
        remote = asked(self._client, record)
        return _figures(record, str(remote.status or "in an unknown state"), remote)


def _figures(record: SubmittedBatch, status: str, remote: RemoteBatch | None = None) -> BatchFigures:
    facts, ends = record.facts, remote.expires if remote and not remote.has_ended else None
    collected = facts.total if record.is_closed else len(record.collected)
    return BatchFigures(
        record.name,
        facts.key,
        status,
        facts.total,
        remote.completed if remote else 0,
        remote.failed if remote else 0,
        collected,
        record.time,
        datetime.fromtimestamp(ends, UTC) if ends else None,
        facts.source,
        facts.server,
        facts.endpoint,
        facts.model,
        facts.bound,
        is_known=remote is not None,
        is_lost=status == _NOT_FOUND,
    )


def cancel(context: Context, server: ServerOptions, name: str) -> ExitCode:
    """Ask the server to end a batch. Raises `ImgcliError`."""
    (one,) = choose(context, server, [name])
    client = batch_client(context, server)
    record = settle(context, client, one)
    if not record.is_open or record.batch is None:
        fate = "was collected" if record.is_closed else "was not created"
        raise usage_error(f"Batch {record.name} {fate}; there is nothing to cancel.")
    remote = asked(client, record)
    if is_new := not (remote.status is BatchStatus.CANCELLING or _is_late(remote)):
        remote = _cancelled(client, record)
    if _is_late(remote):
        raise _too_late(record, remote)
    done = f"{remote.completed} of {record.facts.total} rows were done by then"
    already = "" if is_new else " already"
    context.warn(
        [f"batch {remote.id} is being cancelled{already}; {done}, and `imgcli batch collect` saves them"]
    )
    return ExitCode.OK


def _is_late(remote: RemoteBatch) -> bool:
    """Return whether there is nothing to cancel any more."""
    return remote.status is BatchStatus.FINALIZING or remote.has_ended


def _cancelled(client: BatchClient, record: SubmittedBatch) -> RemoteBatch:
    """Cancel a batch, and return it as it is then, though it ended meanwhile. Raises `ImgcliError`."""
    try:
        remote = client.cancel(record.batch or "")
    except ImgcliError as error:
        if error.problem.exit_code not in OF_ONE_BATCH:
            raise
        remote = asked(client, record)
        if remote.status is not BatchStatus.CANCELLING and not _is_late(remote):
            raise
    return remote


def _too_late(record: SubmittedBatch, remote: RemoteBatch) -> ImgcliError:
    """Return the error for a batch that was done, or as good as done, before it could be cancelled."""
    is_over = remote.has_ended
    fate = f"is {remote.status}" if is_over else "has done all its rows, and its answers are being collected"
    what = f"Batch {record.name} {fate}; there is nothing to cancel, and what it has done is charged."
    wait = "" if is_over else f" {option('wait')}"
    advice = f"`imgcli batch collect {record.name}{wait}` saves its images."
    return ImgcliError(Problem(ExitCode.USAGE, what, Charged.MAYBE, advice, is_local=True))
