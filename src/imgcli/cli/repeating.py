"""Reading an earlier run's recipe so that it can be asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.cli.lookup import opened
from imgcli.cli.origin import Origin, find_origin, origin_of
from imgcli.cli.pictures import Pictures
from imgcli.cli.prompt import read_prompt
from imgcli.cli.theme import Theme, of_recipe, of_request
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten
from imgcli.store.references import read_again

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core.entry import Entry
    from imgcli.core.recipe import Recipe
    from imgcli.core.request import ImageRequest

_SHOWN = 60


def theme_of(world: World, name: str, words: list[str] | None, place: str | None) -> Theme:
    """Read how a picture was made, by its file or id. Raises `ImgcliError` (usage) where nobody knows."""
    entry, recipe = _known(world, name)
    prompt = read_prompt(words, None, world.stdin) if words else None
    if entry and entry.request:
        return _of_request(world, entry, entry.request, prompt, place)
    if recipe:
        return _of_recipe(recipe, prompt)
    raise usage_error(
        f"Nobody knows how {shorten(name, _SHOWN)} was made: it is not in the history, and holds no recipe.",
        "Say it yourself with imgcli gen, or start from the picture: imgcli edit FILE PROMPT.",
    )


def _known(world: World, name: str) -> tuple[Entry | None, Recipe | None]:
    """Find a run by its id, also one that brought no picture, or by its picture."""
    with opened(world) as history:
        entry = history.find_id(name)
    if entry and not entry.pictures:
        return entry, None
    origin = find_origin(world, name)
    return origin.entry, origin.recipe


def _of_request(
    world: World, entry: Entry, request: ImageRequest, prompt: str | None, place: str | None
) -> Theme:
    pictures = Pictures(
        tuple(read_again(reference) for reference in request.references),
        request.mask and read_again(request.mask),
    )
    origin = _continued(world, entry) if request.previous_response_id else None
    return Theme(prompt or request.prompt, pictures, origin, place, of_request(request), None, request.action)


def _continued(world: World, entry: Entry) -> Origin:
    """Find the picture whose conversation the run had gone on with."""
    with opened(world) as history:
        before = history.find_sha256(entry.parent) if entry.parent else None
    if before is None:
        raise usage_error(
            f"Run {entry.number} went on from a picture that the history does not know any more.",
            "Start from a picture: imgcli edit FILE PROMPT.",
        )
    return origin_of(world, before, entry.parent)


def _of_recipe(recipe: Recipe, prompt: str | None) -> Theme:
    if recipe.parents:
        raise usage_error(
            "The picture was made from others, and its recipe holds only their fingerprints.",
            "Start from it instead: imgcli edit FILE PROMPT.",
        )
    return Theme(prompt or recipe.prompt, recipe=of_recipe(recipe))
