"""The models as one JSON document, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcli.core.catalog import FixedSizes

if TYPE_CHECKING:
    from datetime import date

    from imgcli.core.catalog import Accepts, Prices
    from imgcli.core.lineup import Entry, Lineup, Listed

_PRICES = ("text_in", "text_cached", "text_out", "image_in", "image_cached", "image_out")


def document(lineup: Lineup) -> str:
    """Write everything that is known, in ASCII; what is not known is null."""
    found = {
        "prices_date": lineup.prices_date.isoformat(),
        "models": [_entry(entry) for entry in lineup.entries],
        "unknown_image_models": [_listed(model) for model in lineup.strangers],
        "other_models": [_listed(model) for model in lineup.others],
    }
    return json.dumps(found, indent=2)


def _entry(entry: Entry) -> dict[str, Any]:
    """Spell one model; `usable` is null when no server was asked."""
    model = entry.model
    return {
        "name": model.name,
        "kind": model.kind,
        "aliases": list(model.aliases),
        "default": entry.is_default,
        "usable": entry.is_usable,
        "gone": entry.is_gone,
        "shutdown": _day(entry.shutdown),
        "shutdown_is_news": entry.is_news,
        "replacement": model.replacement,
        **_accepts(model.accepts),
        "prices": _prices(model.prices) if model.prices else None,
    }


def _accepts(accepts: Accepts | None) -> dict[str, Any]:
    if accepts is None:
        return {"sizes": None, "qualities": None, "backgrounds": None, "formats": None}
    rule = accepts.sizes
    return {
        "sizes": list(rule.sizes) if isinstance(rule, FixedSizes) else asdict(rule),
        "qualities": list(accepts.qualities),
        "backgrounds": list(accepts.backgrounds),
        "formats": list(accepts.formats),
    }


def _prices(prices: Prices) -> dict[str, Any]:
    """Spell prices in US dollars per million tokens."""
    amounts = {name: getattr(prices, name) for name in _PRICES}
    return {
        **{name: None if amount is None else float(amount) for name, amount in amounts.items()},
        "date": prices.date.isoformat(),
        "source": prices.source,
        "caveat": prices.caveat,
    }


def _listed(model: Listed) -> dict[str, Any]:
    return {"name": model.name, "shutdown": _day(model.shutdown)}


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
