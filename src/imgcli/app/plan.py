"""The plan of `gen`, `edit` and `again`: prompt, input images, and options of earlier runs."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from imgcli.app.context import size_of
from imgcli.app.inputs import InputImages, check_original, read_inputs, read_prompt
from imgcli.core.catalog import load
from imgcli.core.errors import usage_error
from imgcli.core.inherit import Inherited, RequestContext, inherit
from imgcli.core.messages import preset_words
from imgcli.core.option import option
from imgcli.core.params import Action, Api
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.store.input_images import read_again

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from imgcli.app.context import Context
    from imgcli.app.inputs import InputNames
    from imgcli.app.source_image import SourceImage
    from imgcli.core.config import Preset
    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.history import HistoryEntry, Parent
    from imgcli.core.inherit import OptionSources, PreviousOptions
    from imgcli.core.request import DraftRequest, ImageRequest, InputImage


@dataclass(frozen=True)
class RequestPlan:
    """What one command asks for.

    `images` are sent along. `source` is the image that a new one is made of, `server` the name of the server
    that may remember it. `previous` is how an image was made whose options are taken over. `title` is what
    the file is named after, None for the prompt. `action` is what the image tool is told to do, None for its
    own choice. `compare_with` is what the new image is compared with, None for what it is made of.
    `is_repeated` is a prompt that was sent before: `typed_prompt` and `presets` say what it was made of.
    """

    prompt: str
    images: InputImages = field(default_factory=InputImages)
    source: SourceImage | None = None
    server: str | None = None
    previous: PreviousOptions | None = None
    title: str | None = None
    action: Action | None = None
    compare_with: bytes | None = None
    notices: tuple[str, ...] = ()
    typed_prompt: str | None = None
    presets: tuple[str, ...] = ()
    is_repeated: bool = False

    @property
    def before(self) -> bytes | None:
        """The image to compare the new one with: what is edited, else the first that is sent along."""
        images = [self.source.reference if self.source else None, *self.images.references]
        return self.compare_with or next((image.data for image in images if image and image.data), None)

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What goes into the image, by their bytes."""
        if not (self.source or self.images.references or self.images.mask):
            return ()
        from imgcli.core.history import Parent, Role  # which a run without images does without

        originals = [self.source.sha256] if self.source else []
        masks = [self.images.mask.sha256] if self.images.mask else []
        pairs = (
            *((sha256, Role.ORIGINAL) for sha256 in originals),
            *((reference.sha256, Role.REFERENCE) for reference in self.images.references),
            *((sha256, Role.MASK) for sha256 in masks),
        )
        return tuple(Parent(sha256, role) for sha256, role in pairs if sha256)

    def with_presets(self, presets: Sequence[Preset], *, are_typed: bool) -> RequestPlan:
        """Return the plan with its prompt put through the templates of presets, first one first.

        A prompt that is repeated is the templates' work already. Only presets on the command line change it,
        and they start from what was typed at the time.
        """
        if self.is_repeated and not are_typed:
            return self
        typed = self.prompt if self.typed_prompt is None else self.typed_prompt
        prompt = typed
        for preset in presets:
            prompt = preset.apply(prompt)
        names = tuple(preset.name for preset in presets)
        lost = () if are_typed else tuple(name for name in self.presets if name not in names)
        return replace(
            self,
            prompt=prompt,
            typed_prompt=None if prompt == typed else typed,
            presets=names,
            notices=(*self.notices, *([_lost_notice(lost)] if lost else [])),
        )

    def with_prompt(self, prompt: str) -> RequestPlan:
        """Return the plan with another prompt than the earlier one."""
        return replace(self, prompt=prompt, typed_prompt=None, is_repeated=False)

    def inherit(self, given: DraftRequest, sources: OptionSources, today: date) -> Inherited:
        """Return the whole draft: the options that were `given`, what is taken over, prompt and images.

        Raises `ImgcliError` (usage) where the image to start from can neither be sent nor be continued.
        """
        now = RequestContext(self.server, load(), today)
        inherited = inherit(given, sources, self.previous, now) if self.previous else Inherited(given)
        draft = replace(
            inherited.draft,
            prompt=self.prompt,
            typed_prompt=self.typed_prompt,
            presets=self.presets,
            mask=self.images.mask,
            markup=self.images.markup,
        )
        is_edit = self.source and draft.model and load().is_image_model(draft.model)
        if is_edit and "moderation" not in sources.typed:  # OpenAI's edits take none; a default is left out
            draft = replace(draft, moderation=None)
        if self.action and "action" not in sources.chosen and not _is_image_model(draft):
            draft = replace(draft, action=self.action)  # an image model has no tool to tell
        return replace(inherited, draft=self._with_source(draft))

    def _with_source(self, draft: DraftRequest) -> DraftRequest:
        """Start from the conversation, with the file as its fallback, or from the file alone."""
        original = self.source.reference if self.source else None
        references = self.images.references
        upload = replace(draft, references=(original, *references) if original else references)
        response_id = self._conversation(draft)
        if response_id is None:
            if self.source and self.source.unsendable:
                raise self.source.unsendable
            return upload
        talk = replace(draft, references=references, previous_response_id=response_id)
        return replace(talk, fallback=upload if original else None)

    def _conversation(self, draft: DraftRequest) -> str | None:
        """Return the response to continue from; a mask or a markup belongs to an image that is sent."""
        if self.source is None or self.images.mask or self.images.markup or _is_image_model(draft):
            return None
        return self.source.conversation(self.server)


def _lost_notice(presets: Sequence[str]) -> str:
    named = " ".join(option("preset", shorten(name, _SHOWN)) for name in presets)
    return f"the new prompt is sent without {preset_words(presets)}, which the earlier one had; add {named}"


def _is_image_model(draft: DraftRequest) -> bool:
    """Return whether the request goes to an image model itself, which has no conversations."""
    return draft.api is Api.IMAGES or (draft.model is not None and load().is_image_model(draft.model))


def plan_generation(
    context: Context, server: str | None, names: InputNames, *, continue_: bool = False
) -> RequestPlan:
    """Read what `gen` names; with `continue_` go on from the last image. Raises `ImgcliError` (usage)."""
    prompt, images, notices = read_inputs(context, names, is_edit=continue_)
    if not continue_:
        return RequestPlan(prompt, images, notices=notices)
    from imgcli.app.source_image import last_source  # the history, which most runs do without

    source = last_source(context, server)
    return RequestPlan(
        prompt, images, source, server, source.previous_options, notices=(*source.notices, *notices)
    )


_UNUSED = "this file is not in the history; its embedded parameters are not used"


def plan_edit(context: Context, server: str | None, name: str, names: InputNames) -> RequestPlan:
    """Read what `edit` names: the image to change, and what goes with it. Raises `ImgcliError` (usage)."""
    from imgcli.app.source_image import find_source

    check_original(name, names.images, names.prompt_source)
    source = find_source(context, name, names.words or ())
    prompt, images, notices = read_inputs(context, names, is_edit=True)
    plan = edit_of(source, server, prompt, images)
    unused = [_UNUSED] if source.foreign_parameters else []
    return replace(plan, notices=(*plan.notices, *notices, *unused))


def edit_of(source: SourceImage, server: str | None, prompt: str, images: InputImages) -> RequestPlan:
    """Return the plan that changes an image."""
    return RequestPlan(
        prompt,
        images,
        source,
        server,
        source.previous_options,
        title=source.edited_name,
        action=Action.EDIT,
        notices=source.notices,
    )


_SHOWN = 60
_ELSE = "Describe it yourself with imgcli gen, or start from the image: imgcli edit FILE PROMPT."


def plan_again(
    context: Context, server: str | None, name: str, words: list[str] | None, *, is_trusted: bool = False
) -> RequestPlan:
    """Read how an image was made, by its file or id. Raises `ImgcliError` (usage) where nobody knows.

    What stands in a file that the history does not know counts where it `is_trusted`, or its user says so.
    """
    from imgcli.app.source_image import find_source, with_parameters

    source = find_source(context, name, words or ())
    foreign = source.foreign_parameters
    source = with_parameters(source, foreign)
    plan = again_of(context, source, server, name)
    if foreign and not is_trusted:
        _confirm(context, name, foreign)
    return plan.with_prompt(read_prompt(words, None, context.stdin)) if words else plan


def again_of(context: Context, source: SourceImage, server: str | None, name: str) -> RequestPlan:
    """Return the plan that makes an image again; `name` is what its user calls it.

    Raises `ImgcliError` (usage) where nobody knows how it was made.
    """
    return replace(
        _earlier_plan(context, name, source),
        is_repeated=True,
        server=server,
        previous=source.previous_options,
        compare_with=source.reference.data if source.reference else None,
        notices=source.notices,
    )


def _confirm(context: Context, name: str, parameters: EmbeddedParameters) -> None:
    """Show parameters of unknown source and ask whether to pay for them. Raises `ImgcliError` (usage)."""
    from imgcli.output.tables.info import parameter_lines

    unknown = (
        f"The history does not know {shorten(name, _SHOWN)}; anybody may have written the parameters in it"
    )
    question = "Make an image from them? Their server and conversation are not used."
    lines = parameter_lines(parameters, size_of(context.stderr).columns)
    is_agreed = context.confirm("\n".join([f"{unknown}:", *lines, question]))
    if is_agreed is None:
        raise usage_error(
            f"{unknown}.", f"Read them with imgcli info FILE, and add {option('trust')} to use them."
        )
    if not is_agreed:
        raise usage_error("The parameters in the file are not used; nothing was sent.")


def _earlier_plan(context: Context, name: str, source: SourceImage) -> RequestPlan:
    """Return what was asked for then, apart from the options."""
    if source.entry and source.entry.request:
        return _plan_of_request(context, source.entry, source.entry.request)
    if source.parameters:
        if source.parameters.parents:
            raise usage_error(
                "The image was made from others, and its parameters hold only their fingerprints.",
                "Start from it instead: imgcli edit FILE PROMPT.",
            )
        embedded = source.parameters
        return RequestPlan(embedded.prompt, typed_prompt=embedded.typed_prompt, presets=embedded.presets)
    if source.entry:
        number = source.entry.number
        what = f"Run {number} was recorded by another version of imgcli, whose request this one cannot read."
        raise usage_error(what, _ELSE)
    why = "; ".join(source.notices or ("it is not in the history, and holds no parameters",))
    raise usage_error(f"It is unknown how {shorten(name, _SHOWN)} was made: {why}.", _ELSE)


def _plan_of_request(context: Context, entry: HistoryEntry, request: ImageRequest) -> RequestPlan:
    mask, markup = (one and read_again(one) for one in (request.mask, request.markup))
    references = tuple(read_again(reference) for reference in request.references)
    source = _find_original(context, entry, request, references)
    if source and not request.previous_response_id:
        references = references[1:]
    is_edit = source and (request.action is Action.EDIT or request.api is Api.IMAGES)
    return RequestPlan(
        request.prompt,
        InputImages(references, mask, markup),
        source,
        title=source.edited_name if source and is_edit else None,
        action=Action.EDIT if is_edit else request.action,
        typed_prompt=request.typed_prompt,
        presets=request.presets,
    )


def _find_original(
    context: Context, entry: HistoryEntry, request: ImageRequest, references: tuple[InputImage, ...]
) -> SourceImage | None:
    """Find the image that the run had changed: its conversation's, or the first that was sent."""
    if request.previous_response_id:
        return _continued(context, entry)
    from imgcli.app.source_image import SourceImage
    from imgcli.core.history import Parent, Role

    first = next(iter(references), None)
    if first and first.sha256 and Parent(first.sha256, Role.ORIGINAL) in entry.parents:
        return SourceImage(first, first.sha256, path=first.path)
    return None


def _continued(context: Context, entry: HistoryEntry) -> SourceImage:
    """Find the image whose conversation the run continued; where it is lost, the conversation remains."""
    from imgcli.app.lookup import open_history
    from imgcli.app.source_image import SourceImage, source_of

    with open_history(context) as history:
        before = history.producer(entry.parent, entry) if entry.parent else None
    if before:
        return source_of(context, before, entry.parent)
    unsendable = usage_error(
        f"Run {entry.number} continued from an image that the history does not know, and it is another "
        "server's conversation.",
        "Start from an image: imgcli edit FILE PROMPT.",
    )
    return SourceImage(None, entry.parent, continued=entry, unsendable=unsendable)
