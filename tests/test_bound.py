"""The most that a run costs, which limits compare with: for every model, and never more for less."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core import catalog
from imgcli.core.billing.bill import dollars
from imgcli.core.billing.bound import Conversation, conversation_before, upper_bound
from imgcli.core.billing.budget import check_run, parse_cap
from imgcli.core.catalog import ModelKind
from imgcli.core.errors import ImgcliError
from imgcli.core.history import HistoryEntry, SavedImage
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Quality
from imgcli.core.request import ImageRequest, InputImage
from imgcli.demo.models import image_model
from imgcli.demo.usage import count
from imgcli.demo.validation import Options
from tables import each

CATALOG = catalog.load()
DEFAULT = ImageRequest(
    "a cat",
    "gpt-4o-mini",
    Api.RESPONSES,
    size="1024x1024",
    quality=Quality.MEDIUM,
    format=ImageFormat.PNG,
    partials=3,
)
DIRECT = replace(DEFAULT, model="gpt-image-2", api=Api.IMAGES, partials=0)
IMAGE_MODELS = [model.name for model in CATALOG.models if model.kind is ModelKind.IMAGE]
TEXT_MODELS = [model.name for model in CATALOG.models if model.kind is ModelKind.TEXT]
EDGE = st.integers(1, 8192)
LADDER = (Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.XHIGH, Quality.MAX, Quality.AUTO, None)


def most(request: ImageRequest, conversation: Conversation | None = None) -> Decimal:
    """Give the bound's dollars."""
    return upper_bound(request, CATALOG, conversation).dollars


@st.composite
def requests(draw: st.DrawFn) -> ImageRequest:
    """Draw a request of any model, known or not."""
    api = draw(st.sampled_from(Api))
    edges = st.integers(1, 512).map(lambda times: 16 * times)
    size = st.one_of(st.builds("{}x{}".format, edges, edges), st.sampled_from(["auto", None]))
    return replace(
        DEFAULT,
        api=api,
        model=draw(st.sampled_from([*(IMAGE_MODELS if api is Api.IMAGES else TEXT_MODELS), "mine"])),
        image_model=draw(st.sampled_from([*IMAGE_MODELS, "mine", None])) if api is Api.RESPONSES else None,
        prompt=draw(st.text()),
        size=draw(size),
        quality=draw(st.sampled_from(LADDER)),
        partials=draw(st.integers(0, 3)),
        format=draw(st.sampled_from([ImageFormat.PNG, ImageFormat.GIF])),
        references=tuple(InputImage(str(n)) for n in range(draw(st.integers(0, 4)))),
    )


@given(requests(), st.data())
def test_less_never_costs_more(more: ImageRequest, data: st.DataObject) -> None:
    """A lower quality, fewer pixels, partials, images or bytes of prompt never raise the bound."""
    rank = LADDER.index(more.quality)
    size = more.size
    if size not in (None, "auto"):
        width, height = map(int, size.split("x"))
        size = data.draw(st.builds("{}x{}".format, st.integers(1, width), st.integers(1, height)))
    less = replace(
        more,
        quality=data.draw(st.sampled_from(LADDER[: rank + 1])),
        size=size,
        partials=data.draw(st.integers(0, more.partials)),
        prompt=more.prompt[: data.draw(st.integers(0, len(more.prompt)))],
        references=more.references[: data.draw(st.integers(0, len(more.references)))],
    )
    assert 0 < most(less) <= most(more)


@given(requests(), st.lists(st.tuples(EDGE, EDGE), min_size=2, max_size=2))
def test_fewer_pixels_of_another_shape(request_: ImageRequest, sizes: list[tuple[int, int]]) -> None:
    """It is the number of pixels that counts, whatever the shape."""
    few, many = sorted(sizes, key=math.prod)
    bounds = [most(replace(request_, size=f"{width}x{height}")) for width, height in (few, many)]
    assert bounds[0] <= bounds[1]


@given(requests().filter(lambda request: request.api is Api.RESPONSES))
def test_the_default_model_by_its_name(request_: ImageRequest) -> None:
    """Naming the default image model changes nothing."""
    named = replace(request_, image_model=CATALOG.default_image_model)
    assert upper_bound(replace(request_, image_model=None), CATALOG) == upper_bound(named, CATALOG)


@given(requests(), st.builds(Conversation, *[st.integers(0, 300_000) for _ in range(4)]))
def test_a_conversation_only_adds(request_: ImageRequest, before: Conversation) -> None:
    """What came before is read again, and costs again."""
    assert most(request_) <= most(replace(request_, previous_response_id="resp_1"), before)


def test_every_model_has_one() -> None:
    """Whatever can be chosen can be limited, and the bound tells what it is from, and its day."""
    for name in (*IMAGE_MODELS, *TEXT_MODELS, "mine", "openai/gpt-image-2"):
        is_image = CATALOG.is_image_model(name)
        found = upper_bound(replace(DIRECT if is_image else DEFAULT, model=name), CATALOG)
        assert 0 < found.dollars < 1, name
        assert "OpenAI's " in found.basis or "laozhang.ai" in found.basis, name
        assert date(2026, 8, 1) <= found.as_of <= CATALOG.prices_date, name


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        # 5 + 64 tokens of text at $5 a million; $0.053, and what was rounded off.
        (DIRECT, "0.0539"),
        (replace(DIRECT, prompt="ü" * 100), "0.0549"),
        (replace(DIRECT, quality=Quality.HIGH, size="2048x1024"), "0.4234"),  # twice $0.2115
        (replace(DIRECT, quality=Quality.AUTO), "0.2119"),
        # 9,150 tokens at $8 a million for each image, a mask among them.
        (replace(DIRECT, references=(InputImage("a.png"),), mask=InputImage("b.png")), "0.2003"),
        # 16 frames.
        (replace(DIRECT, format=ImageFormat.GIF), "0.8564"),
        # gpt-4o-mini 5,887 x 0.15 and 2,503 x 0.60; image model 2,567 x 5, 2 x 1,353 x 30, 3 x 100 x 30.
        (DEFAULT, "0.1054"),
        # No more than 0.40 at any quality, partials included.
        (replace(DEFAULT, quality=Quality.MAX), "0.3723"),
    ],
)
def test_the_sum(request_: ImageRequest, told: str) -> None:
    """The bound is a sum that anybody can do again, rounded up."""
    assert Decimal(told) == most(request_)


def test_a_long_prompt() -> None:
    """A prompt is read by the text model, written anew by it, and read by the image model."""
    long = replace(DEFAULT, prompt="x" * 262_000)
    assert most(long) > Decimal("0.04") + 262_000 * Decimal("5.75") / 1_000_000


@given(requests())
def test_a_limit_of_what_was_told(request_: ImageRequest) -> None:
    """Who allows the amount in the refusal may send the same again."""
    told = parse_cap("max-cost", dollars(most(request_)).replace(",", ""))
    assert told is not None
    check_run([upper_bound(request_, CATALOG)], told)


def test_a_model_without_figures() -> None:
    """An unknown model counts as the dearest, and the bound says so."""
    found = upper_bound(replace(DEFAULT, model="mine", image_model="yours"), CATALOG)
    named = [
        replace(DEFAULT, model=model, image_model=image) for model in TEXT_MODELS for image in IMAGE_MODELS
    ]
    assert max(map(most, named)) == found.dollars
    assert "the most expensive models in the catalog, as it has no figures for yours and mine" in found.basis


def test_a_region() -> None:
    """A region's address costs a tenth more at most."""
    assert Decimal("0.1160") == upper_bound(DEFAULT, CATALOG, host="eu.api.openai.com").dollars


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (replace(DEFAULT, format=ImageFormat.SVG), "The maximum cost of an SVG is unknown"),
        (replace(DEFAULT, previous_response_id="resp_1"), "conversation that this continues"),
    ],
)
def test_what_nothing_is_known_of(request_: ImageRequest, told: str) -> None:
    """A bound that would be made up is none."""
    with pytest.raises(ImgcliError) as caught:
        upper_bound(request_, CATALOG)
    assert told in caught.value.problem.what


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 900, "output_tokens": 100}, 1000),
        ({"input_tokens": 10**400, "output_tokens": "many"}, 0),
        (None, 0),
    ],
)
def test_what_the_history_knows(usage: dict[str, object] | None, tokens: int) -> None:
    """A conversation is followed to its beginning, or the history's, field by field."""
    began = datetime(2026, 11, 22, tzinfo=UTC)
    last = replace(DEFAULT, previous_response_id="resp_2")
    first = HistoryEntry("job-1", began, began, "a cat", replace(DEFAULT, references=(InputImage("a.png"),)))
    second = replace(
        first,
        prompt="at night",
        request=replace(DEFAULT, previous_response_id="resp_1"),
        images=(SavedImage(0, "0" * 64, 9),),
        usage=usage,
    )
    known = {"resp_1": first, "resp_2": second}
    assert Conversation(tokens, 13, 2, 2) == conversation_before(last, known.get)
    loop = replace(second, request=last)
    assert Conversation(tokens, 8, 1, 1) == conversation_before(last, {"resp_2": loop}.get)
    assert conversation_before(last, lambda _: None) is None
    unread = replace(first, request=None)
    assert Conversation(0, 5, 1, 0) == conversation_before(last, {"resp_2": unread}.get)


@each("size", ["1024x1024", "1536x1024", "3840x2160"])
@each("quality", ["low", "medium", "high", "xhigh", "max"])
@each("name", ["gpt-image-2.6-sunburst", "gpt-image-2.5-flare", "gpt-image-2"])
def test_the_demo_costs_no_more(name: str, quality: str, size: str) -> None:
    """Who tries a limit with the demo sees it hold: no image there counts more tokens than the bound has."""
    model = image_model(name, "model", images=True)
    if quality in ("xhigh", "max") and not model.modern:
        return  # the model does not have this quality
    width, height = map(int, size.split("x"))
    options = Options(model, width, height, quality, False, "png", 100, partial_images=3)
    tokens = count(options, DIRECT.prompt, 0)
    cost = (5 * tokens.text_in + 30 * tokens.image_out) / Decimal(1_000_000)
    assert cost <= most(replace(DIRECT, model=name, quality=Quality(quality), size=size, partials=3))
