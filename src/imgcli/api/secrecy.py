"""Which values of the environment no message and no record may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.core.keys import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LOCAL_KEY = "local"
"""What a server on this machine gets in the key's place: a stand-in has no business with a real one."""
KEY = "key"
"""What a variable is for that holds a key."""

_KEYS = ((KEY, "OPENAI_API_KEY"), (KEY, "OPENAI_ADMIN_KEY"))


def secrets_of(environment: Mapping[str, str], named: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """List the keys, and the headers that are secrets, whole and without the word before it (`Bearer`).

    `named` are the variables that a configuration names, each with the header that it fills, or `KEY`. A
    plain header, such as a deployment's name, is none: what the server answers would lack it.
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
