"""The models: what each accepts and costs, and when OpenAI shuts it down."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.core.image import ImageFormat
from imgcli.core.params import Background, Fidelity, Quality

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal


_NOTICE_DAYS = 60
_IMAGE_FAMILIES = ("gpt-image-", "chatgpt-image-", "dall-e-")
_SNAPSHOT = re.compile(r"(?P<name>.+)-20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class ModelKind(StrEnum):
    """What a model makes, and so which of OpenAI's two wires it is named on."""

    TEXT = "text"
    IMAGE = "image"


@dataclass(frozen=True)
class FixedSizes:
    """A model that takes these sizes and `auto`, spelled `1024x1024`."""

    sizes: tuple[str, ...]


@dataclass(frozen=True)
class FlexibleSizes:
    """A model that takes any size within limits, in pixels, and `auto`.

    Both edges are multiples of `multiple`, the longer one at most `longest` and at most `widest` times the
    shorter. OpenAI calls sizes above `experimental_pixels` experimental.
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
    """The values an image model takes, as the API spells them; `fidelities` is None where nobody says."""

    sizes: SizeRule
    qualities: tuple[Quality, ...]
    backgrounds: tuple[Background, ...]
    formats: tuple[ImageFormat, ...]
    fidelities: tuple[Fidelity, ...] | None = None


@dataclass(frozen=True)
class LongContext:
    """Above `after` input tokens, all input costs `input` times as much, all output `output` times."""

    after: int
    input: Decimal
    output: Decimal


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens, Standard tier; None where no price is published.

    `date` is the day we know the prices from, `source` the place, `caveat` a reason to doubt them.
    Writing to the prompt cache costs `cache_write` times `text_in`, once where it is None. A limit takes all
    prices `most` times, for a promotion ends.
    """

    date: date
    source: str
    text_in: Decimal | None = None
    text_cached: Decimal | None = None
    text_out: Decimal | None = None
    image_in: Decimal | None = None
    image_cached: Decimal | None = None
    image_out: Decimal | None = None
    cache_write: Decimal | None = None
    long_context: LongContext | None = None
    caveat: str | None = None
    most: Decimal | int = 1


@dataclass(frozen=True)
class Model:
    """One model; `accepts` is None for text models and where nothing is known.

    `most` is what `core.bound` knows of the cost of one image, empty where that is nothing; `image` is how
    many tokens an image takes that is sent to a text model, None where it is as many as for the others.
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

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities it takes; all of them where nothing is known."""
        return self.accepts.qualities if self.accepts else tuple(Quality)

    def is_gone(self, today: date) -> bool:
        """Return whether OpenAI has shut the model down; on the announced day it has."""
        return self.shutdown is not None and self.shutdown <= today


def shutdown_notice(model: Model, today: date) -> str | None:
    """Say in one line that a model is gone or has 60 days or less to live; None otherwise."""
    if model.shutdown is None or (model.shutdown - today).days > _NOTICE_DAYS:
        return None
    verb = "shut" if model.is_gone(today) else "shuts"
    advice = f"; use {model.replacement} instead" if model.replacement else ""
    return f"OpenAI {verb} {model.name} down on {model.shutdown}{advice}."


@dataclass(frozen=True)
class Catalog:
    """All models we know. `prices_date` is the day on which the whole table was gathered.

    `limits` is what `core.bound` reckons with for every model.
    """

    models: tuple[Model, ...]
    default_models: tuple[str, ...]
    default_image_model: str
    prices_date: date
    limits: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def find(self, name: str) -> Model | None:
        """Find a model by its exact name, an alias or a dated snapshot (`gpt-4o-2024-11-20`)."""
        snapshot = _SNAPSHOT.fullmatch(name)
        return self._named(name) or (self._named(snapshot["name"]) if snapshot else None)

    def is_image_model(self, name: str) -> bool:
        """Tell by its name whether a model makes images, also one that we do not know.

        Gateways put names of their own around it, as in `openai/gpt-image-2`: each part counts.
        """
        known = self.find(name)
        if known:
            return known.kind is ModelKind.IMAGE
        return any(part.startswith(_IMAGE_FAMILIES) for part in name.lower().split("/"))

    def _named(self, name: str) -> Model | None:
        found = (model for model in self.models if name == model.name or name in model.aliases)
        return next(found, None)

    def default_model(self, today: date) -> str:
        """Choose the text model for people who name none: the first that is alive, else the last."""
        alive = self.names(ModelKind.TEXT, today)
        return next((name for name in self.default_models if name in alive), self.default_models[-1])

    def shutdown_of(self, names: Iterable[str | None], today: date) -> str | None:
        """Say of the first of these models that OpenAI has shut down that it is gone; None for none."""
        known = (self.find(name) for name in names if name)
        return next((shutdown_notice(one, today) for one in known if one and one.is_gone(today)), None)

    def names(self, kind: ModelKind, today: date) -> tuple[str, ...]:
        """List the models of a kind that are alive, in the table's order."""
        return tuple(model.name for model in self.models if model.kind is kind and not model.is_gone(today))


@cache
def load() -> Catalog:
    """Read the table that comes with imgcli, once in a process."""
    # importlib.resources would cost a shell completion several times the reading itself.
    import pkgutil
    import tomllib
    from decimal import Decimal

    data = pkgutil.get_data("imgcli.core", "catalog.toml") or b""
    return _catalog(tomllib.loads(data.decode(), parse_float=Decimal))


def _catalog(table: dict[str, Any]) -> Catalog:
    entries = [(kind, name, entry) for kind in ModelKind for name, entry in table[kind].items()]
    return Catalog(
        models=tuple(_model(kind, name, entry, table) for kind, name, entry in entries),
        default_models=tuple(table["default_models"]),
        default_image_model=table["default_image_model"],
        prices_date=table["checked"],
        limits=table["limits"],
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
        image=entry.get("picture"),
    )


def _most(entry: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Put the day of the source in, and the table of tokens in the place of its name."""
    tokens = entry.get("tokens")
    named = {"tokens": table["tokens"][tokens]} if isinstance(tokens, str) else {}
    return entry | named | {"date": table["sources"][entry["source"]]["date"]}


_COLUMNS = {
    ModelKind.TEXT: ("text_in", "text_cached", "text_out"),
    ModelKind.IMAGE: ("text_in", "text_cached", "image_in", "image_cached", "image_out", "text_out"),
}


def _prices(kind: ModelKind, entry: dict[str, Any], table: dict[str, Any]) -> Prices:
    source = table["sources"][entry["source"]]
    terms = table["terms"].get(entry.get("terms"), {})
    figures = zip(_COLUMNS[kind], entry["prices"], strict=False)
    return Prices(
        date=source["date"],
        source=source["name"],
        caveat=source.get("caveat"),
        most=source.get("most", 1),
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
    )


class Span(Enum):
    """Which models are of interest: those that are alive, or those that have gone as well."""

    ALIVE = "alive"
    ALL = "all"


@dataclass(frozen=True)
class ServerModel:
    """A model that a server lists for a key; `shutdown` is None where it tells no date. A foreign name."""

    name: str
    shutdown: date | None = None


@dataclass(frozen=True)
class ListedModel:
    """One model that we know. `shutdown` is the server's date where it told one, else the catalog's.

    `is_news` says that the two differ, `is_usable` whether the key may use it: None when nobody was asked.
    """

    model: Model
    shutdown: date | None
    is_gone: bool
    is_default: bool
    is_usable: bool | None = None
    is_news: bool = False


@dataclass(frozen=True)
class Lineup:
    """All models of interest, image models first.

    `strangers` are image models that the server has and the catalog does not know, `others` whatever else it
    has; both are empty when nobody was asked. `prices_date` is the day on which the catalog was gathered.
    """

    entries: tuple[ListedModel, ...]
    prices_date: date
    strangers: tuple[ServerModel, ...] = ()
    others: tuple[ServerModel, ...] = ()

    def of(self, kind: ModelKind) -> tuple[ListedModel, ...]:
        """List the models of a kind that are alive."""
        return tuple(entry for entry in self.entries if entry.model.kind is kind and not entry.is_gone)

    @property
    def gone(self) -> tuple[ListedModel, ...]:
        """List the models that have been shut down."""
        return tuple(entry for entry in self.entries if entry.is_gone)


def lineup(
    catalog: Catalog, today: date, span: Span = Span.ALIVE, listing: Iterable[ServerModel] | None = None
) -> Lineup:
    """Put together what is known; `listing` is a server's answer, None when none was asked.

    What the server lists is there, whatever the catalog says of its end.
    """
    listed = None if listing is None else {model.name: model for model in reversed(list(listing))}
    ordered = sorted(catalog.models, key=lambda model: model.kind is not ModelKind.IMAGE)
    entries = [_entry(model, catalog, today, listed) for model in ordered]
    unknown = [model for name, model in sorted((listed or {}).items()) if catalog.find(name) is None]
    return Lineup(
        tuple(entry for entry in entries if span is Span.ALL or not entry.is_gone),
        catalog.prices_date,
        strangers=tuple(model for model in unknown if catalog.is_image_model(model.name)),
        others=tuple(model for model in unknown if not catalog.is_image_model(model.name)),
    )


def _entry(
    model: Model, catalog: Catalog, today: date, listed: Mapping[str, ServerModel] | None
) -> ListedModel:
    found = _found(model, listed or {})
    told = found.shutdown if found else None
    shutdown = told or model.shutdown
    return ListedModel(
        model,
        shutdown,
        is_gone=shutdown is not None and shutdown <= today and found is None,
        is_default=model.name in {catalog.default_model(today), catalog.default_image_model},
        is_usable=None if listed is None else found is not None,
        is_news=told is not None and told != model.shutdown,
    )


def _found(model: Model, listed: Mapping[str, ServerModel]) -> ServerModel | None:
    """Find a model in the server's list by its name or another name of it."""
    return next((listed[name] for name in (model.name, *model.aliases) if name in listed), None)
