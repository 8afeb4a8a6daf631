"""Text: make foreign text safe for a terminal, a line or a file name; format sizes and durations."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable


_SIMILARITY = 0.7  # at most a quarter of the letters differ: "seed" is not "embed"
_SHORTEST_START = 3
_MOST = 2


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """Return at most two known names that start with this one or are spelled almost like it, best first."""
    from difflib import get_close_matches

    asked, names = name.lower().replace("_", "-"), sorted(known)
    matching = [one for one in names if len(asked) >= _SHORTEST_START and one.startswith(asked)]
    return (matching or get_close_matches(asked, names, _MOST, _SIMILARITY))[:_MOST]


def did_you_mean(names: Iterable[str]) -> str:
    """Format a "Did you mean" question; empty without names."""
    joined = " or ".join(names)
    return f"Did you mean {joined}?" if joined else ""


# Zero-width joiners hold emoji and Persian words together, and cannot reorder or hide anything.
_JOINERS = frozenset([0x200C, 0x200D])
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_encodable(text: str) -> bool:
    """Return whether text is valid UTF-8; half a surrogate pair, as of a wrongly decoded argument, is not."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def clean(text: str) -> str:
    """Make foreign text safe to print in one line.

    Line breaks and tabs become spaces; every other control character (C0, DEL, C1, bidi, zero-width, lone
    surrogates, tags) becomes U+FFFD, so that no escape sequence survives and nothing is hidden. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    """Replace a character that a terminal would act on instead of showing it."""
    if character.isprintable() or ord(character) in _JOINERS:
        return character
    if character in "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029" or unicodedata.category(character) == "Zs":
        return " "
    return _REPLACEMENT


def shorten(text: str, length: int) -> str:
    """Clean text and truncate it to `length` characters; an ellipsis marks the cut."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else line[: max(length - 1, 0)].rstrip() + "…"


_RESERVED = regex(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])$")
_FALLBACK_SLUG = "image"


def slug(prompt: str, limit: int = 60) -> str:
    """Build a file name's stem from a prompt's first words.

    Lowercase letters and digits of any script, joined by hyphens, at most `limit` bytes of UTF-8; never
    empty, never a name reserved by Windows.
    """
    stem = _fit(_letters(prompt).lower().split(), limit) or _FALLBACK_SLUG
    return f"{stem}-{_FALLBACK_SLUG}" if _RESERVED.match(stem) else stem


def _letters(prompt: str) -> str:
    """Replace all but letters, digits and their combining marks (Devanagari, Thai) by spaces."""
    normal = unicodedata.normalize("NFKC", prompt[:4000])
    return "".join(_letter(character) for character in normal)


def _letter(character: str) -> str:
    category = unicodedata.category(character)
    return character if category[0] in "LN" or category in ("Mn", "Mc") else " "


def _fit(words: list[str], limit: int) -> str:
    """Join as many words as fit; truncate a first word that is too long at a character."""
    stem = ""
    for word in words:
        longer = f"{stem}-{word}" if stem else word
        if len(longer.encode()) > limit:
            return stem or word.encode()[:limit].decode(errors="ignore")
        stem = longer
    return stem


_KILO = 1000
MINUTE = 60


def duration(seconds: float) -> str:
    """Format a duration for people: `4.2 s`, `2 min 05 s`, `3 h 05 min`."""
    if round(seconds, 1) < MINUTE:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    if minutes >= MINUTE:
        return f"{minutes // MINUTE} h {minutes % MINUTE:02} min"
    return f"{minutes} min {rest:02} s"


def file_size(count: int) -> str:
    """Format a number of bytes in decimal units: `812 bytes`, `31 kB`, `1.7 MB`."""
    if count < _KILO:
        return f"{count} byte{'s' * (count != 1)}"
    if round(count / _KILO) < _KILO:
        return f"{count / _KILO:.0f} kB"
    return f"{count / _KILO**2:.1f} MB"
