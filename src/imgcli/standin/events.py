"""The shape of an exchange: requests, answers, and server-sent events with their pauses."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed the door, and the seed from which its images are painted."""

    content_type: str
    body: bytes
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, and the seconds that a real server takes before it."""

    event: Mapping[str, object]
    pause: float = 0.0

    def encode(self) -> bytes:
        """The event as it crosses the wire, with its `event:` and `data:` lines."""
        data = json.dumps(self.event, separators=(",", ":"))
        return f"event: {self.event['type']}\ndata: {data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain JSON body, and the seconds that a real server takes before it."""

    body: Mapping[str, object]
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """An event stream; it is made while it is read."""

    frames: Iterator[Frame]


def new_id(prefix: str) -> str:
    """A fresh identifier such as "resp_6f1c..."."""
    return f"{prefix}_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


def in_base64(data: bytes) -> str:
    """Bytes as JSON carries them."""
    return base64.b64encode(data).decode("ascii")


def beat(partials: int) -> float:
    """Seconds before each picture of a run: a whole run takes about three seconds."""
    return 1.6 / (partials + 1)
