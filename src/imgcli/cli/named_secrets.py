"""The secrets that a configuration file names: what its profiles take from the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgcli.core.errors import ImgcliError
from imgcli.store.configfile import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG_ENOUGH = 8
_NAMED = re.compile(r"""(?:env:|key-env["']?\s*=\s*["'])([A-Z_][A-Z0-9_]*)""")


def named_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Give the values of all variables that the file names for keys or headers, though it be broken."""
    try:
        text = read_text(env) or ""
    except ImgcliError:
        return ()
    values = (env.get(name, "").strip() for name in _NAMED.findall(text))
    spellings = {part for value in values for part in (value, value.rpartition(" ")[2])}
    return tuple(part for part in spellings if len(part) >= _LONG_ENOUGH)
