"""What --embed means for a run: checked beforehand, and remembered for a run that has to be recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli import __version__
from imgcli.cli.order import Recipes
from imgcli.core.embedding import Embedding
from imgcli.core.errors import usage_error
from imgcli.core.events import ImageFormat
from imgcli.core.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from imgcli.api.account import Account
    from imgcli.cli.order import Output
    from imgcli.cli.world import World
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest
    from imgcli.store.spool import Header

_RECIPE = "recipe"
_DEMO = "imgcli's demo"


def check(output: Output, request: ImageRequest) -> None:
    """Refuse to embed where no PNG is asked for. Raises `ImgcliError` (usage)."""
    asked = request.format
    if output.recipes is Recipes.EMBEDDED and asked not in {None, ImageFormat.PNG}:
        raise usage_error(
            f"--embed writes into PNG files, and {asked} is asked for.",
            "Leave --embed out, or ask for png (--format, or the ending of -o's name).",
        )


def recipe(world: World, output: Output, request: ImageRequest, account: Account | None) -> Recipe | None:
    """Begin the recipe that goes into a run's pictures, None where none does; no account means the demo."""
    if output.recipes is Recipes.APART:
        return None
    place = account.place if account else _DEMO
    return Recipe.of(request, place, world.now().isoformat(timespec="seconds"), __version__)


def for_record(recipe: Recipe | None) -> dict[str, Any]:
    """Spell it for the run's record: whoever finishes the run has to make the very same file."""
    return {_RECIPE: recipe.to_json()} if recipe else {}


def embedding(header: Header | None) -> Callable[[Iterable[Event]], Iterator[Event]]:
    """Give the stage that a recorded run had; one that changes nothing where no recipe was to be embedded."""
    fields: Mapping[str, Any] = header.extra if header and isinstance(header.extra, dict) else {}
    told = Recipe.from_json(fields.get(_RECIPE))
    return Embedding(told) if told else _unchanged


def _unchanged(events: Iterable[Event]) -> Iterator[Event]:
    return iter(events)
