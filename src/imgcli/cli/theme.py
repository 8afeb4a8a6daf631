"""What a command asks for beside the options it shares with others: prompt, pictures, what went before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from imgcli.cli.pictures import Pictures
from imgcli.core.catalog import load
from imgcli.core.entry import Parent, Role
from imgcli.core.errors import usage_error
from imgcli.core.events import ImageFormat
from imgcli.core.request import Action, Api, Background, Fidelity, Moderation, Quality
from imgcli.core.wish import Wish, is_image_model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from imgcli.cli.origin import Origin
    from imgcli.core.recipe import Recipe
    from imgcli.core.reference import Reference
    from imgcli.core.request import ImageRequest

C = TypeVar("C", bound=StrEnum)

_MODELS = ("model", "image_model", "api")
_FORMATS = ("format", "compression")
_FREE_SIZE = "auto"


@dataclass(frozen=True)
class Theme:
    """What one command asks for.

    `pictures` are sent along. `origin` is the picture that a new one is made of, `place` the server that may
    remember it. `recipe` is how an earlier picture was made: its options go before defaults, and after what
    was typed. `name` is what the file is named after, None for the prompt. `action` is what the image tool is
    told to do, None for its own choice.
    """

    prompt: str
    pictures: Pictures = field(default_factory=Pictures)
    origin: Origin | None = None
    place: str | None = None
    recipe: Mapping[str, Any] | None = None
    name: str | None = None
    action: Action | None = None

    @property
    def before(self) -> bytes | None:
        """The picture to compare the new one with: what is edited, else the first that is sent along."""
        sources = [self.origin.reference if self.origin else None, *self.pictures.references]
        return next((source.data for source in sources if source and source.data), None)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What goes into the picture, by their bytes."""
        return tuple(self._parents())

    def _parents(self) -> Iterator[Parent]:
        if self.origin and self.origin.sha256:
            yield Parent(self.origin.sha256, Role.ORIGINAL)
        for reference in self.pictures.references:
            if reference.sha256:
                yield Parent(reference.sha256, Role.REFERENCE)
        if self.pictures.mask and self.pictures.mask.sha256:
            yield Parent(self.pictures.mask.sha256, Role.MASK)

    def wish(self, typed: Wish, told: Collection[str]) -> Wish:
        """Make the wish of the options `typed`; `told` names those fields that stood on the command line."""
        wish = replace(typed, **self._inherited(typed, told), prompt=self.prompt, mask=self.pictures.mask)
        own = self.origin.reference if self.origin else None
        sent = replace(wish, references=self._sent(own), action=self._action(wish))
        talks = self._conversation(wish)
        if talks is None:
            self._check_file()
            return sent
        asked = replace(
            wish, references=self.pictures.references, previous_response_id=talks, action=self.action
        )
        return replace(asked, otherwise=sent if own else None)

    def _check_file(self) -> None:
        """Refuse to edit what nobody has any more."""
        if self.origin and not self.origin.reference:
            raise usage_error(
                "The picture's file is gone or changed, and there is no conversation to go on from.",
                "Name the file where it is now.",
            )

    def _sent(self, own: Reference | None) -> tuple[Reference, ...]:
        return ((own,) if own else ()) + self.pictures.references

    def _action(self, wish: Wish) -> Action | None:
        """Tell the image tool what to do; an image model has no tool."""
        return None if self.action is None or _is_painter(wish) else self.action

    def _conversation(self, wish: Wish) -> str | None:
        """Choose the response to go on from; a mask belongs to a picture that is sent."""
        if self.origin is None or self.pictures.mask or _is_painter(wish):
            return None
        return self.origin.conversation(self.place)

    def _inherited(self, typed: Wish, told: Collection[str]) -> dict[str, Any]:
        """Choose what is taken over from the recipe: what was not typed, nor contradicts what was."""
        blocked = set(told)
        if not blocked.isdisjoint(_MODELS):
            blocked.update(_MODELS)
        if self.origin:  # OpenAI's edits take no moderation
            blocked.add("moderation")
        if typed.name_format or not blocked.isdisjoint(_FORMATS):
            blocked.update(_FORMATS)
        return {name: value for name, value in (self.recipe or {}).items() if name not in blocked}


def _is_painter(wish: Wish) -> bool:
    """Whether the wish goes to an image model itself, which has no conversations."""
    return wish.api is Api.IMAGES or (wish.model is not None and is_image_model(wish.model, load()))


def recipe_of(origin: Origin) -> dict[str, Any]:
    """Read how a picture was made, as fields of a wish; a picture of unknown making keeps its own size."""
    if origin.entry and origin.entry.request:
        return of_request(origin.entry.request)
    if origin.recipe:
        return of_recipe(origin.recipe)
    return {"size": _FREE_SIZE}


def of_request(request: ImageRequest) -> dict[str, Any]:
    """Read the options of a request that was sent."""
    return {
        "model": request.model,
        "image_model": request.image_model,
        "api": request.api,
        "size": request.size or _FREE_SIZE,
        "quality": request.quality,
        "format": request.format,
        "compression": request.compression,
        "background": request.background,
        "moderation": request.moderation,
        "fidelity": request.fidelity,
    }


def of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Read the options of an embedded recipe; a word that this imgcli does not know is left out."""
    return {
        "model": recipe.model,
        "image_model": recipe.image_model,
        "api": _choice(Api, recipe.api),
        "size": recipe.size or _FREE_SIZE,
        "quality": _choice(Quality, recipe.quality),
        "format": _choice(ImageFormat, recipe.format),
        "compression": recipe.compression,
        "background": _choice(Background, recipe.background),
        "moderation": _choice(Moderation, recipe.moderation),
        "fidelity": _choice(Fidelity, recipe.fidelity),
    }


def _choice(kind: type[C], word: str | None) -> C | None:
    return kind(word) if word in set(kind) else None
