"""The Batch API: uploaded files, and batches that are answered as time passes."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.demo import images_api, responses_api
from imgcli.demo.batch_input import check_input
from imgcli.demo.exchange import (
    ApiError,
    FileAnswer,
    JsonAnswer,
    Request,
    invalid,
    invalid_value,
    missing,
    new_id,
)
from imgcli.demo.forms import read_form, read_json
from imgcli.demo.validation import Fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.datastructures import UploadFile

    from imgcli.demo.exchange import Sessions


WINDOW = 86_400.0
"""Seconds that a batch has: a completion window of 24 hours."""

_ENDPOINTS = ("/v1/responses", "/v1/images/generations", "/v1/images/edits")
_ENDED = frozenset(["failed", "completed", "expired", "cancelled"])
_LARGEST_PAGE = 100
_MOST_FAULTS = 100
_ID_LENGTH = 38  # of OpenAI's own
_CHECK_SECONDS = 0.02  # seconds
_BLOCKED = (
    "Your request was rejected by the safety system. If you believe this is an error, contact us at "
    "help.openai.com and include the request ID."
)


@dataclass(frozen=True)
class BatchSettings:
    """How batches run: the seconds that one takes, those after which it expires, and what is unsafe.

    A request with the text `unsafe` in it is refused, as OpenAI's safety system does. With `most`, a batch
    answers so many requests, and then waits until it expires or is cancelled.
    """

    seconds: float = 2.0
    window: float = WINDOW
    unsafe: str | None = None
    most: int | None = None


@dataclass
class _Batch:
    """A batch: the object that clients see, and what its worker needs."""

    fields: dict[str, object]
    input: Path
    deadline: float
    counts: dict[str, int] = field(default_factory=lambda: {"total": 0, "completed": 0, "failed": 0})
    is_cancelled: bool = False

    @property
    def status(self) -> str:
        return str(self.fields["status"])

    def set_status(self, status: str) -> None:
        """Change the status, with its time; one that has ended stays as it is."""
        self.fields |= {"status": status, f"{status}_at": int(time.time())}

    def to_json(self) -> dict[str, object]:
        return self.fields | {"request_counts": dict(self.counts)}


class BatchStore:
    """The files and batches of one server, on disk in a temporary folder; threads may share it."""

    def __init__(
        self,
        settings: BatchSettings,
        sessions: Sessions,
        choose_seed: Callable[[], int],
        stopping: threading.Event,
    ) -> None:
        self.settings = settings
        self._sessions = sessions
        self._choose_seed = choose_seed
        self._stopping = stopping
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._files: dict[str, dict[str, object]] = {}
        self._batches: dict[str, _Batch] = {}

    def close(self) -> None:
        """Remove the folder."""
        with self._lock:
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    # ---- files

    def upload(self, request: Request) -> JsonAnswer:
        """Answer `POST /v1/files`."""
        form = read_form(request)
        purpose = form.values.get("purpose")
        if purpose is None:
            raise missing("purpose")
        if purpose != "batch":
            raise invalid_value(purpose, ["batch"], "purpose")
        parts = form.files.get("file") or []
        if len(parts) != 1:
            raise missing("file")
        return JsonAnswer(self._keep(parts[0], str(purpose)))

    def list_files(self) -> JsonAnswer:
        """Answer `GET /v1/files`, the newest first."""
        with self._lock:
            return JsonAnswer({"object": "list", "data": list(self._files.values())[::-1], "has_more": False})

    def file(self, name: str) -> JsonAnswer:
        """Answer `GET /v1/files/ID`."""
        return JsonAnswer(self._file(name))

    def content(self, name: str) -> FileAnswer:
        """Answer `GET /v1/files/ID/content`."""
        self._file(name)
        return FileAnswer(self._path(name))

    def delete(self, name: str) -> JsonAnswer:
        """Answer `DELETE /v1/files/ID`."""
        self._file(name)
        with self._lock:
            self._files.pop(name, None)
        self._path(name).unlink(missing_ok=True)
        return JsonAnswer({"id": name, "object": "file", "deleted": True})

    def _keep(self, upload: UploadFile, purpose: str) -> dict[str, object]:
        name = new_id("file")
        with self._path(name).open("wb") as kept:
            shutil.copyfileobj(upload.file, kept)
        return self._add_file(name, upload.filename or "file", purpose)

    def _add_file(self, name: str, filename: str, purpose: str) -> dict[str, object]:
        fields: dict[str, object] = {
            "id": name,
            "object": "file",
            "bytes": self._path(name).stat().st_size,
            "created_at": int(time.time()),
            "expires_at": None,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        with self._lock:
            self._files[name] = fields
        return fields

    def _file(self, name: str) -> dict[str, object]:
        with self._lock:
            if name not in self._files:
                raise invalid(None, f"No such File object: {name}", "id", 404)
            return self._files[name]

    def _path(self, name: str) -> Path:
        with self._lock:
            if self._stopping.is_set():
                raise OSError("the server was closed")
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="imgcli-demo-"))
            return self._folder / name

    # ---- batches

    def create(self, request: Request) -> JsonAnswer:
        """Answer `POST /v1/batches`: the input is checked later, as OpenAI does."""
        fields = Fields(read_json(request))
        fields.only(
            frozenset(["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"])
        )
        for name in ("input_file_id", "endpoint", "completion_window"):
            if fields.values.get(name) is None:
                raise missing(name)
        endpoint, source = str(fields.values["endpoint"]), str(fields.values["input_file_id"])
        if endpoint not in _ENDPOINTS:
            raise invalid_value(endpoint, _ENDPOINTS, "endpoint")
        if fields.values["completion_window"] != "24h":
            raise invalid_value(fields.values["completion_window"], ["24h"], "completion_window")
        self._file(source)
        batch = self._new_batch(endpoint, source, fields.values.get("metadata"))
        threading.Thread(target=self._work, args=(batch,), name="batch", daemon=True).start()
        return JsonAnswer(batch.to_json())

    def _new_batch(self, endpoint: str, source: str, metadata: object) -> _Batch:
        now = int(time.time())
        names = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
        fields: dict[str, object] = {
            "id": new_id("batch")[:_ID_LENGTH],
            "object": "batch",
            "endpoint": endpoint,
            "errors": None,
            "input_file_id": source,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + int(self.settings.window),
            **{f"{name}_at": None for name in names},
            "metadata": metadata,
        }
        batch = _Batch(fields, self._path(source), time.monotonic() + self.settings.window)
        with self._lock:
            self._batches[str(fields["id"])] = batch
        return batch

    def batch(self, name: str) -> JsonAnswer:
        """Answer `GET /v1/batches/ID`."""
        return JsonAnswer(self._batch(name).to_json())

    def list_batches(self, query: Mapping[str, str]) -> JsonAnswer:
        """Answer `GET /v1/batches`, the newest first, page by page."""
        limit = query.get("limit") or "20"
        if not (limit.isdecimal() and 1 <= int(limit) <= _LARGEST_PAGE):
            raise invalid_value(limit, ["1 to 100"], "limit")
        with self._lock:
            found = [one.to_json() for one in self._batches.values()][::-1]
        after = query.get("after", "")
        ids = [one["id"] for one in found]
        start = ids.index(after) + 1 if after in ids else 0
        page = found[start : start + int(limit)]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        has_more = len(found) > start + len(page)
        return JsonAnswer({"object": "list", "data": page, **ends, "has_more": has_more})

    def cancel(self, name: str) -> JsonAnswer:
        """Answer `POST /v1/batches/ID/cancel`: what is answered by now stays."""
        batch = self._batch(name)
        with self._lock:
            if batch.status in _ENDED:
                raise invalid(None, f"Cannot cancel a batch with status '{batch.status}'.", None, 409)
            if not batch.is_cancelled:
                batch.is_cancelled = True
                batch.set_status("cancelling")
        return JsonAnswer(batch.to_json())

    def _batch(self, name: str) -> _Batch:
        with self._lock:
            if name not in self._batches:
                raise invalid(None, f"No batch found with id '{name}'.", None, 404)
            return self._batches[name]

    def _work(self, batch: _Batch) -> None:
        """Take a batch through its states; it ends with the server, or when a file is gone."""
        with suppress(OSError):
            rows, faults = check_input(batch.input, str(batch.fields["endpoint"]))
            self._pause(batch, time.monotonic() + self.settings.seconds / 10)
            if faults and not batch.is_cancelled:
                batch.fields["errors"] = {"object": "list", "data": faults[:_MOST_FAULTS]}
                batch.set_status("failed")
                return
            batch.counts["total"] = len(rows)
            with self._lock:
                if not batch.is_cancelled:
                    batch.set_status("in_progress")
            self._answer_all(batch, rows)

    def _answer_all(self, batch: _Batch, rows: list[int]) -> None:
        """Answer the requests, the last one first: the order of the answers is not that of the input."""
        answers, faults = new_id("file"), new_id("file")
        ended = ""
        with (
            batch.input.open("rb") as source,
            self._path(answers).open("wb") as good,
            self._path(faults).open("wb") as bad,
        ):
            for number, start in enumerate(reversed(rows)):
                if not ended:
                    self._pause(batch, time.monotonic() + self.settings.seconds * 0.8 / len(rows))
                    ended = self._end_of(batch, number)
                source.seek(start)
                row = json.loads(source.readline())
                line, is_good = _not_answered(row, ended) if ended else self._answer(row)
                (good if is_good else bad).write(json.dumps(line).encode() + b"\n")
                batch.counts["completed" if is_good else "failed"] += not ended
        with self._lock:
            if not ended:
                batch.set_status("finalizing")
        self._pause(batch, time.monotonic() + self.settings.seconds / 10)
        for name, key in ((answers, "output_file_id"), (faults, "error_file_id")):
            if self._path(name).stat().st_size:
                self._add_file(name, f"{batch.fields['id']}_{key.partition('_')[0]}.jsonl", "batch_output")
                batch.fields[key] = name
        batch.set_status(ended or "completed")

    def _pause(self, batch: _Batch, until: float) -> None:
        """Wait until a moment, or until the batch is cancelled; raises `OSError` when the server ends."""
        while not batch.is_cancelled and (left := until - time.monotonic()) > 0:
            if self._stopping.wait(min(_CHECK_SECONDS, left)):
                raise OSError("the server was closed")

    def _end_of(self, batch: _Batch, number: int) -> str:
        """Return the state in which a batch ends before request `number`, empty where it goes on."""
        most = self.settings.most
        is_held = most is not None and number >= most
        if is_held:
            self._pause(batch, batch.deadline)
        if batch.is_cancelled:
            return "cancelled"
        return "expired" if time.monotonic() >= batch.deadline and (is_held or most is None) else ""

    def _answer(self, row: dict[str, object]) -> tuple[dict[str, object], bool]:
        """Return the line of one answer, and whether it goes into the output file."""
        body = json.dumps(row["body"])
        endpoints = {
            "/v1/responses": lambda one: responses_api.create(one, self._sessions),
            "/v1/images/generations": images_api.generate,
            "/v1/images/edits": images_api.edit,
        }
        try:
            self._moderate(body)
            request = Request("application/json", body.encode(), self._choose_seed())
            answer = endpoints[str(row["url"])](request)
        except ApiError as error:
            return _line(row, {"status_code": error.status, "body": error.body()}), False
        fields = answer.body if isinstance(answer, JsonAnswer) else {}
        return _line(row, {"status_code": 200, "body": fields}), True

    def _moderate(self, body: str) -> None:
        if self.settings.unsafe and self.settings.unsafe in body:
            raise ApiError(400, "image_generation_user_error", "moderation_blocked", _BLOCKED)


def _line(row: Mapping[str, object], response: Mapping[str, object]) -> dict[str, object]:
    fields = {"request_id": new_id("req"), **response}
    return {"id": new_id("batch_req"), "custom_id": row["custom_id"], "response": fields, "error": None}


def _not_answered(row: Mapping[str, object], ended: str) -> tuple[dict[str, object], bool]:
    """Return the line of a request that was not answered before the batch ended."""
    why = {"cancelled": "it was cancelled", "expired": "its completion window expired"}[ended]
    error = {
        "code": f"batch_{ended}",
        "message": f"This request could not be executed before the batch ended: {why}.",
    }
    line = {"id": new_id("batch_req"), "custom_id": row["custom_id"], "response": None, "error": error}
    return line, False
