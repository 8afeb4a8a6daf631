"""Keys and passwords kept out of whatever people read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.errors import Problem

_SHORTEST_SECRET = 16
_HIDDEN = "[hidden]"
_SECRETS = (
    re.compile(r"(?<![A-Za-z0-9])sk-(?:[\w*…-]|\.(?=[\w.*]))+"),
    re.compile(r"(?<![\w-])[\w-]*\*{3,}[\w*-]*"),  # OpenAI echoes a key as sk-abcd****wxyz
    re.compile(r"(?<=[Bb]earer )[^\s\"',]+"),
    re.compile(r"(?<=//)[^/@\s]+(?=@)"),  # user:password of a URL
)


def redact(text: str, secret: str = "") -> str:
    """Hide what looks like a key or a password, and `secret` or the first or last letters of it."""
    if secret:
        text = text.replace(secret, _HIDDEN)
    if len(secret) >= _SHORTEST_SECRET:
        head, tail = re.escape(secret[:8]), re.escape(secret[-8:])
        text = re.sub(rf"{head}[\w*.…-]*|(?<![\w*.…-])[\w*.…-]*{tail}", _HIDDEN, text)
    for pattern in _SECRETS:
        text = pattern.sub(_HIDDEN, text)
    return text


def masked(chunks: Iterable[bytes], secret: str) -> Iterator[bytes]:
    """Pass a stream on with `secret`, should the server echo it, under as many asterisks.

    What may be the beginning of it waits for the next chunk. A secret that is too short to be a key is let
    be: it would be found in a picture by chance.
    """
    if len(secret) < _SHORTEST_SECRET:
        yield from chunks
        return
    key, held = secret.encode(), b""
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


def redacted(problem: Problem, secret: str) -> Problem:
    """Hide a known secret in everything that a problem quotes."""
    return replace(
        problem,
        what=redact(problem.what, secret),
        code=_maybe(problem.code, secret),
        param=_maybe(problem.param, secret),
    )


def redacted_events(events: Iterable[Event], secret: str) -> Iterator[Event]:
    """Pass events on without `secret`, should the server have put it into words of its own.

    An `ImgcliError` on its way up is raised again without it. Pictures, paths and counts stay as they are.
    """
    try:
        for event in events:
            yield _redacted_event(event, secret)
    except ImgcliError as error:
        ended = error.ended and _redacted_end(error.ended, secret)
        raise ImgcliError(redacted(error.problem, secret), ended) from None


def _redacted_event(event: Event, secret: str) -> Event:
    """Hide the secret wherever this event quotes the server."""
    match event:
        case Notice(text=text):
            return replace(event, text=redact(text, secret))
        case Waiting(reason=reason):
            return replace(event, reason=redact(reason, secret))
        case FinalImage(revised_prompt=prompt, response_id=name):
            return replace(event, revised_prompt=_maybe(prompt, secret), response_id=_maybe(name, secret))
        case Failed(problem=problem, ended=ended):
            clean_end = ended and _redacted_end(ended, secret)
            return replace(event, problem=redacted(problem, secret), ended=clean_end)
        case Completed():
            return _redacted_end(event, secret)
        case _:
            return event


def _redacted_end(end: Completed, secret: str) -> Completed:
    """Hide the secret in the names that an end quotes."""
    return replace(
        end,
        model=_maybe(end.model, secret),
        response_id=_maybe(end.response_id, secret),
        image_model=_maybe(end.image_model, secret),
    )


def _maybe(text: str | None, secret: str) -> str | None:
    return text and redact(text, secret)
