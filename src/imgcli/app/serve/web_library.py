"""What web clients can read: the JSON that commands print, and images by content."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from imgcli import __version__
from imgcli.app.lookup import open_history
from imgcli.app.money.budget import estimate_of
from imgcli.core.billing.spending import GroupBy, Period, spending
from imgcli.core.catalog import list_models
from imgcli.core.errors import usage_error
from imgcli.core.history import FileStatus
from imgcli.core.image import sniff
from imgcli.core.text import shorten
from imgcli.output.images.decode import Undecodable
from imgcli.output.images.thumbnail import webp_thumbnail
from imgcli.output.json import cost_json, entry_json, models_json, to_json
from imgcli.store.files import LARGEST_IMAGE, UnfitFileError, open_regular
from imgcli.store.image_facts import read_saved
from imgcli.web.service import ServedImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions, ServerOptions
    from imgcli.core.history import SavedImage
    from imgcli.core.request import ImageRequest


C = TypeVar("C", bound=StrEnum)

_ENOUGH = 1024
"""Bytes by which an image's format can be told."""
_SHOWN = 60
_THUMBNAILS = 512
"""How many of the last thumbnails are kept; each has some 30 KB."""


class WebLibrary:
    """Looks things up; every method may be called in any thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._small = lru_cache(_THUMBNAILS)(_small)

    def history(self, limit: int, search: str, before: str) -> Iterator[str]:
        """Return runs, newest first, a JSON object each. Raises `ImgcliError` (usage)."""
        with open_history(self._context) as history:
            if not before:
                yield from (to_json(entry_json(entry)) for entry in history.entries(limit, search))
                return
            numbers = history.numbers(None, search)
            last = history.find_id(before)
            begin = numbers.index(last.number) + 1 if last and last.number in numbers else len(numbers)
            for number in numbers[begin : begin + limit]:
                if entry := history.find_id(str(number)):
                    yield to_json(entry_json(entry))

    def entry(self, name: str) -> str | None:
        """Return a run as JSON by its number or its job's name; None for none."""
        with open_history(self._context) as history:
            found = history.find_id(name)
        return to_json(entry_json(found)) if found else None

    def image(self, sha256: str) -> ServedImage | None:
        """Open an image of the history; None where its file is gone or holds something else."""
        with open_history(self._context) as history:
            entry = history.find_sha256(sha256)
        paths = [one.path for one in entry.images if one.sha256 == sha256 and one.path] if entry else []
        return next(filter(None, (_opened(path, sha256) for path in paths)), None)

    def thumbnail(self, sha256: str) -> bytes | None:
        """Return an image of the history as a small WebP file; None where there is none."""
        with open_history(self._context) as history:
            entry = history.find_sha256(sha256)
        image = next((one for one in entry.images if one.sha256 == sha256), None) if entry else None
        with suppress(FileNotFoundError):
            return self._small(image) if image else None
        return None

    def models(self) -> str:
        """Return the models as JSON."""
        return models_json(list_models(self._context.models, self._context.now().date()))

    def cost(self, period: str, by: str) -> str:
        """Return what was spent as JSON. Raises `ImgcliError` (usage)."""
        grouped = _choice(GroupBy, "by", by) if by else None
        since = _choice(Period, "period", period or Period.ALL).begin(self._context.now().date())
        midnight = datetime.combine(since, time.min).astimezone() if since else None
        with open_history(self._context) as history:
            costs = history.charges(midnight, each=grouped is not None)
            spent = spending(costs, grouped, lambda moment: moment.astimezone().date())
        return to_json(cost_json(spent, since))

    def estimate(self, request: ImageRequest, server: ServerOptions) -> str:
        """Return what a request may cost, as JSON; what is not known is null."""
        host = None if server.demo else server.host(self._context.env)
        found, bound = estimate_of(self._context, request, self._context.models, host)
        amounts = {"low_usd": found.low, "high_usd": found.high, "most_usd": bound.dollars if bound else None}
        return to_json(
            {
                **{name: None if amount is None else float(amount) for name, amount in amounts.items()},
                "basis": found.basis,
                "free": server.is_free,
            }
        )

    def about(self, defaults: GenerateOptions, limit: int, shortcoming: str | None) -> str:
        """Return what runs here, as JSON: a run without parameters is one with these.

        `shortcoming` is why there can be no run.
        """
        draft, budget = defaults.draft, defaults.budget
        default_model = self._context.models.default_model(self._context.now().date())
        return to_json(
            {
                "version": __version__,
                "demo": defaults.server.demo,
                "shortcoming": shortcoming,
                "runs_at_once": limit,
                "max_cost_usd": float(budget.run.amount) if budget.run else None,
                "daily_cap_usd": float(budget.day.amount) if budget.day else None,
                "defaults": {
                    "model": draft.model or default_model,
                    "image_model": draft.image_model,
                    "size": draft.size,
                    "quality": draft.quality,
                    "format": draft.format or draft.name_format,
                    "partials": 3 if draft.partials is None else draft.partials,
                },
            }
        )


def _opened(path: Path, sha256: str) -> ServedImage | None:
    """Open a file that holds these bytes and nothing else; None for any other."""
    with suppress(OSError, ValueError, UnfitFileError):
        file = open_regular(path)
        size = os.fstat(file.fileno()).st_size
        head = file.read(_ENOUGH)
        file.seek(0)
        kind = sniff(head)
        if kind and size <= LARGEST_IMAGE and _digest(file) == sha256:
            file.seek(0)
            return ServedImage(file, kind, size, path.name)
        file.close()
    return None


def _small(image: SavedImage) -> bytes | None:
    """Return an image's thumbnail, None for what cannot be decoded. Raises `FileNotFoundError`."""
    state, data = read_saved(image)
    if state is not FileStatus.THERE:
        raise FileNotFoundError  # which is not kept: the file may come back
    try:
        return webp_thumbnail(data)
    except Undecodable:
        return None


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _choice(kind: type[C], name: str, text: str) -> C:
    try:
        return kind(text)
    except ValueError:
        taken = ", ".join(kind)
        raise usage_error(f"{name} must be one of {taken}, not {shorten(text, _SHOWN)}.") from None
