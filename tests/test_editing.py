"""Which images go with which options: errors are refused, doubts are told, the rest goes through."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from images import JPEG, MASK, reference
from imgcli.core.catalog import load
from imgcli.core.errors import ImgcliError
from imgcli.core.image import ImageFormat
from imgcli.core.messages import started_line
from imgcli.core.params import Action, Api, Fidelity, Moderation
from imgcli.core.problem import Charged, ExitCode
from imgcli.core.request import DraftRequest, ImageRequest, InputImage, abbreviated
from imgcli.core.validate import ValidRequest, validate
from streams import BLUE
from wire import wire_body, wire_path

CATALOG = load()
TODAY = date(2026, 11, 22)
IMAGE, STENCIL = reference(BLUE), reference(MASK, "m.png")
PHOTO = reference(JPEG, "b.jpg", ImageFormat.JPEG)
ON_IMAGES = {"model": "gpt-image-2"}


def decided(**wish: Any) -> ValidRequest:
    """Decide on a wish with an image in it, unless it says otherwise."""
    return validate(DraftRequest("a cat", **{"references": (IMAGE,), **wish}), CATALOG, TODAY)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"references": (IMAGE,) * 17}, "17 images are more than the 16"),
    ({"references": (), "mask": STENCIL}, "--mask needs the image"),
    ({"mask": replace(STENCIL, size=(16, 16))}, "The mask is 16x16 pixels, and a.png is 48x32."),
    ({"mask": STENCIL, "format": ImageFormat.GIF}, "gif cannot be painted through a mask."),
    ({**ON_IMAGES, "fidelity": Fidelity.LOW}, "gpt-image-2 does not have --input-fidelity low."),
    ({"model": "gpt-image-2-2026-04-21", "fidelity": Fidelity.HIGH}, "gpt-image-2 does not have"),
    ({"image_model": "gpt-image-2", "fidelity": Fidelity.HIGH}, "gpt-image-2 does not have"),
    ({"model": "gpt-image-1-mini", "fidelity": Fidelity.HIGH}, "gpt-image-1-mini does not have"),
    ({"references": (), "fidelity": Fidelity.HIGH}, "--input-fidelity is about images"),
    ({**ON_IMAGES, "moderation": Moderation.LOW}, "The Images API takes no --moderation"),
    ({**ON_IMAGES, "previous_response_id": "resp_1"}, "The Images API has no conversations"),
    ({"references": (), "action": Action.EDIT}, "There is no image to edit."),
]


@pytest.mark.parametrize(("wish", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_is_refused(wish: dict[str, Any], told: str) -> None:
    """What the API documents as an error is told before anything is sent."""
    with pytest.raises(ImgcliError) as caught:
        decided(**wish)
    problem = caught.value.problem
    assert (ExitCode.USAGE, Charged.NO) == (problem.exit_code, problem.charged)
    assert problem.what.startswith(told)


@pytest.mark.parametrize(
    "wish",
    [
        {"references": (IMAGE,) * 16},
        {"mask": STENCIL},
        {"references": (InputImage("a.png", url="https://a.example/a.png"),), "mask": STENCIL},
        {"model": "gpt-image-1-mini", "fidelity": Fidelity.LOW},
        {"model": "gpt-image-1.5", "fidelity": Fidelity.HIGH},
        {"model": "sd-cpp-local", "api": Api.IMAGES, "fidelity": Fidelity.HIGH},
        {"image_model": "gpt-image-9", "fidelity": Fidelity.HIGH},
        {"moderation": Moderation.LOW},
        {"model": "sd-cpp-local", "api": Api.IMAGES, "moderation": Moderation.LOW},
        {**ON_IMAGES, "moderation": Moderation.AUTO},
        {"references": (), "previous_response_id": "resp_1", "fidelity": Fidelity.HIGH},
        {"references": (), "previous_response_id": "resp_1", "action": Action.EDIT},
        {"references": (IMAGE,), "previous_response_id": "resp_1"},
    ],
)
def test_what_goes_through(wish: dict[str, Any]) -> None:
    """Nothing else is refused: the catalog ages, and compatible servers have models of their own."""
    made = decided(**wish).request
    for name in ("references", "mask", "fidelity", "previous_response_id", "action"):
        if name in wish:
            assert wish[name] == getattr(made, name)


def test_edits_take_no_moderation() -> None:
    """`--moderation auto` is the default, and not sent where there is no such parameter."""
    assert "moderation" not in wire_body(decided(**ON_IMAGES, moderation=Moderation.AUTO).request)
    assert "auto" == wire_body(decided(moderation=Moderation.AUTO).request)["tools"][0]["moderation"]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"fidelity": Fidelity.HIGH}, "OpenAI does not say whether gpt-image-2.6-sunburst takes"),
        ({"mask": replace(STENCIL, length=4_000_001)}, "the mask has 4.0 MB"),
        ({"mask": STENCIL, "references": (PHOTO,)}, "OpenAI wants mask and image in one format"),
    ],
)
def test_what_is_told(wish: dict[str, Any], told: str) -> None:
    """A doubt is a notice, and the request goes out."""
    assert any(notice.startswith(told) for notice in decided(**wish).notices)


def test_nothing_is_told_without_need() -> None:
    """A good image with a good mask has no notice of its own."""
    assert validate(DraftRequest("a cat"), CATALOG, TODAY).notices == decided(mask=STENCIL).notices


def test_the_other_request_is_decided_with_the_first() -> None:
    """The wish for a forgotten conversation is checked beforehand, and asks for the same partials."""
    other = DraftRequest("a cat", references=(IMAGE,))
    made = decided(references=(), previous_response_id="resp_1", watched_partials=3, otherwise=other)
    assert made.otherwise is not None
    assert (3, (IMAGE,), None) == (
        made.otherwise.partials,
        made.otherwise.references,
        made.otherwise.previous_response_id,
    )
    with pytest.raises(ImgcliError):
        decided(previous_response_id="resp_1", otherwise=replace(other, references=(), mask=STENCIL))


def test_the_tool_is_told_to_edit() -> None:
    """The action stands in the tool, and only when it was wished for."""
    assert "edit" == wire_body(decided(action=Action.EDIT).request)["tools"][0]["action"]
    assert "action" not in wire_body(decided().request)["tools"][0]


def test_the_endpoints() -> None:
    """Images on the Images API are edits; generations would silently ignore them."""
    plain = ImageRequest("a cat", "gpt-image-2", Api.IMAGES)
    imaged = replace(plain, references=(IMAGE,))
    assert ("/images/generations", False) == (wire_path(plain), plain.is_form)
    assert ("/images/edits", True) == (wire_path(imaged), imaged.is_form)
    assert ("/responses", False) == (
        wire_path(replace(imaged, api=Api.RESPONSES)),
        replace(imaged, api=Api.RESPONSES).is_form,
    )


def test_what_people_read() -> None:
    """The first line says that images go along."""
    made = decided(references=(IMAGE, PHOTO), mask=STENCIL).request
    assert started_line(made).endswith("from 2 images and a mask")
    assert started_line(decided().request).endswith("from 1 image")
    continued = decided(references=(), previous_response_id="resp_1").request
    assert started_line(continued).endswith("continuing")


def test_shown_requests_hold_no_image() -> None:
    """Whatever is shown of a request, the images in it are labels."""
    shown = abbreviated(wire_body(decided(references=(IMAGE, PHOTO), mask=STENCIL).request))
    images = [part["image_url"] for part in shown["input"][0]["content"][1:]]
    expected = [
        f"data:image/png;base64,<a.png, {len(BLUE)} bytes>",
        f"data:image/jpeg;base64,<b.jpg, {len(JPEG)} bytes>",
    ]
    assert expected == images


def test_what_others_may_see() -> None:
    """A request without names has no path, and an address without its signature."""
    linked = InputImage("b.png", url="https://a.example/b.png?signature=x")
    seen = decided(references=(IMAGE, linked), mask=STENCIL).request.nameless()
    assert [None, None] == [one.path for one in seen.references]
    assert "https://a.example/b.png" == seen.references[1].url
    assert seen.mask is not None
    assert seen.mask.path is None
