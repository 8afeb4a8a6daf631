"""One image asked for, as a value, and its two wire forms."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from imgcli.core.events import ImageFormat
from imgcli.core.fields import choice, count, text
from imgcli.core.reference import Reference


class Api(StrEnum):
    """The two wires of OpenAI that make images."""

    RESPONSES = "responses"
    IMAGES = "images"


class Quality(StrEnum):
    """How much work goes into the image; older models stop at high."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Background(StrEnum):
    """What is behind the subject; transparent needs png or webp."""

    AUTO = "auto"
    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class Moderation(StrEnum):
    """How strictly OpenAI filters the request."""

    AUTO = "auto"
    LOW = "low"


class Fidelity(StrEnum):
    """How closely the picture keeps to those that were sent, faces above all."""

    LOW = "low"
    HIGH = "high"


class Action(StrEnum):
    """What the image tool of the Responses API does; `edit` needs a picture in the conversation."""

    AUTO = "auto"
    GENERATE = "generate"
    EDIT = "edit"


@dataclass(frozen=True)
class ImageRequest:
    """A request that passed every check; nothing about it is undecided.

    `model` is the model named on the wire: a text model that runs the image tool (Responses API) or an image
    model (Images API). `image_model` is the tool's own model, None for the server's default. A field that is
    None is not sent, so that the server decides. `partials` is 0 to 3. `references` are the pictures to start
    from, `mask` says by its alpha channel where the first of them is painted anew; `previous_response_id`
    continues a conversation (Responses API).
    """

    prompt: str
    model: str
    api: Api
    image_model: str | None = None
    size: str | None = None
    quality: Quality | None = None
    format: ImageFormat | None = None
    compression: int | None = None
    background: Background | None = None
    moderation: Moderation | None = None
    partials: int = 0
    stream: bool = True
    inline: bool = False
    """Ask for base64 by name: compatible servers want `response_format`, OpenAI's own models refuse it."""
    references: tuple[Reference, ...] = ()
    mask: Reference | None = None
    fidelity: Fidelity | None = None
    previous_response_id: str | None = None
    action: Action | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but a prompt is sent, so that the model sees no picture."""
        return not (self.references or self.mask or self.previous_response_id)

    @property
    def inputs(self) -> frozenset[str]:
        """The SHA-256 of each image that is sent."""
        sent = (*self.references, self.mask)
        return frozenset(one.sha256 for one in sent if one and one.sha256)

    @property
    def is_form(self) -> bool:
        """Whether it goes out as multipart/form-data: files for the Images API, and no address."""
        return self._is_edit and not any(reference.url for reference in self.references)

    @property
    def endpoint(self) -> str:
        """Where it goes, below the server's base URL."""
        if self.api is Api.RESPONSES:
            return "/responses"
        return "/images/edits" if self._is_edit else "/images/generations"

    def wire(self) -> dict[str, Any]:
        """Build the body for this request's API, with a `DataUrl` (JSON) or `Reference` (form) a picture."""
        return self._responses_body() if self.api is Api.RESPONSES else self._images_body()

    def nameless(self) -> ImageRequest:
        """Leave out where its pictures came from, for a record that others may see."""
        references = tuple(reference.nameless() for reference in self.references)
        return replace(self, references=references, mask=self.mask and self.mask.nameless())

    def to_json(self) -> dict[str, Any]:
        """Write the request down, for a record of the run; of its pictures all but the bytes."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        pictures = {
            "references": [reference.to_json() for reference in self.references],
            "mask": self.mask and self.mask.to_json(),
        }
        # Without pictures a record stays as it always was, so that an older imgcli can read it.
        return {key: value for key, value in (known | pictures).items() if value or key not in _LATER}

    @classmethod
    def from_json(cls, told: object) -> ImageRequest | None:
        """Read a request from a record, field by field: one that is odd is as if nobody had named it.

        A picture that cannot be read stays one, which cannot be sent again. None for what is no request: it
        must have a prompt.
        """
        if not isinstance(told, dict) or not isinstance(told.get("prompt"), str):
            return None
        choices = {name: choice(kind, told.get(name)) for name, kind in _CHOICES.items()}
        texts = {name: text(told.get(name)) for name in ("image_model", "size", "previous_response_id")}
        known: dict[str, Any] = {**choices, **texts, "api": choices["api"] or Api.RESPONSES}
        references = told.get("references")
        return cls(
            prompt=told["prompt"],
            model=text(told.get("model")) or "",
            compression=count(told.get("compression"), 100),
            partials=count(told.get("partials"), 3) or 0,
            stream=told.get("stream") is not False,
            inline=told.get("inline") is True,
            references=tuple(map(_reference, references)) if isinstance(references, list) else (),
            mask=_reference(told["mask"]) if told.get("mask") else None,
            **known,
        )

    @classmethod
    def is_of_another_version(cls, told: dict[str, Any]) -> bool:
        """Tell whether a record of a request has fields that this imgcli does not know."""
        return not told.keys() <= {one.name for one in fields(cls)}

    @property
    def _is_edit(self) -> bool:
        """Whether the Images API starts from pictures."""
        return self.api is Api.IMAGES and bool(self.references)

    def _responses_body(self) -> dict[str, Any]:
        """Force the image tool: a text model that is only offered it may answer in words instead."""
        tool = {
            "type": "image_generation",
            "model": self.image_model,
            "action": self.action,
            **self._options(),
            "partial_images": self.partials,
            "input_image_mask": {"image_url": self.mask.linked} if self.mask else None,
        }
        body = {
            "model": self.model,
            "input": self._input() if self.references else self.prompt,
            "previous_response_id": self.previous_response_id,
            "tools": [_without_none(tool)],
            "tool_choice": {"type": "image_generation"},
            "stream": self.stream or None,
        }
        return _without_none(body)

    def _input(self) -> list[dict[str, Any]]:
        """Say it as one message: the prompt, then the pictures."""
        images = [{"type": "input_image", "image_url": reference.linked} for reference in self.references]
        return [{"role": "user", "content": [{"type": "input_text", "text": self.prompt}, *images]}]

    def _images_body(self) -> dict[str, Any]:
        pictures = self._form_pictures() if self.is_form else self._json_pictures()
        body = {"model": self.model, "prompt": self.prompt, "n": 1, **pictures, **self._options()}
        if self.stream:
            body |= {"stream": True, "partial_images": self.partials}
        if self.inline:
            body["response_format"] = "b64_json"
        return _without_none(body)

    def _form_pictures(self) -> dict[str, Any]:
        """Name files as OpenAI's own client does: `image` for one, `image[]` for each of several."""
        only = self.references[0] if len(self.references) == 1 else None
        images = {"image": only} if only else {"image[]": self.references}
        return {**images, "mask": self.mask}

    def _json_pictures(self) -> dict[str, Any]:
        """Spell the form of /images/edits that takes addresses (OpenAI's specification, August 2026)."""
        if not self.references:
            return {}
        images = [{"image_url": reference.linked} for reference in self.references]
        return {"images": images, "mask": {"image_url": self.mask.linked} if self.mask else None}

    def _options(self) -> dict[str, Any]:
        """Spell the options that both wires name alike."""
        return {
            "size": self.size,
            "quality": self.quality,
            "output_format": self.format,
            "output_compression": self.compression,
            "background": self.background,
            "moderation": self.moderation,
            "input_fidelity": self.fidelity,
        }


_CHOICES: dict[str, type[StrEnum]] = {
    "api": Api,
    "quality": Quality,
    "format": ImageFormat,
    "background": Background,
    "moderation": Moderation,
    "fidelity": Fidelity,
    "action": Action,
}
_LATER = ("references", "mask", "fidelity", "previous_response_id", "action")
"""The fields that came after the first records; left out where they say nothing."""


def _reference(told: object) -> Reference:
    return Reference.from_json(told if isinstance(told, dict) else {})


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
