"""What --embed means for a run: checked beforehand, and remembered for a run that has to be recovered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from imgcli import __version__
from imgcli.cli.memory import place_of
from imgcli.cli.order import Recipes
from imgcli.core.embedding import Embedding
from imgcli.core.errors import usage_error
from imgcli.core.events import ImageFormat
from imgcli.core.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imgcli.cli.order import Order, Output
    from imgcli.cli.world import World
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest
    from imgcli.store.spool import Header

Stage: TypeAlias = "Callable[[Iterable[Event]], Iterator[Event]]"
"""Takes the events of a run, and gives events."""

_RECIPE = "recipe"


def check(output: Output, request: ImageRequest) -> None:
    """Refuse to embed where no PNG is asked for. Raises `ImgcliError` (usage)."""
    asked = request.format
    if output.recipes is Recipes.EMBEDDED and asked not in {None, ImageFormat.PNG}:
        raise usage_error(
            f"--embed writes into PNG files, and {asked} is asked for.",
            "Leave --embed out, or ask for png (--format, or the ending of -o's name).",
        )


def recipe(world: World, order: Order, request: ImageRequest) -> Recipe | None:
    """Begin the recipe that goes into a run's pictures, None where none does."""
    if order.output.recipes is Recipes.APART:
        return None
    begun = Recipe.of(
        request, place_of(world, order.endpoint), world.now().isoformat(timespec="seconds"), __version__
    )
    return replace(begun, parents=tuple(parent.sha256 for parent in order.parents))


def for_record(recipe: Recipe | None) -> dict[str, Any]:
    """Spell it for the run's record: whoever finishes the run has to make the very same file."""
    return {_RECIPE: recipe.to_json()} if recipe else {}


def of_record(header: Header | None) -> Recipe | None:
    """Read it out of a run's record, None where none was to be embedded."""
    fields = header.extra if header and isinstance(header.extra, dict) else {}
    return Recipe.from_json(fields.get(_RECIPE))


def stage(recipe: Recipe | None) -> Stage:
    """Give the stage that embeds a recipe, or lets pictures pass as they came."""
    return Embedding(recipe) if recipe else iter
