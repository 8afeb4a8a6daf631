"""From what a person typed to a request that can be sent, or one sentence on why it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcli.core.catalog import ModelKind, shutdown_notice
from imgcli.core.errors import check_between, usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.params import Action, Api, Background, Moderation, Quality
from imgcli.core.request import DraftRequest, ImageRequest
from imgcli.core.sizes import resolve_size
from imgcli.core.text import file_size, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from imgcli.core.catalog import Catalog, Model
    from imgcli.core.problem import Problem
    from imgcli.core.request import InputImage


MOST_REFERENCES = 16
"""Images that one edit may start from: images.edit in OpenAI's specification."""

_SMALL_MASK = 4_000_000
_NAME_LENGTH = 60


@dataclass(frozen=True)
class EditSettings:
    """What else is decided: the wire, the image model where it is known, the format where it was named.

    `is_foreign` means a model of a compatible server, of which nothing is known. `text_model` is for advice.
    """

    api: Api
    painter: Model | None
    output: ImageFormat | None
    is_foreign: bool
    text_model: str


def check_editing(wish: DraftRequest, setting: EditSettings) -> None:
    """Reject what the API documents as an error. Raises `ImgcliError` (usage)."""
    if len(wish.references) > MOST_REFERENCES:
        raise usage_error(
            f"{len(wish.references)} images are more than the {MOST_REFERENCES} that can be sent.",
            "Leave some --image out.",
        )
    _check_conversation(wish, setting)
    if wish.mask:
        _check_mask(wish.mask, wish, setting)
    if wish.fidelity:
        _check_fidelity(wish, setting)
    if wish.moderation is Moderation.LOW and moderation(wish, setting) is None:
        raise usage_error(
            "The Images API takes no --moderation for images that are sent along.",
            f"Leave it out, or use a text model (-m {setting.text_model}).",
        )


def moderation(wish: DraftRequest, setting: EditSettings) -> Moderation | None:
    """Leave out what OpenAI's edits do not take; a compatible server may."""
    is_edit = setting.api is Api.IMAGES and wish.references
    return None if is_edit and not setting.is_foreign else wish.moderation


def _check_conversation(wish: DraftRequest, setting: EditSettings) -> None:
    if wish.previous_response_id and setting.api is Api.IMAGES:
        raise usage_error(
            "The Images API has no conversations that could be continued.",
            f"Use a text model (-m {setting.text_model}), or send the image itself with --image.",
        )
    has_image = wish.references or wish.previous_response_id
    if wish.action is Action.EDIT and not has_image:
        raise usage_error("There is no image to edit.", "Send one with --image.")


def _check_mask(mask: InputImage, wish: DraftRequest, setting: EditSettings) -> None:
    """Hold a mask against the first image, as far as that is known."""
    if not wish.references:
        raise usage_error("--mask needs the image that it belongs to.", "Send that with --image.")
    if setting.output is ImageFormat.GIF:
        raise usage_error("gif cannot be painted through a mask.", "Use --format png.")
    first = wish.references[0]
    if first.size and mask.size and first.size != mask.size:
        raise usage_error(
            f"The mask is {_pixels(mask)} pixels, and {_name(first)} is {_pixels(first)}.",
            "Make the mask as large as the first --image.",
        )


def _check_fidelity(wish: DraftRequest, setting: EditSettings) -> None:
    """Keep to what the catalog knows; an unknown model may take anything."""
    if not (wish.references or wish.previous_response_id):
        raise usage_error(
            "--input-fidelity is about images that are sent along, and there is none.",
            "Send one with --image.",
        )
    painter = setting.painter
    taken = painter.accepts.fidelities if painter and painter.accepts else None
    if painter and taken is not None and wish.fidelity not in taken:
        advice = f"It has {', '.join(taken)}." if taken else "Leave it out: its fidelity is always high."
        raise usage_error(f"{painter.name} does not have --input-fidelity {wish.fidelity}.", advice)


def editing_notices(wish: DraftRequest, setting: EditSettings) -> Iterator[str]:
    """Say what may not work, though nobody says that it does not."""
    painter = setting.painter
    if wish.fidelity and painter and painter.accepts and painter.accepts.fidelities is None:
        yield f"OpenAI does not say whether {painter.name} takes --input-fidelity; it is sent as it stands"
    if not wish.mask:
        return
    if (wish.mask.length or 0) > _SMALL_MASK:
        size = file_size(wish.mask.length or 0)
        yield f"the mask has {size}; one page of OpenAI's says that it must be under 4 MB, another 50 MB"
    first = wish.references[0]
    if first.format not in {None, ImageFormat.PNG}:
        yield f"OpenAI wants mask and image in one format: the mask is png, {_name(first)} {first.format}"


def _pixels(image: InputImage) -> str:
    return "x".join(map(str, image.size or ()))


def _name(image: InputImage) -> str:
    return shorten(image.name, _NAME_LENGTH)


_LONGEST_IMAGES_PROMPT = 32_000  # characters; images.generate in OpenAI's specification
_MOVING = (ImageFormat.GIF, ImageFormat.SVG)


@dataclass(frozen=True)
class ValidRequest:
    """A request that may be sent, and what its owner should know beforehand.

    `otherwise` is the request for a server that has forgotten the conversation, None where there is none;
    `barred` says why that one must not be sent, None where it may.
    """

    request: ImageRequest
    notices: tuple[str, ...] = ()
    otherwise: ImageRequest | None = None
    barred: Problem | None = None


def validate(wish: DraftRequest, catalog: Catalog, today: date) -> ValidRequest:
    """Check a wish and fill in what it left open.

    Rejects only what is certainly wrong; a model that the catalog does not know goes through with a notice,
    because the catalog ages and compatible servers have models of their own. Raises `ImgcliError` (usage).
    """
    name = wish.model or _default(wish, catalog, today)
    api = wish.api or (Api.IMAGES if catalog.is_image_model(name) else Api.RESPONSES)
    text_model = catalog.default_model(today)
    _check_prompt(wish.prompt, api, text_model)
    _check_names(name, wish.image_model, wish.previous_response_id)
    _check_models(wish, name, api, catalog)
    painter = _painter(wish, name, api, catalog)
    output = _format(wish)
    _check_options(wish, output, painter)
    size = resolve_size(wish.size, painter)
    foreign = api is Api.IMAGES and not catalog.is_image_model(name)
    setting = EditSettings(api, painter, output, is_foreign=foreign, text_model=text_model)
    check_editing(wish, setting)
    partials = _partials(wish, output)
    request = ImageRequest(
        prompt=wish.prompt,
        model=name,
        api=api,
        image_model=wish.image_model,
        size=size.size,
        quality=wish.quality or (None if foreign else Quality.MEDIUM),
        format=output or (None if foreign else ImageFormat.PNG),
        compression=wish.compression,
        background=wish.background,
        moderation=moderation(wish, setting),
        partials=partials,
        stream=_is_streamed(wish, api, output, is_worth_it=partials > 0 or not (foreign or wish.is_gateway)),
        inline=foreign,
        references=wish.references,
        mask=wish.mask,
        fidelity=wish.fidelity,
        previous_response_id=wish.previous_response_id,
        action=wish.action,
    )
    told = [*_model_notices(wish, catalog, today), *([size.notice] if size.notice else [])]
    return ValidRequest(request, (*told, *editing_notices(wish, setting)), _otherwise(wish, catalog, today))


def _otherwise(wish: DraftRequest, catalog: Catalog, today: date) -> ImageRequest | None:
    """Decide on the other request as well, before anything is sent."""
    if wish.otherwise is None:
        return None
    return validate(replace(wish.otherwise, watched_partials=wish.watched_partials), catalog, today).request


def _default(wish: DraftRequest, catalog: Catalog, today: date) -> str:
    """Choose for who names no model: on the Images API it must be one that paints."""
    return catalog.default_image_model if wish.api is Api.IMAGES else catalog.default_model(today)


def _painter(wish: DraftRequest, name: str, api: Api, catalog: Catalog) -> Model | None:
    """Find the image model that will do the work, None when the catalog does not know it."""
    if api is Api.IMAGES:
        return catalog.find(name)
    return catalog.find(wish.image_model or catalog.default_image_model)


def _check_prompt(prompt: str, api: Api, text_model: str) -> None:
    if not prompt.strip():
        raise usage_error("The prompt is empty.", 'Say what to draw, such as "a cat".')
    if not prompt.isascii() and any("\ud800" <= character <= "\udfff" for character in prompt):
        raise usage_error("The prompt is not valid UTF-8 text.", "Check your terminal's encoding.")
    if api is Api.IMAGES and len(prompt) > _LONGEST_IMAGES_PROMPT:
        raise usage_error(
            f"The prompt has {len(prompt):,} characters; the Images API takes {_LONGEST_IMAGES_PROMPT:,}.",
            f"Shorten it, or use a text model (-m {text_model}), which takes more.",
        )


def _check_names(*names: str | None) -> None:
    """Refuse what cannot be written as UTF-8: it came from a command line in another encoding."""
    for name in filter(None, names):
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise usage_error(
                "The name of a model is not valid UTF-8 text.", "Check your terminal's encoding."
            )


def _check_models(wish: DraftRequest, name: str, api: Api, catalog: Catalog) -> None:
    if catalog.is_image_model(name) and api is Api.RESPONSES:
        raise usage_error(
            f"--api responses needs a text model, and {shorten(name, 60)} makes images.",
            f"Name it as --image-model {shorten(name, 60)}, or leave --api out.",
        )
    if api is Api.IMAGES and _is_text_model(name, catalog):
        raise usage_error(
            f"--api images needs an image model, and {shorten(name, 60)} is a text model.",
            f"Try -m {catalog.default_image_model}, or leave --api out.",
        )
    if wish.image_model and api is Api.IMAGES:
        raise usage_error(
            "--image-model is for text models that run the image tool; here --model is the image model.",
            f"Leave --image-model out, or say -m {shorten(wish.image_model, 60)}.",
        )
    if wish.image_model and _is_text_model(wish.image_model, catalog):
        raise usage_error(
            f"--image-model {shorten(wish.image_model, 60)} is a text model; it cannot paint.",
            f"Try --image-model {catalog.default_image_model}.",
        )


def _is_text_model(name: str, catalog: Catalog) -> bool:
    known = catalog.find(name)
    return known is not None and known.kind is ModelKind.TEXT


def _format(wish: DraftRequest) -> ImageFormat | None:
    """Choose the format: --format and the output's name must not contradict each other."""
    if wish.format and wish.name_format and wish.format is not wish.name_format:
        raise usage_error(
            f"--format {wish.format} and an output name for {wish.name_format} contradict each other.",
            f"Leave --format out, or end the name in {wish.format.suffix}.",
        )
    return wish.format or wish.name_format


def _partials(wish: DraftRequest, output: ImageFormat | None) -> int:
    """Ask for no partials where the format has none, or where they could not arrive."""
    if output in _MOVING or wish.stream is False:
        return 0
    return wish.watched_partials if wish.partials is None else wish.partials


def _is_streamed(wish: DraftRequest, api: Api, output: ImageFormat | None, *, is_worth_it: bool) -> bool:
    """Choose whether the answer is streamed.

    A gateway may not know how: LiteLLM 1.108 has an image of the Images API made three times and then fails.
    """
    if api is Api.RESPONSES:
        return wish.stream is not False
    return output not in _MOVING and (is_worth_it if wish.stream is None else wish.stream)


def _check_options(wish: DraftRequest, output: ImageFormat | None, painter: Model | None) -> None:
    """Reject combinations that the API documents as errors."""
    check_between("--partials", wish.partials, 0, 3)  # the API's limit
    check_between("--compression", wish.compression, 0, 100)
    if wish.compression is not None and output not in (ImageFormat.JPEG, ImageFormat.WEBP):
        raise usage_error("--compression works with jpeg and webp only.", "Add --format webp.")
    if wish.background is Background.TRANSPARENT and output is ImageFormat.JPEG:
        raise usage_error("jpeg has no transparency.", "Use --format png or webp.")
    if wish.partials and output in _MOVING:
        raise usage_error(f"{output} has no partial images.", "Leave --partials out.")
    if wish.partials and wish.stream is False:
        raise usage_error(
            f"--partials {wish.partials} needs a streamed answer, and --stream is off.",
            "Leave --partials out, or add --stream.",
        )
    if wish.quality and painter and wish.quality not in painter.qualities:
        raise usage_error(
            f"{painter.name} does not have --quality {wish.quality}.",
            f"It has {', '.join(painter.qualities)}.",
        )


def _model_notices(wish: DraftRequest, catalog: Catalog, today: date) -> Iterator[str]:
    """Say what the catalog knows of the models that the person named; the default rolls over by itself."""
    for name in filter(None, (wish.model, wish.image_model)):
        known = catalog.find(name)
        if known is None:
            yield f"imgcli does not know the model {shorten(name, 60)}; it is sent as it stands"
        elif told := shutdown_notice(known, today):
            yield told
