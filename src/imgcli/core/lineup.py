"""The models as a person meets them: what the catalog knows, and what a server says that a key can use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.core.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from imgcli.core.catalog import Catalog, Model


class Span(Enum):
    """Which models are of interest: those that are alive, or those that have gone as well."""

    ALIVE = "alive"
    ALL = "all"


@dataclass(frozen=True)
class Listed:
    """A model that a server lists for a key; `shutdown` is None where it tells no date. A foreign name."""

    name: str
    shutdown: date | None = None


@dataclass(frozen=True)
class Entry:
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

    entries: tuple[Entry, ...]
    prices_date: date
    strangers: tuple[Listed, ...] = ()
    others: tuple[Listed, ...] = ()

    def of(self, kind: Kind) -> tuple[Entry, ...]:
        """List the models of a kind that are alive."""
        return tuple(entry for entry in self.entries if entry.model.kind is kind and not entry.is_gone)

    @property
    def gone(self) -> tuple[Entry, ...]:
        """List the models that have been shut down."""
        return tuple(entry for entry in self.entries if entry.is_gone)


def lineup(
    catalog: Catalog, today: date, span: Span = Span.ALIVE, listing: Iterable[Listed] | None = None
) -> Lineup:
    """Put together what is known; `listing` is a server's answer, None when none was asked.

    What the server lists is there, whatever the catalog says of its end.
    """
    listed = None if listing is None else {model.name: model for model in reversed(list(listing))}
    ordered = sorted(catalog.models, key=lambda model: model.kind is not Kind.IMAGE)
    entries = [_entry(model, catalog, today, listed) for model in ordered]
    unknown = [model for name, model in sorted((listed or {}).items()) if catalog.find(name) is None]
    return Lineup(
        tuple(entry for entry in entries if span is Span.ALL or not entry.is_gone),
        catalog.prices_date,
        strangers=tuple(model for model in unknown if catalog.is_image_model(model.name)),
        others=tuple(model for model in unknown if not catalog.is_image_model(model.name)),
    )


def _entry(model: Model, catalog: Catalog, today: date, listed: Mapping[str, Listed] | None) -> Entry:
    found = _found(model, listed or {})
    told = found.shutdown if found else None
    shutdown = told or model.shutdown
    return Entry(
        model,
        shutdown,
        is_gone=shutdown is not None and shutdown <= today and found is None,
        is_default=model.name in {catalog.default_model(today), catalog.default_image_model},
        is_usable=None if listed is None else found is not None,
        is_news=told is not None and told != model.shutdown,
    )


def _found(model: Model, listed: Mapping[str, Listed]) -> Listed | None:
    """Find a model in the server's list by its name or another name of it."""
    return next((listed[name] for name in (model.name, *model.aliases) if name in listed), None)
