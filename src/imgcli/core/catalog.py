"""The model catalog: what each model accepts and costs, and when OpenAI shuts it down."""

from __future__ import annotations

from dataclasses import field
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.core.billing.prices import LongContext, Prices
from imgcli.core.image import ImageFormat
from imgcli.core.params import Background, Complexity, Fidelity, Quality
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal


_NOTICE_DAYS = 60
_SQUARE = "1024x1024"
_IMAGE_FAMILIES = ("gpt-image-", "chatgpt-image-", "dall-e-")
_SNAPSHOT = regex(r"(?P<name>.+)-20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class ModelKind(StrEnum):
    """What a model generates, which determines the API that it is named in."""

    TEXT = "text"
    IMAGE = "image"


@dataclass(frozen=True)
class FixedSizes:
    """The sizes of a model besides `auto`, spelled `1024x1024`."""

    sizes: tuple[str, ...]


@dataclass(frozen=True)
class FlexibleSizes:
    """The limits of a model that takes any size, in pixels.

    Both edges are multiples of `multiple`; the long one is at most `longest` and at most `widest` times the
    short one. OpenAI calls sizes above `experimental_pixels` experimental.
    """

    multiple: int
    longest: int
    widest: int
    min_pixels: int
    max_pixels: int
    experimental_pixels: int


SizeRule: TypeAlias = FixedSizes | FlexibleSizes


@dataclass(frozen=True)
class Accepts:
    """The values that an image model accepts, None where they are not documented; whether it takes markup."""

    sizes: SizeRule
    qualities: tuple[Quality, ...]
    backgrounds: tuple[Background, ...]
    formats: tuple[ImageFormat, ...]
    fidelities: tuple[Fidelity, ...] | None = None
    complexities: tuple[Complexity, ...] | None = None
    markup: bool = False


@dataclass(frozen=True)
class Model:
    """A model; `accepts` is None for text models and where nothing is known.

    `most` holds the figures from which `billing.bound` computes the maximum cost of an image; `image` is the
    number of tokens of an image sent to a text model, None for the usual one. `batch` is whether the Batch
    API serves the model, None where that is not known. `image_dollars` are prices of a square image by
    quality, where they are not what its tokens cost.
    """

    name: str
    kind: ModelKind
    prices: Prices | None = None
    shutdown: date | None = None
    replacement: str | None = None
    accepts: Accepts | None = None
    aliases: tuple[str, ...] = ()
    tokens: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    most: Mapping[str, Any] = field(default_factory=dict, hash=False)
    image: int | None = None
    batch: bool | None = None
    image_dollars: Mapping[str, Decimal] = field(default_factory=dict, hash=False)

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities that it supports; all where nothing is known."""
        return self.accepts.qualities if self.accepts else tuple(Quality)

    def square_dollars(self, quality: str) -> Decimal | None:
        """Return what an image of 1024x1024 pixels costs, None where that is unknown.

        OpenAI publishes dollars for some models, tokens for others.
        """
        rate = self.prices.image_out if self.prices else None
        tokens = self.tokens.get(quality, {}).get(_SQUARE)
        if quality in self.image_dollars:
            return self.image_dollars[quality]
        if rate and tokens:
            return tokens * rate / 1_000_000
        dollars: Mapping[str, Mapping[str, Decimal]] = self.most.get("dollars", {}) if rate else {}
        return dollars.get(quality, {}).get(_SQUARE)

    def is_gone(self, today: date) -> bool:
        """Return whether OpenAI has shut the model down; the announced day counts."""
        return self.shutdown is not None and self.shutdown <= today


def shutdown_notice(model: Model, today: date) -> str | None:
    """Return the sentence on a model that is shut down, or will be within 60 days; None otherwise."""
    if model.shutdown is None or (model.shutdown - today).days > _NOTICE_DAYS:
        return None
    verb = "shut" if model.is_gone(today) else "shuts"
    advice = f"; use {model.replacement} instead" if model.replacement else ""
    return f"OpenAI {verb} {model.name} down on {model.shutdown}{advice}."


@dataclass(frozen=True)
class Catalog:
    """All known models. `prices_date` is the day on which the table was last checked.

    `limits` are the figures of `billing.bound` that hold for every model. `prices_from` names the price table
    that was read since, None for none, and `other_prices` are its prices of models that imgcli does not know.
    """

    models: tuple[Model, ...]
    default_models: tuple[str, ...]
    default_image_model: str
    prices_date: date
    limits: Mapping[str, Any] = field(default_factory=dict, hash=False)
    without_reasoning: tuple[str, ...] = ()
    prices_from: str | None = None
    other_prices: Mapping[str, Prices] = field(default_factory=dict, hash=False)

    def find(self, name: str) -> Model | None:
        """Find a model by its name, an alias or a dated snapshot (`gpt-4o-2024-11-20`)."""
        snapshot = _SNAPSHOT.fullmatch(name)
        return self._named(name) or (self._named(snapshot["name"]) if snapshot else None)

    def is_image_model(self, name: str) -> bool:
        """Return whether a model makes images; for one that is unknown, by its name.

        Gateways prefix names, as in `openai/gpt-image-2`: each part is checked.
        """
        known = self.find(name)
        if known:
            return known.kind is ModelKind.IMAGE
        return any(part.startswith(_IMAGE_FAMILIES) for part in name.lower().split("/"))

    def _named(self, name: str) -> Model | None:
        matches = (model for model in self.models if name == model.name or name in model.aliases)
        return next(matches, None)

    def default_model(self, today: date) -> str:
        """Return the default text model: the first one that is alive, else the last."""
        alive = self.names(ModelKind.TEXT, today)
        return next((name for name in self.default_models if name in alive), self.default_models[-1])

    def shutdown_of(self, names: Iterable[str | None], today: date) -> str | None:
        """Return the sentence on the first of these models that is shut down; None if there is none."""
        known = (self.find(name) for name in names if name)
        return next((shutdown_notice(one, today) for one in known if one and one.is_gone(today)), None)

    def names(self, kind: ModelKind, today: date) -> tuple[str, ...]:
        """Return the names of the live models of a kind, in the table's order."""
        return tuple(model.name for model in self.models if model.kind is kind and not model.is_gone(today))


@cache
def load() -> Catalog:
    """Load the table that comes with imgcli, once per process; `price_table.current` has today's prices."""
    import tomllib
    from decimal import Decimal
    from pathlib import Path

    # Not importlib.resources: importing it would take a shell completion several times as long as reading.
    text = Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8")
    return _catalog(tomllib.loads(text, parse_float=Decimal))


def _catalog(table: dict[str, Any]) -> Catalog:
    entries = [(kind, name, entry) for kind in ModelKind for name, entry in table[kind].items()]
    return Catalog(
        models=tuple(_model(kind, name, entry, table) for kind, name, entry in entries),
        default_models=tuple(table["default_models"]),
        default_image_model=table["default_image_model"],
        prices_date=table["checked"],
        limits=table["limits"],
        without_reasoning=tuple(table["without_reasoning"]),
    )


def _model(kind: ModelKind, name: str, entry: dict[str, Any], table: dict[str, Any]) -> Model:
    return Model(
        name=name,
        kind=kind,
        prices=_prices(kind, entry, table) if "prices" in entry else None,
        shutdown=entry.get("shutdown"),
        replacement=entry.get("replacement"),
        accepts=_accepts(table["accepts"][entry["accepts"]], table) if "accepts" in entry else None,
        aliases=tuple(entry.get("aliases", ())),
        tokens=table["tokens"][entry["tokens"]] if "tokens" in entry else {},
        most=_most(table["most"][entry["most"]], table) if "most" in entry else {},
        image=entry.get("image"),
        batch=entry.get("batch"),
        image_dollars=entry.get("image_dollars", {}),
    )


def _most(entry: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Add the date of the source, and replace the name of a token table by the table."""
    tokens = entry.get("tokens")
    named = {"tokens": table["tokens"][tokens]} if isinstance(tokens, str) else {}
    return entry | named | {"date": table["sources"][entry["source"]]["date"]}


COLUMNS_OF = {
    ModelKind.TEXT: ("text_in", "text_cached", "text_out"),
    ModelKind.IMAGE: ("text_in", "text_cached", "image_in", "image_cached", "image_out", "text_out"),
}
"""What the figures of `prices` in a table are, in this order."""


def _prices(kind: ModelKind, entry: dict[str, Any], table: dict[str, Any]) -> Prices:
    source = table["sources"][entry["source"]]
    terms = table["terms"].get(entry.get("terms"), {})
    figures = zip(COLUMNS_OF[kind], entry["prices"], strict=False)
    then = entry.get("then") and {**entry, "prices": entry["then"], "until": None, "then": None}
    return Prices(
        date=source["date"],
        source=source["name"],
        caveat=source.get("caveat"),
        until=entry.get("until"),
        then=_prices(kind, then, table) if then else None,
        cache_write=terms.get("cache_write"),
        long_context=LongContext(**terms["long_context"]) if terms else None,
        **{column: figure for column, figure in figures if figure != "unknown"},
    )


def _accepts(entry: dict[str, Any], table: dict[str, Any]) -> Accepts:
    rule = table["sizes"][entry["sizes"]]
    return Accepts(
        sizes=FixedSizes(tuple(rule["fixed"])) if "fixed" in rule else FlexibleSizes(**rule),
        qualities=tuple(map(Quality, entry["qualities"])),
        backgrounds=tuple(map(Background, entry["backgrounds"])),
        formats=tuple(map(ImageFormat, entry["formats"])),
        fidelities=tuple(map(Fidelity, entry["fidelities"])) if "fidelities" in entry else None,
        complexities=tuple(map(Complexity, entry["complexities"])) if "complexities" in entry else None,
        markup=entry.get("markup", False),
    )


class ModelScope(Enum):
    """Which models to list: live ones only, or shut down ones as well."""

    ALIVE = "alive"
    ALL = "all"


@dataclass(frozen=True)
class ServerModel:
    """A model in a server's list; its name is foreign text. `shutdown` is None without a date."""

    name: str
    shutdown: date | None = None


@dataclass(frozen=True)
class ListedModel:
    """A model in the catalog. `shutdown` is the server's date if there is one, else the catalog's.

    `has_new_shutdown` means that the two differ; `is_usable` is whether the key may use it, None without a
    list.
    """

    model: Model
    shutdown: date | None
    is_gone: bool
    is_default: bool
    is_usable: bool | None = None
    has_new_shutdown: bool = False


@dataclass(frozen=True)
class ModelList:
    """A list of models, image models first.

    `unknown_image_models` and `others` are models of the server that are not in the catalog; `prices_date`
    and `prices_from` are the catalog's.
    """

    entries: tuple[ListedModel, ...]
    prices_date: date
    unknown_image_models: tuple[ServerModel, ...] = ()
    others: tuple[ServerModel, ...] = ()
    prices_from: str | None = None

    def of(self, kind: ModelKind) -> tuple[ListedModel, ...]:
        """Return the live models of a kind."""
        return tuple(entry for entry in self.entries if entry.model.kind is kind and not entry.is_gone)

    @property
    def gone(self) -> tuple[ListedModel, ...]:
        """The models that are shut down."""
        return tuple(entry for entry in self.entries if entry.is_gone)


def list_models(
    catalog: Catalog,
    today: date,
    scope: ModelScope = ModelScope.ALIVE,
    listing: Iterable[ServerModel] | None = None,
) -> ModelList:
    """Build the list; `listing` is a server's own list, None if no server was asked.

    A model that the server lists is alive, whatever date the catalog has.
    """
    listed = None if listing is None else {model.name: model for model in reversed(list(listing))}
    ordered = sorted(catalog.models, key=lambda model: model.kind is not ModelKind.IMAGE)
    entries = [_entry(model, catalog, today, listed) for model in ordered]
    unknown = [model for name, model in sorted((listed or {}).items()) if catalog.find(name) is None]
    return ModelList(
        tuple(entry for entry in entries if scope is ModelScope.ALL or not entry.is_gone),
        catalog.prices_date,
        unknown_image_models=tuple(model for model in unknown if catalog.is_image_model(model.name)),
        others=tuple(model for model in unknown if not catalog.is_image_model(model.name)),
        prices_from=catalog.prices_from,
    )


def _entry(
    model: Model, catalog: Catalog, today: date, listed: Mapping[str, ServerModel] | None
) -> ListedModel:
    server = listed or {}
    found = next((server[name] for name in (model.name, *model.aliases) if name in server), None)
    announced = found.shutdown if found else None
    shutdown = announced or model.shutdown
    return ListedModel(
        model,
        shutdown,
        is_gone=shutdown is not None and shutdown <= today and found is None,
        is_default=model.name in {catalog.default_model(today), catalog.default_image_model},
        is_usable=None if listed is None else found is not None,
        has_new_shutdown=announced is not None and announced != model.shutdown,
    )
