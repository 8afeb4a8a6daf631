"""A batch at OpenAI: its status, its counts, and its answers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.core.json_fields import as_list, as_object, as_text, choice, count

if TYPE_CHECKING:
    from collections.abc import Mapping


METADATA_KEY = "imgcli_batch"
"""The name in a batch's metadata of our own key, by which it is found when its id was lost."""
DEMO_MARK = "imgcli demo"
"""A key of our own in an answer that our demo gave."""


class BatchStatus(StrEnum):
    """The state of a batch (OpenAI's API reference)."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether it is final."""
        return self in _ENDED


_ENDED = frozenset(
    [BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.EXPIRED, BatchStatus.CANCELLED],
)


class RemoteBatch(NamedTuple):
    """A batch as the server reports it; times are Unix times. `status` is None for a state that is new to us.

    `files` are those with answers, or with why there is none. `faults` say why the input was refused.
    `is_demo`: our own demo has it, and nobody pays for it.
    """

    id: str
    status: BatchStatus | None
    total: int = 0
    completed: int = 0
    failed: int = 0
    expires: int | None = None
    files: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    key: str | None = None
    is_demo: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether it is final."""
        return self.status is not None and self.status.has_ended

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RemoteBatch | None:
        """Read a server's batch object; None for anything else."""
        counts = as_object(fields.get("request_counts"))
        name = as_text(fields.get("id"))
        if name is None:
            return None
        files = (as_text(fields.get(one)) for one in ("output_file_id", "error_file_id"))
        total, completed, failed = (count(counts.get(one)) or 0 for one in ("total", "completed", "failed"))
        return cls(
            name,
            choice(BatchStatus, fields.get("status")),
            total,
            completed,
            failed,
            count(fields.get("expires_at")),
            tuple(filter(None, files)),
            tuple(map(_fault, as_list(as_object(fields.get("errors")).get("data")))),
            as_text(as_object(fields.get("metadata")).get(METADATA_KEY)),
            fields.get(DEMO_MARK) is True,
        )


def _fault(value: object) -> str:
    fields = as_object(value)
    line, what = (
        count(fields.get("line")),
        as_text(fields.get("message")) or as_text(fields.get("code")) or "?",
    )
    return f"line {line}: {what}" if line else what


class BatchAnswer(NamedTuple):
    """What a batch gave for one request: an HTTP status and the body, or the code and words of why not."""

    task: str
    status: int | None
    body: Mapping[str, Any]
    code: str | None = None
    message: str | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> BatchAnswer | None:
        """Read a line of a result file; None for anything else."""
        task = as_text(fields.get("custom_id"))
        if task is None:
            return None
        response, error = as_object(fields.get("response")), as_object(fields.get("error"))
        return cls(
            task,
            count(response.get("status_code"), 999),
            as_object(response.get("body")),
            as_text(error.get("code")),
            as_text(error.get("message")),
        )
