"""Requests, answers, errors in OpenAI's words, timed events, and the state that is kept between them."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from starlette.datastructures import FormData


@dataclass(frozen=True, slots=True)
class Request:
    """An accepted request, and the seed from which its images are painted.

    A multipart form is in `form`, any other body in `body`; `names` are the variable parts of its path.
    """

    content_type: str
    body: bytes | bytearray
    seed: int = 0
    form: FormData | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event, and the seconds that a real server takes before it."""

    event: Mapping[str, object]
    pause: float = 0.0

    def encode(self) -> bytes:
        """Format the event with its `event:` and `data:` lines."""
        data = json.dumps(self.event, separators=(",", ":"))
        return f"event: {self.event['type']}\ndata: {data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A plain JSON body, and the seconds that a real server takes before it."""

    body: Mapping[str, object]
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The bytes of a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Stream:
    """An event stream; it is made while it is read."""

    events: Iterator[ServerEvent]


def new_id(prefix: str) -> str:
    """Create an identifier such as "resp_6f1c..."."""
    return f"{prefix}_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


def in_base64(data: bytes) -> str:
    """Encode bytes as JSON carries them."""
    return base64.b64encode(data).decode("ascii")


def pause_before_image(partials: int) -> float:
    """Return the seconds before each image of a run: a whole run takes about three."""
    return 1.6 / (partials + 1)


REMEMBERED = 256
"""Answers that are kept; the least recently used is dropped first."""


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An earlier answer: its turn, from 1; its conversation's first prompt and seed; whether it painted."""

    turn: int
    first_prompt: str
    first_seed: int
    painted: bool


class Sessions:
    """Earlier answers by the id of their response or of their image; threads may share it."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, EarlierAnswer] = OrderedDict()

    def keep(self, key: str, answer: EarlierAnswer) -> None:
        """Keep an answer under an id."""
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)

    def response(self, key: str) -> EarlierAnswer:
        """Find the answer that `previous_response_id` names."""
        answer = self._find(key)
        if answer is None:
            message = f"Previous response with id '{key}' not found."
            raise invalid("previous_response_not_found", message, "previous_response_id")
        return answer

    def item(self, key: str) -> EarlierAnswer:
        """Find the answer that held the item of this id."""
        answer = self._find(key)
        if answer is None:
            message = (
                f"Item with id '{key}' not found. Items are not persisted when `store` is set to false. "
                "Try again with `store` set to true, or remove this item from your input."
            )
            raise invalid(None, message, "input", 404)
        return answer

    def _find(self, key: str) -> EarlierAnswer | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)


@dataclass(frozen=True)
class ApiError(Exception):
    """A request that OpenAI would refuse: HTTP status and the four fields of the `error` object."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None

    def body(self) -> dict[str, object]:
        """Format the JSON body that goes with the status."""
        fields = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": fields}


def invalid(code: str | None, message: str, param: str | None, status: int = 400) -> ApiError:
    """Create the error for a fault in the request itself."""
    return ApiError(status, "invalid_request_error", code, message, param)


def invalid_value(value: object, choices: Sequence[str], param: str) -> ApiError:
    """Create the error for a value that is none of the choices."""
    quoted = [f"'{choice}'" for choice in choices]
    listed = " and ".join(quoted) if len(quoted) < 3 else ", ".join(quoted[:-1]) + f", and {quoted[-1]}"  # noqa: PLR2004
    return invalid("invalid_value", f"Invalid value: '{value}'. Supported values are: {listed}.", param)


def invalid_type(wanted: str, value: object, param: str) -> ApiError:
    """Create the error for a value of the wrong JSON type; `wanted` reads like "an integer"."""
    names = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    got = "null" if value is None else names.get(type(value), "an object")
    return invalid(
        "invalid_type", f"Invalid type for '{param}': expected {wanted}, but got {got} instead.", param
    )


def missing(param: str) -> ApiError:
    """Create the error for a required parameter that was not sent."""
    return invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def unknown_parameter(param: str) -> ApiError:
    """Create the error for a parameter that the endpoint does not have."""
    return invalid("unknown_parameter", f"Unknown parameter: '{param}'.", param)


def unsupported_here(param: str, what: str) -> ApiError:
    """Create the error for something that OpenAI offers and the demo does not."""
    return invalid("unsupported_parameter", f"The offline demo does not offer {what}.", param)
