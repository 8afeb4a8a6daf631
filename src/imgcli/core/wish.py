"""From what a person typed to a request that can be sent, or one sentence on why it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcli.core.catalog import Kind, shutdown_notice
from imgcli.core.editing import Setting, check_editing, editing_notices, moderation
from imgcli.core.errors import check_between, usage_error
from imgcli.core.events import ImageFormat
from imgcli.core.request import Api, Background, ImageRequest, Moderation, Quality
from imgcli.core.sizes import resolve_size
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from imgcli.core.catalog import Catalog, Model
    from imgcli.core.errors import Problem
    from imgcli.core.reference import Reference
    from imgcli.core.request import Action, Fidelity

_LONGEST_IMAGES_PROMPT = 32_000  # characters; images.generate in OpenAI's specification
_MOVING = (ImageFormat.GIF, ImageFormat.SVG)


@dataclass(frozen=True)
class Wish:
    """What a person typed, unchecked; None where they said nothing.

    `name_format` is the format that the output file's name asks for; `watched_partials` how many partials to
    ask for when they named no number. `stream` is whether the answer is streamed; `is_gateway` tells that the
    server is neither OpenAI's nor Azure's. What follows after `api` is as in `ImageRequest`, but for
    `otherwise`: that is wished for in this one's place when the server has forgotten the conversation.
    """

    prompt: str
    model: str | None = None
    image_model: str | None = None
    size: str = "1024x1024"
    quality: Quality | None = None
    format: ImageFormat | None = None
    name_format: ImageFormat | None = None
    compression: int | None = None
    background: Background | None = None
    moderation: Moderation | None = None
    partials: int | None = None
    watched_partials: int = 0
    stream: bool | None = None
    is_gateway: bool = False
    api: Api | None = None
    references: tuple[Reference, ...] = ()
    mask: Reference | None = None
    fidelity: Fidelity | None = None
    previous_response_id: str | None = None
    action: Action | None = None
    otherwise: Wish | None = None


@dataclass(frozen=True)
class Decision:
    """A request that may be sent, and what its owner should know beforehand.

    `otherwise` is the request for a server that has forgotten the conversation, None where there is none;
    `barred` says why that one must not be sent, None where it may.
    """

    request: ImageRequest
    notices: tuple[str, ...] = ()
    otherwise: ImageRequest | None = None
    barred: Problem | None = None


def decide(wish: Wish, catalog: Catalog, today: date) -> Decision:
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
    setting = Setting(api, painter, output, is_foreign=foreign, text_model=text_model)
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
    return Decision(request, (*told, *editing_notices(wish, setting)), _otherwise(wish, catalog, today))


def _otherwise(wish: Wish, catalog: Catalog, today: date) -> ImageRequest | None:
    """Decide on the other request as well, before anything is sent."""
    if wish.otherwise is None:
        return None
    return decide(replace(wish.otherwise, watched_partials=wish.watched_partials), catalog, today).request


def _default(wish: Wish, catalog: Catalog, today: date) -> str:
    """Choose for who names no model: on the Images API it must be one that paints."""
    return catalog.default_image_model if wish.api is Api.IMAGES else catalog.default_model(today)


def _painter(wish: Wish, name: str, api: Api, catalog: Catalog) -> Model | None:
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


def _check_models(wish: Wish, name: str, api: Api, catalog: Catalog) -> None:
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
    return known is not None and known.kind is Kind.TEXT


def _format(wish: Wish) -> ImageFormat | None:
    """Choose the format: --format and the output's name must not contradict each other."""
    if wish.format and wish.name_format and wish.format is not wish.name_format:
        raise usage_error(
            f"--format {wish.format} and an output name for {wish.name_format} contradict each other.",
            f"Leave --format out, or end the name in {wish.format.suffix}.",
        )
    return wish.format or wish.name_format


def _partials(wish: Wish, output: ImageFormat | None) -> int:
    """Ask for no partials where the format has none, or where they could not arrive."""
    if output in _MOVING or wish.stream is False:
        return 0
    return wish.watched_partials if wish.partials is None else wish.partials


def _is_streamed(wish: Wish, api: Api, output: ImageFormat | None, *, is_worth_it: bool) -> bool:
    """Choose whether the answer is streamed.

    A gateway may not know how: LiteLLM 1.108 has an image of the Images API made three times and then fails.
    """
    if api is Api.RESPONSES:
        return wish.stream is not False
    return output not in _MOVING and (is_worth_it if wish.stream is None else wish.stream)


def _check_options(wish: Wish, output: ImageFormat | None, painter: Model | None) -> None:
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


def _model_notices(wish: Wish, catalog: Catalog, today: date) -> Iterator[str]:
    """Say what the catalog knows of the models that the person named; the default rolls over by itself."""
    for name in filter(None, (wish.model, wish.image_model)):
        known = catalog.find(name)
        if known is None:
            yield f"imgcli does not know the model {shorten(name, 60)}; it is sent as it stands"
        elif told := shutdown_notice(known, today):
            yield told
