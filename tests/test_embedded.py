"""The recipe in a PNG's own bytes: put in, read, taken out, and nothing else touched."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcli.core.embedded import (
    KEYWORD,
    EmbeddedParameters,
    EmbeddingStage,
    NotEmbeddable,
    embed,
    read,
    strip,
)
from imgcli.core.events import Completed, Event, FinalImage, Notice, PartialImage
from imgcli.core.formats import png
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.params import PARAMETERS, Api, Quality
from imgcli.core.request import ImageRequest
from streams import BLUE, RED

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = "j"
REQUEST = ImageRequest(
    "a cat", "gpt-4o-mini", Api.RESPONSES, size="1024x1024", quality=Quality.LOW, partials=3
)
RECIPE = EmbeddedParameters.of(REQUEST, "api.openai.com", "2026-11-22T12:00:00+00:00", "0.1.0")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Spell a chunk, without the code under test."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def ours(text: bytes, *, keyword: bytes = KEYWORD.encode(), packed: bytes = b"\0") -> bytes:
    """Spell a chunk that says to be a recipe."""
    return chunk(b"iTXt", keyword + b"\0" + packed + b"\0en\0Rezept\0" + text)


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
END = chunk(b"IEND", b"")


def file_of(*chunks: bytes, after: bytes = b"") -> bytes:
    """Make a PNG of these chunks, as far as its frame is concerned."""
    return png.SIGNATURE + HEADER + b"".join(chunks) + END + after


texts = st.text(max_size=50)
maybe = st.none() | texts
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    one.name: st.integers(0, 100) if one.type is int else texts for one in PARAMETERS if not one.is_private
}
recipes = st.builds(
    EmbeddedParameters,
    prompt=texts,
    model=maybe,
    api=maybe,
    revised_prompt=maybe,
    image_model=maybe,
    options=st.fixed_dictionaries({}, optional=OPTIONS),
    response_id=maybe,
    host=maybe,
    time=maybe,
    parents=st.lists(texts, max_size=3).map(tuple),
    version=maybe,
)
KINDS = [b"IDAT", b"caBX", b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME", b"acTL", b"xxxx"]
contents = st.binary(max_size=60) | st.just(b"Title\0\0\0\0\0a cat") | st.just(b"imgcli\0\0\0\0\0{}")
foreign = st.builds(chunk, st.sampled_from(KINDS), contents)
pngs = st.builds(
    lambda chunks, after: file_of(*chunks, after=after), st.lists(foreign, max_size=6), st.binary(max_size=40)
)


@given(pngs, recipes)
def test_what_goes_in_comes_out(data: bytes, recipe: EmbeddedParameters) -> None:
    """Any PNG, with credentials, other texts, bytes after its end: the recipe is read and taken out."""
    embedded = embed(data, recipe)
    assert recipe == read(embedded)
    assert data == strip(embedded)
    assert (None, data) == (read(data), strip(data))


@given(pngs, recipes, recipes)
def test_a_image_has_one_recipe(data: bytes, first: EmbeddedParameters, second: EmbeddedParameters) -> None:
    """A second recipe takes the place of the first."""
    embedded = embed(embed(data, first), second)
    assert embed(data, second) == embedded
    assert (second, data) == (read(embedded), strip(embedded))


def test_one_chunk_stands_before_the_end() -> None:
    """Everything before and after the new chunk is what it was, in its order; the chunk is a valid one."""
    embedded = embed(RED + b"trailing", RECIPE)
    start = RED.index(b"IEND") - 4
    added = len(embedded) - len(RED + b"trailing")
    assert (RED[:start], (RED + b"trailing")[start:]) == (embedded[:start], embedded[start + added :])
    written = embedded[start : start + added]
    assert (b"iTXt", written) == (written[4:8], chunk(b"iTXt", written[8:-4]))
    assert written[8:-4].startswith(KEYWORD.encode() + b"\0\0\0\0\0{")


def test_other_programs_can_read_it() -> None:
    """It is a text chunk like any other: UTF-8, uncompressed, valid JSON, the image's pixels unharmed."""
    recipe = replace(RECIPE, prompt="ein Käfer \U0001f41e\n\0")
    with Image.open(BytesIO(embed(BLUE, recipe))) as image, Image.open(BytesIO(BLUE)) as before:
        image.load()
        text = image.text[KEYWORD]  # type: ignore[attr-defined]  # PNG images have it
        assert before.tobytes() == image.tobytes()
    assert {"recipe": 1, "prompt": recipe.prompt} == {
        name: value for name, value in json.loads(text).items() if name in {"recipe", "prompt"}
    }
    assert "Käfer" in text


def test_half_a_character_survives() -> None:
    """JSON from a server may hold half a surrogate pair; the file is valid UTF-8 all the same."""
    recipe = replace(RECIPE, revised_prompt="a \ud83d cat")
    embedded = embed(RED, recipe)
    assert recipe == read(embedded)
    embedded[embedded.index(b"{") : embedded.rindex(b"}")].decode("utf-8")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        png.SIGNATURE,
        RED[:-1],
        RED[:60],
        RED[:50] + b"\x00" + RED[51:],
        png.SIGNATURE + END,
        png.SIGNATURE + chunk(b"IDAT", b"") + HEADER + END,
        png.SIGNATURE + HEADER + b"\xff\xff\xff\xffIDAT",
    ],
    ids=["empty", "gif", "bare", "cut", "halved", "altered", "headless", "mixed", "endless"],
)
def test_what_is_no_whole_png_takes_no_recipe(data: bytes) -> None:
    """Damaged bytes are not made worse, and have nothing to read or to take out."""
    with pytest.raises(NotEmbeddable):
        embed(data, RECIPE)
    assert (None, data) == (read(data), strip(data))


def test_a_crowd_of_chunks_is_no_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but empty chunks ends the reading at a limit, which is 200,000 of them."""
    assert png._MOST_CHUNKS == 200_000  # noqa: SLF001 - more than any image has
    monkeypatch.setattr(png, "_MOST_CHUNKS", 200)
    test_what_is_no_whole_png_takes_no_recipe(file_of(*[chunk(b"IDAT", b"")] * 201))


def test_a_prompt_that_nobody_could_read_is_not_embedded() -> None:
    """A text of megabytes would make other programs refuse the whole file."""
    with pytest.raises(NotEmbeddable, match="too long"):
        embed(RED, replace(RECIPE, prompt="a" * 2_100_000))
    assert embed(RED, replace(RECIPE, prompt="a" * 1_000_000)) != RED


FORMS: dict[str, tuple[bytes, EmbeddedParameters | None]] = {
    "no JSON": (b"{", None),
    "no object": (b"[1]", None),
    "no text": (b"\xff", None),
    "empty": (b"", None),
    "nested": (b"[" * 100_000, None),
    "a huge number": (b'{"recipe": 1, "prompt": "a", "compression": ' + b"9" * 5000 + b"}", None),
    "no form": (b'{"prompt": "a"}', None),
    "no prompt": (b'{"recipe": 1, "model": "m"}', None),
    "a prompt that is none": (b'{"recipe": 1, "prompt": 7}', None),
    "a newer one": (b'{"recipe": 9, "prompt": "a", "seed": 7, "cat": {"tail": 1}}', EmbeddedParameters("a")),
    "other types": (
        b'{"recipe": 1, "prompt": "a", "model": 3, "size": null, "compression": true, "parents": 1}',
        EmbeddedParameters("a"),
    ),
    "mixed parents": (
        b'{"recipe": 1, "prompt": "a", "parents": ["p", 1, null]}',
        EmbeddedParameters("a", parents=("p",)),
    ),
    "no number": (b'{"recipe": 1, "prompt": "a", "compression": NaN}', EmbeddedParameters("a")),
}


@pytest.mark.parametrize(("text", "recipe"), FORMS.values(), ids=FORMS)
def test_foreign_recipes(text: bytes, recipe: EmbeddedParameters | None) -> None:
    """Whatever a file says is believed as far as it makes sense, and never breaks anything."""
    data = file_of(ours(text))
    assert (recipe, file_of()) == (read(data), strip(data))


def test_of_several_the_first_that_is_sound_counts() -> None:
    """A recipe whose checksum is wrong, that is packed, or goes by another name, is passed over."""
    good = b'{"recipe": 1, "prompt": "good"}'
    broken = ours(b'{"recipe": 1, "prompt": "bad!"}')[:-1] + b"?"
    packed = ours(zlib.compress(good), packed=b"\1")
    other = ours(b'{"recipe": 1, "prompt": "other"}', keyword=b"imgcli recipes")
    second = ours(b'{"recipe": 1, "prompt": "second"}')
    data = file_of(broken, other, packed, ours(good), second)
    assert EmbeddedParameters("good") == read(data)
    assert file_of(other) == strip(data)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_hostile_bytes(tail: bytes, at: int, value: int) -> None:
    """Reading and stripping never raise, and stripping never adds anything."""
    mangled = bytearray(embed(RED, RECIPE) + tail)
    mangled[at % len(mangled)] = value
    for data in (bytes(mangled), png.SIGNATURE + tail, tail):
        read(data)
        assert len(strip(data)) <= len(data)


def final(data: bytes = RED, **fields: Any) -> FinalImage:
    """Make a final image."""
    return FinalImage(JOB, 0, EncodedImage.of(data), "A cat, sitting", "resp_1", **fields)


def staged(*events: Event, recipe: EmbeddedParameters = RECIPE) -> list[Event]:
    """Send events through the stage."""
    return list(EmbeddingStage(recipe)(events))


def test_the_stage() -> None:
    """Final images get the run's recipe with what is their own; everything else passes as it is."""
    partial, end = PartialImage(JOB, 0, 0, EncodedImage.of(BLUE)), Completed(JOB, "m")
    told = {
        "revised_prompt": "A cat, sitting",
        "response_id": "resp_1",
        "sha256": EncodedImage.of(RED).sha256,
    }
    recipe = replace(RECIPE, **told)  # type: ignore[arg-type]  # all of them are texts
    image = EncodedImage(embed(RED, recipe), ImageFormat.PNG)
    assert [partial, replace(final(), image=image), end] == staged(partial, final(), end)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"RIFF\0\0\0\0WEBP", "the image is not a PNG"), (RED[:-9], "the PNG is damaged"), (b"", "not a PNG")],
)
def test_the_stage_leaves_alone_what_it_cannot_embed_in(data: bytes, reason: str) -> None:
    """An image in another format, or damaged, passes as it came, and a notice says so."""
    event, notice = staged(final(data))
    assert final(data) == event
    assert isinstance(notice, Notice)
    assert reason in notice.text
    assert "saved unchanged" in notice.text


def test_a_fault_of_ours_never_costs_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should embedding itself break, the bytes that were received go on."""

    def broken(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(png, "encode", broken)
    event, notice = staged(final())
    assert final() == event
    assert "MemoryError" in getattr(notice, "text", "")


def test_a_recipe_says_what_was_asked_for() -> None:
    """Choices are spelled as the API spells them; what was not sent is not told."""
    assert {
        "recipe": 1,
        "prompt": "a cat",
        "model": "gpt-4o-mini",
        "api": "responses",
        "size": "1024x1024",
        "quality": "low",
        "place": "api.openai.com",
        "time": "2026-11-22T12:00:00+00:00",
        "version": "0.1.0",
    } == RECIPE.to_json()


@given(recipes)
def test_the_json_form_is_whole(recipe: EmbeddedParameters) -> None:
    """Written down and read again, nothing is lost."""
    forms: list[Callable[[Any], Any]] = [lambda form: form, lambda form: json.loads(json.dumps(form))]
    assert [recipe, recipe] == [EmbeddedParameters.from_json(form(recipe.to_json())) for form in forms]
