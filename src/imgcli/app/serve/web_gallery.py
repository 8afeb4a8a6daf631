"""The gallery of the served page: one page at a time, and an image with its family."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from imgcli.app.browser.gallery_images import Chosen, FilePlaces, gallery_image, linked
from imgcli.app.lookup import open_history
from imgcli.core.errors import usage_error
from imgcli.core.history import FileStatus
from imgcli.core.image import ImageFormat
from imgcli.output.json import to_json
from imgcli.regex import regex
from imgcli.store.history.rows import time_of, utc_text
from imgcli.store.image_facts import likely_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from imgcli.app.context import Context
    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.store.history.repository import History, RunOutline


_RUNS = 100
"""How many runs a page of the gallery has."""
_KIN = 200
"""How many runs of a family are shown at most, the newest of them."""
_NEVER = "~"
"""After every time."""
_NUMBER = regex("[1-9][0-9]{0,17}", re.ASCII)
_ID = regex("([1-9][0-9]{0,17})(?:-([1-9][0-9]{0,2}))?", re.ASCII)


def gallery_json(context: Context, query: Mapping[str, str]) -> str:
    """Return the images of the runs that `search`, `model` and `day` leave, newest first, as JSON.

    `before` is the run to go on after; `next` is what it should be for the next page, null at the end. The
    first page counts the images of all runs that have the text, by `models` and `days`. Raises `ImgcliError`
    (usage).
    """
    before = query.get("before", "")
    if before and not _NUMBER.fullmatch(before):
        raise usage_error("before must be the number of a run.")
    begin, end = _day_bounds(query["day"]) if "day" in query else ("", _NEVER)
    with open_history(context) as history:
        runs = [run for run in history.outlines(query.get("search", "")) if run.images]
        wanted = [run for run in runs if begin <= run.started < end]
        wanted = [run for run in wanted if query.get("model", run.model) == run.model]
        shown = _page(wanted, int(before or 0))
        entries = [entry for run in shown if (entry := history.find_id(str(run.number)))]
    is_last = not shown or shown[-1] is wanted[-1]
    return to_json(
        {
            "images": _told(Chosen(entry, image) for entry in entries for image in entry.images),
            "next": None if is_last else shown[-1].number,
            "total": sum(run.images for run in wanted),
            **({} if before else {"models": _counted(runs, _model), "days": _counted(runs, _day)}),
        }
    )


def family_json(context: Context, name: str) -> str | None:
    """Return an image, and after it the others of its family, newest first, as JSON; None for none.

    `name` is the image's id in the gallery, or its job's name, which stands for the first of its images.
    """
    with open_history(context) as history:
        found = find_image(history, name)
        if found is None:
            return None
        entry, image = found
        kin = [one for one in history.family(entry).members.values() if one and one.number != entry.number]
        newest = sorted(kin, key=lambda one: one.started, reverse=True)[:_KIN]
        runs = sorted([entry, *newest], key=lambda one: (one.started, one.number), reverse=True)
        chosen = linked(history, [Chosen(run, one) for run in runs for one in run.images])
    chosen.sort(key=lambda one: (one.entry.number, one.image) != (entry.number, image))
    return to_json({"images": _told(chosen)})


def find_image(history: History, name: str) -> tuple[HistoryEntry, SavedImage] | None:
    """Find an image by its id in the gallery (`12`, or `12-2` for one of several) or its job's name."""
    parts = _ID.fullmatch(name)
    entry = history.find_id(parts[1] if parts else name)
    index = int(parts[2]) - 1 if parts and parts[2] else None
    chosen = [one for one in entry.images if index in {None, one.image_index}] if entry else []
    return (entry, chosen[0]) if entry and chosen else None


def _page(runs: list[RunOutline], before: int) -> list[RunOutline]:
    """Return the runs after one, or the first."""
    numbers = [run.number for run in runs]
    if not before:
        return runs[:_RUNS]
    begin = numbers.index(before) + 1 if before in numbers else len(numbers)
    return runs[begin : begin + _RUNS]


def _counted(runs: Iterable[RunOutline], key: Callable[[RunOutline], str]) -> dict[str, int]:
    """Count the images of runs."""
    counts = Counter[str]()
    for run in runs:
        counts[key(run)] += run.images
    return counts


def _model(run: RunOutline) -> str:
    return run.model


def _day(run: RunOutline) -> str:
    return time_of(run.started).astimezone().date().isoformat()


def _day_bounds(day: str) -> tuple[str, str]:
    """Return when a day begins and ends here, as runs tell their beginning. Raises `ImgcliError` (usage)."""
    try:
        begin = datetime.combine(date.fromisoformat(day), time.min)
        return utc_text(begin.astimezone()), utc_text((begin + timedelta(days=1)).astimezone())
    except (ValueError, OverflowError):
        raise usage_error("day must be a date such as 2026-11-30.") from None


def _told(chosen: Iterable[Chosen]) -> list[dict[str, object]]:
    return [asdict(gallery_image(one, _places(one.image))) for one in chosen]


def _places(image: SavedImage) -> FilePlaces:
    """Return where the page finds an image: by its content, whatever its file is called."""
    state, address = likely_status(image), f"/images/{image.sha256}"
    if state is not FileStatus.THERE:
        return FilePlaces(state, None, None, None)
    small = address if image.format is ImageFormat.SVG else f"{address}/thumbnail"
    return FilePlaces(state, small, address, str(image.path), is_in_place=True)
