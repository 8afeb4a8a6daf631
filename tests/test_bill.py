"""What the bill promises: OpenAI's own counts at the catalog's prices, and never a guess."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.core.billing.bill import Bill, Part, Row, bill, cost_usd, dollars, sum_bills
from imgcli.core.catalog import load
from imgcli.core.events import Completed
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api
from imgcli.core.request import ImageRequest, InputImage
from tables import each

Foreign: TypeAlias = Any
"""JSON as any server may send it."""

CATALOG = load()
SUNBURST = "gpt-image-2.6-sunburst"

# The shape of a recorded run of 2025, its counts on the text model.
TEXT_USAGE = {
    "input_tokens": 2941,
    "input_tokens_details": {"cached_tokens": 1920},
    "output_tokens": 1249,
    "output_tokens_details": {"reasoning_tokens": 1024},
    "total_tokens": 4190,
}
# Three partials and an image, as the tool reports them.
IMAGE_USAGE = {
    "input_tokens": 60,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 60},
    "output_tokens": 815,
    "output_tokens_details": {"image_tokens": 815, "text_tokens": 0},
    "total_tokens": 875,
    "cached_tokens": 0,
}
TEXT_COST = Decimal("0.00104655")  # (1021 x 0.15 + 1920 x 0.075 + 1249 x 0.60) / 1,000,000
IMAGE_COST = Decimal("0.02475")  # (60 x 5 + 815 x 30) / 1,000,000


def _responses(usage: Foreign = None, image_gen: Foreign = None, model: str = "gpt-4o-mini") -> Bill:
    """Bill a run on the Responses API."""
    request = ImageRequest("a cat", model, Api.RESPONSES, image_model=SUNBURST)
    completed = Completed("job", model, usage, {"image_gen": image_gen}, image_model=SUNBURST)
    return bill(request, completed, 3, CATALOG)


def _images(usage: Foreign, model: str = SUNBURST, api: Api = Api.IMAGES) -> Bill:
    """Bill a streamed run on the Images API."""
    return bill(ImageRequest("a cat", model, api), Completed("job", model, usage), 2, CATALOG)


def _edit(usage: Foreign) -> Bill:
    """Bill a run that was sent an image."""
    request = ImageRequest("a cat", SUNBURST, Api.IMAGES, references=(InputImage("a.png"),))
    return bill(request, Completed("job", SUNBURST, usage), 0, CATALOG)


def test_responses_run() -> None:
    """A run of the image tool costs the text model's tokens and the image model's, each at its own price."""
    made = _responses(TEXT_USAGE, IMAGE_USAGE)
    assert [TEXT_COST, IMAGE_COST] == [row.cost for row in made.rows]
    assert TEXT_COST + IMAGE_COST == made.total
    assert 0.02579655 == cost_usd(made)


def test_responses_rows() -> None:
    """The bill names each model with the tokens that the API counted, the partials beside the image model."""
    text, image = _responses(TEXT_USAGE, IMAGE_USAGE).rows
    assert (Part.TEXT, "gpt-4o-mini", None) == (text.part, text.model, text.partials)
    assert (2941, 1920, 1249) == (text.tokens_in, text.cached, text.tokens_out)
    assert (Part.IMAGE, SUNBURST, 3) == (image.part, image.model, image.partials)
    assert (60, 0, 815) == (image.tokens_in, image.cached, image.tokens_out)


def test_images_run() -> None:
    """On the Images API the usage is the image model's, and there is one row."""
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 12},
        "output_tokens": 396,
        "total_tokens": 408,
    }
    made = _images(usage)
    assert [(Part.IMAGE, SUNBURST, 2)] == [(row.part, row.model, row.partials) for row in made.rows]
    assert Decimal("0.01194") == made.total  # (12 x 5 + 396 x 30) / 1,000,000


def test_dated_snapshot() -> None:
    """A server that answers with a dated snapshot's name is billed at that model's price."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    completed = Completed("job", "gpt-4o-mini-2024-07-18", TEXT_USAGE, image_model=SUNBURST)
    assert TEXT_COST == bill(request, completed, 3, CATALOG).rows[0].cost


def test_references_cost_image_tokens() -> None:
    """Images that were sent along are billed at the price of image input, cached ones at theirs."""
    usage = {
        "input_tokens": 1100,
        "input_tokens_details": {"image_tokens": 1000, "text_tokens": 100},
        "output_tokens": 500,
        "cached_tokens": 450,
        "cached_tokens_details": {"cached_image_tokens": 400, "cached_text_tokens": 50},
    }
    # (50 x 5 + 50 x 1.25 + 600 x 8 + 400 x 2 + 500 x 30) / 1,000,000
    assert Decimal("0.0209125") == _edit(usage).total


@pytest.mark.parametrize(
    "image_gen",
    [
        {"input_tokens": 60, "output_tokens": 815},
        {"input_tokens": 60, "output_tokens": 815, "input_tokens_details": None, "cached_tokens": None},
        {"input_tokens": 60, "output_tokens": 815, "input_tokens_details": {"text_tokens": 60}},
        {"input_tokens": 60, "output_tokens": 815, "input_tokens_details": {"image_tokens": 0}},
    ],
)
def test_plain_prompt_is_text(image_gen: dict[str, Any]) -> None:
    """Where the API leaves the details out, a run without references is billed as text input all the same."""
    assert TEXT_COST + IMAGE_COST == _responses(TEXT_USAGE, image_gen).total


def test_references_without_details() -> None:
    """With references and no details nobody knows what was text, so only the output's cost is known."""
    made = _edit({"input_tokens": 1100, "output_tokens": 500})
    assert (None, Decimal("0.015")) == (made.total, made.known)
    assert (1100, 500) == (made.rows[0].tokens_in, made.rows[0].tokens_out)


@pytest.mark.parametrize(
    "changes",
    [
        {"cached_tokens": 450},
        {"cached_tokens_details": {"cached_image_tokens": 400}},
        {"cached_tokens": 450, "cached_tokens_details": {"cached_image_tokens": 451}},
        {
            "cached_tokens": 1100,
            "cached_tokens_details": {"cached_image_tokens": 0, "cached_text_tokens": 1100},
        },
        {"cached_tokens": 450, "cached_tokens_details": {"cached_image_tokens": 1, "cached_text_tokens": 2}},
        {"cached_tokens": 450, "cached_tokens_details": "many"},
    ],
)
def test_unclear_cache(changes: dict[str, Any]) -> None:
    """When it is not clear what came from the cache, the input's cost is unknown and the output's is not."""
    details = {"image_tokens": 1000, "text_tokens": 100}
    made = _edit({"input_tokens": 1100, "input_tokens_details": details, "output_tokens": 500} | changes)
    assert (None, Decimal("0.015")) == (made.total, made.known)


@pytest.mark.parametrize(
    ("details", "cost"),
    [
        ({"cached_tokens": 60}, Decimal("0.024525")),  # (60 x 1.25 + 815 x 30) / 1,000,000
        (
            {
                "cached_tokens": None,
                "cached_tokens_details": {"cached_text_tokens": 60, "cached_image_tokens": 0},
            },
            Decimal("0.024525"),
        ),
        ({"cached_tokens": None}, IMAGE_COST),
    ],
)
def test_cached_prompt(details: dict[str, Any], cost: Decimal) -> None:
    """A cached prompt costs the cached price of text."""
    assert cost == _responses(TEXT_USAGE, IMAGE_USAGE | details).rows[1].cost


@pytest.mark.parametrize("tool_usage", [None, {}, {"image_gen": None}, {"image_gen": {}}, [], "none"])
def test_tool_usage_missing(tool_usage: Foreign) -> None:
    """Without the tool's usage the total is unknown, and at least the text model's share."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    made = bill(request, Completed("job", "gpt-4o-mini", TEXT_USAGE, tool_usage), 3, CATALOG)
    assert (None, TEXT_COST) == (made.total, made.known)
    assert cost_usd(made) is None
    assert [Part.TEXT, Part.IMAGE] == [row.part for row in made.rows]


@pytest.mark.parametrize("usage", [None, {}, [], 7, "x", {"input_tokens": None}, {"total_tokens": 9}])
def test_usage_missing(usage: Foreign) -> None:
    """Without any usage everything is unknown, and no price date is claimed."""
    for made in (_images(usage), _responses(usage)):
        assert (None, Decimal(0)) == (made.total, made.known)
        assert (None, ()) == (made.prices_date, made.notes)
        assert (None, None, None) == (made.rows[0].tokens_in, made.rows[0].cached, made.rows[0].tokens_out)


@pytest.mark.parametrize(
    "tools", [{"image_gen": {"input_tokens": 0, "output_tokens": 0}}, {"web_search": {}}]
)
def test_answer_in_words(tools: dict[str, Foreign]) -> None:
    """A text-only answer costs the text model's tokens and has no row for an image that nobody made."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, format=ImageFormat.SVG)
    made = bill(request, Completed("job", "gpt-4o-mini", TEXT_USAGE, tools), 0, CATALOG, images=0)
    assert ([Part.TEXT], TEXT_COST) == ([row.part for row in made.rows], made.total)


def test_answer_without_a_count_of_images() -> None:
    """Where nobody says what became of the image tool, its share stays unknown."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    made = bill(request, Completed("job", "gpt-4o-mini", TEXT_USAGE), 0, CATALOG, images=0)
    assert ([Part.TEXT, Part.IMAGE], None) == ([row.part for row in made.rows], made.total)


def test_unused_tool() -> None:
    """Zeros for an image that did come are a lost record, not a free image."""
    zeros = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert _responses(TEXT_USAGE, zeros).total is None


@each("rubbish", [-1, True, "815", 815.0, float("nan"), float("inf"), 10**30, [], {}, [815]])
@each("key", ["input_tokens", "output_tokens", "cached_tokens", "input_tokens_details"])
def test_rubbish_is_unknown(key: str, rubbish: Foreign) -> None:
    """A count that can be no count makes the total unknown, never an error and never a wrong sum."""
    if (key, rubbish) == ("input_tokens_details", {}):
        return
    made = _responses(TEXT_USAGE, IMAGE_USAGE | {key: rubbish})
    assert made.total is None
    assert made.known >= TEXT_COST


def test_split_that_does_not_add_up() -> None:
    """Details that contradict the total make it unknown."""
    wrong = {"image_tokens": 5, "text_tokens": 60}
    assert _responses(TEXT_USAGE, IMAGE_USAGE | {"input_tokens_details": wrong}).rows[1].cost_in is None
    assert _responses(TEXT_USAGE, IMAGE_USAGE | {"output_tokens_details": wrong}).rows[1].cost_out is None


@pytest.mark.parametrize("model", ["sd-cpp-local", "gpt-5.2-chat-latest", "gpt-4o-2024-05-13"])
def test_unknown_price(model: str) -> None:
    """A model without a known price shows its tokens and an unknown cost."""
    row = _responses(TEXT_USAGE, IMAGE_USAGE, model=model).rows[0]
    assert (2941, None) == (row.tokens_in, row.cost)


def test_unknown_cached_price() -> None:
    """A price list without a cached price is enough as long as nothing came from the cache."""
    uncached = TEXT_USAGE | {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    # (2941 x 2 + 1249 x 10) / 1,000,000
    assert Decimal("0.018372") == _responses(uncached, IMAGE_USAGE, model="gpt-6.2-sol").rows[0].cost
    assert _responses(TEXT_USAGE, IMAGE_USAGE, model="gpt-6.2-sol").rows[0].cost is None


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        # (1000 x 0.10 + 1000 x 0.01 + 1000 x 0.125 + 100 x 0.50) / 1,000,000
        ("gpt-6-luna", Decimal("0.000285")),
        # (2000 x 0.15 + 1000 x 0.075 + 100 x 0.60) / 1,000,000
        ("gpt-4o-mini", Decimal("0.000435")),
    ],
)
def test_cache_writes(model: str, cost: Decimal) -> None:
    """Writing to the cache costs a quarter more than fresh input on the models that charge for it."""
    details = {"cached_tokens": 1000, "cache_write_tokens": 1000}
    usage = {"input_tokens": 3000, "input_tokens_details": details, "output_tokens": 100}
    assert cost == _responses(usage, IMAGE_USAGE, model=model).rows[0].cost


def test_long_cache_writes() -> None:
    """Keeping the cache for twelve hours has a price that is not published, so the cost is unknown."""
    kept = {
        "cached_tokens": 0,
        "cache_write_tokens": 10,
        "cache_write_tokens_details": {"ttl_12h_tokens": 10},
    }
    usage = {"input_tokens": 3000, "input_tokens_details": kept, "output_tokens": 100}
    assert _responses(usage, IMAGE_USAGE, model="gpt-6-luna").rows[0].cost is None


@pytest.mark.parametrize(
    ("tokens", "model", "cost"),
    [
        (272_000, "gpt-6-luna", Decimal("0.02725")),  # (272,000 x 0.10 + 100 x 0.50) / 1,000,000
        (272_001, "gpt-6-luna", Decimal("0.0544752")),  # (272,001 x 0.20 + 100 x 0.75) / 1,000,000
        (300_000, "gpt-4o-mini", Decimal("0.04506")),  # (300,000 x 0.15 + 100 x 0.60) / 1,000,000
    ],
)
def test_long_context(tokens: int, model: str, cost: Decimal) -> None:
    """Above 272,000 tokens newer models cost twice the input and one and a half times the output."""
    usage = {"input_tokens": tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 100}
    assert cost == _responses(usage, IMAGE_USAGE, model=model).rows[0].cost


def test_long_context_unknown() -> None:
    """When the input is unknown, so is the output's price on a model that charges long requests more."""
    row = _responses({"output_tokens": 100}, IMAGE_USAGE, model="gpt-6-luna").rows[0]
    assert (None, None) == (row.cost_in, row.cost_out)


def test_text_out_of_an_image_model() -> None:
    """gpt-image-1.5 writes text too, at a price of its own."""
    split = IMAGE_USAGE | {"output_tokens_details": {"image_tokens": 800, "text_tokens": 15}}
    # (60 x 5 + 800 x 32 + 15 x 10) / 1,000,000
    assert Decimal("0.02605") == _images(split, model="gpt-image-1.5").total


def test_text_out_untold() -> None:
    """Unsplit output of gpt-image-1.5 is all image on the Images API's stream, and unknown elsewhere."""
    unsplit = {"input_tokens": 60, "output_tokens": 815}
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, image_model="gpt-image-1.5")
    completed = Completed("job", "gpt-4o-mini", TEXT_USAGE, {"image_gen": unsplit})
    # (60 x 5 + 815 x 32) / 1,000,000
    assert Decimal("0.02638") == _images(unsplit, model="gpt-image-1.5").total
    assert bill(request, completed, 0, CATALOG).rows[1].cost_out is None


def test_unnamed_image_model() -> None:
    """When neither side named the image model, the tool's default is billed, and the bill says so."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    made = bill(request, Completed("job", "gpt-4o-mini", TEXT_USAGE, {"image_gen": IMAGE_USAGE}), 3, CATALOG)
    assert TEXT_COST + IMAGE_COST == made.total
    note = f"The server did not name its image model; these are the prices of the default, {SUNBURST}."
    assert (note,) == made.notes


def test_server_names_another_image_model() -> None:
    """The model that the server says it used is billed, not the one that was asked for."""
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES, image_model=SUNBURST)
    completed = Completed("job", None, TEXT_USAGE, {"image_gen": IMAGE_USAGE}, image_model="gpt-image-1-mini")
    row = bill(request, completed, 0, CATALOG).rows[1]
    # (60 x 2 + 815 x 8) / 1,000,000
    assert ("gpt-image-1-mini", Decimal("0.00664")) == (row.model, row.cost)


def test_doubtful_price_is_said() -> None:
    """A price that OpenAI did not publish itself, or only for a while, carries a note with its source."""
    source = "release notes of codexometer 0.18.4, 22 September 2026"
    third_party = f"The price of gpt-6-luna is a third party's figure ({source})."
    promotion = (
        "The price of gpt-5.6 is a promotion, promised until 2026-11-21 (OpenAI's pricing page, August 2026)."
    )
    assert (third_party,) == _responses(TEXT_USAGE, IMAGE_USAGE, model="gpt-6-luna").notes
    assert (promotion,) == _responses(TEXT_USAGE, IMAGE_USAGE, model="gpt-5.6").notes


def test_untold_cache_is_said() -> None:
    """Where a missing cache count could move the total by cents, the bill says that none was assumed."""
    usage = {
        "input_tokens": 4000,
        "input_tokens_details": {"image_tokens": 3900, "text_tokens": 100},
        "output_tokens": 5,
    }
    note = "No cached input is assumed for the image model."
    assert (note,) == _edit(usage).notes


def test_prices_date() -> None:
    """The bill's date is that of its oldest price."""
    assert date(2026, 8, 21) == _responses(TEXT_USAGE, IMAGE_USAGE).prices_date
    assert date(2026, 11, 4) == _images(IMAGE_USAGE).prices_date


def test_svg_author_is_unknown() -> None:
    """An SVG has an author model, whose tokens nobody tells us, so the total is unknown."""
    request = ImageRequest("a cat", SUNBURST, Api.IMAGES, format=ImageFormat.SVG, stream=False)
    made = bill(request, Completed("job", SUNBURST, IMAGE_USAGE), 0, CATALOG)
    assert [Part.IMAGE, Part.SVG] == [row.part for row in made.rows]
    assert (None, IMAGE_COST) == (made.total, made.known)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (
            {"input_tokens": 1000, "output_tokens": 2000, "reasoning_tokens": 500, "total_tokens": 3000},
            "0.0011",
        ),
        (
            {"input_tokens": 1000, "output_tokens": 1500, "reasoning_tokens": 500, "total_tokens": 3000},
            "0.0011",
        ),
        ({"input_tokens": 1000, "output_tokens": -1}, None),
        ({"input_tokens": "many", "output_tokens": 5}, None),
        ({}, None),
    ],
)
def test_svg_author_is_billed(usage: dict[str, Any], cost: str | None) -> None:
    """What an SVG's author took is a row of the bill, its reasoning counted once."""
    request = ImageRequest("a cat", SUNBURST, Api.IMAGES, format=ImageFormat.SVG, stream=False)
    completed = Completed("job", SUNBURST, IMAGE_USAGE, svg_model="gpt-6-luna", svg_usage=usage)
    author = bill(request, completed, 0, CATALOG).rows[-1]
    assert (Part.SVG, "gpt-6-luna") == (author.part, author.model)
    assert (cost and Decimal(cost)) == author.cost


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (Decimal("NaN"), "unknown"),
        (Decimal("Infinity"), "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal("0.0123"), "$0.0123"),
        (Decimal("0.02579655"), "$0.0258"),
        (Decimal("0.0001"), "$0.0001"),
        (Decimal("0.0000042"), "$0.0000042"),
        (Decimal("0.5"), "$0.5000"),
        (Decimal("12.345"), "$12.34"),
        (Decimal("1234567.5"), "$1,234,567.50"),
        (Decimal("-0.02"), "-$0.0200"),
    ],
)
def test_dollars(amount: Decimal | None, text: str) -> None:
    """Dollars have enough digits that a small sum is never $0.00, and what is unknown is called so."""
    assert text == dollars(amount)


KEYS = st.sampled_from(
    [
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_tokens_details",
        "ttl_12h_tokens",
        "text_tokens",
        "image_tokens",
        "cached_text_tokens",
        "cached_image_tokens",
        "input_tokens_details",
        "output_tokens_details",
        "cached_tokens_details",
        "image_gen",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.integers(0, 9) | st.floats() | st.text(max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=9),
    max_leaves=20,
)
MODEL = st.sampled_from([model.name for model in CATALOG.models]) | st.text(max_size=9) | st.none()


@given(st.sampled_from(Api), JSON, JSON, MODEL, MODEL)
def test_never_raises(
    api: Api, usage: Foreign, tool_usage: Foreign, model: str | None, image_model: str | None
) -> None:
    """Whatever JSON a server sends as usage, there is a bill, and its sums are not negative."""
    completed = Completed("job", model, usage, tool_usage, image_model=image_model)
    made = bill(ImageRequest("a cat", "gpt-4o-mini", api), completed, 1, CATALOG)
    assert made.known >= 0
    assert made.total is None or made.total == made.known
    assert dollars(made.total) in ("unknown", dollars(made.known))


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**9))
def test_sums_up(tokens_in: int, cached: int, tokens_out: int) -> None:
    """A total is there exactly when the counts are possible, and it is the sum of its rows."""
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": tokens_out,
    }
    made = _responses(usage, IMAGE_USAGE)
    expected = Decimal(15 * (tokens_in - cached) * 10 + 75 * cached + 600 * tokens_out) / 10**9 + IMAGE_COST
    assert (expected if cached <= tokens_in else None) == made.total


@pytest.mark.parametrize(("images", "partials", "cost"), [(0, 0, TEXT_COST), (1, 0, None), (0, 1, None)])
def test_a_tool_that_counts_nothing(images: int, partials: int, cost: Decimal | None) -> None:
    """Zeros are the truth where nothing was painted, and no count where something was."""
    completed = Completed(
        "job", "gpt-4o-mini", TEXT_USAGE, {"image_gen": {"input_tokens": 0, "output_tokens": 0}}
    )
    request = ImageRequest("a cat", "gpt-4o-mini", Api.RESPONSES)
    assert cost == bill(request, completed, partials, CATALOG, images).total


def test_several_bills_are_one() -> None:
    """Of several runs each model has one row; what is unknown of one of them hides nothing that is known."""
    row = Row(Part.IMAGE, "gpt-image-2", 40, 0, 1000, 2, Decimal("0.01"), Decimal("0.03"))
    text = Row(Part.TEXT, "gpt-4o-mini", 10, 0, 5, None, Decimal("0.001"), Decimal("0.002"))
    unknown = replace(row, tokens_out=None, cost_out=None)
    days = date(2026, 8, 21), date(2026, 11, 2)
    one = Bill((text, row), days[1], ("a note",))
    other = Bill((replace(row, model="gpt-image-1"), row), days[0], ("a note", "another"))
    both = sum_bills([one, other])
    assert both
    assert [(Part.TEXT, 10), (Part.IMAGE, 80), (Part.IMAGE, 40)] == [
        (one.part, one.tokens_in) for one in both.rows
    ]
    assert (Decimal("0.123"), days[0], ("a note", "another")) == (both.total, both.prices_date, both.notes)
    assert (4, 2000, Decimal("0.08")) == (both.rows[1].partials, both.rows[1].tokens_out, both.rows[1].cost)
    partly = sum_bills([one, Bill((unknown,), None)])
    assert partly
    assert (None, Decimal("0.053")) == (partly.total, partly.known)
    assert [5, 1000, None] == [one.tokens_out for one in partly.rows]
    assert sum_bills([]) is None
