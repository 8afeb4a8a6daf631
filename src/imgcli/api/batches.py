"""OpenAI's Batch API: upload request files, create batches, download the answers.

None of these calls costs anything by itself; what a batch does costs half.
"""

from __future__ import annotations

import json
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from imgcli.api import client
from imgcli.api.client import DEFAULT_CLOCK, Call, Clock
from imgcli.api.errors.server import from_status
from imgcli.api.errors.table import NO_ENDPOINT, WRONG_ADDRESS
from imgcli.api.upload import FormFile, form_body, json_body, json_parts
from imgcli.api.wires import WIRES, images
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.json_fields import as_list, as_object, as_text, parse_object
from imgcli.core.option import option
from imgcli.core.params import Api
from imgcli.core.remote_batch import DEMO_MARK, METADATA_KEY, BatchAnswer, RemoteBatch
from imgcli.core.secrets import redact_problem
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.auth import Credentials
    from imgcli.api.transport import Timeouts
    from imgcli.core.request import ImageRequest


MOST_REQUESTS = 50_000
"""Requests in one batch (OpenAI's reference)."""
LARGEST_FILE = 200_000_000
"""Bytes of one input file (the same)."""
LONGEST_ANSWER = 80_000_000
"""Bytes of one answer, as of an event of a stream."""

_NO_BATCHES = f"Check {option('base-url')} and {option('profile')}: not every server has a Batch API."
_LARGEST_OBJECT = 16_000_000
_PAGES, _PAGE = 50, 100
_PATIENCE = 86_400.0
"""Seconds that a file may take: it may have gigabytes, and silence is watched for anyway."""


def endpoint_of(request: ImageRequest) -> str:
    """Return the endpoint that answers a request, as batches name it."""
    return "/v1" + WIRES[request.api].path(request)


def request_line(task: str, request: ImageRequest) -> Iterator[bytes]:
    """Yield the pieces of one line of an input file."""
    body = images.json_body(request) if request.api is Api.IMAGES else WIRES[request.api].body(request)
    for tool in body.get("tools", ()):
        tool.pop("partial_images", None)
    line = {"custom_id": task, "method": "POST", "url": endpoint_of(request), "body": body}
    for part in json_parts(line):
        yield from part.pieces()
    yield b"\n"


@dataclass(frozen=True)
class BatchClient:
    """One server's Batch API, for a key. Every method raises `ImgcliError`."""

    credentials: Credentials
    timeouts: Timeouts
    clock: Clock = DEFAULT_CLOCK

    def upload(self, requests: BinaryIO) -> str:
        """Upload a file of requests and return its id."""
        call = Call("/files", form_body({"purpose": "batch", "file": FormFile(requests)}), _LARGEST_OBJECT)
        name = as_text(self._object(call, is_long=True).get("id"))
        return name or self._raise_unexpected("a file")

    def create(self, file: str, endpoint: str, key: str) -> RemoteBatch:
        """Create a batch.

        Where the outcome is unknown, the problem's exit code is UNKNOWN: look for `key` in the list first.
        """
        body = {
            "input_file_id": file,
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": {METADATA_KEY: key},
        }
        told = self._object(Call("/batches", json_body(body), _LARGEST_OBJECT), may_charge=True)
        return RemoteBatch.from_json(told) or self._raise_unexpected("a batch", ExitCode.UNKNOWN)

    def retrieve(self, batch: str) -> RemoteBatch:
        """Return a batch as it is now."""
        return self._batch(Call(f"/batches/{quote(batch, safe='')}"))

    def cancel(self, batch: str) -> RemoteBatch:
        """Ask for a batch to end; what it has answered by then stays, and is charged."""
        return self._batch(Call(f"/batches/{quote(batch, safe='')}/cancel", json_body({})))

    def find(self, key: str) -> RemoteBatch | None:
        """Look for the batch that was created with this key of ours; None where there is none."""
        after = ""
        for _ in range(_PAGES):
            told = self._object(Call(f"/batches?limit={_PAGE}{after}", limit=_LARGEST_OBJECT))
            marked = ({**as_object(one), DEMO_MARK: told[DEMO_MARK]} for one in as_list(told.get("data")))
            found = [RemoteBatch.from_json(one) for one in marked]
            listed = [one for one in found if one]
            if mine := next((one for one in listed if one.key == key), None):
                return mine
            if not (listed and told.get("has_more") is True):
                break
            after = f"&after={quote(listed[-1].id, safe='')}"
        return None

    def download(self, file: str, target: BinaryIO, limit: int) -> None:
        """Write a file's content into another, within a limit in bytes. Raises `OSError` as well."""
        call = Call(f"/files/{quote(file, safe='')}/content", limit=limit)
        try:
            with closing(client.ask(self.credentials, call, self._long, self.clock)) as answer:
                target.writelines(answer.chunks)
        except ImgcliError as error:
            problem = _free(error.problem)
        else:
            return
        raise ImgcliError(problem)

    @property
    def _long(self) -> Timeouts:
        return replace(self.timeouts, total=_PATIENCE)

    def _batch(self, call: Call) -> RemoteBatch:
        told = self._object(replace(call, limit=_LARGEST_OBJECT))
        return RemoteBatch.from_json(told) or self._raise_unexpected("a batch")

    def _object(self, call: Call, *, is_long: bool = False, may_charge: bool = False) -> dict[str, Any]:
        """Ask once for a JSON object; what our own demo says bears its mark."""
        timeouts = self._long if is_long else self.timeouts
        try:
            with closing(client.ask(self.credentials, call, timeouts, self.clock)) as answer:
                body = b"".join(answer.chunks)
                is_demo = answer.is_demo
        except ImgcliError as error:
            unknown = may_charge and error.problem.exit_code is ExitCode.UNKNOWN
            problem = error.problem if unknown else _free(error.problem)
        else:
            told = parse_object(body.decode("utf-8-sig", "replace")) or {}
            return {**told, DEMO_MARK: is_demo}
        raise ImgcliError(problem)

    def _raise_unexpected(self, what: str, code: ExitCode = ExitCode.REFUSED) -> Any:  # noqa: ANN401 - never returns
        told = f"{self.credentials.host} did not answer with {what}."
        raise ImgcliError(Problem(code, told, Charged.NO, _NO_BATCHES))


def _free(problem: Problem) -> Problem:
    """Return the problem as one of a call that is free."""
    advice = problem.advice
    if problem.exit_code is ExitCode.UNKNOWN:
        advice = "Asking is free: run it again."
    elif advice in (NO_ENDPOINT.advice, WRONG_ADDRESS):
        advice = _NO_BATCHES
    return replace(problem, charged=Charged.NO, advice=advice)


def read_answers(file: BinaryIO) -> Iterator[BatchAnswer | None]:
    """Yield the answers in a result file, None for a line that is not one."""
    while line := file.readline(LONGEST_ANSWER):
        if line.strip():
            told = None
            with suppress(UnicodeDecodeError):
                told = parse_object(line.decode("utf-8-sig"))
            yield BatchAnswer.from_json(told) if told else None


def body_of(answer: BatchAnswer) -> bytes:
    """Return an answer's body as the server would have sent it by itself."""
    return json.dumps(answer.body).encode("ascii")


def problem_of(answer: BatchAnswer, *secrets: str) -> Problem:
    """Return why a request of a batch brought no image."""
    if answer.status is None:
        ended = {"batch_expired": "The batch expired", "batch_cancelled": "The batch was cancelled"}
        first = f"{ended.get(answer.code or '', 'The batch ended')} before this request was executed."
        told = "" if answer.code in ended else f" {answer.message or answer.code or ''}".rstrip()
        code = ExitCode.BUSY if answer.code in ended else ExitCode.REFUSED
        problem = Problem(code, first + told, Charged.NO, "Run it again.", answer.code)
        return redact_problem(problem, *secrets)
    return redact_problem(from_status(answer.status, dict(answer.body), {}), *secrets)
