"""Secrets: recognize and redact keys and passwords; which servers may get a key."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imgcli.core.errors import ImgcliError
from imgcli.core.events import Completed, Event, Failed, FinalImage, Notice, Waiting
from imgcli.dataclass import cached_property, dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.errors import Problem


_LOOPBACK_NAMES = frozenset(["localhost", "localhost."])
_OWN_DOMAINS = (
    "api.openai.com",
    "openai.azure.com",
    "openai.azure.us",
    "openai.azure.cn",
    "cognitiveservices.azure.com",
    "services.ai.azure.com",
)
"""Domains of OpenAI's and Azure's own servers. Azure's virtual machines have other names."""
_NUMBER = regex(r"0[xX][0-9a-fA-F]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9}")
_PARTS, _BYTE = 4, 256


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, without asking DNS.

    Connecting to `0.0.0.0` or `::` reaches this machine too, and so do `127.1` and `::ffff:127.0.0.1`: the
    system accepts more notations than the standard one.
    """
    if host.lower() in _LOOPBACK_NAMES:
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _legacy_address(host)
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _legacy_address(host: str) -> ipaddress.IPv4Address | None:
    """Parse what inet_aton does: up to four decimal, octal or hex numbers; the last fills the rest."""
    parts = host.split(".")
    if len(parts) > _PARTS or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *first, last = (_number(part) for part in parts)
    limit = _BYTE ** (_PARTS - len(first))
    if any(number >= _BYTE for number in first) or last >= limit:
        return None
    return ipaddress.IPv4Address(sum(number << 24 - 8 * index for index, number in enumerate(first)) + last)


def _number(text: str) -> int:
    is_octal = text.startswith("0") and text.isdigit()
    return int(text, 8 if is_octal else 0)


def is_gateway(server: str) -> bool:
    """Return whether a server, given as host or host:port, is neither OpenAI's nor Azure's own."""
    try:
        host = (urlsplit(f"//{server}").hostname or "").removesuffix(".")
    except ValueError:
        return True
    return not any(host == name or host.endswith(f".{name}") for name in _OWN_DOMAINS)


_NAMES = frozenset(
    ["key", "apikey", "token", "secret", "password", "passwd", "authorization", "bearer", "cookie", "login"]
)
_ENDING = regex(
    r"[-_.](?:key|apikey|token|secret|password|passwd|authorization|auth|bearer|cookie|login|jwt|credentials?)$"
)
_LETTERS_AND_DIGITS = r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}\b"
_KEY_PATTERNS = (
    regex(r"(?<![A-Za-z0-9])()sk-(?:[\w*…-]|\.(?=[\w.*]))+"),
    regex(r"(?<![A-Za-z0-9])()(?:gsk_|hf_|ghp_|xai-|AIza)[\w-]{16,}"),
    regex(r"((?i:\bbearer\s+))[^\s\"',]+"),
    regex(r"((?i:\bbasic\s+))(?=[A-Za-z0-9+/]*[a-z0-9+/][A-Z])[A-Za-z0-9+/]{8,}=*"),
    regex(r"(//)[^/?#\s]+(?=@)"),  # user:password of a URL
    regex(r"(?<![\w=-])()eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),  # a JSON web token
    regex(
        r"((?i:\b(?:key|token|secret|password))[\"']?(?: \w{1,10}){0,2}[:\s]\s*[\"']?)\b"
        + _LETTERS_AND_DIGITS
    ),
)
"""Keys anywhere in a text; the first group may be shown."""
_SETTING_PATTERNS = (
    # Only for settings: in a server's messages they would match hashes, ids and image links.
    regex(r"\b" + _LETTERS_AND_DIGITS),  # Azure's keys have no prefix
    regex(r"(?i)[?&][\w.-]*(?:key|token|secret|password|sig)=[^&\s]"),
)
_KEY_IN_PROSE = regex(r"(?<![A-Za-z0-9])sk-[\w-]{16}")
_VARIABLE = regex(r"[A-Z_][A-Z0-9_]{0,63}")


def is_key_name(name: str) -> bool:
    """Return whether a name is that of a secret: `api-key`, `Authorization`, `my_token`."""
    plain = name.strip().lower()
    return plain in _NAMES or bool(_ENDING.search(plain))


def looks_like_key(value: str) -> bool:
    """Return whether a setting's value contains a key, a password or a login."""
    return any(pattern.search(value) for pattern in (*_KEY_PATTERNS, *_SETTING_PATTERNS))


def is_secret(name: str, value: str) -> bool:
    """Return whether a header is a secret, by its name or by its value."""
    return is_key_name(name) or looks_like_key(value)


def has_key_in_prose(line: str) -> bool:
    """Return whether a line of any text, such as a comment, contains an OpenAI key."""
    return bool(_KEY_IN_PROSE.search(line))


def is_variable_name(name: str) -> bool:
    """Return whether this is a name of an environment variable, in capitals only: no key looks like that."""
    return bool(_VARIABLE.fullmatch(name))


_SHORT = 8
_SHORTEST_SECRET = 16
_FEWEST_LETTERS = 6
_HIDDEN = "[hidden]"
_ECHO = regex(r"(?<![\w-])[\w-]*\*{3,}[\w*-]*")
"""OpenAI echoes a key as sk-abcd****wxyz."""
_ESCAPE = regex(r"\\{1,8}(?:u00([2-7][0-9a-fA-F])|([\"/]))")
_CUT_ESCAPE = regex(rb"\\{1,8}(?:u[0-9a-fA-F]{0,3})?")
_MAX_BACKSLASHES = 8
"""The backslashes before a character that is quoted in JSON three times over."""
_MAX_LETTER_LENGTH = _MAX_BACKSLASHES + len("uXXXX")


def redact(text: str, *secrets: str) -> str:
    """Redact what looks like a key or password, and each of `secrets`, also abbreviate to its start or end.

    A secret in JSON escapes is redacted as well; the escapes are then decoded.
    """
    plain = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
    shown = _redact(plain, *secrets)
    return _redact(text, *secrets) if shown == plain else shown


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]


def _redact(text: str, *secrets: str) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = _without(text, secret)
    for pattern in _KEY_PATTERNS:
        text = pattern.sub(rf"\1{_HIDDEN}", text)
    return _ECHO.sub(_HIDDEN, text)


def _without(text: str, secret: str) -> str:
    """Redact one secret; a short one only as a whole word, or the rest would be unreadable."""
    if len(secret) < _SHORT:
        return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
    text = text.replace(secret, _HIDDEN)
    if len(secret) < _SHORTEST_SECRET:
        return text
    head, tail = re.escape(secret[:8]), re.escape(secret[-8:])
    return re.sub(rf"{head}[\w*.…-]*|(?<![\w*.…-])[\w*.…-]*{tail}", _HIDDEN, text)


def mask_secrets(chunks: Iterable[bytes], *secrets: str) -> Iterator[bytes]:
    """Pass a stream on, with asterisks for every character of a secret that the server echoes.

    Secrets in JSON escapes are masked as well. What may be the start of a secret is held back until the next
    chunk. A secret that is too short for a key, or has too few different letters, is not masked: it would
    occur in image data by chance.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET and len(set(secret)) >= _FEWEST_LETTERS:
            chunks = _masked(chunks, _SecretPattern(secret))
    yield from chunks


@dataclass(frozen=True)
class _SecretPattern:
    """A secret in JSON: each letter as it is or escaped, also in JSON quoted inside JSON.

    Its patterns are compiled for the first escape: most streams have none.
    """

    text: str

    @cached_property
    def secret(self) -> bytes:
        """The secret as it is without escapes."""
        return self.text.encode()

    @cached_property
    def letters(self) -> tuple[re.Pattern[bytes], ...]:
        """A pattern for each letter."""
        return tuple(regex(_letter(letter)) for letter in self.text)

    @cached_property
    def whole(self) -> re.Pattern[bytes]:
        """All of it."""
        return re.compile(b"".join(map(_letter, self.text)))

    @cached_property
    def first(self) -> re.Pattern[bytes]:
        """Where it may begin, also at the end of a chunk."""
        first, second = _letter(self.text[0]), re.escape(self.text[1].encode())
        return re.compile(rb"%b(?=\\|\Z|%b)|%b\Z" % (first, second, _CUT_ESCAPE.pattern))

    def mask(self, data: bytes) -> bytes:
        """Replace the secret by asterisks; fast where there are no escapes."""
        if b"\\" not in data:
            return data.replace(self.secret, b"*" * len(self.secret))
        return self.whole.sub(lambda found: b"*" * len(found[0]), data)

    def partial_match(self, data: bytes) -> bytes:
        """Return the longest end of the data that may be the start of the secret."""
        start = max(len(data) - len(self.letters) * _MAX_LETTER_LENGTH, data.rfind(b"\n") + 1, 0)
        if data.find(b"\\", start) < 0:
            lengths = range(min(len(self.secret) - 1, len(data) - start), 0, -1)
            return next((self.secret[:n] for n in lengths if data.endswith(self.secret[:n])), b"")
        starts = (found.start() for found in self.first.finditer(data, start))
        return next((data[at:] for at in starts if self._is_partial(data, at)), b"")

    def _is_partial(self, data: bytes, position: int) -> bool:
        for letter in self.letters:
            found = letter.match(data, position)
            if not found:
                return bool(_CUT_ESCAPE.fullmatch(data, position))
            position = found.end()
            if position == len(data):
                return True
        return False  # pragma: no cover - the whole secret was masked before


def _letter(letter: str) -> bytes:
    """Build a pattern for a letter in all its JSON spellings."""
    plain = re.escape(letter.encode())
    plain = rb"\\{0,8}" + plain if letter in '/"\\' else plain
    return rb"(?:%b|\\\\{0,7}u(?i:%04x))" % (plain, ord(letter))


def _masked(chunks: Iterable[bytes], pattern: _SecretPattern) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = pattern.mask(held + chunk)
        held = pattern.partial_match(data)
        if passed := data.removesuffix(held):
            yield passed
    if held:
        yield held


def redact_problem(problem: Problem, *secrets: str) -> Problem:
    """Redact secrets in everything that a problem quotes."""
    clean: Problem = _redact_fields(problem, ("what", "code", "param"), *secrets)
    return clean


def redact_events(events: Iterable[Event], *secrets: str) -> Iterator[Event]:
    """Pass events on with `secrets` redacted in the server's texts; images, paths and counts are unchanged.

    An `ImgcliError` is raised again with its texts redacted.
    """
    try:
        for event in events:
            yield _redact_event(event, *secrets)
    except ImgcliError as error:
        ended = error.ended and _redact_event(error.ended, *secrets)
        raise ImgcliError(redact_problem(error.problem, *secrets), ended) from None


_FOREIGN_TEXTS: dict[type, tuple[str, ...]] = {
    Notice: ("text",),
    Waiting: ("reason",),
    FinalImage: ("revised_prompt", "response_id"),
    Completed: ("model", "response_id", "image_model", "service_tier", "svg_model"),
}


def _redact_event(event: Event, *secrets: str) -> Event:
    if isinstance(event, Failed):
        ended = event.ended and _redact_fields(event.ended, _FOREIGN_TEXTS[Completed], *secrets)
        return replace(event, problem=redact_problem(event.problem, *secrets), ended=ended)
    names = _FOREIGN_TEXTS.get(type(event))
    clean: Event = _redact_fields(event, names, *secrets) if names else event
    return clean


def _redact_fields(value: Any, names: tuple[str, ...], *secrets: str) -> Any:  # noqa: ANN401 - any dataclass
    """Return a dataclass with secrets redacted in these fields."""
    texts = {name: text for name in names if (text := getattr(value, name))}
    return replace(value, **{name: redact(text, *secrets) for name, text in texts.items()})
