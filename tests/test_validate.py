"""From a draft to a request, or one sentence on why not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import reference
from imgcli.core import catalog
from imgcli.core.catalog import ServerModel, list_models
from imgcli.core.errors import ExitCode, ImgcliError
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Background, Moderation, Quality
from imgcli.core.request import DraftRequest, ImageRequest
from imgcli.core.validate import ValidRequest, validate
from streams import BLUE
from wire import wire_body

CATALOG = catalog.load()
TODAY = date(2026, 11, 22)


def decided(today: date = TODAY, **draft: Any) -> ValidRequest:
    """Decide a draft for a cat."""
    return validate(DraftRequest(**{"prompt": "a cat", **draft}), CATALOG, today)


def refused(today: date = TODAY, **draft: Any) -> str:
    """Decide a draft that must be refused, and give the sentence."""
    with pytest.raises(ImgcliError) as caught:
        decided(today, **draft)
    assert ExitCode.USAGE == caught.value.problem.exit_code
    return f"{caught.value.problem.what} {caught.value.problem.advice}"


def test_what_nobody_said() -> None:
    """Without options: the default text model, a medium square PNG, no partials."""
    expected = ImageRequest(
        "a cat",
        "gpt-4o-mini",
        Api.RESPONSES,
        size="1024x1024",
        quality=Quality.MEDIUM,
        format=ImageFormat.PNG,
    )
    assert ValidRequest(expected) == decided()


@pytest.mark.parametrize(
    ("today", "model"), [(date(2027, 1, 13), "gpt-4o-mini"), (date(2027, 1, 14), "gpt-6-luna")]
)
def test_the_default_rolls_over_by_itself(today: date, model: str) -> None:
    """On the day OpenAI shuts gpt-4o-mini down the default is gpt-6-luna, without a word."""
    assert (model, ()) == ((found := decided(today)).request.model, found.notices)


def test_who_names_a_model_that_ends_is_told() -> None:
    """Within 60 days of its end a named model gets one line with the date and the replacement."""
    [notice] = decided(model="gpt-4o-mini").notices
    assert "2027-01-14" in notice
    assert "gpt-6-luna" in notice
    assert () == decided(date(2026, 11, 1), model="gpt-4o-mini").notices


def test_an_unknown_model_goes_through() -> None:
    """The catalog is advice, not a wall: a model it does not know is sent, with a notice."""
    found = decided(model="gpt-99-nova")
    assert ("gpt-99-nova", Api.RESPONSES) == (found.request.model, found.request.api)
    assert "gpt-99-nova" in found.notices[0]


def test_the_images_api_has_its_own_default() -> None:
    """Who asks for the Images API and names no model gets one that paints."""
    assert CATALOG.default_image_model == decided(api=Api.IMAGES).request.model


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-9-comet", "chatgpt-image-latest"])
def test_image_models_choose_their_wire(model: str) -> None:
    """The model's name chooses the wire, for models that are not invented yet too."""
    assert Api.IMAGES is decided(model=model).request.api


@pytest.mark.parametrize(
    ("name", "api"),
    [
        ("openai/gpt-image-1", Api.IMAGES),
        ("azure/gpt-image-2", Api.IMAGES),
        ("eu/openai/gpt-image-9-comet", Api.IMAGES),
        ("some-ai/gpt-image-2/text-to-image", Api.IMAGES),
        ("GPT-Image-2", Api.IMAGES),
        ("openai/gpt-4o-mini", Api.RESPONSES),
        ("about-dall-e-3", Api.RESPONSES),
    ],
)
def test_a_gateways_name(name: str, api: Api) -> None:
    """What a gateway puts around a name decides nothing, stays in the request, and the list says the same."""
    request = decided(model=name).request
    assert (api, name) == (request.api, wire_body(request)["model"])
    listed = list_models(CATALOG, TODAY, listing=[ServerModel(name)])
    assert (api is Api.IMAGES) == bool(listed.unknown_image_models)
    assert (api is Api.RESPONSES) == bool(listed.others)


def test_a_foreign_image_model_is_asked_in_plain_words() -> None:
    """A compatible server gets what it knows: no quality it has not heard of, base64 asked for by name."""
    body = wire_body(decided(model="sd-cpp-local", api=Api.IMAGES).request)
    expected = {
        "model": "sd-cpp-local",
        "prompt": "a cat",
        "n": 1,
        "size": "1024x1024",
        "response_format": "b64_json",
    }
    assert expected == body


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        ({"prompt": " \n"}, "empty"),
        ({"prompt": "caf\udce9"}, "UTF-8"),
        ({"prompt": "x" * 32_001, "model": "gpt-image-2"}, "32,000"),
        ({"compression": 50}, "jpeg and webp"),
        ({"compression": 101, "format": ImageFormat.WEBP}, "--compression must be between 0 and 100."),
        ({"partials": 4}, "--partials must be between 0 and 3."),
        ({"partials": -1}, "--partials must be between 0 and 3."),
        ({"partials": 1, "format": ImageFormat.GIF}, "gif"),
        ({"partials": 1, "stream": False}, "--stream"),
        ({"background": Background.TRANSPARENT, "format": ImageFormat.JPEG}, "png or webp"),
        ({"format": ImageFormat.PNG, "name_format": ImageFormat.WEBP}, "--format"),
        ({"quality": Quality.MAX, "model": "gpt-image-2"}, "gpt-image-2"),
        ({"image_model": "gpt-4o"}, "text model"),
        ({"image_model": "gpt-image-2", "model": "gpt-image-2"}, "--image-model"),
        ({"api": Api.RESPONSES, "model": "gpt-image-2"}, "--image-model gpt-image-2"),
        ({"api": Api.IMAGES, "model": "gpt-4o-mini"}, "text model"),
        ({"size": "512x512"}, "--size"),
    ],
    ids=str,
)
def test_what_is_certainly_wrong(draft: dict[str, Any], told: str) -> None:
    """What the API is certain to refuse is refused here, in one sentence that helps."""
    assert told in refused(**draft)


@pytest.mark.parametrize(
    "draft",
    [
        {"prompt": "x" * 32_001},
        {"previous_response_id": "resp_1"},
        {"references": (reference(BLUE),), "moderation": Moderation.LOW},
    ],
    ids=["prompt", "conversation", "moderation"],
)
@pytest.mark.parametrize(
    ("today", "model"), [(date(2027, 1, 13), "gpt-4o-mini"), (date(2027, 1, 14), "gpt-6-luna")]
)
def test_advice_names_a_model_that_is_alive(draft: dict[str, Any], today: date, model: str) -> None:
    """Who is advised to take a text model is told the default of the day."""
    assert f"(-m {model})" in refused(today, model="gpt-image-2", **draft)


def test_a_moving_image_has_no_partials() -> None:
    """A format that has no partials asks for none, even where somebody watches, and is not streamed."""
    request = decided(api=Api.IMAGES, format=ImageFormat.GIF, watched_partials=3).request
    assert (0, False) == (request.partials, request.stream)


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        ({}, True),
        ({"is_gateway": True}, False),
        ({"is_gateway": True, "partials": 1}, True),
        ({"is_gateway": True, "watched_partials": 3}, True),
        ({"is_gateway": True, "stream": True}, True),
        ({"stream": False, "watched_partials": 3}, False),
        ({"api": Api.RESPONSES, "is_gateway": True}, True),
        ({"api": Api.RESPONSES, "stream": False}, False),
    ],
)
def test_what_is_streamed(draft: dict[str, Any], *, expected: bool) -> None:
    """A gateway's Images API is streamed for partial images or on the user's word."""
    request = decided(**{"api": Api.IMAGES, **draft}).request
    assert (expected, expected) == (request.stream, wire_body(request).get("stream", False))


@given(st.text(), st.text(), st.integers(), st.integers())
def test_nothing_typed_can_break_it(size: str, model: str, partials: int, compression: int) -> None:
    """Whatever is typed gives a request or a usage error, never anything else."""
    try:
        found = decided(size=size, model=model, partials=partials, compression=compression)
    except ImgcliError as error:
        assert ExitCode.USAGE is error.problem.exit_code  # noqa: PT017 - an error is one of two good ends
    else:
        assert "a cat" in str(wire_body(found.request))


def test_a_request_survives_its_record() -> None:
    """A request that was written down is read back as it was."""
    request = decided(format=ImageFormat.WEBP, compression=80, model="gpt-image-2").request
    assert request == ImageRequest.from_json(request.to_json())
