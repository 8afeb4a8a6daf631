"""Everything that is known of an image or a run, as an object for programs. Its keys are a contract."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcli.core.catalog import FixedSizes
from imgcli.output.tables.history import entry_json

if TYPE_CHECKING:
    from datetime import date

    from imgcli.core.catalog import Accepts, ListedModel, ModelList, Prices, ServerModel
    from imgcli.core.history import Ancestor, FileFacts, Provenance, SavedImageStatus


_PRICES = ("text_in", "text_cached", "text_out", "image_in", "image_cached", "image_out")


def models_json(lineup: ModelList) -> str:
    """Write everything that is known, in ASCII; what is not known is null."""
    found = {
        "prices_date": lineup.prices_date.isoformat(),
        "models": [_entry(entry) for entry in lineup.entries],
        "unknown_image_models": [_listed(model) for model in lineup.unknown_image_models],
        "other_models": [_listed(model) for model in lineup.others],
    }
    return json.dumps(found, indent=2)


def _entry(entry: ListedModel) -> dict[str, Any]:
    """Format one model; `usable` is null when no server was asked."""
    model = entry.model
    return {
        "name": model.name,
        "kind": model.kind,
        "aliases": list(model.aliases),
        "default": entry.is_default,
        "usable": entry.is_usable,
        "gone": entry.is_gone,
        "shutdown": _day(entry.shutdown),
        "shutdown_is_news": entry.has_new_shutdown,
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
    """Format prices in US dollars per million tokens."""
    amounts = {name: getattr(prices, name) for name in _PRICES}
    return {
        **{name: None if amount is None else float(amount) for name, amount in amounts.items()},
        "date": prices.date.isoformat(),
        "source": prices.source,
        "caveat": prices.caveat,
    }


def _listed(model: ServerModel) -> dict[str, Any]:
    return {"name": model.name, "shutdown": _day(model.shutdown)}


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def info_json(known: Provenance) -> dict[str, Any]:
    """Write it down; what is not known is null."""
    return {
        "asked": known.asked,
        "source": known.source,
        "file": _file(known.file) if known.file else None,
        "image": known.image_index,
        "run": entry_json(known.entry) if known.entry else None,
        "saved": list(map(_saved, known.images)),
        "recipe": known.parameters.to_json() if known.parameters else None,
        "parents": list(map(_parent, known.parents)),
        "children": [child.number for child in known.children],
    }


def _file(file: FileFacts) -> dict[str, Any]:
    width, height = file.size or (None, None)
    return {
        "path": str(file.path),
        "format": file.format,
        "bytes": file.length,
        "width": width,
        "height": height,
        "sha256": file.sha256,
        "content_credentials": file.credentials,
    }


def _saved(each: SavedImageStatus) -> dict[str, Any]:
    return {
        "image": each.image.image_index,
        "path": str(each.image.path) if each.image.path else None,
        "state": each.state,
        "content_credentials": each.facts.credentials if each.facts else None,
    }


def _parent(parent: Ancestor) -> dict[str, Any]:
    return {
        "sha256": parent.sha256,
        "role": parent.role,
        "id": parent.entry.number if parent.entry else None,
        "name": parent.name,
    }
