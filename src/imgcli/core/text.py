"""Foreign text made safe: for a terminal, for one line, for a file's name."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_ALIKE = 0.7  # a quarter of the letters wrong at most: "seed" is not "embed"
_SHORTEST_START = 3
_MOST = 2


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return at most two known names that begin with this one or are spelt nearly like it, best first."""
    from difflib import get_close_matches

    asked, names = name.lower().replace("_", "-"), sorted(known)
    begun = [one for one in names if len(asked) >= _SHORTEST_START and one.startswith(asked)]
    return (begun or get_close_matches(asked, names, _MOST, _ALIKE))[:_MOST]


def did_you_mean(names: Iterable[str]) -> str:
    """Ask whether one of these names was meant; empty without any."""
    joined = " or ".join(names)
    return f"Did you mean {joined}?" if joined else ""


# Zero-width joiners hold emoji and Persian words together, and cannot reorder or hide anything.
_JOINERS = frozenset([0x200C, 0x200D])
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """Make foreign text safe to print in one line.

    Line breaks and tabs become spaces; every other control character (C0, DEL, C1, bidi, zero-width, lone
    surrogates, tags) becomes U+FFFD, so that no escape sequence survives and nothing is hidden. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    """Replace one character where a terminal would obey it instead of showing it."""
    if character.isprintable() or ord(character) in _JOINERS:
        return character
    if character in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029" or unicodedata.category(character) == "Zs":
        return " "
    return _REPLACEMENT


def shorten(text: str, length: int) -> str:
    """Clean text and cut it to `length` characters, the last one an ellipsis where something was cut."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else line[: max(length - 1, 0)].rstrip() + "…"


_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])$")
_FALLBACK_SLUG = "image"


def slug(prompt: str, limit: int = 60) -> str:
    """Turn a prompt's first words into a file name's stem.

    Letters and digits of any script, joined by hyphens, in lower case, at most `limit` bytes of UTF-8, never
    empty, never a name that Windows keeps for itself.
    """
    stem = _fit(_letters(prompt).lower().split(), limit) or _FALLBACK_SLUG
    return f"{stem}-{_FALLBACK_SLUG}" if _RESERVED.match(stem) else stem


def _letters(prompt: str) -> str:
    """Normalise; all but letters, digits and their combining marks (Devanagari, Thai) become spaces."""
    normal = unicodedata.normalize("NFKC", prompt[:4000])
    return "".join(_letter(character) for character in normal)


def _letter(character: str) -> str:
    category = unicodedata.category(character)
    return character if category[0] in "LN" or category in ("Mn", "Mc") else " "


def _fit(words: list[str], limit: int) -> str:
    """Join as many words as fit; a first word that is too long is cut at a character."""
    stem = ""
    for word in words:
        longer = f"{stem}-{word}" if stem else word
        if len(longer.encode()) > limit:
            return stem or word.encode()[:limit].decode(errors="ignore")
        stem = longer
    return stem


_KILO = 1000
_MINUTE = 60


def duration(seconds: float) -> str:
    """Write a duration as people say it: `4.2 s`, `2 min 05 s`."""
    if round(seconds, 1) < _MINUTE:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest:02} s"


def file_size(count: int) -> str:
    """Write a number of bytes in decimal units: `812 bytes`, `31 kB`, `1.7 MB`."""
    if count < _KILO:
        return f"{count} byte{'s' * (count != 1)}"
    if round(count / _KILO) < _KILO:
        return f"{count / _KILO:.0f} kB"
    return f"{count / _KILO**2:.1f} MB"
