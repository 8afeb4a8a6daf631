"""Keys and passwords kept out of whatever people read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, Waiting
from imgcli.core.keys import LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.errors import Problem

_SHORT = 8
_SHORTEST_SECRET = 16
_FEWEST_LETTERS = 6
_HIDDEN = "[hidden]"
_ECHO = re.compile(r"(?<![\w-])[\w-]*\*{3,}[\w*-]*")
"""OpenAI echoes a key as sk-abcd****wxyz."""


def redact(text: str, *secrets: str) -> str:
    """Hide what looks like a key or a password, and each of `secrets` or the first or last letters of it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = _without(text, secret)
    for pattern in LOOKS:
        text = pattern.sub(rf"\1{_HIDDEN}", text)
    return _ECHO.sub(_HIDDEN, text)


def _without(text: str, secret: str) -> str:
    """Hide one secret; a short one only where it stands alone, or nothing else would be readable."""
    if len(secret) < _SHORT:
        return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
    text = text.replace(secret, _HIDDEN)
    if len(secret) < _SHORTEST_SECRET:
        return text
    head, tail = re.escape(secret[:8]), re.escape(secret[-8:])
    return re.sub(rf"{head}[\w*.…-]*|(?<![\w*.…-])[\w*.…-]*{tail}", _HIDDEN, text)


def masked(chunks: Iterable[bytes], *secrets: str) -> Iterator[bytes]:
    """Pass a stream on with the secrets, should the server echo them, under as many asterisks.

    What may be the beginning of one waits for the next chunk. A secret that is too short to be a key, or
    nearly all of one letter, is let be: it would be found in a picture by chance.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET and len(set(secret)) >= _FEWEST_LETTERS:
            chunks = _masked(chunks, secret.encode())
    yield from chunks


def _masked(chunks: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = (held + chunk).replace(key, b"*" * len(key))
        held = _beginning(key, data)
        if passed := data.removesuffix(held):
            yield passed
    if held:
        yield held


def _beginning(key: bytes, data: bytes) -> bytes:
    """Find the longest end of some data with which the key begins."""
    lengths = range(min(len(key) - 1, len(data)), 0, -1)
    return next((key[:length] for length in lengths if data.endswith(key[:length])), b"")


def redacted(problem: Problem, *secrets: str) -> Problem:
    """Hide known secrets in everything that a problem quotes."""
    return replace(
        problem,
        what=redact(problem.what, *secrets),
        code=_maybe(problem.code, *secrets),
        param=_maybe(problem.param, *secrets),
    )


def redacted_events(events: Iterable[Event], *secrets: str) -> Iterator[Event]:
    """Pass events on without `secrets`, should the server have put one into words of its own.

    An `ImgcliError` on its way up is raised again without it. Pictures, paths and counts stay as they are.
    """
    try:
        for event in events:
            yield _redacted_event(event, *secrets)
    except ImgcliError as error:
        ended = error.ended and _redacted_end(error.ended, *secrets)
        raise ImgcliError(redacted(error.problem, *secrets), ended) from None


def _redacted_event(event: Event, *secrets: str) -> Event:
    """Hide the secrets wherever this event quotes the server."""
    match event:
        case Notice(text=text):
            return replace(event, text=redact(text, *secrets))
        case Waiting(reason=reason):
            return replace(event, reason=redact(reason, *secrets))
        case FinalImage(revised_prompt=prompt, response_id=name):
            return replace(event, revised_prompt=_maybe(prompt, *secrets), response_id=_maybe(name, *secrets))
        case Failed(problem=problem, ended=ended):
            clean_end = ended and _redacted_end(ended, *secrets)
            return replace(event, problem=redacted(problem, *secrets), ended=clean_end)
        case Completed():
            return _redacted_end(event, *secrets)
        case _:
            return event


def _redacted_end(end: Completed, *secrets: str) -> Completed:
    """Hide the secrets in the names that an end quotes."""
    return replace(
        end,
        model=_maybe(end.model, *secrets),
        response_id=_maybe(end.response_id, *secrets),
        image_model=_maybe(end.image_model, *secrets),
        service_tier=_maybe(end.service_tier, *secrets),
    )


def _maybe(text: str | None, *secrets: str) -> str | None:
    return text and redact(text, *secrets)
