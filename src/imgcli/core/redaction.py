"""Keys and passwords kept out of whatever people read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
_ESCAPE = re.compile(r"\\{1,8}(?:u00([2-7][0-9a-fA-F])|([\"/]))")
_TORN_ESCAPE = re.compile(rb"\\{1,8}(?:u[0-9a-fA-F]{0,3})?")
_MOST_SLASHES = 8
"""As many as JSON has before a letter that it quotes three times."""
_LONGEST_LETTER = _MOST_SLASHES + len("uXXXX")


def redact(text: str, *secrets: str) -> str:
    """Hide what looks like a key or a password, and each of `secrets` or the first or last letters of it.

    Also where JSON's escapes spell it, which are then undone.
    """
    plain = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
    shown = _redact(plain, *secrets)
    return _redact(text, *secrets) if shown == plain else shown


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]


def _redact(text: str, *secrets: str) -> str:
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

    Also where JSON's escapes spell them.
    What may be the beginning of one waits for the next chunk. A secret that is too short to be a key, or
    nearly all of one letter, is let be: it would be found in a picture by chance.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET and len(set(secret)) >= _FEWEST_LETTERS:
            chunks = _masked(chunks, _Spelling.of(secret))
    yield from chunks


@dataclass(frozen=True)
class _Spelling:
    """A secret as JSON may spell it: each letter as it is or escaped, also inside JSON that JSON quotes."""

    secret: bytes
    letters: tuple[re.Pattern[bytes], ...]
    whole: re.Pattern[bytes]
    first: re.Pattern[bytes]

    @classmethod
    def of(cls, secret: str) -> _Spelling:
        letters = [_letter(letter) for letter in secret]
        whole = re.compile(b"".join(letters))
        first = rb"%b(?=\\|\Z|%b)|%b\Z" % (letters[0], re.escape(secret[1].encode()), _TORN_ESCAPE.pattern)
        return cls(secret.encode(), tuple(map(re.compile, letters)), whole, re.compile(first))

    def masked(self, data: bytes) -> bytes:
        """Put asterisks in the secret's place; without an escape in sight that takes no time."""
        if b"\\" not in data:
            return data.replace(self.secret, b"*" * len(self.secret))
        return self.whole.sub(lambda found: b"*" * len(found[0]), data)

    def beginning(self, data: bytes) -> bytes:
        """Find the longest end of some data with which the secret may begin."""
        start = max(len(data) - len(self.letters) * _LONGEST_LETTER, data.rfind(b"\n") + 1, 0)
        if data.find(b"\\", start) < 0:
            lengths = range(min(len(self.secret) - 1, len(data) - start), 0, -1)
            return next((self.secret[:n] for n in lengths if data.endswith(self.secret[:n])), b"")
        starts = (found.start() for found in self.first.finditer(data, start))
        return next((data[at:] for at in starts if self._is_beginning(data, at)), b"")

    def _is_beginning(self, data: bytes, position: int) -> bool:
        for letter in self.letters:
            found = letter.match(data, position)
            if not found:
                return bool(_TORN_ESCAPE.fullmatch(data, position))
            position = found.end()
            if position == len(data):
                return True
        return False


def _letter(letter: str) -> bytes:
    """Match one letter of a secret however JSON spells it."""
    plain = re.escape(letter.encode())
    plain = rb"\\{0,8}" + plain if letter in '/"\\' else plain
    return rb"(?:%b|\\\\{0,7}u(?i:%04x))" % (plain, ord(letter))


def _masked(chunks: Iterable[bytes], spelling: _Spelling) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = spelling.masked(held + chunk)
        held = spelling.beginning(data)
        if passed := data.removesuffix(held):
            yield passed
    if held:
        yield held


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
