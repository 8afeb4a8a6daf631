"""What pictures may be sent along with a prompt, and with which options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcli.core.errors import usage_error
from imgcli.core.events import ImageFormat
from imgcli.core.request import Action, Api, Moderation
from imgcli.core.text import shorten
from imgcli.core.wording import file_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.core.catalog import Model
    from imgcli.core.reference import Reference
    from imgcli.core.wish import Wish

MOST_REFERENCES = 16
"""Pictures that one edit may start from: images.edit in OpenAI's specification."""

_SMALL_MASK = 4_000_000
_NAME_LENGTH = 60


@dataclass(frozen=True)
class Setting:
    """What else is decided: the wire, the image model where it is known, the format where it was named.

    `is_foreign` means a model of a compatible server, of which nothing is known. `text_model` is for advice.
    """

    api: Api
    painter: Model | None
    output: ImageFormat | None
    is_foreign: bool
    text_model: str


def check_editing(wish: Wish, setting: Setting) -> None:
    """Reject what the API documents as an error. Raises `ImgcliError` (usage)."""
    if len(wish.references) > MOST_REFERENCES:
        raise usage_error(
            f"{len(wish.references)} pictures are more than the {MOST_REFERENCES} that can be sent.",
            "Leave some --image out.",
        )
    _check_conversation(wish, setting)
    if wish.mask:
        _check_mask(wish.mask, wish, setting)
    if wish.fidelity:
        _check_fidelity(wish, setting)
    if wish.moderation is Moderation.LOW and moderation(wish, setting) is None:
        raise usage_error(
            "The Images API takes no --moderation for pictures that are sent along.",
            f"Leave it out, or use a text model (-m {setting.text_model}).",
        )


def moderation(wish: Wish, setting: Setting) -> Moderation | None:
    """Leave out what OpenAI's edits do not take; a compatible server may."""
    is_edit = setting.api is Api.IMAGES and wish.references
    return None if is_edit and not setting.is_foreign else wish.moderation


def _check_conversation(wish: Wish, setting: Setting) -> None:
    if wish.previous_response_id and setting.api is Api.IMAGES:
        raise usage_error(
            "The Images API has no conversations that could be continued.",
            f"Use a text model (-m {setting.text_model}), or send the picture itself with --image.",
        )
    has_picture = wish.references or wish.previous_response_id
    if wish.action is Action.EDIT and not has_picture:
        raise usage_error("There is no picture to edit.", "Send one with --image.")


def _check_mask(mask: Reference, wish: Wish, setting: Setting) -> None:
    """Hold a mask against the first picture, as far as that is known."""
    if not wish.references:
        raise usage_error("--mask needs the picture that it belongs to.", "Send that with --image.")
    if setting.output is ImageFormat.GIF:
        raise usage_error("gif cannot be painted through a mask.", "Use --format png.")
    first = wish.references[0]
    if first.size and mask.size and first.size != mask.size:
        raise usage_error(
            f"The mask is {_pixels(mask)} pixels, and {_name(first)} is {_pixels(first)}.",
            "Make the mask as large as the first --image.",
        )


def _check_fidelity(wish: Wish, setting: Setting) -> None:
    """Keep to what the catalog knows; an unknown model may take anything."""
    if not (wish.references or wish.previous_response_id):
        raise usage_error(
            "--input-fidelity is about pictures that are sent along, and there is none.",
            "Send one with --image.",
        )
    painter = setting.painter
    taken = painter.accepts.fidelities if painter and painter.accepts else None
    if painter and taken is not None and wish.fidelity not in taken:
        advice = f"It has {', '.join(taken)}." if taken else "Leave it out: its fidelity is always high."
        raise usage_error(f"{painter.name} does not have --input-fidelity {wish.fidelity}.", advice)


def editing_notices(wish: Wish, setting: Setting) -> Iterator[str]:
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
        yield f"OpenAI wants mask and picture in one format: the mask is png, {_name(first)} {first.format}"


def _pixels(picture: Reference) -> str:
    return "x".join(map(str, picture.size or ()))


def _name(picture: Reference) -> str:
    return shorten(picture.name, _NAME_LENGTH)
