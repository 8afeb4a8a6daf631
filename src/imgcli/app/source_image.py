"""The image that a new one starts from: its file, and everything that is known of how it was made."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app.lookup import Lookup, open_history
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.inherit import PreviousOptions
from imgcli.core.params import DEMO
from imgcli.core.recipe import read as read_recipe
from imgcli.core.text import clean, shorten
from imgcli.store.input_images import STDIN, read_bytes, read_reference, reference_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.lookup import Match
    from imgcli.core.history import HistoryEntry, SavedImage
    from imgcli.core.recipe import Recipe
    from imgcli.core.request import InputImage


_EDITED = re.compile(r"-edit(-[0-9]+)?$")
_LONGEST_STEM = 200
"""Bytes of a file's name that its edits keep, so that there is room for what is added."""
_SHOWN = 60
_WHERE = "Name the file where it is now."


@dataclass(frozen=True)
class SourceImage:
    """An image of before: its file, and what the history knows of it by its bytes.

    `reference` is None where the file cannot be sent, and `unsendable` says why. `sha256` is the image's,
    None where there is no image to name; `path` is where it is or was. `recipe` is what the file adds to a
    run whose request cannot be read, `foreign_recipe` what stands in a file that the history does not know:
    anybody may have written that, so that nothing is taken from it unasked. `continued` is a run that went on
    from the image, where the run that brought it is not known. `notices` are for people.
    """

    reference: InputImage | None
    sha256: str | None
    entry: HistoryEntry | None = None
    recipe: Recipe | None = None
    foreign_recipe: Recipe | None = None
    continued: HistoryEntry | None = None
    path: str | None = None
    unsendable: ImgcliError | None = None
    notices: tuple[str, ...] = ()

    def conversation(self, place: str | None) -> str | None:
        """Return the id of the response that brought it, where the server at `place` may still know it.

        Only the history tells it. None for what the demo painted, which forgets everything when it ends,
        and where a response brought several images: nobody could say which of them is meant.
        """
        if place is None or place == DEMO:
            return None
        if self.entry:
            is_single = len(self.entry.images) == 1
            return self.entry.response_id if is_single and self.entry.endpoint == place else None
        if self.continued and self.continued.request and self.continued.endpoint == place:
            return self.continued.request.previous_response_id
        return None

    @property
    def earlier(self) -> PreviousOptions:
        """How it was made; nothing is known of most images."""
        if self.entry and self.entry.request:
            return PreviousOptions.of_request(self.entry.request, self.entry.endpoint)
        return PreviousOptions.of_recipe(self.recipe) if self.recipe else PreviousOptions()

    @property
    def edited_name(self) -> str | None:
        """Name the result after the file: `a-cat-edit`, also when that was an edit; None for no file."""
        if self.path is None:
            return None
        stem = _EDITED.sub("", clean(Path(self.path).stem))
        return stem.encode()[:_LONGEST_STEM].decode(errors="ignore") + "-edit"


def find_source(world: Context, name: str, words: Sequence[str] = ()) -> SourceImage:
    """Find an image, or a run, by its file, its id or its former name. Raises `ImgcliError` (usage).

    A file is enough: a history that cannot be read is a notice then. `words` are what was typed after it.
    """
    if name == STDIN:
        return _piped(world)
    try:
        found = _found(world, name)
    except ImgcliError as error:
        raise _turned_round(error, name, words) from None
    if found.entry and not found.file:
        return _noted(found.notes, source_of(world, found.entry, found.sha256))
    data = read_bytes(name, world.stdin.buffer)
    if hashlib.sha256(data).hexdigest() != found.sha256:
        raise usage_error(f"{shorten(name, _SHOWN)} was changed while it was read.", "Run it again.")
    return _of_bytes(name, data, SourceImage(None, found.sha256, found.entry, notices=found.notes))


def _found(world: Context, name: str) -> Match:
    with ExitStack() as stack:
        return Lookup.opened(world, stack).find(name)


def _turned_round(error: ImgcliError, name: str, words: Sequence[str]) -> ImgcliError:
    """Say what comes first to who wrote the prompt before the file."""
    last = words[-1] if words else ""
    if os.path.lexists(name) or not os.path.isfile(last):  # noqa: PTH113 - Path.is_file raises where this is False
        return error
    shown = shorten(last, _SHOWN)
    return usage_error(error.problem.what, f"The file comes first, and the words after it: {shown} PROMPT")


def _piped(world: Context) -> SourceImage:
    data = read_bytes(STDIN, world.stdin.buffer)
    sha256 = hashlib.sha256(data).hexdigest()
    with ExitStack() as stack:
        seeker = Lookup.opened(world, stack)
        entry = seeker.bringer(sha256)
    return _of_bytes(STDIN, data, SourceImage(None, sha256, entry, notices=seeker.notes))


def last_source(world: Context, place: str | None) -> SourceImage:
    """Find the last image that this user was sent from a server. Raises `ImgcliError` (usage)."""
    with open_history(world) as history:
        entry = history.latest(place)
    if entry is None:
        raise usage_error(
            f"The history has no earlier image of {place or 'this server'} to continue.",
            "Name an image instead: imgcli edit FILE PROMPT",
        )
    origin = source_of(world, entry)
    name = shorten(Path(origin.path).name, _SHOWN) if origin.path else "an image that was not saved"
    return _noted((f"this goes on from {name} (run {entry.number})",), origin)


def source_of(world: Context, entry: HistoryEntry, sha256: str | None = None) -> SourceImage:
    """Take a run's image with these bytes, or its first, with its file where that still holds it."""
    chosen = [one for one in entry.images if one.sha256 == sha256]
    image = next(iter([*chosen, *entry.saved, *entry.images]), None)
    if image is None:
        what = f"Run {entry.number} brought no image ({entry.outcome})."
        return SourceImage(None, None, entry, unsendable=usage_error(what, "Choose another: imgcli history"))
    path = str(image.path) if image.path else None
    origin = SourceImage(None, image.sha256, entry, path=path)
    if path and not chosen and len(entry.images) > 1:
        told = f"run {entry.number} brought {len(entry.images)} images; {Path(path).name} is taken"
        origin = replace(origin, notices=(told,))
    try:
        return replace(origin, reference=_read(world, entry, image))
    except ImgcliError as error:  # the conversation may do without it
        return replace(origin, unsendable=error)


def _read(world: Context, entry: HistoryEntry, image: SavedImage) -> InputImage:
    """Read a run's image again. Raises `ImgcliError` (usage) where it is not there any more."""
    if image.path is None:
        raise usage_error(
            f"The image of run {entry.number} was not saved, and there is no conversation to go on from."
        )
    try:
        found = read_reference(str(image.path), world.stdin.buffer)
    except ImgcliError as error:
        raise usage_error(error.problem.what, error.problem.advice or _WHERE) from None
    if found.sha256 != image.sha256:
        shown = shorten(str(image.path), _SHOWN * 3)
        raise usage_error(f"{shown} is not the image any more that run {entry.number} brought.", _WHERE)
    return found


def _noted(notes: tuple[str, ...], origin: SourceImage) -> SourceImage:
    return replace(origin, notices=(*notes, *origin.notices))


def _of_bytes(name: str, data: bytes, origin: SourceImage) -> SourceImage:
    """Add what these bytes are: an image to be sent, and, where the history has no request, a recipe."""
    if origin.entry is None:
        origin = replace(origin, foreign_recipe=read_recipe(data))
    elif origin.entry.request is None:
        origin = with_recipe(origin, read_recipe(data))
    try:
        reference = reference_of(name, data)
    except ImgcliError as error:
        return replace(origin, path=None if name == STDIN else name, unsendable=error)
    return replace(origin, reference=reference, path=reference.path)


def with_recipe(origin: SourceImage, recipe: Recipe | None) -> SourceImage:
    """Take a recipe for how the image was made, and say so: it chooses what will be paid for."""
    if recipe is None:
        return origin
    told = filter(None, (recipe.model, recipe.image_model, recipe.size, recipe.quality))
    notice = f"the recipe in the file is taken ({', '.join(shorten(word, _SHOWN) for word in told)})"
    return replace(origin, recipe=recipe, foreign_recipe=None, notices=(*origin.notices, notice))
