"""Keys and passwords, told by their names and their looks."""

from __future__ import annotations

import re

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
    # A setting is no hash, no id and no link to a picture; a server speaks of them, and people need them.
    re.compile(r"\b" + _LETTERS_AND_DIGITS),  # Azure's keys have no mark
    re.compile(r"(?i)[?&][\w.-]*(?:key|token|secret|password|sig)=[^&\s]"),
)
_IN_PROSE = re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{16}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def is_key_name(name: str) -> bool:
    """Tell whether something of this name holds a key: `api-key`, `Authorization`, `my_token`."""
    plain = name.strip().lower()
    return plain in _NAMES or bool(_ENDING.search(plain))


def looks_like_key(value: str) -> bool:
    """Tell whether a setting's value is, or has in it, a key, a password or a login."""
    return any(pattern.search(value) for pattern in (*LOOKS, *_LOOKS_IN_A_SETTING))


def is_secret(name: str, value: str) -> bool:
    """Tell whether a header is a secret: by its name, or by its value's looks."""
    return is_key_name(name) or looks_like_key(value)


def has_key_in_prose(line: str) -> bool:
    """Tell whether a line of any text, a comment for instance, has an OpenAI key in it."""
    return bool(_IN_PROSE.search(line))


def is_variable(name: str) -> bool:
    """Tell whether this names an environment variable; in capitals only, as a key never is."""
    return bool(_VARIABLE.fullmatch(name))
