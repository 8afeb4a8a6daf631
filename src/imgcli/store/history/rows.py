"""Converts history entries to rows and back, tolerating damaged rows."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from imgcli.core.billing.bill import Part, Row
from imgcli.core.errors import Charged
from imgcli.core.history import HistoryEntry, Parent, Role, SavedImage
from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import choice, count, dollars, json_object, text, timestamp
from imgcli.core.request import ImageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from imgcli.core.events import Json


Cells: TypeAlias = "Mapping[str, Any]"
"""One row, by its columns' names; a file can hold anything in them."""

_LONGEST = 300_000
"""Characters of one text; a server that sends more of it is not worth the room."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def run_cells(entry: HistoryEntry) -> dict[str, Any]:
    """Format an entry as a row of `runs`."""
    return cells_of(entry, _RUNS)


def image_cells(image: SavedImage) -> dict[str, Any]:
    """Format an image as a row of `pictures`."""
    width, height = image.size or (None, None)
    return cells_of(image, _PICTURES) | {"width": width, "height": height}


def stored_cells(entry: HistoryEntry) -> dict[str, Any]:
    """Format an entry as rows that JSON can hold, for `entry_of`."""
    images = list(map(image_cells, entry.images))
    for cells, image in zip(images, entry.images, strict=True):
        cells["path"] = str(image.path) if image.path else None
    return {
        "run": {"id": None, **run_cells(entry)},
        "pictures": images,
        "parents": [cells_of(parent, PARENTS) for parent in entry.parents],
        "charges": [cells_of(row, CHARGES) for row in entry.charges],
    }


def entry_of(
    run: Cells, images: Sequence[Cells], parents: Sequence[Cells], charges: Sequence[Cells]
) -> HistoryEntry:
    """Read an entry; what cannot be read is unknown."""
    return HistoryEntry(
        number=run["id"],
        images=tuple(map(_image, images)),
        parents=tuple(Parent(**_fields(cells, PARENTS)) for cells in parents),
        charges=tuple(Row(**_fields(cells, CHARGES)) for cells in charges),
        **_fields(run, _RUNS),
    )


def _image(cells: Cells) -> SavedImage:
    width, height = count(cells.get("width")), count(cells.get("height"))
    return SavedImage(**_fields(cells, _PICTURES), size=(width, height) if width and height else None)


def cells_of(value: object, columns: Sequence[_Column]) -> dict[str, Any]:
    """Format what has these fields as a row."""
    return {one.name or one.field: one.write(getattr(value, one.field)) for one in columns}


def _fields(cells: Cells, columns: Sequence[_Column]) -> dict[str, Any]:
    """Read the fields that a row has."""
    return {one.field: one.read(cells.get(one.name or one.field)) for one in columns}


def utc_text(when: datetime) -> str:
    """Write a time so that later ones sort after earlier ones."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def time_of(value: object) -> datetime:
    """Read a time; the epoch for anything else."""
    return timestamp(value) or _EPOCH


def date_of(value: object) -> date | None:
    """Read a day, None for anything else."""
    with suppress(TypeError, ValueError):
        return date.fromisoformat(value)  # type: ignore[arg-type]  # a TypeError says so
    return None


def _dollar_text(amount: Decimal | None) -> str | None:
    """Write an amount with all its digits."""
    return None if amount is None else format(amount, "f")


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
    """Read a request; None for one of a version that has other fields, which cannot be sent again."""
    told = json_object(value)
    return None if told is None or ImageRequest.is_of_another_version(told) else ImageRequest.from_json(told)


def _as_is(value: Any) -> Any:  # noqa: ANN401 - a number, an enum's text
    return value


class _Column(NamedTuple):
    """A column of a table: its field, how it is read and written, and its name where that is another."""

    field: str
    read: Callable[[object], Any]
    write: Callable[[Any], Any] = _as_is
    name: str = ""


_RUNS = (
    _Column("job", lambda cell: text(cell) or "", _storable),
    _Column("started", time_of, utc_text),
    _Column("ended", time_of, utc_text),
    _Column("endpoint", text, _storable),
    _Column("outcome", lambda cell: text(cell) or ""),
    _Column("charged", lambda cell: choice(Charged, cell) or Charged.MAYBE, str),
    _Column("cost", dollars, _dollar_text),
    _Column("prices_date", date_of, lambda day: day and day.isoformat()),
    _Column("prices_from", text, _storable),
    _Column("billed", lambda cell: cell != 0, int),
    _Column("model", text, _storable),
    _Column("image_model", text, _storable),
    _Column("response_id", text, _storable),
    _Column("prompt", lambda cell: text(cell) or "", _storable),
    _Column("message", text, _storable),
    _Column("request", request_of, lambda request: _json_text(request and request.to_json())),
    _Column("usage", json_object, _json_text),
    _Column("tool_usage", json_object, _json_text),
)
_PICTURES = (
    _Column("image_index", lambda cell: count(cell) or 0, name="image"),
    _Column("sha256", lambda cell: text(cell) or ""),
    _Column("length", lambda cell: count(cell) or 0, name="bytes"),
    _Column("path", path_of, lambda path: path and path_cell(path)),
    _Column("format", lambda cell: choice(ImageFormat, cell)),
    _Column("revised_prompt", text, _storable),
    _Column("received", text),
)
PARENTS = (
    _Column("sha256", lambda cell: text(cell) or ""),
    _Column("role", lambda cell: choice(Role, cell) or Role.REFERENCE, str),
)
CHARGES = (
    _Column("part", lambda cell: choice(Part, cell) or Part.IMAGE, str),
    _Column("model", text, _storable),
    _Column("tokens_in", count),
    _Column("cached", count),
    _Column("tokens_out", count),
    _Column("partials", count),
    _Column("cost_in", dollars, _dollar_text),
    _Column("cost_out", dollars, _dollar_text),
)
