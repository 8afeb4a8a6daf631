"""JSON that commands print for programs: models, runs, families, costs. The keys are a contract."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcli.core.billing.prices import PRICE_COLUMNS
from imgcli.core.catalog import FixedSizes, ModelKind
from imgcli.core.parameters.parameter_checks import accepted_options
from imgcli.core.params import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from imgcli.core.billing.bill import Row
    from imgcli.core.billing.prices import Prices
    from imgcli.core.billing.spending import Spending, Sum
    from imgcli.core.catalog import Accepts, ListedModel, Model, ModelList, ServerModel
    from imgcli.core.history import (
        Ancestor,
        Family,
        FileFacts,
        HistoryEntry,
        Key,
        Provenance,
        SavedImage,
        SavedImageStatus,
    )
    from imgcli.core.provenance import FileVerification, ServerCheck, ServerSignal


def models_json(lineup: ModelList) -> str:
    """Write everything that is known, in ASCII; what is not known is null."""
    found = {
        "prices_date": lineup.prices_date.isoformat(),
        "prices_from": lineup.prices_from,
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
        "options": accepted_options(model),
        "prices": _prices(model.prices) if model.prices else None,
        "image_dollars": _image_dollars(model) if model.kind is ModelKind.IMAGE else None,
    }


def _image_dollars(model: Model) -> dict[str, float | None]:
    """Format what an image of 1024x1024 pixels costs by quality; null where nobody says."""
    found = {
        quality: model.square_dollars(quality) for quality in (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
    }
    return {quality: None if dollars is None else float(dollars) for quality, dollars in found.items()}


def _accepts(accepts: Accepts | None) -> dict[str, Any]:
    if accepts is None:
        names = ("sizes", "qualities", "backgrounds", "formats", "complexities", "markup")
        return dict.fromkeys(names)
    rule = accepts.sizes
    return {
        "sizes": list(rule.sizes) if isinstance(rule, FixedSizes) else asdict(rule),
        "qualities": list(accepts.qualities),
        "backgrounds": list(accepts.backgrounds),
        "formats": list(accepts.formats),
        "complexities": list(accepts.complexities) if accepts.complexities else None,
        "markup": accepts.markup,
    }


def _prices(prices: Prices) -> dict[str, Any]:
    """Format prices in US dollars per million tokens."""
    amounts = {name: getattr(prices, name) for name in PRICE_COLUMNS}
    return {
        **{name: None if amount is None else float(amount) for name, amount in amounts.items()},
        "date": prices.date.isoformat(),
        "source": prices.source,
        "caveat": prices.caveat,
        "table": prices.table,
        "until": _day(prices.until),
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


def entry_json(entry: HistoryEntry) -> dict[str, Any]:
    """Write a run for programs, everything that is known of it; times are in UTC."""
    return {
        "id": entry.number,
        "job": entry.job,
        "started": entry.started.isoformat(),
        "ended": entry.ended.isoformat(),
        "outcome": entry.outcome,
        "message": entry.message,
        "charged": entry.charged,
        "cost_usd": _usd(entry.cost),
        "prompt": entry.prompt,
        "model": entry.model,
        "image_model": entry.image_model,
        "endpoint": entry.endpoint,
        "response_id": entry.response_id,
        "pictures": list(map(_image_json, entry.images)),
        "parents": [{"sha256": parent.sha256, "role": parent.role} for parent in entry.parents],
        "charges": list(map(_charge_json, entry.charges)),
        "prices_date": entry.prices_date.isoformat() if entry.prices_date else None,
        "usage": entry.usage,
        "tool_usage": entry.tool_usage,
        "request": entry.request.to_json() if entry.request else None,
        "billed": not entry.is_free,
        "prices_from": entry.prices_from,
    }


def _image_json(image: SavedImage) -> dict[str, Any]:
    width, height = image.size or (None, None)
    return {
        "image": image.image_index,
        "path": str(image.path) if image.path else None,
        "sha256": image.sha256,
        "format": image.format,
        "bytes": image.length,
        "width": width,
        "height": height,
        "revised_prompt": image.revised_prompt,
    }


def _charge_json(row: Row) -> dict[str, Any]:
    return {
        "part": row.part,
        "model": row.model,
        "tokens_in": row.tokens_in,
        "cached": row.cached,
        "tokens_out": row.tokens_out,
        "partials": row.partials,
        "cost_usd": _usd(row.cost),
    }


def verification_json(found: FileVerification) -> dict[str, Any]:
    """Write what was found out about a file; `server` is null where none was asked."""
    manifest, entry = found.manifest, found.history.entry
    return {
        "asked": found.asked,
        "verdict": found.verdict,
        "exit_code": int(found.exit_code),
        "file": _file(found.file),
        "damage": found.damage,
        "embedded": found.is_embedded,
        "manifest": {
            "state": manifest.state,
            "issuer": manifest.issuer,
            "generator": manifest.generator,
            "generated_at": manifest.generated_at,
            "faults": list(manifest.faults),
        },
        "history": {
            "state": found.history.state,
            "id": entry.number if entry else None,
            "job": entry.job if entry else None,
            "started": entry.started.isoformat() if entry else None,
        },
        "server": _server_json(found.server) if found.server else None,
    }


def _server_json(check: ServerCheck) -> dict[str, Any]:
    problem = check.problem
    return {
        "host": check.host,
        "c2pa": _signal_json(check.c2pa),
        "synthid": _signal_json(check.synthid),
        "skipped": check.skipped,
        "error": {"kind": problem.kind, "message": problem.what, "code": problem.code} if problem else None,
    }


def _signal_json(signal: ServerSignal | None) -> dict[str, Any] | None:
    """Write what a server found of one kind of mark, in the words of its API."""
    if signal is None:
        return None
    return {
        "detected": signal.is_detected,
        **({"validation_state": signal.state, "issuer": signal.issuer} if signal.state else {}),
        "model": signal.model,
        "generated_at": signal.generated_at,
    }


def _usd(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def family_json(family: Family) -> Iterator[dict[str, Any]]:
    """Write every member once, in the order in which it is drawn; what is not known is null."""
    for branch in family.branches(1):
        if not branch.is_repeated:
            yield _member_json(family, branch.key)


def _member_json(family: Family, key: Key) -> dict[str, Any]:
    entry = family.members[key]
    return {
        "asked": key == family.asked,
        "id": _id(key),
        "started": entry.started.isoformat() if entry else None,
        "endpoint": entry.endpoint if entry else None,
        "outcome": entry.outcome if entry else None,
        "cost_usd": None if entry is None or entry.cost is None else float(entry.cost),
        **(_produced(entry) if entry else _not_produced(family, key)),
        "parents": [
            {"sha256": sha256, "id": _id(origin)} for sha256, origin in family.origins.get(key, {}).items()
        ],
        "children": list(family.children(key)),
    }


def _produced(entry: HistoryEntry) -> dict[str, Any]:
    images = [
        {"sha256": image.sha256, "path": str(image.path) if image.path else None} for image in entry.images
    ]
    return {"prompt": entry.prompt, "pictures": images}


def _not_produced(family: Family, key: Key) -> dict[str, Any]:
    file = family.file if key == family.asked else None
    prompt = file.parameters.prompt if file and file.parameters else None
    return {"prompt": prompt, "pictures": [{"sha256": key, "path": str(file.path) if file else None}]}


def _id(key: Key) -> int | None:
    return key if isinstance(key, int) else None


def cost_json(spent: Spending, since: date | None) -> dict[str, Any]:
    """Write the sums for programs; `cost_usd` is null where any of it is unknown, `known_usd` never."""
    return {
        "since": since.isoformat() if since else None,
        **_sum_json(spent.total),
        "prices_date": spent.prices_date.isoformat() if spent.prices_date else None,
        "groups": [{"name": group.name, **_sum_json(group)} for group in spent.groups],
        "demo": _sum_json(spent.demo),
    }


def _sum_json(group: Sum) -> dict[str, Any]:
    return {
        "runs": group.runs,
        "cost_usd": None if group.cost is None else float(group.cost),
        "known_usd": float(group.known),
        "unknown_runs": group.unknown,
    }


def to_json(line: Mapping[str, Any]) -> str:
    """Write one line, in ASCII; what JSON cannot say (NaN, Infinity) is null."""
    return json.dumps(_finite(line), ensure_ascii=True, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
