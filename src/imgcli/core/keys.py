"""Keys and passwords, told by their names and their looks, so that none stays in a file."""

from __future__ import annotations

import re

_NAMES = frozenset(
    ["key", "apikey", "token", "secret", "password", "passwd", "authorization", "bearer", "cookie", "login"]
)
_ENDING = re.compile(
    r"[-_.](?:key|apikey|token|secret|password|passwd|authorization|auth|bearer|cookie|login|jwt|credentials?)$"
)
_LOOKS = (
    re.compile(r"(?<![A-Za-z0-9])sk-[\w-]"),
    re.compile(r"(?i)\bbearer\s+\S"),
    re.compile(r"\b[Bb]asic\s+[A-Za-z0-9+/]{8,}"),
    re.compile(r"//[^/?#\s]*@"),  # user:password of a URL
    re.compile(r"(?i)[?&][\w.-]*(?:key|token|secret|password|sig)=[^&\s]"),
    re.compile(r"(?<![A-Za-z0-9])(?:gsk_|hf_|ghp_|xai-|AIza)[\w-]{16}"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}"),  # a JSON web token
    re.compile(r"\b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}\b"),  # Azure's keys have no mark
)
_IN_PROSE = re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{16}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def is_key_name(name: str) -> bool:
    """Tell whether something of this name holds a key: `api-key`, `Authorization`, `my_token`."""
    plain = name.strip().lower()
    return plain in _NAMES or bool(_ENDING.search(plain))


def looks_like_key(value: str) -> bool:
    """Tell whether a value is, or has in it, a key, a password or a login."""
    return any(pattern.search(value) for pattern in _LOOKS)


def is_secret(name: str, value: str) -> bool:
    """Tell whether a header is a secret: by its name, or by its value's looks."""
    return is_key_name(name) or looks_like_key(value)


def has_key_in_prose(line: str) -> bool:
    """Tell whether a line of any text, a comment for instance, has an OpenAI key in it."""
    return bool(_IN_PROSE.search(line))


def is_variable(name: str) -> bool:
    """Tell whether this names an environment variable; in capitals only, as a key never is."""
    return bool(_VARIABLE.fullmatch(name))
