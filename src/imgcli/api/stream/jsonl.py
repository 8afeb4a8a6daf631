"""JSON lines, ours or the web client's, read back as events."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from imgcli.api.stream.assembler import decode_base64
from imgcli.api.stream.sse import lines
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, Event, FinalImage, Notice, PartialImage
from imgcli.core.image import EncodedImage
from imgcli.core.json_fields import as_index, as_text, parse_object
from imgcli.core.pipeline import each_notice_once
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_INDEX_LIMIT = 10_000
_KINDS = {code.kind: code for code in ExitCode}


def read_json_lines(
    chunks: Iterable[bytes], job: str, wait: Callable[[float], None] = lambda _: None
) -> Iterator[Event]:
    """Read lines in chunks of any size, each as soon as it is whole; jobs in one stream are told apart.

    Yields everything but `Started`, and `Completed` at the end; raises `ImgcliError` for an error line that
    no image followed. `wait` is called with the seconds after which a line was written, where it says so.
    """
    reader = _LineReader(job)
    yield from each_notice_once(event for line in lines(chunks) for event in reader.read(line, wait))
    yield from reader.end()


@dataclass
class _LineReader:
    """Reader of one stream of lines; `problem` is an error that has not turned out to be harmless yet."""

    job: str
    numbers: dict[tuple[object, object], int] = field(default_factory=dict)
    problem: Problem | None = None
    last: dict[str, Any] | None = None

    def read(self, line: bytes, wait: Callable[[float], None]) -> Iterator[Event]:
        """Read one line, when its time has come."""
        if not line.strip():
            return
        fields = parse_object(line.decode(errors="replace"))
        if fields is None:
            yield Notice(self.job, "a line was not a JSON object and was skipped")
            return
        elapsed = fields.get("elapsed_s")
        if isinstance(elapsed, int | float) and not isinstance(elapsed, bool):
            wait(elapsed)
        yield from self._read_object(fields)

    def end(self) -> Iterator[Event]:
        """Raise the last error, or yield the end."""
        if self.problem:
            raise ImgcliError(self.problem)
        if self.last is not None:
            yield _completed(self.job, self.last)

    def _read_object(self, fields: dict[str, Any]) -> Iterator[Event]:
        if fields.get("error") or fields.get("status") == "error":
            yield from self._harmless()
            self.problem = _problem(fields)
        elif fields.get("status") == "partial":
            yield from self._partial(fields)
        elif fields.get("status") == "completed":
            yield from self._harmless()
            yield from self._final(fields)

    def _harmless(self) -> Iterator[Event]:
        """Yield an error as a notice: what follows it shows that it was not the end."""
        if self.problem:
            yield Notice(self.job, self.problem.what)
            self.problem = None

    def _partial(self, fields: dict[str, Any]) -> Iterator[Event]:
        data = _data(fields)
        if data:
            index = as_index(fields.get("output_index"), _INDEX_LIMIT) or 0
            yield PartialImage(self.job, self._number(fields), index, EncodedImage.of(data))
        elif data is None:
            yield Notice(self.job, "a partial image could not be decoded and was skipped")

    def _final(self, fields: dict[str, Any]) -> Iterator[Event]:
        known = {key: value for key, value in fields.items() if value is not None}
        self.last = {**(self.last or {}), **known}
        data, number = _data(fields), self._number(fields)
        if data:
            yield FinalImage(self.job, number, EncodedImage.of(data), as_text(fields.get("revised_prompt")))
        elif data is None:
            self.problem = _problem({"kind": "damaged", "message": "The image's base64 cannot be decoded."})
        else:
            where = as_text(fields.get("path")) or "an unknown file"
            yield Notice(self.job, f"the line does not hold the image itself, which was saved as {where}")

    def _number(self, fields: dict[str, Any]) -> int:
        key = (as_text(fields.get("job")), as_index(fields.get("image"), _INDEX_LIMIT))
        return self.numbers.setdefault(key, len(self.numbers))


def _data(fields: dict[str, Any]) -> bytes | None:
    """Decode the line's image; empty where there is none, None where it cannot be decoded."""
    texts = fields.get("partial_image_b64s")
    if not isinstance(texts, list) or not texts:
        return b""
    return decode_base64(texts[0]) if isinstance(texts[0], str) else None


def _completed(job: str, fields: dict[str, Any]) -> Completed:
    usage, tools = (fields.get(key) for key in ("usage", "tool_usage"))
    return Completed(
        job,
        as_text(fields.get("final_model")),
        usage if isinstance(usage, dict) else None,
        tools if isinstance(tools, dict) else None,
        as_text(fields.get("response_id")),
    )


def _problem(fields: dict[str, Any]) -> Problem:
    """Read an error line; what another program left out is not known."""
    charged = fields.get("charged")
    return Problem(
        _KINDS.get(as_text(fields.get("kind")) or "", ExitCode.UNKNOWN) or ExitCode.UNKNOWN,
        as_text(fields.get("message")) or "The stream reports an error without saying which.",
        Charged(charged) if charged in tuple(Charged) else Charged.MAYBE,
        as_text(fields.get("advice")) or "",
        as_text(fields.get("code")),
        as_text(fields.get("param")),
    )
