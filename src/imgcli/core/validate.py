"""Validates a draft: a request that can be sent, or one sentence on why not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from imgcli.core.catalog import ModelKind, shutdown_notice
from imgcli.core.errors import check_between, usage_error
from imgcli.core.image import MOVING_FORMATS, ImageFormat
from imgcli.core.option import option
from imgcli.core.parameters.parameter_checks import check_parameters, undocumented
from imgcli.core.params import Action, Api, Background, Moderation, Quality
from imgcli.core.request import MAX_COUNT, DraftRequest, ImageRequest, RequestParameters
from imgcli.core.sizes import resolve_size
from imgcli.core.text import file_size, is_encodable, shorten
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from imgcli.core.catalog import Catalog
    from imgcli.core.errors import Problem
    from imgcli.core.request import InputImage


MAX_REFERENCES = 16
"""Input images of one edit: images.edit in OpenAI's specification."""

_SMALL_MASK = 4_000_000
_NAME_LENGTH = 60
_MAX_IMAGES_PROMPT = 32_000  # characters; images.generate in OpenAI's specification


@dataclass(frozen=True)
class ValidRequest:
    """A request that may be sent, with notices for the user.

    `fallback` is the request for a server that no longer has the conversation, None where there is none;
    `fallback_blocked` says why that one must not be sent, None where it may.
    """

    request: ImageRequest
    notices: tuple[str, ...] = ()
    fallback: ImageRequest | None = None
    fallback_blocked: Problem | None = None


def validate(draft: DraftRequest, catalog: Catalog, today: date) -> ValidRequest:
    """Check a draft and fill in what it leaves open.

    Rejects only what is certainly wrong; a model that is not in the catalog passes with a notice, because the
    catalog ages and compatible servers have models of their own. Raises `ImgcliError` (usage).
    """
    valid = _Validator(draft, catalog, today).validate()
    if draft.fallback is None:
        return valid
    # Checked beforehand as well: it is sent after another request, when a usage error would come too late.
    fallback = replace(draft.fallback, watched_partials=draft.watched_partials)
    return replace(valid, fallback=validate(fallback, catalog, today).request)


class _Validator:
    """The checks of one draft, and what follows from it and the catalog."""

    def __init__(self, draft: DraftRequest, catalog: Catalog, today: date) -> None:
        self.draft, self.catalog, self.today = draft, catalog, today
        self.text_model = catalog.default_model(today)
        default = catalog.default_image_model if draft.api is Api.IMAGES else self.text_model
        self.name = draft.model or default
        is_image_model = catalog.is_image_model(self.name)
        self.api = draft.api or (Api.IMAGES if is_image_model else Api.RESPONSES)
        self.is_foreign = self.api is Api.IMAGES and not is_image_model  # of a compatible server
        drawing = self.name if self.api is Api.IMAGES else draft.image_model or catalog.default_image_model
        self.image_model = catalog.find(drawing)
        self.output = draft.format or draft.name_format

    def validate(self) -> ValidRequest:
        """Run all checks, and build the request."""
        draft = self.draft
        self._check_texts()
        self._check_models()
        self._check_format()
        self._check_options()
        self._check_count()
        self._check_detach()
        size = resolve_size(draft.size, self.image_model)
        self._check_inputs()
        partials = draft.watched_partials if draft.partials is None else draft.partials
        is_whole = draft.stream is False or draft.completion_window or draft.count
        if self.output in MOVING_FORMATS or is_whole:
            partials = (
                0  # the format has none, they could not arrive, or nothing says which image they are of
            )
        values = {one.name: getattr(draft, one.name) for one in fields(RequestParameters)}
        values |= {
            "size": size.size,
            "quality": draft.quality or (None if self.is_foreign else Quality.MEDIUM),
            "format": self.output or (None if self.is_foreign else ImageFormat.PNG),
            "moderation": self._moderation(),
            "detach": draft.detach or draft.completion_window is not None,
        }
        request = ImageRequest(
            draft.prompt,
            self.name,
            self.api,
            partials=partials,
            stream=self._is_streamed(partials),
            inline=self.is_foreign,
            is_at_one_path=self.api is Api.IMAGES and draft.is_at_one_path,
            **values,
        )
        size_notice = [size.notice] if size.notice else []
        return ValidRequest(request, (*self._model_notices(), *size_notice, *self._input_notices()))

    def _check_texts(self) -> None:
        draft, encoding = self.draft, "Check your terminal's encoding."
        if not draft.prompt.strip() or (draft.typed_prompt is not None and not draft.typed_prompt.strip()):
            raise usage_error("The prompt is empty.", 'Describe an image, such as "a cat".')
        if not is_encodable(draft.prompt):
            raise usage_error("The prompt is not valid UTF-8.", encoding)
        if self.api is Api.IMAGES and len(draft.prompt) > _MAX_IMAGES_PROMPT:
            length = f"{len(draft.prompt):,} characters"
            what = f"The prompt has {length}; the Images API accepts {_MAX_IMAGES_PROMPT:,}."
            raise usage_error(what, f"Shorten it, or use {self._some_text_model}, which accepts more.")
        if not all(
            map(is_encodable, filter(None, (self.name, draft.image_model, draft.previous_response_id)))
        ):
            raise usage_error("A model name is not valid UTF-8.", encoding)

    def _check_models(self) -> None:
        name = shorten(self.name, _NAME_LENGTH)
        drawing = shorten(self.draft.image_model or "", _NAME_LENGTH)
        default = self.catalog.default_image_model
        if self.catalog.is_image_model(self.name) and self.api is Api.RESPONSES:
            what = f"{option('api', self.api)} needs a text model, but {name} is an image model."
            advice = f"Use it as {option('image-model', name)}, or leave {option('api')} out."
            raise usage_error(what, advice, about=("api", "model"))
        if self.api is Api.IMAGES and self._is_text_model(self.name):
            what = f"{option('api', self.api)} needs an image model, but {name} is a text model."
            advice = f"Try {option('model', default, short=True)}, or leave {option('api')} out."
            raise usage_error(what, advice, about=("api", "model"))
        if self.draft.image_model and self.api is Api.IMAGES:
            what = f"{option('image-model')} is for text models, but {option('model')} is an image model."
            drawn = option("model", drawing, short=True)
            advice = f"Leave {option('image-model')} out, or use {drawn}."
            raise usage_error(what, advice, about=("image-model", "model"))
        if self._is_text_model(self.draft.image_model):
            what = f"{option('image-model')} needs an image model, but {drawing} is a text model."
            raise usage_error(what, f"Try {option('image-model', default)}.", about=("image-model",))

    @property
    def _some_text_model(self) -> str:
        """What to use where an image model does not do."""
        return f"a text model ({option('model', self.text_model, short=True)})"

    def _is_text_model(self, name: str | None) -> bool:
        known = self.catalog.find(name) if name else None
        return known is not None and known.kind is ModelKind.TEXT

    def _check_format(self) -> None:
        draft = self.draft
        if draft.format and draft.name_format and draft.format is not draft.name_format:
            asked = option("format", draft.format)
            what = f"{asked} conflicts with the output name, which is for {draft.name_format}."
            advice = f"Leave {option('format')} out, or end the name in {draft.format.suffix}."
            raise usage_error(what, advice, about=("format", "output"))

    def _check_options(self) -> None:
        """Reject combinations that the API documents as errors."""
        draft, output, model = self.draft, self.output, self.image_model
        check_between("partials", draft.partials, 0, 3)  # the API's limit
        check_parameters(draft, output, self.api, self.text_model)
        if draft.background is Background.TRANSPARENT and output is ImageFormat.JPEG:
            what, advice = "jpeg does not support transparency.", f"Use {option('format', 'png')} or webp."
            raise usage_error(what, advice, about=("background", "format"))
        if draft.partials and output in MOVING_FORMATS:
            what, advice = f"{output} does not support partial images.", f"Leave {option('partials')} out."
            raise usage_error(what, advice, about=("partials", "format"))
        if draft.stream and output in MOVING_FORMATS and self.api is Api.IMAGES:
            what, advice = f"The Images API does not stream {output}.", f"Leave {option('stream')} out."
            raise usage_error(what, advice, about=("stream", "format"))
        if draft.partials and draft.stream is False:
            what = f"{option('partials', draft.partials)} needs streaming, and {option('stream')} is off."
            advice = f"Leave {option('partials')} out, or add {option('stream')}."
            raise usage_error(what, advice, about=("partials", "stream"))
        if draft.quality and model and draft.quality not in model.qualities:
            what = f"{model.name} does not support {option('quality', draft.quality)}."
            raise usage_error(what, f"It supports {', '.join(model.qualities)}.", about=("quality",))
        if output and model and model.accepts and output not in model.accepts.formats:
            what, advice = (
                f"{model.name} does not make {output}.",
                f"It makes {', '.join(model.accepts.formats)}.",
            )
            raise usage_error(what, advice, about=("format", "image-model", "model"))

    def _check_count(self) -> None:
        """Reject several images of one request where the API makes one, or would mix their events up."""
        draft, single = self.draft, option("single-request")
        if draft.count is None:
            return
        check_between("count", draft.count, 1, MAX_COUNT)
        if self.api is Api.RESPONSES:
            what = f"{single} needs an image model: a text model makes one image per request."
            advice = f"Leave it out, or use {option('model', self.catalog.default_image_model, short=True)}."
            raise usage_error(what, advice, about=("single-request", "model"))
        if self.output is ImageFormat.SVG:
            raise usage_error(f"{single} cannot be used for svg.", "Leave it out.", about=("format",))
        if draft.partials or draft.stream:
            given = option("partials") if draft.partials else option("stream")
            what = f"{single} cannot be combined with {given}: nothing says which image a partial is of."
            raise usage_error(what, "Leave one of them out.", about=("partials", "stream"))

    def _check_detach(self) -> None:
        """Reject what cannot run in the background: it belongs to the Responses API."""
        draft = self.draft
        name = "completion-window" if draft.completion_window else "detach"
        if not (draft.detach or draft.completion_window):
            return
        if self.api is Api.IMAGES:
            what = f"{option(name)} needs the Responses API: an image model has no background mode."
            raise usage_error(what, f"Leave it out, or use {self._some_text_model}.", about=(name, "model"))
        if draft.completion_window:
            if draft.service_tier not in (None, "auto", "default"):
                what = (
                    f"{option(name)} needs the default {option('service-tier')}: it has a price of its own."
                )
                raise usage_error(what, "Leave one of them out.", about=(name, "service-tier"))
            if draft.stream or draft.partials:
                given = "stream" if draft.stream else "partials"
                what = f"{option(name)} cannot be combined with {option(given)}: nothing is streamed."
                raise usage_error(what, "Leave one of them out.", about=(name, given))
        elif draft.stream is False:
            what = f"{option(name)} needs streaming, and {option('stream')} is off."
            raise usage_error(what, "Leave one of them out.", about=(name, "stream"))

    def _check_inputs(self) -> None:
        """Reject input images, and options about them, that the API documents as errors."""
        draft, count = self.draft, len(self.draft.references)
        if count > MAX_REFERENCES:
            what = f"{count} images are more than the {MAX_REFERENCES} that can be sent."
            raise usage_error(what, f"Leave some {option('image')} out.", about=("image",))
        if draft.previous_response_id and self.api is Api.IMAGES:
            advice = f"Use {self._some_text_model}, or send the image itself with {option('image')}."
            raise usage_error("The Images API has no conversations to continue.", advice)
        has_image = draft.references or draft.previous_response_id
        if draft.action is Action.EDIT and not has_image:
            raise usage_error("There is no image to edit.", f"Add one with {option('image')}.")
        if draft.mask:
            self._check_mask(draft.mask)
        if draft.markup:
            self._check_markup(draft.markup)
        if draft.fidelity:
            self._check_fidelity(has_image=bool(has_image))
        if draft.moderation is Moderation.LOW and self._moderation() is None:
            what = f"The Images API does not take {option('moderation')} with input images."
            raise usage_error(what, f"Leave it out, or use {self._some_text_model}.", about=("moderation",))

    def _check_mask(self, mask: InputImage) -> None:
        """Compare the mask with the first image, as far as their sizes are known."""
        if self.output is ImageFormat.GIF and self.draft.references:
            advice = f"Use {option('format', 'png')}."
            raise usage_error("gif does not support masks.", advice, about=("mask", "format"))
        self._check_overlay(mask, "mask")

    def _check_markup(self, markup: InputImage) -> None:
        """Check what is laid over the first image (SDK 3.57.0: `markup` in images.edit alone)."""
        if self.draft.mask:
            what = f"{option('markup')} and {option('mask')} cannot be combined."
            raise usage_error(what, "Leave one of them out.", about=("markup", "mask"))
        default = option("model", self.catalog.default_image_model, short=True)
        if self.api is Api.RESPONSES:
            what = (
                f"{option('markup')} needs an image model: the image tool of text models does not support it."
            )
            raise usage_error(what, f"Use {default}.", about=("markup", "model"))
        if any(reference.url for reference in self.draft.references):
            what = f"{option('markup')} needs image files, and one of the images is a URL."
            raise usage_error(what, "Download the image and give the file.", about=("markup", "image"))
        self._check_overlay(markup, "markup")

    def _check_overlay(self, overlay: InputImage, name: str) -> None:
        if not self.draft.references:
            advice = f"Add the image with {option('image')}."
            raise usage_error(f"{option(name)} needs an image.", advice, about=(name,))
        if self.api is Api.IMAGES and self.draft.is_at_one_path:
            what = f"The server has one path for new images and edits, and does not accept a {name} there."
            raise usage_error(what, f"Leave {option(name)} out.", about=(name,))
        first = self.draft.references[0]
        if first.size and overlay.size and first.size != overlay.size:
            sizes = f"{_pixels(overlay.size)} pixels, but {_name(first)} is {_pixels(first.size)}"
            advice = f"Make the {name} the same size as the first {option('image')}."
            raise usage_error(f"The {name} is {sizes}.", advice, about=(name,))

    def _check_fidelity(self, *, has_image: bool) -> None:
        """Check against the catalog; an unknown model may take anything."""
        if not has_image:
            what = f"{option('input-fidelity')} needs an input image."
            raise usage_error(what, f"Add one with {option('image')}.", about=("input-fidelity",))
        model = self.image_model
        supported = model.accepts.fidelities if model and model.accepts else None
        if model and supported is not None and self.draft.fidelity not in supported:
            advice = (
                f"It supports {', '.join(supported)}." if supported else "Leave it out: it is always high."
            )
            what = f"{model.name} does not support {option('input-fidelity', self.draft.fidelity)}."
            raise usage_error(what, advice, about=("input-fidelity",))

    def _moderation(self) -> Moderation | None:
        """Omit moderation from edits in OpenAI's Images API; a compatible server may take it."""
        is_edit = self.api is Api.IMAGES and self.draft.references
        return None if is_edit and not self.is_foreign else self.draft.moderation

    def _is_streamed(self, partials: int) -> bool:
        """Return whether to stream.

        A gateway may not support it: LiteLLM 1.108 generates an image of the Images API three times and
        fails.
        """
        if self.api is Api.RESPONSES:
            return self.draft.stream is not False and not self.draft.completion_window
        if self.output in MOVING_FORMATS or self.draft.count:
            return False
        is_default = partials > 0 or not (self.is_foreign or self.draft.is_gateway)
        return is_default if self.draft.stream is None else self.draft.stream

    def _model_notices(self) -> Iterator[str]:
        """Describe what the catalog knows of the models the user chose; the default needs no notice."""
        for name in filter(None, (self.draft.model, self.draft.image_model)):
            known = self.catalog.find(name)
            if known is None:
                yield f"imgcli does not know the model {shorten(name, _NAME_LENGTH)}; it is sent as is"
            elif notice := shutdown_notice(known, self.today):
                yield notice

    def _input_notices(self) -> Iterator[str]:
        """Describe what may fail, though no documentation says that it does."""
        mask = self.draft.mask
        yield from undocumented(self.draft, self.image_model)
        text_model = self.catalog.find(self.name)
        if self.draft.reasoning_effort and text_model and text_model.name in self.catalog.without_reasoning:
            yield f"{text_model.name} does not reason, so OpenAI may refuse {option('reasoning-effort')}"
        accepts = self.image_model.accepts if self.image_model else None
        if self.draft.markup and accepts and not accepts.markup:
            yield f"OpenAI documents {option('markup')} for GPT Image 2.5 and later alone; it is sent as is"
        if not mask:
            return
        if (mask.length or 0) > _SMALL_MASK:
            size = file_size(mask.length or 0)
            yield f"the mask has {size}; OpenAI documents a limit of 4 MB on one page, of 50 MB on another"
        first = self.draft.references[0]
        if first.format not in {None, ImageFormat.PNG}:
            formats = f"the mask is png, {_name(first)} {first.format}"
            yield f"OpenAI wants mask and image in the same format: {formats}"


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _name(image: InputImage) -> str:
    return shorten(image.name, _NAME_LENGTH)
