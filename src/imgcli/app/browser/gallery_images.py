"""The images of a gallery, each with its parameters, bill, family and commands."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from imgcli.core.billing.bill import Bill
from imgcli.core.history import OK, FileStatus, Role
from imgcli.core.messages import image_facts
from imgcli.core.params import PARAMETERS
from imgcli.output.tables.bill import bill_cells
from imgcli.output.tables.history import cost_words
from imgcli.web.gallery.gallery_page import GalleryImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.core.request import ImageRequest
    from imgcli.store.history.repository import History


class FilePlaces(NamedTuple):
    """Where the files of an image are: addresses relative to the page, None where there is none.

    `argument` is the path of the original as a command takes it; `is_in_place` means that the file is still
    where the history has it.
    """

    state: FileStatus
    thumbnail: str | None
    original: str | None
    argument: str | None
    is_in_place: bool = False


class Chosen(NamedTuple):
    """An image of a gallery and its run, the ids of its kin, and how many parents have no place there."""

    entry: HistoryEntry
    image: SavedImage
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    outside: int = 0

    @property
    def id(self) -> str:
        """The run's number, and the image's number in it where there are several."""
        return _id(self.entry, self.image)


def choose(history: History, search: str, limit: int | None) -> list[Chosen]:
    """Return the newest images of the history, newest run first, and how they descend from one another."""
    return linked(history, list(_newest(history, search, limit)))


def linked(history: History, found: list[Chosen]) -> list[Chosen]:
    """Return images, newest run first, with how they descend from one another."""
    ids = {(one.entry.number, one.image.sha256): one.id for one in reversed(found)}
    origins = {one.entry.job: tuple(_origins(history, one.entry)) for one in found}
    children = defaultdict[str, dict[str, None]](dict)
    for one in reversed(found):  # oldest first
        for origin in origins[one.entry.job]:
            if origin in ids:
                children[ids[origin]][one.id] = None
    return [
        one._replace(
            parents=tuple(ids[origin] for origin in origins[one.entry.job] if origin in ids),
            outside=sum(origin not in ids for origin in origins[one.entry.job]),
            children=tuple(children[one.id]),
        )
        for one in found
    ]


def gallery_image(chosen: Chosen, places: FilePlaces) -> GalleryImage:
    """Return an image as the page shows it."""
    entry, image = chosen.entry, chosen.image
    started = entry.started.astimezone()
    revised = image.revised_prompt or ""
    return GalleryImage(
        id=chosen.id,
        run=entry.number or 0,
        prompt=entry.prompt,
        revised="" if revised == entry.prompt else revised,
        name=image.path.name if image.path else "",
        started=started.isoformat(timespec="seconds"),
        when=f"{started:%Y-%m-%d %H:%M}",
        day=f"{started:%Y-%m-%d}",
        model=entry.image_model or entry.model or "",
        cost=_cost(entry),
        state=places.state,
        thumbnail=places.thumbnail,
        original=places.original,
        facts=tuple((name, value) for name, value in _facts(entry, image) if value),
        bill=_bill(entry),
        again=f"imgcli again {entry.number}",
        edit=_edit(entry, places),
        parents=chosen.parents,
        children=chosen.children,
        outside=chosen.outside,
    )


def _newest(history: History, search: str, limit: int | None) -> Iterator[Chosen]:
    left = limit
    for entry in history.entries(search=search):
        for image in entry.images[:left]:
            yield Chosen(entry, image)
        if left is not None:
            left -= len(entry.images[:left])
            if not left:
                return


def _origins(history: History, entry: HistoryEntry) -> Iterator[tuple[int | None, str]]:
    """Yield the run, None where it is unknown, and the SHA-256 of every image that a run started from."""
    for sha256 in dict.fromkeys(parent.sha256 for parent in entry.parents if parent.role is not Role.MASK):
        run = history.producer(sha256, entry)
        yield (run.number if run else None), sha256


def _id(entry: HistoryEntry, image: SavedImage) -> str:
    return str(entry.number) if len(entry.images) == 1 else f"{entry.number}-{image.image_index + 1}"


def _cost(entry: HistoryEntry) -> str:
    count = len(entry.images)
    return cost_words(entry) if count == 1 else f"{cost_words(entry)} for {count}"


def _facts(entry: HistoryEntry, image: SavedImage) -> Iterator[tuple[str, str]]:
    count = len(entry.images)
    which = f", image {image.image_index + 1} of {count}" if count > 1 else ""
    yield "run", f"{entry.number}{which}"
    yield "when", f"{entry.started.astimezone():%Y-%m-%d %H:%M:%S}"
    yield "outcome", "" if entry.outcome == OK else entry.outcome
    kind = [image.format.value] if image.format else []
    yield "image", ", ".join([*kind, *image_facts(image.size, image.length)])
    yield "model", entry.model or ""
    yield "image model", entry.image_model or ""
    if entry.request:
        yield from _parameters(entry.request)
    yield "cost", _cost(entry)
    yield "prices as of", entry.prices_date.isoformat() if entry.prices_date and entry.charges else ""
    yield "sha256", image.sha256


def _parameters(request: ImageRequest) -> Iterator[tuple[str, str]]:
    for parameter in PARAMETERS:
        if parameter.name in request.options and not parameter.is_private:  # others may see the page
            yield parameter.label, str(request.options[parameter.name])
    yield "presets", ", ".join(request.presets)
    yield "typed", request.typed_prompt or ""
    yield "api", request.api.value


def _bill(entry: HistoryEntry) -> tuple[tuple[str, ...], ...]:
    if not entry.charges:
        return ()
    return bill_cells(Bill(entry.charges, entry.prices_date, is_demo=entry.is_demo))


def _edit(entry: HistoryEntry, places: FilePlaces) -> str | None:
    """Return the command that edits an image, up to the words; None where there is no file to edit."""
    if places.argument is None:
        return None
    is_only_one = len(entry.images) == 1 and places.is_in_place
    if is_only_one or not places.argument.isprintable():  # a terminal might obey what is pasted
        return f"imgcli edit {entry.number} "
    return f"imgcli edit {shlex.quote(places.argument)} "
