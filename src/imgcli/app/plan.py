"""What a command asks for beside the options it shares with others: prompt, images, what went before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgcli.app import context
from imgcli.app.context import size_of
from imgcli.app.inputs import InputImages, read_prompt
from imgcli.app.lookup import open_history
from imgcli.app.source_image import SourceImage, find_source, source_of, with_recipe
from imgcli.core.catalog import load
from imgcli.core.errors import usage_error
from imgcli.core.history import Parent, Role
from imgcli.core.inherit import Inherited, RequestContext, inherit
from imgcli.core.params import Action, Api
from imgcli.core.text import shorten
from imgcli.store.input_images import read_again

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from imgcli.app.context import Context
    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.history import HistoryEntry
    from imgcli.core.inherit import OptionSources, PreviousOptions
    from imgcli.core.request import DraftRequest, ImageRequest, InputImage


@dataclass(frozen=True)
class RequestPlan:
    """What one command asks for.

    `images` are sent along. `origin` is the image that a new one is made of, `place` the server that may
    remember it. `earlier` is how an image was made whose options are taken over. `name` is what the file is
    named after, None for the prompt. `action` is what the image tool is told to do, None for its own choice.
    `rival` is what the new image is compared with, None for what it is made of. `notices` are for people.
    """

    prompt: str
    images: InputImages = field(default_factory=InputImages)
    origin: SourceImage | None = None
    place: str | None = None
    earlier: PreviousOptions | None = None
    name: str | None = None
    action: Action | None = None
    rival: bytes | None = None
    notices: tuple[str, ...] = ()

    @property
    def before(self) -> bytes | None:
        """The image to compare the new one with: what is edited, else the first that is sent along."""
        sources = [self.origin.reference if self.origin else None, *self.images.references]
        return self.rival or next((source.data for source in sources if source and source.data), None)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What goes into the image, by their bytes."""
        return tuple(self._parents())

    def _parents(self) -> Iterator[Parent]:
        if self.origin and self.origin.sha256:
            yield Parent(self.origin.sha256, Role.ORIGINAL)
        for reference in self.images.references:
            if reference.sha256:
                yield Parent(reference.sha256, Role.REFERENCE)
        if self.images.mask and self.images.mask.sha256:
            yield Parent(self.images.mask.sha256, Role.MASK)

    def draft(self, options: DraftRequest, said: OptionSources, today: date) -> Inherited:
        """Make the whole draft of the `options` that were given, and of what is taken over.

        Raises `ImgcliError` (usage) where the image to start from can neither be sent nor be talked about.
        """
        here = RequestContext(self.place, load(), today)
        found = inherit(options, said, self.earlier, here) if self.earlier else Inherited(options)
        asked = replace(found.draft, prompt=self.prompt, mask=self.images.mask)
        return replace(found, draft=self._started(self._permitted(asked, said)))

    def _permitted(self, draft: DraftRequest, said: OptionSources) -> DraftRequest:
        """Leave out a moderation that nobody typed where OpenAI's edits take none."""
        is_edit = self.origin and draft.model and load().is_image_model(draft.model)
        return replace(draft, moderation=None) if is_edit and "moderation" not in said.typed else draft

    def _started(self, draft: DraftRequest) -> DraftRequest:
        """Say what it starts from: the conversation, with the file in its place, or the file alone."""
        own = self.origin.reference if self.origin else None
        sent = replace(draft, references=self._sent(own), action=self._action(draft))
        talks = self._conversation(draft)
        if talks is None:
            self._check_file()
            return sent
        asked = replace(
            draft, references=self.images.references, previous_response_id=talks, action=self.action
        )
        return replace(asked, fallback=sent if own else None)

    def _check_file(self) -> None:
        """Refuse to edit what cannot be sent."""
        if self.origin and self.origin.unsendable:
            raise self.origin.unsendable

    def _sent(self, own: InputImage | None) -> tuple[InputImage, ...]:
        return ((own,) if own else ()) + self.images.references

    def _action(self, draft: DraftRequest) -> Action | None:
        """Tell the image tool what to do; an image model has no tool."""
        return None if self.action is None or _is_painter(draft) else self.action

    def _conversation(self, draft: DraftRequest) -> str | None:
        """Choose the response to go on from; a mask belongs to an image that is sent."""
        if self.origin is None or self.images.mask or _is_painter(draft):
            return None
        return self.origin.conversation(self.place)


def _is_painter(draft: DraftRequest) -> bool:
    """Whether the draft goes to an image model itself, which has no conversations."""
    return draft.api is Api.IMAGES or (draft.model is not None and load().is_image_model(draft.model))


_SHOWN = 60
_ELSE = "Say it yourself with imgcli gen, or start from the image: imgcli edit FILE PROMPT."


def plan_of(
    world: Context, name: str, words: list[str] | None, place: str | None, *, is_trusted: bool = False
) -> RequestPlan:
    """Read how an image was made, by its file or id. Raises `ImgcliError` (usage) where nobody knows.

    What stands in a file that the history does not know counts where it `is_trusted`, or its user says so.
    """
    known = find_source(world, name, words or ())
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


def _confirm(world: Context, name: str, recipe: EmbeddedParameters) -> None:
    """Show a recipe of unknown origin and ask whether to pay for it. Raises `ImgcliError` (usage)."""
    from imgcli.output.tables.info import recipe_lines

    shown = shorten(name, _SHOWN)
    unknown = f"The history does not know {shown}, so anybody may have written the recipe in it"
    question = "Make an image from it? Its server and its conversation are not used."
    lines = recipe_lines(recipe, size_of(world.stderr).columns)
    is_agreed = context.confirm(world, "\n".join([f"{unknown}:", *lines, question]))
    if is_agreed is None:
        raise usage_error(f"{unknown}.", "Read it with imgcli info FILE, and add --trust to use it.")
    if not is_agreed:
        raise usage_error("The recipe in the file is not used; nothing was sent.")


def _theme(world: Context, name: str, known: SourceImage) -> RequestPlan:
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


def _of_request(world: Context, entry: HistoryEntry, request: ImageRequest) -> RequestPlan:
    mask = request.mask and read_again(request.mask)
    references = tuple(read_again(reference) for reference in request.references)
    origin = _start(world, entry, request, references)
    if origin and not request.previous_response_id:
        references = references[1:]
    is_edit = origin and (request.action is Action.EDIT or request.api is Api.IMAGES)
    return RequestPlan(
        request.prompt,
        InputImages(references, mask),
        origin,
        name=origin.edited_name if origin and is_edit else None,
        action=Action.EDIT if is_edit else request.action,
    )


def _start(
    world: Context, entry: HistoryEntry, request: ImageRequest, references: tuple[InputImage, ...]
) -> SourceImage | None:
    """Find the image that the run had changed: its conversation's, or the first that was sent."""
    if request.previous_response_id:
        return _continued(world, entry)
    first = next(iter(references), None)
    if first and first.sha256 and Parent(first.sha256, Role.ORIGINAL) in entry.parents:
        return SourceImage(first, first.sha256, path=first.path)
    return None


def _continued(world: Context, entry: HistoryEntry) -> SourceImage:
    """Find the image whose conversation the run went on with; without it there is the conversation."""
    with open_history(world) as history:
        before = history.bringer(entry.parent, entry) if entry.parent else None
    if before:
        return source_of(world, before, entry.parent)
    unsendable = usage_error(
        f"Run {entry.number} went on from an image that the history does not know, and it is another "
        "server's conversation.",
        "Start from an image: imgcli edit FILE PROMPT.",
    )
    return SourceImage(None, entry.parent, continued=entry, unsendable=unsendable)


def _of_recipe(recipe: EmbeddedParameters) -> RequestPlan:
    if recipe.parents:
        raise usage_error(
            "The image was made from others, and its recipe holds only their fingerprints.",
            "Start from it instead: imgcli edit FILE PROMPT.",
        )
    return RequestPlan(recipe.prompt)
