"""Reading an earlier run's recipe so that it can be asked for again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.cli import notes
from imgcli.cli.lookup import opened
from imgcli.cli.origin import Origin, find_origin, origin_of, with_recipe
from imgcli.cli.pictures import Pictures
from imgcli.cli.prompt import read_prompt
from imgcli.cli.theme import Theme
from imgcli.cli.world import size_of
from imgcli.core.entry import Parent, Role
from imgcli.core.errors import usage_error
from imgcli.core.request import Action, Api
from imgcli.core.text import shorten
from imgcli.store.references import read_again

if TYPE_CHECKING:
    from imgcli.cli.world import World
    from imgcli.core.entry import Entry
    from imgcli.core.recipe import Recipe
    from imgcli.core.reference import Reference
    from imgcli.core.request import ImageRequest

_SHOWN = 60
_ELSE = "Say it yourself with imgcli gen, or start from the picture: imgcli edit FILE PROMPT."


def theme_of(
    world: World, name: str, words: list[str] | None, place: str | None, *, is_trusted: bool = False
) -> Theme:
    """Read how a picture was made, by its file or id. Raises `ImgcliError` (usage) where nobody knows.

    What stands in a file that the history does not know counts where it `is_trusted`, or its user says so.
    """
    known = find_origin(world, name, words or ())
    foreign = known.foreign_recipe
    known = with_recipe(known, foreign)
    theme = _theme(world, name, known)
    if foreign and not is_trusted:
        _confirm(world, name, foreign)
    return replace(
        theme,
        prompt=read_prompt(words, None, world.stdin) if words else theme.prompt,
        place=place,
        earlier=known.earlier,
        rival=known.reference.data if known.reference else None,
        notices=known.notices,
    )


def _confirm(world: World, name: str, recipe: Recipe) -> None:
    """Show a recipe of unknown origin and ask whether to pay for it. Raises `ImgcliError` (usage)."""
    from imgcli.show.provenance_lines import recipe_lines

    shown = shorten(name, _SHOWN)
    unknown = f"The history does not know {shown}, so anybody may have written the recipe in it"
    question = "Make an image from it? Its server and its conversation are not used."
    lines = recipe_lines(recipe, size_of(world.stderr).columns)
    is_agreed = notes.confirm(world, "\n".join([f"{unknown}:", *lines, question]))
    if is_agreed is None:
        raise usage_error(f"{unknown}.", "Read it with imgcli info FILE, and add --trust to use it.")
    if not is_agreed:
        raise usage_error("The recipe in the file is not used; nothing was sent.")


def _theme(world: World, name: str, known: Origin) -> Theme:
    """Say what was asked for, but for the options."""
    if known.entry and known.entry.request:
        return _of_request(world, known.entry, known.entry.request)
    if known.recipe:
        return _of_recipe(known.recipe)
    if known.entry:
        what = f"Run {known.entry.number} was recorded by another imgcli, whose request this one cannot read."
        raise usage_error(what, _ELSE)
    why = "; ".join(known.notices or ("it is not in the history, and holds no recipe",))
    raise usage_error(f"Nobody knows how {shorten(name, _SHOWN)} was made: {why}.", _ELSE)


def _of_request(world: World, entry: Entry, request: ImageRequest) -> Theme:
    mask = request.mask and read_again(request.mask)
    references = tuple(read_again(reference) for reference in request.references)
    origin = _start(world, entry, request, references)
    if origin and not request.previous_response_id:
        references = references[1:]
    is_edit = origin and (request.action is Action.EDIT or request.api is Api.IMAGES)
    return Theme(
        request.prompt,
        Pictures(references, mask),
        origin,
        name=origin.edited_name if origin and is_edit else None,
        action=Action.EDIT if is_edit else request.action,
    )


def _start(
    world: World, entry: Entry, request: ImageRequest, references: tuple[Reference, ...]
) -> Origin | None:
    """Find the picture that the run had changed: its conversation's, or the first that was sent."""
    if request.previous_response_id:
        return _continued(world, entry)
    first = next(iter(references), None)
    if first and first.sha256 and Parent(first.sha256, Role.ORIGINAL) in entry.parents:
        return Origin(first, first.sha256, path=first.path)
    return None


def _continued(world: World, entry: Entry) -> Origin:
    """Find the picture whose conversation the run went on with; without it there is the conversation."""
    with opened(world) as history:
        before = history.bringer(entry.parent, entry) if entry.parent else None
    if before:
        return origin_of(world, before, entry.parent)
    unsendable = usage_error(
        f"Run {entry.number} went on from a picture that the history does not know, and it is another "
        "server's conversation.",
        "Start from a picture: imgcli edit FILE PROMPT.",
    )
    return Origin(None, entry.parent, continued=entry, unsendable=unsendable)


def _of_recipe(recipe: Recipe) -> Theme:
    if recipe.parents:
        raise usage_error(
            "The picture was made from others, and its recipe holds only their fingerprints.",
            "Start from it instead: imgcli edit FILE PROMPT.",
        )
    return Theme(recipe.prompt)
