"""A request for an image; `api.wires` builds its body."""

from __future__ import annotations

from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any

from imgcli.core.image import ImageFormat
from imgcli.core.json_fields import choice, count, name, size, text, texts_of
from imgcli.core.params import (
    PARAMETERS,
    UNSET,
    Action,
    Api,
    ApiPlace,
    Background,
    CompletionWindow,
    Complexity,
    Fidelity,
    Moderation,
    Quality,
    ReasoningEffort,
)
from imgcli.core.text import file_size
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


MAX_COUNT = 10
"""Images of one request: `n` of images.generate in OpenAI's specification."""


@dataclass(frozen=True)
class InputImage:
    """An input image: a checked file, or a URL that the server fetches.

    `name` is for display. `path` is absolute, None for standard input and for a URL. `size` is in pixels,
    `length` in bytes; both are None for a URL. `data` is None when it was read back from a record.
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
        """Its media type."""
        return f"image/{self.format or ImageFormat.PNG}"

    @property
    def image_url(self) -> str | DataUrl:
        """The value of `image_url` in JSON."""
        return self.url or DataUrl(self)

    @property
    def label(self) -> str:
        """A placeholder for the file in a form that is shown to people."""
        return f"<{self.name}, {file_size(self.length or 0)}>"

    def anonymized(self) -> InputImage:
        """Return it without what describes this machine or grants access: the path, and a URL's query."""
        return replace(self, path=None, url=self.url and self.url.partition("?")[0])

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without the bytes."""
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
        """Read it from a record; a field with an invalid value counts as unknown."""
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
    """A data URL in JSON; the upload replaces it by the image's bytes in base64."""

    image: InputImage

    @property
    def prefix(self) -> str:
        """The beginning of the URL; the base64 follows."""
        return f"data:{self.image.mime};base64,"

    @property
    def label(self) -> str:
        """A placeholder for the URL in a request that is shown to people."""
        return f"{self.prefix}{self.image.label}"


def abbreviate(body: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a body for display, with a label for every image."""
    match body:
        case InputImage() | DataUrl():
            return body.label
        case dict():
            return {key: abbreviate(value) for key, value in body.items()}
        case list() | tuple():
            return [abbreviate(value) for value in body]
        case _:
            return body


@dataclass(frozen=True, kw_only=True)
class RequestParameters:
    """What drafts and requests have in common; a parameter that is None is not sent.

    `image_model` is the model of the image tool (Responses API), None for the server's default. `references`
    are the input images; the transparent pixels of `mask` are where the first of them is repainted, `markup`
    is laid over it to guide an edit.
    `previous_response_id` continues a conversation (Responses API). `count` is the number of images that one
    request brings (Images API), None for one. `presets` are the names of the presets in use, `typed_prompt`
    is what they made the prompt of, None for the prompt itself; neither is sent. `detach` has the server work
    in the background, where a broken connection costs nothing, `completion_window` does so at a discount.
    """

    image_model: str | None = None
    size: str | None = None
    quality: Quality | None = None
    format: ImageFormat | None = None
    compression: int | None = None
    complexity: Complexity | None = None
    frames: int | None = None
    frame_duration: int | None = None
    svg_model: str | None = None
    svg_effort: ReasoningEffort | None = None
    background: Background | None = None
    moderation: Moderation | None = None
    references: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    markup: InputImage | None = None
    fidelity: Fidelity | None = None
    previous_response_id: str | None = None
    action: Action | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    instructions: str | None = None
    reasoning_effort: ReasoningEffort | None = None
    extra: tuple[str, ...] = ()
    count: int | None = None
    typed_prompt: str | None = None
    presets: tuple[str, ...] = ()
    detach: bool = False
    completion_window: CompletionWindow | None = None


@dataclass(frozen=True)
class DraftRequest(RequestParameters):
    """What a person typed, unchecked; None where an option is not set.

    `name_format` is the format implied by the output file's name; `watched_partials` is the number of
    partials where none is set. `is_gateway` means that the server is neither OpenAI's nor Azure's,
    `is_at_one_path` that it has no path of its own for edits. `fallback` is sent instead when the server no
    longer has the conversation.
    """

    prompt: str
    model: str | None = None
    size: str = field(default="1024x1024", kw_only=True)
    name_format: ImageFormat | None = None
    partials: int | None = None
    watched_partials: int = 0
    stream: bool | None = None
    is_gateway: bool = False
    is_at_one_path: bool = False
    api: Api | None = None
    fallback: DraftRequest | None = None


@dataclass(frozen=True)
class ImageRequest(RequestParameters):
    """A request that passed every check and leaves nothing open.

    `model` is the model named in the body: a text model that runs the image tool (Responses API), or an image
    model (Images API). `partials` is 0 to 3.
    """

    prompt: str
    model: str
    api: Api
    partials: int = 0
    stream: bool = True
    inline: bool = False
    """Request base64 explicitly: compatible servers need `response_format`, OpenAI's own models reject it."""
    is_at_one_path: bool = False
    """The server has one path for new images and edits (Images API): JSON with `input_references`."""

    @property
    def subject(self) -> str:
        """The prompt as its user typed it, which files are named after."""
        return self.prompt if self.typed_prompt is None else self.typed_prompt

    @property
    def is_plain(self) -> bool:
        """Whether only a prompt is sent, so that the model sees no image."""
        return not (self.references or self.mask or self.previous_response_id)

    @property
    def inputs(self) -> frozenset[str]:
        """The SHA-256 of every image that is sent."""
        sent = (*self.references, self.mask, self.markup)
        return frozenset(one.sha256 for one in sent if one and one.sha256)

    @property
    def is_form(self) -> bool:
        """Whether it is sent as multipart/form-data: files for the Images API, and no URL."""
        is_edit = self.api is Api.IMAGES and bool(self.references)
        return is_edit and not self.is_at_one_path and not any(reference.url for reference in self.references)

    def anonymized(self) -> ImageRequest:
        """Return it without what identifies its user, above all the origin of its images."""
        references = tuple(reference.anonymized() for reference in self.references)
        mask, markup = (one and one.anonymized() for one in (self.mask, self.markup))
        private: dict[str, Any] = {
            one.name: () if one.type is tuple else None for one in PARAMETERS if one.is_private
        }
        return replace(self, references=references, mask=mask, markup=markup, **private)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form for a record of the run, without the bytes of its images."""
        names = ("prompt", "model", "api", *(one.name for one in fields(self)))
        lists = {
            "references": [reference.to_json() for reference in self.references],
            "mask": self.mask and self.mask.to_json(),
            "markup": self.markup and self.markup.to_json(),
            "presets": list(self.presets),
            "extra": list(self.extra),
        }
        values = {name: getattr(self, name) for name in names} | lists
        # A record without images or presets looks as it always did, so that an older imgcli can read it.
        return {key: value for key, value in values.items() if value or key in _ALWAYS}

    @classmethod
    def from_json(cls, value: object) -> ImageRequest | None:
        """Read a request from a record; a field with an invalid value counts as missing.

        An image that cannot be read stays in the list, so that the request cannot be sent again. Return None
        without a prompt.
        """
        if not isinstance(value, dict) or not isinstance(value.get("prompt"), str):
            return None
        known: dict[str, Any] = {one.name: one.read(value.get(one.name)) for one in PARAMETERS}
        known |= {name: text(value.get(name)) for name in _TEXTS}
        references = value.get("references")
        return cls(
            prompt=value["prompt"],
            model=text(value.get("model")) or "",
            api=choice(Api, value.get("api")) or Api.RESPONSES,
            partials=count(value.get("partials"), 3) or 0,
            count=count(value.get("count"), MAX_COUNT),
            stream=value.get("stream") is not False,
            inline=value.get("inline") is True,
            detach=value.get("detach") is True,
            completion_window=choice(CompletionWindow, value.get("completion_window")),
            is_at_one_path=value.get("is_at_one_path") is True,
            references=tuple(map(_reference, references)) if isinstance(references, list) else (),
            mask=_reference(value["mask"]) if value.get("mask") else None,
            markup=_reference(value["markup"]) if value.get("markup") else None,
            presets=texts_of(value.get("presets")),
            **known,
        )

    @classmethod
    def is_of_another_version(cls, record: dict[str, Any]) -> bool:
        """Return whether a record of a request has fields that this imgcli does not know."""
        return not record.keys() <= {one.name for one in fields(cls)}

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that are set, by their names."""
        values = {one.name: getattr(self, one.name) for one in PARAMETERS}
        return {name: value for name, value in values.items() if value not in UNSET}

    def fields_at(self, *places: ApiPlace) -> dict[str, Any]:
        """Return the parameters that stand in these places of the body, as the API names them.

        `extra` is not among them: `extra_field` reads it.
        """
        found: dict[str, Any] = {}
        for one in PARAMETERS:
            value = getattr(self, one.name)
            if one.api_name and one.place in places and value is not None:
                *outer, name = one.api_name.split(".")
                holder = found
                for key in outer:
                    holder = holder.setdefault(key, {})
                holder[name] = value
        return found


_TEXTS = ("image_model", "previous_response_id", "typed_prompt")
_ALWAYS = frozenset(
    [
        *("prompt", "model", "api", "image_model", "size", "quality", "format", "compression", "background"),
        *("moderation", "partials", "stream", "inline"),
    ]
)
"""Fields of the earliest records; all later ones are omitted where they are empty."""


def _reference(value: object) -> InputImage:
    return InputImage.from_json(value if isinstance(value, dict) else {})


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """Drop the fields that are not sent."""
    return {key: value for key, value in fields.items() if value is not None}
