"""Credentials: which key goes to which server."""

from __future__ import annotations

from dataclasses import field
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from imgcli.api.key_store import KeyStore
from imgcli.core.config import KEY_COMMAND, KEY_FILE, OPENAI_PATHS, ApiPaths, HttpHeader, ServerSettings
from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.option import option
from imgcli.core.params import DEMO
from imgcli.core.secrets import is_loopback, is_secret
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


LOCAL_KEY = "local"
"""What a server on this machine gets instead of a key: it does not need a real one."""
KEY = "key"
"""What a variable is for that holds a key."""

KEYCHAIN = "the system's keychain"
_USUAL = "OPENAI_API_KEY"
_KEYS = ((KEY, _USUAL), (KEY, "OPENAI_ADMIN_KEY"))
_NAME_LENGTH = 60


def secrets_of(environment: Mapping[str, str], named: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """List the keys, and the headers that are secrets, whole and without the word before it (`Bearer`).

    `named` are the variables that a configuration names, each with the header that it fills, or `KEY`. A
    plain header, such as a deployment's name, is not one: redacting it would spoil the server's answers.
    """
    variables = ((name, environment.get(variable, "").strip()) for name, variable in (*_KEYS, *named))
    found = [
        value
        for name, value in (*variables, *custom_headers(environment))
        if value and is_secret(name, value)
    ]
    spellings = (part for value in found for part in (value, value.rpartition(" ")[2]))
    return tuple(dict.fromkeys(part for part in spellings if part != LOCAL_KEY))


def custom_headers(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Read OPENAI_CUSTOM_HEADERS as the SDK does."""
    for line in environment.get("OPENAI_CUSTOM_HEADERS", "").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


OPENAI_URL = "https://api.openai.com/v1"
NO_SETTINGS = ServerSettings()
"""For no profile, or one that is not about the server that is asked."""

PORTS = {"http": 80, "https": 443}
_BAD_KEY_CHARACTER = regex(r"[^!-~]")
_WHERE_KEYS_ARE = (
    "Set it (https://platform.openai.com/api-keys), "
    f"or try `imgcli gen ... {option('demo')}`, which needs none."
)


@dataclass(frozen=True)
class Credentials:
    """A key that can be sent, and where to; built by `credentials`.

    `headers` go along; `paths` are the server's own; `hidden` is what the environment holds of secrets. An
    empty key means that a header of the profile is the login, and no key is sent.
    """

    key: str = field(repr=False)
    base_url: str = field(repr=False)
    organization: str | None = None
    project: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    paths: ApiPaths = OPENAI_PATHS
    origin: str = ""
    """Where the key is from, for messages."""

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so that no proxy and no real key is involved."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold: `hidden`, and a real key."""
        return tuple(dict.fromkeys([*self.hidden, *({self.key} - {"", LOCAL_KEY})]))

    @property
    def is_plain(self) -> bool:
        """Whether the way to the server is unencrypted."""
        return urlsplit(self.base_url).scheme == "http"

    @property
    def path(self) -> str:
        """The path in the server's address, empty where there is none."""
        return urlsplit(self.base_url).path.strip("/")

    @property
    def host(self) -> str:
        """The server's host and port for messages, without a login that the URL may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]


def credentials(
    environment: Mapping[str, str],
    base_url: str | None = None,
    server: ServerSettings = NO_SETTINGS,
    store: KeyStore | None = None,
) -> Credentials:
    """Find key and server from the environment, `base_url` going before OPENAI_BASE_URL.

    `server` is what a profile says of the server at that very address: its key, headers and paths; `store`
    asks commands, files and the keychain. Raises `ImgcliError`: AUTH when the key is missing or cannot be
    sent, USAGE for an address that is invalid or unencrypted. No message holds the key's value.
    """
    url = _url(environment, base_url)
    host = _checked(url, environment).hostname or ""
    headers = tuple(_headers(environment, server))
    key, origin = _login(environment, server, host, store or KeyStore())
    return Credentials(
        key,
        url,
        _optional(environment, "OPENAI_ORG_ID"),
        _optional(environment, "OPENAI_PROJECT_ID"),
        headers,
        secrets_of(environment, _variables(server)),
        server.paths,
        origin,
    )


def server_host(environment: Mapping[str, str], base_url: str | None = None) -> str | None:
    """Return host and port of the server that `credentials` finds, without a login; None for no address.

    The port is left out where the address leaves it out, unless the host alone would read as our demo.
    """
    try:
        parts = urlsplit(_url(environment, base_url))
    except ValueError:
        return None
    name = parts.netloc.rpartition("@")[2]
    return f"{name}:{PORTS.get(parts.scheme, 0)}" if name == DEMO else name or None


def _url(environment: Mapping[str, str], base_url: str | None) -> str:
    return (base_url or "").strip() or environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL


def is_on_this_machine(url: str) -> bool:
    """Return whether an address is one of this machine; false for what is not an address."""
    try:
        return is_loopback(urlsplit(url.strip()).hostname or "")
    except ValueError:
        return False


def is_at(url: str, other: str) -> bool:
    """Return whether two addresses are of one server: scheme, host and port are the same."""
    try:
        return _origin(url.strip() or OPENAI_URL) == _origin(other.strip())
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme)


def _login(
    environment: Mapping[str, str], server: ServerSettings, host: str, store: KeyStore
) -> tuple[str, str]:
    """Choose the key, and return where it is from: the profile's own, OPENAI_API_KEY, the system's keychain.

    No server on this machine gets another key than the profile's.
    """
    if server.has_key:
        return _own_key(environment, server, store)
    if is_loopback(host):
        return LOCAL_KEY, ""
    if server.base_url and any(header.variable for header in server.headers):
        return "", ""
    if not environment.get(_USUAL, "").strip() and (key := store.of_keychain(host)):
        return _checked_key(key, f"The key in {KEYCHAIN}"), KEYCHAIN
    return _key(environment, _USUAL, _WHERE_KEYS_ARE), _USUAL


def _own_key(environment: Mapping[str, str], server: ServerSettings, store: KeyStore) -> tuple[str, str]:
    if server.key_env:
        advice = f"The profile {server.profile} names it as key-env."
        return _key(environment, server.key_env, advice), server.key_env
    kind, where = (KEY_FILE, server.key_file or "")
    if server.key_command:  # its arguments may tell more than a message should
        kind, where = KEY_COMMAND, PurePath(server.key_command[0]).name
    named = f"{kind} of profile {shorten(server.profile, _NAME_LENGTH)} ({shorten(where, _NAME_LENGTH)})"
    if server.key_command:
        key = store.of_command(server.key_command, f"The {named}", environment)
    else:
        key = store.of_file(where, f"The {named}")
    return _checked_key(key, f"The {named}"), named


def _key(environment: Mapping[str, str], variable: str, advice: str) -> str:
    key = environment.get(variable, "").strip()
    if not key:
        what = f"There is no API key: {variable} is not set."
        raise ImgcliError(Problem(ExitCode.AUTH, what, advice=advice))
    return _checked_key(key, variable)


def _checked_key(key: str, origin: str) -> str:
    if bad := _BAD_KEY_CHARACTER.search(key):
        what = f"{origin} contains an invalid character at position {bad.start() + 1}."
        raise ImgcliError(Problem(ExitCode.AUTH, what, advice="Copy the key again, with nothing around it."))
    return key


def _headers(environment: Mapping[str, str], server: ServerSettings) -> Iterator[tuple[str, str]]:
    """Fill in the profile's headers; OPENAI_CUSTOM_HEADERS goes before them, as the environment does."""
    already = {name.lower() for name, _ in custom_headers(environment)}
    for header in server.headers:
        if header.name.lower() not in already:
            yield header.name, _filled(environment, server, header)


def _filled(environment: Mapping[str, str], server: ServerSettings, header: HttpHeader) -> str:
    if header.variable is None:
        return header.value
    value = environment.get(header.variable, "").strip()
    fault = "is not set" if not value else "contains a character that cannot be sent"
    if value and value.isascii() and value.isprintable():
        return value
    what = f"{header.variable} {fault}; the header {header.name} of profile {server.profile} needs it."
    raise ImgcliError(Problem(ExitCode.AUTH, what, advice="Set it, or run without the profile."))


def _variables(server: ServerSettings) -> Iterator[tuple[str, str]]:
    """Yield the variables that a profile takes keys and headers from, each with what it is for."""
    if server.key_env:
        yield KEY, server.key_env
    yield from ((header.name, header.variable) for header in server.headers if header.variable)


def _optional(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name, "").strip() or None


def _checked(url: str, environment: Mapping[str, str]) -> SplitResult:
    """Raise `ImgcliError` for an address that cannot work, or that would send prompt and key unencrypted."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise _no_address() from None
    if not usable or not url.isprintable() or " " in url:
        raise _no_address()
    allowed = is_loopback(parts.hostname or "") or environment.get("IMGCLI_INSECURE_HTTP", "").strip() == "1"
    if parts.scheme == "http" and not allowed:
        raise usage_error(
            f"{option('base-url')} would send the key and the prompt unencrypted to {parts.hostname}.",
            "Use https://, or set IMGCLI_INSECURE_HTTP=1 if you trust the network.",
            about=("base-url",),
        )
    return parts


def _no_address() -> ImgcliError:
    return usage_error(
        f"{option('base-url')} (OPENAI_BASE_URL) is not a valid URL.",
        f"It should look like {OPENAI_URL}.",
        about=("base-url",),
    )
