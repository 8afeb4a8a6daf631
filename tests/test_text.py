"""Foreign text made safe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.text import clean, shorten, slug

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]))


@given(ANY_TEXT)
def test_clean_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    """Whatever a server sends, no control, bidi or format character is left, nor any line break."""
    left = {unicodedata.category(character) for character in clean(text)} & {"Cc", "Zl", "Zp", "Cs"}
    assert set() == left
    assert not set("\x1b\x9b\u202e\u2066\u200b\ufeff") & set(clean(text))


@given(ANY_TEXT)
def test_clean_twice_is_clean_once(text: str) -> None:
    """Cleaning clean text changes nothing."""
    assert clean(text) == clean(clean(text))


@pytest.mark.parametrize("text", ["a cat", "고양이", "👩‍🚀", "naïve café", "[/red] {x} %s"])
def test_clean_keeps_ordinary_text(text: str) -> None:
    """Text of any script, joined emoji and markup characters stay as they are."""
    assert text == clean(text)


@given(ANY_TEXT, st.integers(1, 50))
def test_shorten_keeps_to_its_length(text: str, length: int) -> None:
    """A shortened text is never longer than asked."""
    assert length >= len(shorten(text, length))


@given(ANY_TEXT)
def test_a_slug_is_a_safe_name(prompt: str) -> None:
    """Whatever the prompt, the name has no separator, no dot, no control, and 1 to 66 bytes."""
    name = slug(prompt)
    assert 1 <= len(name.encode()) <= 66
    assert not set("/\\.:~ \0-") & {name[0]}
    assert not set("/\\.:~ \0\n") & set(name)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A Cat, with a HAT!", "a-cat-with-a-hat"),
        ("고양이 한 마리", "고양이-한-마리"),
        ("हिन्दी में बिल्ली", "हिन्दी-में-बिल्ली"),
        ("CON", "con-image"),
        ("!!!", "image"),
        ("", "image"),
        ("../../etc/passwd", "etc-passwd"),
        ("word " * 40, "-".join(["word"] * 12)),
    ],
)
def test_names_people_expect(prompt: str, name: str) -> None:
    """A prompt's first words name the file, in the prompt's own script."""
    assert name == slug(prompt)
