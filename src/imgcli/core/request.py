"""One image asked for, as a value; `api.wires` makes the body of a request from it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import choice, count, name, size, text
from imgcli.core.params import Action, Api, Background, Fidelity, Moderation, Quality
from imgcli.core.text import file_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum


@dataclass(frozen=True)
class InputImage:
    """A checked image, or an address from which the server fetches one.

    `name` is what people call it. `path` is where it was read from, absolute; None for standard input and for
    an address. `size` is in pixels, `length` in bytes; what is not known of an address is None. `data` is
    there when the image can be sent, and not in what was read back from a record.
    """

    name: str
    path: str | None = None
    url: str | None = None
    format: ImageFormat | None = None
    sha256: str | None = None
    size: tuple[int, int] | None = None
    length: int | None = None
    data: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def mime(self) -> str:
        """What HTTP calls its format."""
        return f"image/{self.format or ImageFormat.PNG}"

    @property
    def linked(self) -> str | DataUrl:
        """What stands as `image_url` in JSON."""
        return self.url or DataUrl(self)

    @property
    def label(self) -> str:
        """Stand for the file where a form is shown to people."""
        return f"<{self.name}, {file_size(self.length or 0)}>"

    def nameless(self) -> InputImage:
        """Leave out what tells of this machine or lets others in: the path, and an address's query."""
        return replace(self, path=None, url=self.url and self.url.partition("?")[0])

    def to_json(self) -> dict[str, Any]:
        """Write it down without its bytes."""
        return {
            "name": self.name,
            "path": self.path,
            "url": self.url,
            "format": self.format,
            "sha256": self.sha256,
            "size": list(self.size) if self.size else None,
            "length": self.length,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> InputImage:
        """Read it from a record, field by field: what is odd is not known."""
        return cls(
            name=text(fields.get("name")) or "",
            path=name(fields.get("path")),
            url=text(fields.get("url")),
            sha256=text(fields.get("sha256")),
            format=choice(ImageFormat, fields.get("format")),
            size=size(fields.get("size")),
            length=count(fields.get("length")),
        )


@dataclass(frozen=True)
class DataUrl:
    """An image's place in JSON, where its bytes will stand as base64."""

    reference: InputImage

    @property
    def head(self) -> str:
        """Begin the URL; the base64 follows."""
        return f"data:{self.reference.mime};base64,"

    @property
    def label(self) -> str:
        """Stand for the URL where a request is shown to people."""
        return f"{self.head}{self.reference.label}"


def abbreviated(body: Any) -> Any:  # noqa: ANN401 - JSON
    """Put a label in every image's place, so that a request can be shown."""
    match body:
        case InputImage() | DataUrl():
            return body.label
        case dict():
            return {key: abbreviated(value) for key, value in body.items()}
        case list() | tuple():
            return [abbreviated(value) for value in body]
        case _:
            return body


@dataclass(frozen=True)
class ImageRequest:
    """A request that passed every check; nothing about it is undecided.

    `model` is the model named on the wire: a text model that runs the image tool (Responses API) or an image
    model (Images API). `image_model` is the tool's own model, None for the server's default. A field that is
    None is not sent, so that the server decides. `partials` is 0 to 3. `references` are the images to start
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
    references: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    fidelity: Fidelity | None = None
    previous_response_id: str | None = None
    action: Action | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but a prompt is sent, so that the model sees no image."""
        return not (self.references or self.mask or self.previous_response_id)

    @property
    def inputs(self) -> frozenset[str]:
        """The SHA-256 of each image that is sent."""
        sent = (*self.references, self.mask)
        return frozenset(one.sha256 for one in sent if one and one.sha256)

    @property
    def is_form(self) -> bool:
        """Whether it goes out as multipart/form-data: files for the Images API, and no address."""
        return (
            self.api is Api.IMAGES
            and bool(self.references)
            and not any(reference.url for reference in self.references)
        )

    def nameless(self) -> ImageRequest:
        """Leave out where its images came from, for a record that others may see."""
        references = tuple(reference.nameless() for reference in self.references)
        return replace(self, references=references, mask=self.mask and self.mask.nameless())

    def to_json(self) -> dict[str, Any]:
        """Write the request down, for a record of the run; of its images all but the bytes."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        images = {
            "references": [reference.to_json() for reference in self.references],
            "mask": self.mask and self.mask.to_json(),
        }
        # Without images a record stays as it always was, so that an older imgcli can read it.
        return {key: value for key, value in (known | images).items() if value or key not in _LATER}

    @classmethod
    def from_json(cls, told: object) -> ImageRequest | None:
        """Read a request from a record, field by field: one that is odd is as if nobody had named it.

        An image that cannot be read stays one, which cannot be sent again. None for what is no request: it
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
        """Return whether a record of a request has fields that this imgcli does not know."""
        return not told.keys() <= {one.name for one in fields(cls)}

    def options(self) -> dict[str, Any]:
        """Return the options that both APIs name alike."""
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


def _reference(told: object) -> InputImage:
    return InputImage.from_json(told if isinstance(told, dict) else {})


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """Drop the fields that are not sent."""
    return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True)
class DraftRequest:
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
    references: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    fidelity: Fidelity | None = None
    previous_response_id: str | None = None
    action: Action | None = None
    otherwise: DraftRequest | None = None
