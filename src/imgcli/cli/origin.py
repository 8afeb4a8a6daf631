"""The picture that a new one starts from: its file, and everything that is known of how it was made."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli.lookup import opened
from imgcli.core.embedding import read as read_recipe
from imgcli.core.entry import DEMO
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.text import clean, shorten
from imgcli.store.references import STDIN, read_reference

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core.entry import Entry
    from imgcli.core.recipe import Recipe
    from imgcli.core.reference import Reference

_EDITED = re.compile(r"-edit(-[0-9]+)?$")
_SHOWN = 60


@dataclass(frozen=True)
class Origin:
    """A picture of before: its file, None when that is gone, and what the history or the file itself knows.

    `sha256` is the picture's, None where there is no picture to name.
    """

    reference: Reference | None
    sha256: str | None
    entry: Entry | None = None
    recipe: Recipe | None = None

    def conversation(self, place: str | None) -> str | None:
        """Give the id of the response that brought it, where the server at `place` may still know it.

        None for what the stand-in painted, which forgets everything when it ends, and where a response
        brought several pictures: nobody could say which of them is meant.
        """
        if place is None or place == DEMO:
            return None
        if self.entry:
            is_single = len(self.entry.pictures) == 1
            return self.entry.response_id if is_single and self.entry.endpoint == place else None
        if self.recipe:
            return self.recipe.response_id if self.recipe.place == place else None
        return None

    @property
    def edited_name(self) -> str | None:
        """Name the result after the file: `a-cat-edit`, also when that was an edit; None for no file."""
        if self.reference is None or self.reference.path is None:
            return None
        stem = clean(Path(self.reference.path).stem)
        return f"{_EDITED.sub('', stem)}-edit"


def find_origin(world: World, name: str) -> Origin:
    """Find a picture by its file, or by its run's id in the history. Raises `ImgcliError` (usage)."""
    if name == STDIN or _is_there(name):
        return _by_file(world, read_reference(name, world.stdin.buffer))
    with opened(world) as history:
        entry = history.find_id(name)
    if entry is None:
        raise usage_error(
            f"{shorten(name, _SHOWN)} is neither a file nor the id of a run.",
            "See what there is with: imgcli history",
        )
    return origin_of(world, entry)


def last_origin(world: World, place: str | None) -> Origin:
    """Find the last picture that this user was sent from a server. Raises `ImgcliError` (usage)."""
    with opened(world) as history:
        entry = history.latest(place)
    if entry is None:
        raise usage_error(
            f"The history has no earlier picture of {place or 'this server'} to continue.",
            "Name a picture instead: imgcli edit FILE PROMPT",
        )
    return origin_of(world, entry)


def origin_of(world: World, entry: Entry, sha256: str | None = None) -> Origin:
    """Take a run's picture with these bytes, or its first, with its file where that still holds it."""
    chosen = [one for one in entry.pictures if one.sha256 == sha256]
    picture = next(iter([*chosen, *entry.saved, *entry.pictures]), None)
    if picture is None:
        raise usage_error(
            f"Run {entry.number} brought no picture ({entry.outcome}).", "Choose another: imgcli history"
        )
    reference = None
    if picture.path:
        with suppress(ImgcliError):  # gone, or another file by now: the conversation may do without it
            found = read_reference(str(picture.path), world.stdin.buffer)
            reference = found if found.sha256 == picture.sha256 else None
    return Origin(reference, picture.sha256, entry)


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _by_file(world: World, reference: Reference) -> Origin:
    """Look a file's bytes up in the history; what is not known there may stand in the file."""
    with opened(world) as history:
        entry = history.find_sha256(reference.sha256 or "")
    recipe = None if entry else read_recipe(reference.data or b"")
    return Origin(reference, reference.sha256, entry, recipe)
