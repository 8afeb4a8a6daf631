"""Background responses: followed across broken connections, or fetched later."""

from __future__ import annotations

from contextlib import closing
from dataclasses import field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from imgcli.api.client import Answer, Call, Clock, ask
from imgcli.api.errors.server import quoted
from imgcli.api.stream.sse import RECORD_LIMIT, RESUMPTION, UntilError, check_size
from imgcli.api.upload import json_body
from imgcli.core.errors import Cause, Charged, ExitCode, ImgcliError, Problem
from imgcli.core.json_fields import as_text, parse_object
from imgcli.core.messages import FETCH_LATER
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from imgcli.api.auth import Credentials
    from imgcli.api.stream.reader import StreamPosition
    from imgcli.api.transport import Timeouts


_PENDING = frozenset({"queued", "in_progress"})
_TEMPORARY = frozenset({ExitCode.UNREACHABLE, ExitCode.BUSY, ExitCode.UNKNOWN})
"""What a server, or the way to it, recovers from: asking again costs nothing."""
_TRIES = 3
"""Connections without news, after which the response is asked for as a whole; and refusals of that."""
_LONGEST_PAUSE = 8.0  # seconds
_SAFE_ID = regex(r"[!-~]{1,4000}")


@dataclass(frozen=True)
class PlainResponse:
    """A response as it stands now: its status, and its JSON."""

    status: str
    body: bytes

    @property
    def is_pending(self) -> bool:
        """Whether the server still works on it."""
        return self.status in _PENDING


@dataclass(frozen=True)
class ResponseStore:
    """Where responses of the background are fetched from; `path` is that of the API. Asking costs nothing."""

    credentials: Credentials
    path: str
    timeouts: Timeouts
    clock: Clock

    def attach(self, position: StreamPosition) -> Answer:
        """Continue a stream after what was read of it. Raises `ImgcliError`, also where no stream comes."""
        after = "" if position.sequence is None else f"&starting_after={position.sequence}"
        answer = self._ask(Call(f"{self._address(position.response_id)}?stream=true{after}"))
        if _is_json(answer):
            answer.close()
            what = "The server does not stream the response again."
            raise ImgcliError(Problem(ExitCode.REFUSED, what, Charged.MAYBE))
        return answer

    def get(self, response_id: str | None) -> PlainResponse:
        """Return a response as it stands now. Raises `ImgcliError`."""
        return self._read(Call(self._address(response_id)))

    def cancel(self, response_id: str) -> PlainResponse:
        """Ask the server to stop making a response, and return what became of it. Raises `ImgcliError`."""
        return self._read(Call(f"{self._address(response_id)}/cancel", json_body({})))

    def _read(self, call: Call) -> PlainResponse:
        body = bytearray()
        with closing(self._ask(call)) as answer:
            for chunk in answer.chunks:
                body += chunk
                check_size(len(body), RECORD_LIMIT)
        response = parse_object(body.decode(errors="replace")) or {}
        status = as_text(response.get("status"))
        if status is None:
            told = quoted(body[:1000].decode(errors="replace"))
            what = f"The server did not answer with a response: {told}"
            raise ImgcliError(Problem(ExitCode.REFUSED, what, Charged.MAYBE))
        return PlainResponse(quoted(status), bytes(body))

    def _ask(self, call: Call) -> Answer:
        return ask(self.credentials, call, self.timeouts, self.clock)

    def _address(self, response_id: str | None) -> str:
        """Return the path of a response, whose id is the server's: it must not lead elsewhere."""
        if response_id is None or not _SAFE_ID.fullmatch(response_id) or not response_id.strip("."):
            what = "The server gave the response an id that cannot be asked for."
            raise ImgcliError(Problem(ExitCode.REFUSED, what, Charged.MAYBE))
        return f"{self.path}/{quote(response_id, safe='')}"


def as_event(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Frame a plain JSON answer as one event, so that it can follow others in a run log."""
    yield b"data: "
    for chunk in chunks:
        yield chunk.replace(b"\r", b" ").replace(b"\n", b"\ndata: ")
    yield b"\n\n"


def as_event_stream(answer: Answer) -> Answer:
    """Return an answer whose chunks are events, however it came."""
    return replace(answer, chunks=as_event(answer.chunks)) if _is_json(answer) else answer


def follow(answer: Answer, position: StreamPosition, store: ResponseStore) -> Answer:
    """Return an answer that goes on when its connection breaks, as long as the timeouts allow.

    Its chunks are a stream of events in any case. They raise `ImgcliError` where the end did not come.
    """
    follower = _Follower(as_event_stream(answer), position, store)
    return replace(
        answer,
        chunks=follower.chunks(),
        close=lambda: follower.current.close(),  # noqa: PLW0108 - the one of that moment
        note=lambda: follower.current.note(),  # noqa: PLW0108
        note_end=lambda is_over: follower.current.note_end(is_over),  # noqa: PLW0108
    )


@dataclass
class _Follower:
    """Resumes a stream; `tries` counts the attempts that brought nothing new."""

    current: Answer
    position: StreamPosition
    store: ResponseStore
    tries: int = 0
    refusals: int = 0
    is_streamed: bool = True
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.store.clock.monotonic()

    def chunks(self) -> Iterator[bytes]:
        """Yield the first answer, and what follows it after each break."""
        fault = yield from self._read()
        while not self.position.is_over:
            if self.position.response_id is None:
                if fault:
                    raise fault
                return
            clock = self.store.clock
            is_late = clock.monotonic() - self.began > self.store.timeouts.total
            if is_late and self.tries:  # whatever the time, a break is followed by one attempt
                raise _unfinished_error(fault)
            clock.sleep(self._pause())  # also where it is none: whoever wants us to end is heard there
            fault = yield from self._continue()

    def _read(self) -> Generator[bytes, None, ImgcliError | None]:
        """Yield what comes, and mark where it broke off; return why."""
        source = UntilError(self.current.chunks)
        yield from source
        if self.position.response_id and not self.position.is_over:
            yield RESUMPTION
        return source.fault

    def _continue(self) -> Generator[bytes, None, ImgcliError | None]:
        """Ask for the rest; raises `ImgcliError` where that is of no use any more."""
        before = self.position.sequence
        self.tries += 1
        try:
            answer = self.store.attach(self.position) if self.is_streamed else self._whole()
        except ImgcliError as error:
            if error.problem.exit_code not in _TEMPORARY or error.problem.cause is Cause.UNREADABLE_IMAGE:
                self.is_streamed = False
                self.refusals += 1
                if self.refusals >= _TRIES:
                    raise _unfinished_error(error) from None
            return error
        if answer is None:
            return None
        self.current.close()
        self.current = answer
        fault = yield from self._read()
        if self.refusals >= _TRIES and not self.position.is_over:
            raise _unfinished_error(fault)
        if self.position.sequence != before:
            self.tries = 0
        elif self.tries >= _TRIES:
            self.is_streamed = False
        return fault

    def _whole(self) -> Answer | None:
        """Return the whole response as an answer, None while it is being made. Raises `ImgcliError`."""
        response = self.store.get(self.position.response_id)
        if response.is_pending:
            return None
        self.refusals += 1  # if this is not an end, it is of no use either
        return replace(self.current, chunks=as_event([response.body]))

    def _pause(self) -> float:
        if not self.tries:
            return 0.0
        chance = 0.5 + self.store.clock.chance() / 2
        return min(0.5 * 2.0 ** (min(self.tries, 10) - 1), _LONGEST_PAUSE) * chance


def _unfinished_error(fault: ImgcliError | None) -> ImgcliError:
    """Return the problem of a response that goes on without us."""
    lead = f"{fault.problem.what} " if fault else ""
    what = f"{lead}The server may still be making the image in the background."
    return ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, FETCH_LATER))


def _is_json(answer: Answer) -> bool:
    return "json" in answer.content_type.lower()
