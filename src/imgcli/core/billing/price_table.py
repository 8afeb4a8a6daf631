"""Price tables loaded at run time: as values, as stored, and merged into the catalog."""

from __future__ import annotations

import json
from dataclasses import asdict, field, replace
from typing import TYPE_CHECKING, Any

from imgcli.core.billing.prices import PRICE_COLUMNS
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from imgcli.core.billing.prices import Prices
    from imgcli.core.catalog import Catalog, Model


FORMAT, VERSION = "imgcli_prices", 1
"""The key by which a stored table is recognized, and its value."""


@dataclass(frozen=True)
class PriceTable:
    """Prices by a model's name, as they were read on a day; `image_dollars` by model and quality.

    `origin` is the file or URL that they were read from, `label` its short name.
    """

    origin: str
    label: str
    date: dt.date
    prices: Mapping[str, Prices]
    image_dollars: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


def write_table(table: PriceTable) -> str:
    """Format a table as JSON, for `read_table`."""
    names = {*table.prices, *table.image_dollars}
    entries = {name: _fields(table.prices.get(name), table.image_dollars.get(name)) for name in sorted(names)}
    head = {FORMAT: VERSION, "origin": table.origin, "date": table.date}
    return json.dumps({**head, "models": entries}, default=str, indent=1)


def _fields(prices: Prices | None, image_dollars: Mapping[str, Decimal] | None) -> dict[str, Any]:
    known = {key: value for key, value in (asdict(prices) if prices else {}).items() if value is not None}
    return known | ({"image_dollars": image_dollars} if image_dollars else {})


def current(models: Catalog, table: PriceTable | None, today: dt.date) -> Catalog:
    """Return the catalog with the prices of a day, and a table's before its own.

    What a table does not say of a model stays as it was. A price whose end has come is gone in either.
    """
    fresh = table or PriceTable("", "", today, {})
    named = {model.name: _named(model, fresh.prices) for model in models.models}
    ours = {name for model in models.models for name in (model.name, *model.aliases)}
    other_prices = {name: prices.on(today) for name, prices in fresh.prices.items() if name not in ours}
    return replace(
        models,
        models=tuple(_current(model, named[model.name], fresh, today) for model in models.models),
        prices_date=table.date if table else models.prices_date,
        prices_from=table.label if table else None,
        other_prices=other_prices,
    )


def _named(model: Model, prices: Mapping[str, Prices]) -> Prices | None:
    return next((prices[name] for name in (model.name, *model.aliases) if name in prices), None)


def _current(model: Model, fresh: Prices | None, table: PriceTable, today: dt.date) -> Model:
    old = model.prices.on(today) if model.prices else None
    prices = _completed(fresh.on(today), old) if fresh else old
    rate, most = prices.image_out if prices else None, model.most
    if rate and "rate" in most:
        # What OpenAI asks for an image is its tokens times the price of one: the tokens stay.
        share = rate / most["rate"]
        dollars = {
            quality: {size: amount * share for size, amount in sizes.items()}
            for quality, sizes in most["dollars"].items()
        }
        most = {**most, "dollars": dollars, "rounding": most.get("rounding", 0) * share, "rate": rate}
    is_same = prices is not None and model.prices is not None and rate == model.prices.image_out
    image_dollars = table.image_dollars.get(model.name) or (model.image_dollars if is_same else {})
    return replace(model, prices=prices, most=most, image_dollars=image_dollars)


def _completed(fresh: Prices, old: Prices | None) -> Prices:
    """Complete fresh prices with what only the old ones name; the date is then the older one."""
    if old is None or not fresh.is_known:
        return fresh
    fresh = replace(
        fresh,
        cache_write=fresh.cache_write or old.cache_write,
        long_context=fresh.long_context or old.long_context,
    )
    kept: dict[str, Any] = {
        column: getattr(old, column)
        for column in PRICE_COLUMNS
        if getattr(fresh, column) is None and getattr(old, column) is not None
    }
    if not kept:
        return fresh
    source = f"{fresh.source}; {', '.join(kept)}: {old.source}"
    caveat = fresh.caveat or old.caveat
    return replace(fresh, **kept, date=min(fresh.date, old.date), source=source, caveat=caveat)


def changes(before: Catalog, after: Catalog) -> Iterator[tuple[str, str, Decimal | None, Decimal | None]]:
    """Yield each price that differs: the model, the column, and the two prices."""
    for old, new in zip(before.models, after.models, strict=True):
        for column in PRICE_COLUMNS:
            first = getattr(old.prices, column, None)
            second = getattr(new.prices, column, None)
            if first != second:
                yield new.name, column, first, second
