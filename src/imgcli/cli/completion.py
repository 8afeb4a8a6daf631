"""Shell completion of values: every value goes through `_safe`, because shells execute text.

zsh evaluates completions, help included; bash and PowerShell insert a value as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable


def models(incomplete: str) -> list[tuple[str, str]]:
    """Return the models that are available today, text models first."""
    return _starting([*_names("text"), *_names("image")], incomplete)


def image_models(incomplete: str) -> list[tuple[str, str]]:
    """Return the image models that are available today."""
    return _starting(_names("image"), incomplete)


def sizes(incomplete: str) -> list[tuple[str, str]]:
    """Return the most common names, ratios and sizes."""
    return _starting(_SIZES, incomplete)


def formats(incomplete: str) -> list[tuple[str, str]]:
    """Return the formats by the API's names."""
    from imgcli.core.image import ImageFormat

    return _starting(ImageFormat, incomplete)


def tiers(incomplete: str) -> list[tuple[str, str]]:
    """Return the service tiers of OpenAI."""
    from imgcli.core.params import SERVICE_TIERS

    return _starting(SERVICE_TIERS, incomplete)


def profiles(incomplete: str) -> list[tuple[str, str]]:
    """Return the profiles of the configuration file; none if it cannot be read."""
    return _starting(_configured("profile"), incomplete)


def presets(incomplete: str) -> list[tuple[str, str]]:
    """Return the presets of the configuration file; none if it cannot be read."""
    return _starting(_configured("preset"), incomplete)


def _configured(table: str) -> Iterable[str]:
    """Return the names of the tables in a table of the configuration file."""
    import os
    import tomllib
    from contextlib import suppress

    from imgcli.core.errors import ImgcliError
    from imgcli.store.config_file import read_text

    with suppress(ImgcliError, ValueError, RecursionError):
        names = tomllib.loads(read_text(os.environ) or "").get(table, {})
        return names if isinstance(names, dict) else ()
    return ()


def history_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of the runs in the history, newest first, each with its prompt."""
    import os
    from contextlib import suppress

    from imgcli.core.text import shorten
    from imgcli.store.history.ids import NAME, read_ids
    from imgcli.store.paths import data_folder

    with suppress(Exception):  # an error must not spoil the line that is being typed
        runs = read_ids(data_folder(os.environ) / NAME, incomplete, _MOST_IDS)
        return _safe((str(number), shorten(prompt, _HINT_LENGTH)) for number, prompt in runs)
    return []


def images_and_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return images in the current or the typed folder, then `last` and the ids of runs in the history.

    Empty where a shell does it better, which then completes files by itself: names that must be quoted, and
    folders to go into.
    """
    return _files_and_ids(incomplete, _IMAGES)


def runs_and_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return recorded runs as well as images and ids."""
    return _files_and_ids(incomplete, (*_IMAGES, ".sse", ".jsonl"))


def batch_files(incomplete: str) -> list[tuple[str, str]]:
    """Return the batch files in the current or the typed folder; the shell completes any other."""
    from glob import escape, glob
    from os.path import isdir

    names = sorted(glob(f"{escape(incomplete)}*"))  # noqa: PTH207 - as it was typed
    found = [name for name in names if name.lower().endswith(_BATCHES) and not name.endswith(_STATE)]
    plain = _safe((name, "") for name in found)
    return [] if len(plain) < len(found) or any(map(isdir, names)) else plain[:_MOST_IDS]


def _files_and_ids(incomplete: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    from glob import escape, glob
    from os.path import isdir

    ids = history_ids(incomplete)
    if "last".startswith(incomplete) and (ids or history_ids("")):
        ids.insert(0, ("last", "the newest image"))
    names = sorted(glob(f"{escape(incomplete)}*"))  # noqa: PTH207 - as it was typed
    images = [name for name in names if name.lower().endswith(suffixes)]
    plain = _safe((name, "") for name in images)
    if not ids and (len(plain) < len(images) or any(map(isdir, names))):
        return []
    return [*plain[:_MOST_IDS], *ids]


_PLAIN = regex(r"[\w./][\w.+=@/-]*(?::[\w.+=@/-]+)*")
"""Text that every shell takes literally, and that imgcli does not take for an option."""
_PUNCTUATION = frozenset(".,-…")
"""Punctuation that no shell interprets, not even where it evaluates the text."""
_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
_BATCHES = (".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
_STATE = ".imgcli.jsonl"
_MOST_IDS = 50
_HINT_LENGTH = 60
_SIZES = (
    *("auto", "square", "portrait", "landscape", "16:9", "9:16", "4:3", "3:4"),
    *("1024x1024", "1536x1024", "1024x1536", "2048x2048"),
)


def _names(kind: str) -> tuple[str, ...]:
    """Return the models of a kind from the catalog, which is loaded only when needed."""
    from datetime import UTC, datetime

    from imgcli.core.catalog import ModelKind, load

    return load().names(ModelKind(kind), datetime.now(UTC).date())


def _starting(values: Iterable[str], incomplete: str) -> list[tuple[str, str]]:
    return _safe((value, "") for value in values if value.startswith(incomplete))


def _safe(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return values with their help, safe for any shell, without values that must be quoted."""
    return [(value, _harmless(text)) for value, text in pairs if _PLAIN.fullmatch(value)]


def _harmless(text: str) -> str:
    """Return the words of a text: letters and digits of any script, and safe punctuation."""
    from unicodedata import category

    characters = (one if one in _PUNCTUATION or category(one)[0] in "LMN" else " " for one in text)
    return " ".join("".join(characters).split())
