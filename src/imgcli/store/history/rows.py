"""Entries as rows of the history's tables, and rows as entries, whatever has become of them."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli.core.billing.bill import Part, Row
from imgcli.core.errors import Charged
from imgcli.core.history import HistoryEntry, Parent, Role, SavedImage
from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import choice, count, json_object, moment, text
from imgcli.core.request import ImageRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.core.events import Json


Cells: TypeAlias = "Mapping[str, Any]"
"""One row, by its columns' names; a file can hold anything in them."""

_LONGEST = 300_000
"""Characters of one text; a server that sends more of it is not worth the room."""
_MOST_DOLLARS = Decimal(1_000_000_000)
_FINEST = -18
"""The power of ten below which an amount is no money; an exponent can have any number of digits."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def run_cells(entry: HistoryEntry) -> dict[str, Any]:
    """Format an entry as a row of `runs`."""
    return {
        "job": _storable(entry.job),
        "started": utc_text(entry.started),
        "ended": utc_text(entry.ended),
        "endpoint": _storable(entry.endpoint),
        "outcome": entry.outcome,
        "charged": entry.charged.value,
        "cost": _dollar_text(entry.cost),
        "prices_date": entry.prices_date.isoformat() if entry.prices_date else None,
        "prices_from": _storable(entry.prices_from),
        "billed": int(entry.billed),
        "model": _storable(entry.model),
        "image_model": _storable(entry.image_model),
        "response_id": _storable(entry.response_id),
        "prompt": _storable(entry.prompt),
        "message": _storable(entry.message),
        "request": _json_text(entry.request.to_json()) if entry.request else None,
        "usage": _json_text(entry.usage),
        "tool_usage": _json_text(entry.tool_usage),
    }


def image_cells(image: SavedImage) -> dict[str, Any]:
    """Format an image as a row of `images`."""
    width, height = image.size or (None, None)
    return {
        "image": image.image_index,
        "sha256": image.sha256,
        "bytes": image.length,
        "path": path_cell(image.path) if image.path else None,
        "format": image.format,
        "width": width,
        "height": height,
        "revised_prompt": _storable(image.revised_prompt),
        "received": image.received,
    }


def parent_cells(parent: Parent) -> dict[str, Any]:
    """Format a parent as a row of `parents`."""
    return {"sha256": parent.sha256, "role": parent.role.value}


def charge_cells(row: Row) -> dict[str, Any]:
    """Format a bill's row as a row of `charges`."""
    return {
        "part": row.part.value,
        "model": _storable(row.model),
        "tokens_in": row.tokens_in,
        "cached": row.cached,
        "tokens_out": row.tokens_out,
        "partials": row.partials,
        "cost_in": _dollar_text(row.cost_in),
        "cost_out": _dollar_text(row.cost_out),
    }


def stored_cells(entry: HistoryEntry) -> dict[str, Any]:
    """Format an entry as rows that JSON can hold, for `entry_of`."""
    images = list(map(image_cells, entry.images))
    for cells, image in zip(images, entry.images, strict=True):
        cells["path"] = str(image.path) if image.path else None
    return {
        "run": {"id": None, **run_cells(entry)},
        "pictures": images,
        "parents": list(map(parent_cells, entry.parents)),
        "charges": list(map(charge_cells, entry.charges)),
    }


def entry_of(
    run: Cells, images: Sequence[Cells], parents: Sequence[Cells], charges: Sequence[Cells]
) -> HistoryEntry:
    """Read an entry; what cannot be read is unknown."""
    return HistoryEntry(
        number=run["id"],
        job=text(run.get("job")) or "",
        started=time_of(run.get("started")),
        ended=time_of(run.get("ended")),
        endpoint=text(run.get("endpoint")),
        outcome=text(run.get("outcome")) or "",
        charged=choice(Charged, run.get("charged")) or Charged.MAYBE,
        cost=dollars_of(run.get("cost")),
        prices_date=date_of(run.get("prices_date")),
        prices_from=text(run.get("prices_from")),
        billed=run.get("billed") != 0,
        model=text(run.get("model")),
        image_model=text(run.get("image_model")),
        response_id=text(run.get("response_id")),
        prompt=text(run.get("prompt")) or "",
        message=text(run.get("message")),
        request=request_of(run.get("request")),
        usage=json_object(run.get("usage")),
        tool_usage=json_object(run.get("tool_usage")),
        images=tuple(map(_image, images)),
        parents=tuple(map(_parent, parents)),
        charges=tuple(map(charge_of, charges)),
    )


def charge_of(cells: Cells) -> Row:
    """Read a row of `charges`."""
    return Row(
        part=choice(Part, cells.get("part")) or Part.IMAGE,
        model=text(cells.get("model")),
        tokens_in=count(cells.get("tokens_in")),
        cached=count(cells.get("cached")),
        tokens_out=count(cells.get("tokens_out")),
        partials=count(cells.get("partials")),
        cost_in=dollars_of(cells.get("cost_in")),
        cost_out=dollars_of(cells.get("cost_out")),
    )


def _image(cells: Cells) -> SavedImage:
    width, height = count(cells.get("width")), count(cells.get("height"))
    return SavedImage(
        image_index=count(cells.get("image")) or 0,
        sha256=text(cells.get("sha256")) or "",
        length=count(cells.get("bytes")) or 0,
        path=path_of(cells.get("path")),
        format=choice(ImageFormat, cells.get("format")),
        size=(width, height) if width and height else None,
        revised_prompt=text(cells.get("revised_prompt")),
        received=text(cells.get("received")),
    )


def _parent(cells: Cells) -> Parent:
    return Parent(text(cells.get("sha256")) or "", choice(Role, cells.get("role")) or Role.REFERENCE)


def utc_text(when: datetime) -> str:
    """Write a time so that later ones sort after earlier ones."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def time_of(value: object) -> datetime:
    """Read a time; the epoch for anything else."""
    return moment(value) or _EPOCH


def date_of(value: object) -> date | None:
    """Read a day, None for anything else."""
    with suppress(TypeError, ValueError):
        return date.fromisoformat(value)  # type: ignore[arg-type]  # a TypeError says so
    return None


def _dollar_text(amount: Decimal | None) -> str | None:
    """Write an amount with all its digits."""
    return None if amount is None else format(amount, "f")


def dollars_of(value: object) -> Decimal | None:
    """Return an amount of dollars, None for what can be none."""
    with suppress(TypeError, ValueError, InvalidOperation):
        amount = Decimal(value)  # type: ignore[arg-type]  # a TypeError says so
        if (
            amount.is_finite()
            and 0 <= amount <= _MOST_DOLLARS
            and (not amount or amount.adjusted() >= _FINEST)
        ):
            return amount
    return None


def path_cell(path: Path) -> str | bytes:
    """Format a path as text where it is some, as its bytes where a name is no valid UTF-8."""
    text = str(path)
    return text if _storable(text) == text else os.fsencode(path)


def path_of(value: object) -> Path | None:
    """Read a path."""
    return Path(os.fsdecode(value)) if isinstance(value, str | bytes) and value else None


def _storable(text: str | None) -> str | None:
    """Make a text one that SQLite takes: lone surrogates, from odd command lines, become question marks."""
    return None if text is None else text[:_LONGEST].encode("utf-8", "replace").decode()


def _json_text(fields: Json | None) -> str | None:
    if fields is None:
        return None
    text = json.dumps(fields)
    return text if len(text) <= _LONGEST * 2 else None


def request_of(value: object) -> ImageRequest | None:
    """Read a request; None for one of a version that has other fields, which nobody can ask for again."""
    told = json_object(value)
    return None if told is None or ImageRequest.is_of_another_version(told) else ImageRequest.from_json(told)
