"""Keys and passwords stay out of what people read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import (
    Completed,
    Event,
    Failed,
    FinalImage,
    Notice,
    PartialImage,
    Saved,
    Started,
    Waiting,
)
from imgcli.core.image import EncodedImage
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest
from imgcli.core.secrets import mask_secrets, redact, redact_events, redact_problem
from streams import RED

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "sk-canary-0123456789abcdef"
HEX = "0123456789abcdef0123456789abcdef"
SECRETS = [
    (f"Incorrect API key provided: {CANARY}.", "Incorrect API key provided: [hidden]."),
    ("provided: sk-cana***********cdef. Find", "provided: [hidden]. Find"),
    ("provided: sk-ab...wxyz.", "provided: [hidden]."),
    ("key sk-proj-abc_DEF-123, bad", "key [hidden], bad"),
    ("key abcd****wxyz", "key [hidden]"),
    ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
    ("http://user:pa%20ss@proxy:8080 refused", "http://[hidden]@proxy:8080 refused"),
    ("key gsk_0123456789abcdefGHIJ, bad", "key [hidden], bad"),
    ("key AIza0123456789-bcdefGHIJ", "key [hidden]"),
    (f"Bad API key provided: {HEX}.", "Bad API key provided: [hidden]."),
    (f'{{"token": "{HEX}"}}', '{"token": "[hidden]"}'),
    ("Basic dXNlcjpwYXNz", "Basic [hidden]"),
    ("a basic understanding", "a basic understanding"),
    (f"SHA-256 {HEX}{HEX}", f"SHA-256 {HEX}{HEX}"),
    (f"the response resp_{HEX}", f"the response resp_{HEX}"),
    (f"request {HEX}", f"request {HEX}"),
    (
        "https://cdn.example/a.png?sig=abc123&token=eyJhbGciOi.eyJzdWIiOi",
        "https://cdn.example/a.png?sig=abc123&token=eyJhbGciOi.eyJzdWIiOi",
    ),
    ("a task-force and risk-free", "a task-force and risk-free"),
    ("2 ** 3 and *this*", "2 ** 3 and *this*"),
]


@pytest.mark.parametrize(("text", "expected"), SECRETS)
def test_what_looks_like_a_key_is_hidden(text: str, expected: str) -> None:
    """A server that echoes a key does not get it printed; ordinary words, hashes, ids and links stay."""
    assert expected == redact(text)


@pytest.mark.parametrize("echo", ["azure0123456789abcdef", "azure012...", "…89abcdef", "x azure012-cut"])
def test_a_known_key_of_any_form_is_hidden(echo: str) -> None:
    """A key without the usual prefix is hidden too, whole or in part."""
    secret = "azure0123456789abcdef"
    shown = redact_problem(Problem(ExitCode.AUTH, f"bad {echo}", code=echo, param=echo), secret)
    for text in (shown.what, shown.code or "", shown.param or ""):
        assert "azure012" not in text
        assert "89abcdef" not in text


def test_hiding_nothing_changes_nothing() -> None:
    """Without a secret, and with a short one, ordinary text stays."""
    assert redact("a plain sentence", "") == "a plain sentence"
    assert redact("a plain sentence", "plain") == "a [hidden] sentence"


KEY = "Azure0123456789abcdef"
ECHO = f"your key {KEY} is odd"
HIDDEN = "your key [hidden] is odd"
IMAGE = EncodedImage.of(RED)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Notice("j", ECHO), Notice("j", HIDDEN)),
        (Waiting("j", 1.0, ECHO), Waiting("j", 1.0, HIDDEN)),
        (FinalImage("j", 0, IMAGE, ECHO, ECHO), FinalImage("j", 0, IMAGE, HIDDEN, HIDDEN)),
        (FinalImage("j", 0, IMAGE), FinalImage("j", 0, IMAGE)),
        (
            Failed("j", Problem(ExitCode.REFUSED, ECHO, code=KEY), Completed("j", KEY, response_id=KEY)),
            Failed(
                "j",
                Problem(ExitCode.REFUSED, HIDDEN, code="[hidden]"),
                Completed("j", "[hidden]", response_id="[hidden]"),
            ),
        ),
        (Completed("j", "gpt-4o", image_model=KEY), Completed("j", "gpt-4o", image_model="[hidden]")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_key_in_a_stream_is_hidden(event: Event, expected: Event) -> None:
    """A server that echoes a key of any form inside an answer does not get it shown."""
    assert [expected] == list(redact_events([event], KEY))


def test_what_is_ours_is_left_alone() -> None:
    """Requests, images and the names of files pass as they are."""
    events: list[Event] = [
        Started("j", ImageRequest(ECHO, "gpt-4o", Api.RESPONSES)),
        PartialImage("j", 0, 0, IMAGE),
        Saved("j", 0, Path(f"/{KEY}.png")),
    ]
    assert all(ours is seen for ours, seen in zip(events, redact_events(events, KEY), strict=True))


def test_a_key_in_an_error_on_its_way_is_hidden() -> None:
    """What a source raises is raised on without the key, and with what the server had told."""

    def source() -> Iterator[Event]:
        yield Notice("j", "odd")
        raise ImgcliError(Problem(ExitCode.UNKNOWN, ECHO, Charged.MAYBE), Completed("j", KEY, {"a": 1}))

    events = redact_events(source(), KEY)
    assert Notice("j", "odd") == next(events)
    with pytest.raises(ImgcliError) as caught:
        next(events)
    assert (HIDDEN, HIDDEN) == (caught.value.problem.what, str(caught.value))
    assert Completed("j", "[hidden]", {"a": 1}) == caught.value.ended


def test_without_a_key_what_looks_like_one_is_hidden() -> None:
    """A server on this machine gets no key; a stream that holds somebody's is still not shown."""
    assert [Notice("j", "[hidden]")] == list(redact_events([Notice("j", CANARY)], ""))


@given(st.lists(st.binary(max_size=40)), st.integers(0, 60), st.integers(0, 3))
def test_an_echoed_key_is_in_no_stream(pieces: list[bytes], cut: int, times: int) -> None:
    """However a stream is cut, a key in it is masked, and every other byte stays where it was."""
    whole = (CANARY.encode() * times).join(pieces) if pieces else CANARY.encode() * times
    chunks = [whole[:cut], whole[cut : cut + 7], whole[cut + 7 :]]
    passed = b"".join(mask_secrets(chunks, CANARY))
    assert (whole.replace(CANARY.encode(), b"*" * len(CANARY)), len(whole)) == (passed, len(passed))


def escaped(letter: str, style: int) -> str:
    """Spell a letter as JSON may, plain or escaped, also inside JSON that JSON quotes."""
    code = f"u{ord(letter):04x}"
    plain = letter if letter not in "\\/" else rf"\{letter}"
    return (plain, rf"\{code}", rf"\u{code[1:].upper()}", rf"\\{code}")[style]


KEYS = [CANARY, 'Zm9v/b+Ym"Fy==/0123456789']


@given(st.sampled_from(KEYS), st.lists(st.integers(0, 3), min_size=30), st.lists(st.integers(1, 40)))
def test_an_escaped_key_is_in_no_stream(key: str, styles: list[int], cuts: list[int]) -> None:
    """A key in JSON's escapes, any mix of them, is masked however the stream is cut, and nothing else."""
    spelled = "".join(map(escaped, key, styles)).encode()
    whole = b'data: {"a": "it\\u0027s ' + spelled + b' \\u002d"}\n\n'
    rest, chunks = whole, []
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    passed = b"".join(mask_secrets([*chunks, rest], key))
    assert whole.replace(spelled, b"*" * len(spelled)) == passed


def test_an_event_with_escapes_is_not_held_back() -> None:
    """What has escapes in it and is no key goes on at once, to its last byte."""
    chunk = rb'data: {"a": "\u0073k, \/ and \"}'
    assert [chunk, b"x"] == list(mask_secrets([chunk, b"x"], CANARY))


@pytest.mark.parametrize("end", [CANARY[:7], r"\u0073k", r"\u00"])
def test_the_end_of_a_stream_is_not_kept(end: str) -> None:
    """An answer that ends with what may begin a key has its last byte, once it is known to be its end."""
    chunks = [b"data: " + end.encode(), b""]
    assert chunks[0] == b"".join(mask_secrets(chunks, CANARY))


def test_a_key_in_an_unread_answer_is_hidden() -> None:
    """An error that quotes JSON as it came shows no key in escapes."""
    quoted = r'{"m": "bad key \u0073k\u002dcanary\u002D0123456789abcdef"}'
    assert '{"m": "bad key [hidden]"}' == redact(quoted)
    assert r"a \u002d stays" == redact(r"a \u002d stays", CANARY)


def test_what_is_no_key_is_not_looked_for() -> None:
    """A word that an image's bytes may hold by chance is left in them."""
    assert [b"local", b""] == list(mask_secrets([b"local", b""], "local"))


def test_a_placeholder_is_not_looked_for() -> None:
    """A "key" of one letter stands in many an image, which it must not cost."""
    assert [b"AAAAAAAAAAAAAAAAAAAAAAAA"] == [*mask_secrets([b"AAAAAAAAAAAAAAAAAAAAAAAA"], "A" * 16)]
