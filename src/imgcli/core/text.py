"""Foreign text made safe: for a terminal, for one line, for a file's name."""

from __future__ import annotations

import re
import unicodedata

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
