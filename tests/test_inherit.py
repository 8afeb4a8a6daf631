"""What a new image takes over from an earlier one's recipe: the line goes before it, the rest after."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from imgcli.core.catalog import load
from imgcli.core.embedded import EmbeddedParameters
from imgcli.core.image import ImageFormat
from imgcli.core.inherit import Inherited, OptionSources, PreviousOptions, RequestContext, inherit
from imgcli.core.params import DEMO, Api, Background, Fidelity, Moderation, Quality
from imgcli.core.request import DraftRequest, ImageRequest
from imgcli.core.validate import validate

CATALOG = load()
TODAY = date(2026, 11, 22)
PLACE, OTHER = "api.openai.com", "localhost:8080"
TALK = ImageRequest(
    "a cat",
    "gpt-6-luna",
    Api.RESPONSES,
    image_model="gpt-image-2",
    size="1536x1024",
    quality=Quality.HIGH,
    format=ImageFormat.WEBP,
    compression=80,
    background=Background.OPAQUE,
    moderation=Moderation.LOW,
)
PAINTED = replace(TALK, model="gpt-image-2", api=Api.IMAGES, image_model=None)
LOCAL = replace(TALK, model="stablediffusion", api=Api.IMAGES, image_model=None)
NOTHING, NOBODY = DraftRequest(""), OptionSources()
DEFAULT = replace(TALK, model=CATALOG.default_model(TODAY), image_model=None)


def inherited(
    request: ImageRequest,
    draft: DraftRequest = NOTHING,
    said: OptionSources = NOBODY,
    place: str | None = PLACE,
    **when: Any,
) -> Inherited:
    """Take over from a request that went to OpenAI."""
    here = RequestContext(place, CATALOG, when.get("today", TODAY))
    return inherit(draft, said, PreviousOptions.of_request(request, PLACE), here)


def typed(*names: str) -> OptionSources:
    """Say that these fields stood on the command line."""
    return OptionSources(typed=frozenset(names))


def configured(*names: str) -> OptionSources:
    """Say that these fields stood in the configuration or the environment."""
    return OptionSources(configured=frozenset(names))


def models(draft: DraftRequest) -> tuple[str | None, str | None, Api | None]:
    """Tell who paints."""
    return draft.model, draft.image_model, draft.api


@pytest.mark.parametrize("request_", [TALK, PAINTED, LOCAL, DEFAULT], ids=lambda request: request.model)
def test_the_same_request_comes_out(request_: ImageRequest) -> None:
    """Where nobody says anything, what is decided is what was decided then, and nothing is remarked."""
    found = inherited(request_)
    decision = validate(replace(found.draft, prompt="a cat"), CATALOG, TODAY)
    sent = replace(decision.request, stream=request_.stream, inline=request_.inline)
    assert (request_, ()) == (sent, found.notices)


def test_what_was_typed_goes_first_and_what_is_configured_last() -> None:
    """The line goes before the recipe, the recipe before configuration and environment."""
    draft = DraftRequest(
        "", size="1024x1024", quality=Quality.LOW, background=Background.AUTO, model="gpt-6-astra"
    )
    found = inherited(
        TALK, draft, OptionSources(frozenset({"quality"}), frozenset({"size", "background", "model"}))
    )
    assert ("1536x1024", Quality.LOW, Background.OPAQUE, "gpt-6-luna") == (
        found.draft.size,
        found.draft.quality,
        found.draft.background,
        found.draft.model,
    )
    assert {"size", "background", "moderation", "format", "compression", *MODELS} == found.inherited


MODELS = {"model", "image_model", "api"}


@pytest.mark.parametrize(
    ("request_", "draft", "said", "expected"),
    [
        (TALK, {"model": "gpt-6-astra"}, "model", ("gpt-6-astra", "gpt-image-2", Api.RESPONSES)),
        (TALK, {"model": "gpt-image-1.5"}, "model", ("gpt-image-1.5", None, None)),
        (
            TALK,
            {"image_model": "gpt-image-1.5"},
            "image_model",
            ("gpt-6-luna", "gpt-image-1.5", Api.RESPONSES),
        ),
        (TALK, {"api": Api.IMAGES}, "api", (None, None, Api.IMAGES)),
        (PAINTED, {"model": "gpt-image-1.5"}, "model", ("gpt-image-1.5", None, Api.IMAGES)),
        (PAINTED, {"model": "gpt-6-luna"}, "model", ("gpt-6-luna", None, None)),
        (PAINTED, {"image_model": "gpt-image-1.5"}, "image_model", (None, "gpt-image-1.5", None)),
        (PAINTED, {"api": Api.RESPONSES}, "api", (None, None, Api.RESPONSES)),
        (LOCAL, {"model": "flux"}, "model", ("flux", None, Api.IMAGES)),
        (TALK, {}, "api", ("gpt-6-luna", "gpt-image-2", None)),
    ],
)
def test_models_that_go_together(
    request_: ImageRequest, draft: dict[str, Any], said: str, expected: tuple[Any, ...]
) -> None:
    """Naming one of model, image model and API keeps as much of the others as goes with it."""
    assert expected == models(inherited(request_, DraftRequest("", **draft), typed(said)).draft)


def test_a_model_that_is_gone() -> None:
    """A model that OpenAI has shut down is not asked again, and that is told; named, it is used."""
    request = replace(PAINTED, model="gpt-image-1")
    found = inherited(request)
    told = "gpt-image-1, which made the earlier image, was shut down on 2026-10-23; using another model"
    assert ((None, None, None), (told,)) == (models(found.draft), found.notices)
    assert "gpt-image-1" == inherited(request, today=date(2026, 10, 22)).draft.model
    named = inherited(request, DraftRequest("", model="gpt-image-1"), typed("model"))
    assert ("gpt-image-1", ()) == (named.draft.model, named.notices)
    tool = inherited(replace(TALK, image_model="gpt-image-1"))
    assert (("gpt-6-luna", None, Api.RESPONSES), (told,)) == (models(tool.draft), tool.notices)


def test_the_default_model_rolls_over_by_itself() -> None:
    """Nobody chose the default: it is not warned about as if it had been named, and goes with the time."""
    found = inherited(DEFAULT, DraftRequest("", model="gpt-6-astra"), configured("model"))
    assert (None, Api.RESPONSES) == (found.draft.model, found.draft.api)
    decision = validate(replace(found.draft, prompt="a cat"), CATALOG, TODAY)
    assert (DEFAULT.model, ()) == (decision.request.model, decision.notices)


@pytest.mark.parametrize(
    ("request_", "place", "said", "expected"),
    [
        (TALK, OTHER, (), "gpt-6-luna"),
        (TALK, OTHER, ("model",), "mine"),
        (TALK, DEMO, (), "gpt-6-luna"),
        (LOCAL, OTHER, (), None),
        (LOCAL, PLACE, ("model",), "stablediffusion"),
    ],
)
def test_another_servers_models(
    request_: ImageRequest, place: str, said: tuple[str, ...], expected: str | None
) -> None:
    """Another server's own models are not asked of this one, nor any where one is configured for this one."""
    draft = DraftRequest("", model="mine" if said else None)
    found = inherited(request_, draft, configured(*said), place)
    assert (expected, "1536x1024") == (found.draft.model, found.draft.size)


@pytest.mark.parametrize(
    ("draft", "said", "expected"),
    [
        ({}, (), (ImageFormat.WEBP, 80)),
        ({"format": ImageFormat.PNG}, ("format",), (ImageFormat.PNG, None)),
        ({"format": ImageFormat.WEBP}, ("format",), (ImageFormat.WEBP, 80)),
        ({"name_format": ImageFormat.JPEG}, (), (None, None)),
        ({"name_format": ImageFormat.WEBP}, (), (ImageFormat.WEBP, 80)),
        ({"compression": 10}, ("compression",), (ImageFormat.WEBP, 10)),
    ],
)
def test_format_and_compression(
    draft: dict[str, Any], said: tuple[str, ...], expected: tuple[ImageFormat | None, int | None]
) -> None:
    """They are taken together, and neither where another format is asked for."""
    found = inherited(TALK, DraftRequest("", **draft), typed(*said)).draft
    assert expected == (found.format, found.compression)


def test_a_image_of_unknown_making() -> None:
    """It keeps its shape, unless somebody said a size, be it in the configuration."""
    here = RequestContext(PLACE, CATALOG, TODAY)
    sizes = [
        inherit(DraftRequest(""), said, PreviousOptions(), here).draft.size
        for said in (OptionSources(), configured("size"), typed("size"))
    ]
    assert ["auto", "1024x1024", "1024x1024"] == sizes


def test_an_embedded_recipe() -> None:
    """A recipe out of a file counts like one of the history; words of a newer imgcli are left out."""
    recipe = EmbeddedParameters(
        "a cat",
        "gpt-6-luna",
        "responses",
        options={"size": "1536x1024", "quality": "ultra", "fidelity": "high"},
        host=PLACE,
    )
    found = inherit(
        DraftRequest(""),
        OptionSources(),
        PreviousOptions.of_embedded(recipe),
        RequestContext(PLACE, CATALOG, TODAY),
    ).draft
    assert ("gpt-6-luna", Api.RESPONSES, "1536x1024", None, Fidelity.HIGH) == (
        found.model,
        found.api,
        found.size,
        found.quality,
        found.fidelity,
    )
    bare = inherit(
        DraftRequest("", model="mine"),
        OptionSources(),
        PreviousOptions.of_embedded(EmbeddedParameters("a cat")),
        RequestContext(None, CATALOG, TODAY),
    )
    assert "mine" == bare.draft.model
