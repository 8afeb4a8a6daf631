"""Every secret that the environment and the configuration file know of, whichever profile holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgcli.api.secrecy import KEY, secrets_of
from imgcli.core.errors import ImgcliError
from imgcli.store.configfile import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMED = re.compile(
    r"""(?:([\w-]+)["']?\s*=\s*["'])?env:([A-Z_][A-Z0-9_]*)|key-env["']?\s*=\s*["']([A-Z_][A-Z0-9_]*)"""
)


def all_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Give what any run in this environment may have had to hide, though the file be broken."""
    return secrets_of(env, _named(env))


def _named(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name the variables that the file takes keys and headers from, each with what it is for."""
    try:
        text = read_text(env) or ""
    except ImgcliError:
        return
    for header, variable, key in _NAMED.findall(text):
        yield header or KEY, variable or key
