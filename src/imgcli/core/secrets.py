"""Keys and passwords kept out of whatever people read."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.problem import Problem


_HOST_NAMES = frozenset(["localhost", "localhost."])
_DIRECT = (
    "api.openai.com",
    "openai.azure.com",
    "openai.azure.us",
    "openai.azure.cn",
    "cognitiveservices.azure.com",
    "services.ai.azure.com",
)
"""Where OpenAI's and Azure's own servers are. Azure's virtual machines have other names."""
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9}")
_PARTS, _BYTE = 4, 256


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, without asking DNS.

    Connecting to `0.0.0.0` or `::` reaches this machine too, and so do `127.1` and `::ffff:127.0.0.1`: the
    system reads addresses in more spellings than the standard one.
    """
    if host.lower() in _HOST_NAMES:
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _in_old_spelling(host)
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _in_old_spelling(host: str) -> ipaddress.IPv4Address | None:
    """Read what inet_aton reads: up to four numbers, also octal and hexadecimal; the last fills the rest."""
    parts = host.split(".")
    if len(parts) > _PARTS or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *first, last = (_number(part) for part in parts)
    room = _BYTE ** (_PARTS - len(first))
    if any(number >= _BYTE for number in first) or last >= room:
        return None
    return ipaddress.IPv4Address(sum(number << 24 - 8 * place for place, number in enumerate(first)) + last)


def _number(text: str) -> int:
    is_octal = text.startswith("0") and text.isdigit()
    return int(text, 8 if is_octal else 0)


def is_gateway(place: str) -> bool:
    """Return whether a server, named by its host and perhaps a port, is neither OpenAI's nor Azure's own."""
    try:
        host = (urlsplit(f"//{place}").hostname or "").removesuffix(".")
    except ValueError:
        return True
    return not any(host == name or host.endswith(f".{name}") for name in _DIRECT)


_NAMES = frozenset(
    ["key", "apikey", "token", "secret", "password", "passwd", "authorization", "bearer", "cookie", "login"]
)
_ENDING = re.compile(
    r"[-_.](?:key|apikey|token|secret|password|passwd|authorization|auth|bearer|cookie|login|jwt|credentials?)$"
)
_LETTERS_AND_DIGITS = r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}\b"
LOOKS = (
    re.compile(r"(?<![A-Za-z0-9])()sk-(?:[\w*…-]|\.(?=[\w.*]))+"),
    re.compile(r"(?<![A-Za-z0-9])()(?:gsk_|hf_|ghp_|xai-|AIza)[\w-]{16,}"),
    re.compile(r"((?i:\bbearer\s+))[^\s\"',]+"),
    re.compile(r"((?i:\bbasic\s+))(?=[A-Za-z0-9+/]*[a-z0-9+/][A-Z])[A-Za-z0-9+/]{8,}=*"),
    re.compile(r"(//)[^/?#\s]+(?=@)"),  # user:password of a URL
    re.compile(r"(?<![\w=-])()eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),  # a JSON web token
    re.compile(
        r"((?i:\b(?:key|token|secret|password))[\"']?(?: \w{1,10}){0,2}[:\s]\s*[\"']?)\b"
        + _LETTERS_AND_DIGITS
    ),
)
"""How keys look wherever they stand; the first group is what may be shown of it."""
_LOOKS_IN_A_SETTING = (
    # A setting is no hash, no id and no link to an image; a server speaks of them, and people need them.
    re.compile(r"\b" + _LETTERS_AND_DIGITS),  # Azure's keys have no mark
    re.compile(r"(?i)[?&][\w.-]*(?:key|token|secret|password|sig)=[^&\s]"),
)
_IN_PROSE = re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{16}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def is_key_name(name: str) -> bool:
    """Return whether something of this name holds a key: `api-key`, `Authorization`, `my_token`."""
    plain = name.strip().lower()
    return plain in _NAMES or bool(_ENDING.search(plain))


def looks_like_key(value: str) -> bool:
    """Return whether a setting's value is, or has in it, a key, a password or a login."""
    return any(pattern.search(value) for pattern in (*LOOKS, *_LOOKS_IN_A_SETTING))


def is_secret(name: str, value: str) -> bool:
    """Return whether a header is a secret: by its name, or by its value's looks."""
    return is_key_name(name) or looks_like_key(value)


def has_key_in_prose(line: str) -> bool:
    """Return whether a line of any text, a comment for instance, has an OpenAI key in it."""
    return bool(_IN_PROSE.search(line))


def is_variable(name: str) -> bool:
    """Return whether this names an environment variable; in capitals only, as a key never is."""
    return bool(_VARIABLE.fullmatch(name))


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
    nearly all of one letter, is let be: it would be found in an image by chance.
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

    An `ImgcliError` on its way up is raised again without it. Images, paths and counts stay as they are.
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
