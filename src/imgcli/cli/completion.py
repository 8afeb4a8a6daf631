"""What the shell may offer after an option: every value goes through `_offered`, because shells run text.

zsh evaluates what it is offered, help included; bash and PowerShell put a value into the line as it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def models(incomplete: str) -> list[tuple[str, str]]:
    """Offer every model that is alive today, text models first."""
    return _starting([*_names("text"), *_names("image")], incomplete)


def image_models(incomplete: str) -> list[tuple[str, str]]:
    """Offer the image models that are alive today."""
    return _starting(_names("image"), incomplete)


def sizes(incomplete: str) -> list[tuple[str, str]]:
    """Offer the words, ratios and sizes that people use most."""
    return _starting(_SIZES, incomplete)


def formats(incomplete: str) -> list[tuple[str, str]]:
    """Offer the formats as the API spells them."""
    from imgcli.core.image import ImageFormat

    return _starting(ImageFormat, incomplete)


def profiles(incomplete: str) -> list[tuple[str, str]]:
    """Offer the profiles of the configuration file; nothing from one that cannot be read."""
    import os
    import tomllib
    from contextlib import suppress

    from imgcli.core.errors import ImgcliError
    from imgcli.store.config_file import read_text

    with suppress(ImgcliError, ValueError, RecursionError):
        found = tomllib.loads(read_text(os.environ) or "").get("profile", {})
        return _starting(found, incomplete) if isinstance(found, dict) else []
    return []


def history_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer the ids of remembered runs, the newest first, each with its prompt."""
    import os
    from contextlib import suppress

    from imgcli.core.text import shorten
    from imgcli.store.history.ids import NAME, read_ids
    from imgcli.store.paths import data_folder

    with suppress(Exception):  # a Tab that finds nothing offers nothing
        found = read_ids(data_folder(os.environ) / NAME, incomplete, _MOST_IDS)
        return _offered((str(number), shorten(prompt, _HINT_LENGTH)) for number, prompt in found)
    return []


def images_and_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer images in this folder, or the one that is begun, then `last` and the ids of remembered runs.

    Nothing where only a shell can do it well, which then offers files by itself: names that must be quoted,
    and folders to go into.
    """
    return _files_and_ids(incomplete, _IMAGES)


def runs_and_ids(incomplete: str) -> list[tuple[str, str]]:
    """Offer recorded runs too, beside what `images_and_ids` offers."""
    return _files_and_ids(incomplete, (*_IMAGES, ".sse", ".jsonl"))


def _files_and_ids(incomplete: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    from glob import escape, glob
    from os.path import isdir

    ids = history_ids(incomplete)
    if "last".startswith(incomplete) and (ids or history_ids("")):
        ids.insert(0, ("last", "the newest image"))
    found = sorted(glob(f"{escape(incomplete)}*"))  # noqa: PTH207 - as it was typed
    images = [name for name in found if name.lower().endswith(suffixes)]
    plain = _offered((name, "") for name in images)
    if not ids and (len(plain) < len(images) or any(map(isdir, found))):
        return []
    return [*plain[:_MOST_IDS], *ids]


_PLAIN = re.compile(r"[\w./][\w.+=@/-]*(?::[\w.+=@/-]+)*")
"""What every shell takes as it stands, and imgcli for no option."""
_PUNCTUATION = frozenset(".,-…")
"""What no shell obeys, not even where it evaluates the text."""
_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
_MOST_IDS = 50
_HINT_LENGTH = 60
_SIZES = (
    "auto",
    "square",
    "portrait",
    "landscape",
    "16:9",
    "9:16",
    "4:3",
    "3:4",
    "1024x1024",
    "1536x1024",
    "1024x1536",
    "2048x2048",
)


def _names(kind: str) -> tuple[str, ...]:
    """Read the catalog, at the Tab that needs it and not before."""
    from datetime import UTC, datetime

    from imgcli.core.catalog import ModelKind, load

    return load().names(ModelKind(kind), datetime.now(UTC).date())


def _starting(values: Iterable[str], incomplete: str) -> list[tuple[str, str]]:
    return _offered((value, "") for value in values if value.startswith(incomplete))


def _offered(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return values, each with its help, as any shell may have them: leave out values that must be quoted."""
    return [(value, _harmless(text)) for value, text in pairs if _PLAIN.fullmatch(value)]


def _harmless(text: str) -> str:
    """Return the words of a text: letters and digits of any script, and harmless punctuation."""
    from unicodedata import category

    kept = (one if one in _PUNCTUATION or category(one)[0] in "LMN" else " " for one in text)
    return " ".join("".join(kept).split())
