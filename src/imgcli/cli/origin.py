"""The picture that a new one starts from: its file, and everything that is known of how it was made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.cli.lookup import opened
from imgcli.core.embedding import read as read_recipe
from imgcli.core.embedding import strip
from imgcli.core.entry import DEMO
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.inheriting import Earlier
from imgcli.core.text import clean, shorten
from imgcli.store.references import STDIN, read_bytes, read_reference, reference_of

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core.entry import Entry, KeptPicture
    from imgcli.core.recipe import Recipe
    from imgcli.core.reference import Reference

_EDITED = re.compile(r"-edit(-[0-9]+)?$")
_LONGEST_STEM = 200
"""Bytes of a file's name that its edits keep, so that there is room for what is added."""
_SHOWN = 60
_WHERE = "Name the file where it is now."


@dataclass(frozen=True)
class Origin:
    """A picture of before: its file, and what the history or the file itself knows.

    `reference` is None where the file cannot be sent, and `unsendable` says why. `sha256` is the picture's,
    None where there is no picture to name; `path` is where it is or was. `notices` are for people.
    """

    reference: Reference | None
    sha256: str | None
    entry: Entry | None = None
    recipe: Recipe | None = None
    path: str | None = None
    unsendable: ImgcliError | None = None
    notices: tuple[str, ...] = ()
    is_as_it_came: bool = False
    """Whether the file is, but for its recipe, the one that the recipe was written into."""

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
        if self.recipe and self.is_as_it_came:
            return self.recipe.response_id if self.recipe.place == place else None
        return None

    @property
    def earlier(self) -> Earlier:
        """How it was made; nothing is known of most pictures."""
        if self.entry and self.entry.request:
            return Earlier.of_request(self.entry.request, self.entry.endpoint)
        return Earlier.of_recipe(self.recipe) if self.recipe else Earlier()

    @property
    def edited_name(self) -> str | None:
        """Name the result after the file: `a-cat-edit`, also when that was an edit; None for no file."""
        if self.path is None:
            return None
        stem = _EDITED.sub("", clean(Path(self.path).stem))
        return stem.encode()[:_LONGEST_STEM].decode(errors="ignore") + "-edit"


def is_file(name: str) -> bool:
    """Tell whether a name means a file, or standard input, and not a run in the history."""
    try:
        return name == STDIN or (Path(name).exists() and not Path(name).is_dir())
    except (OSError, ValueError):
        return False


def find_origin(world: World, name: str) -> Origin:
    """Find a picture by its file, or by its run's id in the history. Raises `ImgcliError` (usage).

    A file is enough: a history that cannot be read is a notice then.
    """
    return _by_file(world, name) if is_file(name) else origin_of(world, find_run(world, name))


def find_run(world: World, name: str) -> Entry:
    """Find a run by its id. Raises `ImgcliError` (usage)."""
    with opened(world) as history:
        entry = history.find_id(name)
    if entry is None and Path(name).is_dir():
        raise usage_error(f"{shorten(name, _SHOWN)} is a folder.", "Name a picture in it.")
    if entry is None:
        raise usage_error(
            f"{shorten(name, _SHOWN) or 'An empty name'} is neither a file nor the id of a run.",
            "See what there is with: imgcli history",
        )
    return entry


def last_origin(world: World, place: str | None) -> Origin:
    """Find the last picture that this user was sent from a server. Raises `ImgcliError` (usage)."""
    with opened(world) as history:
        entry = history.latest(place)
    if entry is None:
        raise usage_error(
            f"The history has no earlier picture of {place or 'this server'} to continue.",
            "Name a picture instead: imgcli edit FILE PROMPT",
        )
    origin = origin_of(world, entry)
    name = shorten(Path(origin.path).name, _SHOWN) if origin.path else "a picture that was not saved"
    return replace(origin, notices=(f"this goes on from {name} (run {entry.number})", *origin.notices))


def origin_of(world: World, entry: Entry, sha256: str | None = None) -> Origin:
    """Take a run's picture with these bytes, or its first, with its file where that still holds it."""
    chosen = [one for one in entry.pictures if one.sha256 == sha256]
    picture = next(iter([*chosen, *entry.saved, *entry.pictures]), None)
    if picture is None:
        raise usage_error(
            f"Run {entry.number} brought no picture ({entry.outcome}).", "Choose another: imgcli history"
        )
    path = str(picture.path) if picture.path else None
    origin = Origin(None, picture.sha256, entry, path=path)
    if path and not chosen and len(entry.pictures) > 1:
        told = f"run {entry.number} brought {len(entry.pictures)} pictures; {Path(path).name} is taken"
        origin = replace(origin, notices=(told,))
    try:
        return replace(origin, reference=_read(world, entry, picture))
    except ImgcliError as error:  # the conversation may do without it
        return replace(origin, unsendable=error)


def _read(world: World, entry: Entry, picture: KeptPicture) -> Reference:
    """Read a run's picture again. Raises `ImgcliError` (usage) where it is not there any more."""
    if picture.path is None:
        raise usage_error(
            f"The picture of run {entry.number} was not saved, and there is no conversation to go on from."
        )
    try:
        found = read_reference(str(picture.path), world.stdin.buffer)
    except ImgcliError as error:
        raise usage_error(error.problem.what, error.problem.advice or _WHERE) from None
    if found.sha256 != picture.sha256:
        shown = shorten(str(picture.path), _SHOWN * 3)
        raise usage_error(f"{shown} is not the picture any more that run {entry.number} brought.", _WHERE)
    return found


def _by_file(world: World, name: str) -> Origin:
    """Look a file's bytes up in the history; what is not known there may stand in the file."""
    data = read_bytes(name, world.stdin.buffer)
    origin = _remembered(world, hashlib.sha256(data).hexdigest())
    is_known = origin.entry and origin.entry.request
    if not is_known:
        origin = _with_recipe(origin, data)
    try:
        reference = reference_of(name, data)
    except ImgcliError as error:
        return replace(origin, path=None if name == STDIN else name, unsendable=error)
    return replace(origin, reference=reference, path=reference.path)


def _with_recipe(origin: Origin, data: bytes) -> Origin:
    """Read the recipe in the file, and say so: whoever wrote it chooses what will be paid for."""
    recipe = read_recipe(data)
    if recipe is None:
        return origin
    told = filter(None, (recipe.model, recipe.image_model, recipe.size, recipe.quality))
    notice = f"the recipe in the file is taken ({', '.join(shorten(word, _SHOWN) for word in told)})"
    is_as_it_came = hashlib.sha256(strip(data)).hexdigest() == recipe.sha256
    return replace(origin, recipe=recipe, is_as_it_came=is_as_it_came, notices=(*origin.notices, notice))


def _remembered(world: World, sha256: str) -> Origin:
    """Ask the history for a picture; one that cannot be read is in nobody's way."""
    try:
        with opened(world) as history:
            return Origin(None, sha256, history.find_sha256(sha256))
    except ImgcliError as error:
        told = f"{error.problem.what.rstrip('.')}; what it knows of this picture is missing."
        return Origin(None, sha256, notices=(told,))
