"""What the catalog promises about models, prices and dates."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from imgcli.api.errors.table import TEXT_MODEL
from imgcli.core.catalog import Catalog, FixedSizes, FlexibleSizes, Model, ModelKind, load, shutdown_notice
from imgcli.core.image import ImageFormat
from imgcli.core.params import Quality

if TYPE_CHECKING:
    from conftest import Cli

TODAY = date(2026, 11, 22)
CATALOG = load()
STANDARD = ("1024x1024", "1536x1024", "1024x1536")


def _model(name: str) -> Model:
    found = CATALOG.find(name)
    assert found is not None, name
    return found


def test_default_until_its_shutdown() -> None:
    """The default text model is gpt-4o-mini to the last day it lives."""
    assert "gpt-4o-mini" == CATALOG.default_model(date(2027, 1, 13))


def test_default_from_its_shutdown() -> None:
    """On the day gpt-4o-mini is shut down, gpt-6-luna takes over by itself."""
    assert "gpt-6-luna" == CATALOG.default_model(date(2027, 1, 14))


def test_default_when_all_are_gone() -> None:
    """An old imgcli still has a default: the last that it knew."""
    old = Catalog((), ("first", "second"), "painter", TODAY)
    assert "second" == old.default_model(TODAY)


def test_the_help_tells_the_default(imgcli: Cli) -> None:
    """The help's default is the catalog's, with the day of its end and who comes after it."""
    first, second = CATALOG.default_models
    told = f"[default: {first}; from {_model(first).shutdown} {second}]"
    assert told in " ".join(imgcli("gen", "--help").stdout.decode().split())


@pytest.mark.parametrize("name", [CATALOG.default_models[-1], TEXT_MODEL])
def test_what_lasts_has_no_end(name: str) -> None:
    """The last of the defaults, and the model that advice to choose another names, have no shutdown date."""
    assert (ModelKind.TEXT, None) == (_model(name).kind, _model(name).shutdown)


def test_default_image_model() -> None:
    """The image tool's default is a model that we have prices for."""
    assert "gpt-image-2.6-sunburst" == CATALOG.default_image_model
    assert _model(CATALOG.default_image_model).prices is not None


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("gpt-image-2-2026-04-21", "gpt-image-2"),
        ("gpt-image-2.5-flare-2026-09-08", "gpt-image-2.5-flare"),
        ("gpt-image-1.5-2025-12-16", "gpt-image-1.5"),
    ],
)
def test_finds(written: str, found: str) -> None:
    """A model is found by its name, an alias or a dated snapshot."""
    assert found == _model(written).name


@pytest.mark.parametrize(
    "written",
    [
        "",
        "gpt",
        "gpt-4o-",
        "gpt-4o-mini-",
        "gpt-4o-mini-search-preview",
        "gpt-4o-mini-2024",
        "GPT-4o",
        "gpt-6",
        "gpt-4o-mini-2024-13-01",
        "gpt-4o-mini-2024-07-18-x",
        "gpt-4o-mini-2024-07-18-2024-07-18",
        "gpt-image-3",
    ],
)
def test_finds_no_lookalike(written: str) -> None:
    """A name that only begins like a known one is unknown, so that nobody gets another model's prices."""
    assert CATALOG.find(written) is None


def test_every_entry_is_complete() -> None:
    """Every image model has its prices and says what it takes; a text model takes no image options."""
    for model in CATALOG.models:
        if model.kind is ModelKind.IMAGE and not model.name.startswith("dall-e"):
            assert model.accepts is not None, model.name
            assert model.prices is not None, model.name
            assert {"auto", "low", "medium", "high"} <= set(model.accepts.qualities), model.name
            assert {"auto", "opaque"} <= set(model.accepts.backgrounds), model.name
            usual = {ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP}
            assert usual <= set(model.accepts.formats), model.name
        if model.kind is ModelKind.TEXT:
            assert model.accepts is None, model.name


def test_prices_make_sense() -> None:
    """Every price is a positive decimal with a source and a date, and the cache is never dearer."""
    for model in (model for model in CATALOG.models if model.prices is not None):
        prices = model.prices
        assert prices is not None
        image = [prices.image_in, prices.image_cached, prices.image_out]
        text = [prices.text_in, prices.text_out]
        required = [prices.text_in, *image] if model.kind is ModelKind.IMAGE else text
        assert all(isinstance(price, Decimal) and price > 0 for price in required), model.name
        assert prices.text_in is not None, model.name
        assert (prices.text_cached or 0) < prices.text_in, model.name
        assert (prices.image_cached or 0) < (prices.image_in or 1), model.name
        assert prices.source, model.name
        assert date(2026, 8, 1) <= prices.date <= CATALOG.prices_date, model.name
        assert model.kind is not ModelKind.TEXT or not any(image), model.name


def test_replacement_outlives() -> None:
    """Nobody is sent to a model that is unknown, of another kind, or gone no later than theirs."""
    for model in (model for model in CATALOG.models if model.replacement is not None):
        successor = _model(str(model.replacement))
        assert successor.kind is model.kind, model.name
        assert model.shutdown is not None, model.name
        assert successor.shutdown is None or successor.shutdown > model.shutdown, model.name


def test_names_are_unique() -> None:
    """No name or alias means two models."""
    names = [name for model in CATALOG.models for name in (model.name, *model.aliases)]
    assert sorted(set(names)) == sorted(names)


def test_names_are_alive() -> None:
    """Completions offer the models of one kind that still live."""
    text, image = CATALOG.names(ModelKind.TEXT, TODAY), CATALOG.names(ModelKind.IMAGE, TODAY)
    assert {"gpt-4o-mini", "gpt-6-luna"} <= set(text)
    assert {"gpt-image-2.6-sunburst", "gpt-image-1.5"} <= set(image)
    assert not {"gpt-4", "o1", "gpt-4o-2024-05-13", *image} & set(text)
    assert not {"gpt-image-1", "dall-e-3", *text} & set(image)


def test_names_change_with_the_day() -> None:
    """A model disappears from the completions on the day of its shutdown."""
    assert "gpt-image-1.5" in CATALOG.names(ModelKind.IMAGE, date(2026, 11, 30))
    assert "gpt-image-1.5" not in CATALOG.names(ModelKind.IMAGE, date(2026, 12, 1))


@pytest.mark.parametrize(
    ("name", "today", "notice"),
    [
        ("gpt-4o-mini", TODAY, "OpenAI shuts gpt-4o-mini down on 2027-01-14; use gpt-6-luna instead."),
        (
            "gpt-4o-mini",
            date(2027, 1, 14),
            "OpenAI shut gpt-4o-mini down on 2027-01-14; use gpt-6-luna instead.",
        ),
        ("gpt-5.2-chat-latest", TODAY, "OpenAI shut gpt-5.2-chat-latest down on 2026-08-10."),
        ("gpt-6-luna", TODAY, None),
        ("gpt-5.1", TODAY, None),
    ],
)
def test_shutdown_notice(name: str, today: date, notice: str | None) -> None:
    """A model that is gone or soon will be gets one line with its date and its replacement."""
    assert notice == shutdown_notice(_model(name), today)


def test_shutdown_notice_begins_sixty_days_before() -> None:
    """The notice comes within 60 days of the shutdown, not earlier."""
    model = _model("gpt-4o-mini")
    last_day = date(2027, 1, 14)
    assert shutdown_notice(model, last_day - timedelta(days=61)) is None
    assert shutdown_notice(model, last_day - timedelta(days=60)) is not None


def test_what_models_take() -> None:
    """Older models have three sizes and stop at high; the newer ones have limits only, and go up to max."""
    old, middle, new = _model("gpt-image-1.5"), _model("gpt-image-2"), _model("gpt-image-2.6-flare")
    assert old.accepts is not None
    assert FixedSizes(STANDARD) == old.accepts.sizes
    assert new.accepts is not None
    assert FlexibleSizes(16, 3840, 3, 655_360, 8_294_400, 2560 * 1440) == new.accepts.sizes
    assert [False, False, True] == [Quality.MAX in model.qualities for model in (old, middle, new)]


def test_qualities_of_the_unknown() -> None:
    """A model we know nothing about may be asked for any quality."""
    assert tuple(Quality) == Model("new", ModelKind.IMAGE).qualities


def test_tokens_of_an_image() -> None:
    """Where OpenAI publishes what an image takes, the catalog has it, and nothing where it does not."""
    assert 1568 == _model("gpt-image-1-mini").tokens["medium"]["1536x1024"]
    assert "800x600" not in _model("gpt-image-1-mini").tokens["medium"]
    assert {} == _model("gpt-image-2.6-sunburst").tokens


def test_long_context_and_cache_writes() -> None:
    """The surcharges are on the models that OpenAI names: from 5.4 and from 5.6 on."""
    early, middle, late = (_model(name).prices for name in ("gpt-5.2", "gpt-5.4", "gpt-6-luna"))
    assert early
    assert middle
    assert late
    assert [False, True, True] == [prices.long_context is not None for prices in (early, middle, late)]
    assert [None, None, Decimal("1.25")] == [prices.cache_write for prices in (early, middle, late)]


def test_table_has_a_date() -> None:
    """The table says when it was gathered."""
    assert TODAY == CATALOG.prices_date


def test_read_once() -> None:
    """The table is read once in a process, whoever asks for it."""
    assert CATALOG is load()
