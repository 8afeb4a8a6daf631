"""The parameters of an image, embedded in its own PNG file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.events import FinalImage, Notice
from imgcli.core.formats import png
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.json_fields import text, texts_of
from imgcli.core.params import DEMO, MODEL_FIELDS, PARAMETERS, UNSET
from imgcli.core.text import is_encodable
from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest


FORMAT_VERSION = 1
"""The version of the JSON form. A newer one may hold more; what it holds under these names is still read."""
_OLD_DEMO = "imgcli's demo"
"""The host of demo runs in files from before the history's word was used."""


@dataclass(frozen=True)
class EmbeddedParameters:
    """Everything needed to describe how an image was made, and to request it again. Never holds a key.

    `options` are the parameters that were sent, by our names, with values spelled as in the API: a newer
    imgcli, or another server, may have others.
    `host` is the server's host and port, or `DEMO`; `time` (ISO 8601) is when the run began,
    `parents` are the SHA-256 of the images that it was made from, `version` is imgcli's. Read from a file,
    all of it is foreign text. `typed_prompt` and `presets` are those of the request.
    """

    prompt: str
    model: str | None = None
    api: str | None = None
    revised_prompt: str | None = None
    typed_prompt: str | None = None
    presets: tuple[str, ...] = ()
    image_model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    response_id: str | None = None
    host: str | None = None
    time: str | None = None
    parents: tuple[str, ...] = ()
    version: str | None = None
    sha256: str | None = None
    """Of the file without these parameters. A file edited since is another image, whatever its texts say."""

    @classmethod
    def of(cls, request: ImageRequest, host: str | None, time: str, version: str) -> Self:
        """Build what all images of a run share; `EmbeddingStage` adds what each has of its own."""
        values = {name: getattr(request, name) for name in _SHARED}
        words: dict[str, Any] = {name: _plain(value) for name, value in values.items()}
        options = {name: _plain(value) for name, value in request.anonymized().options.items()}
        return cls(
            prompt=request.prompt,
            presets=request.presets,
            options=options,
            host=host,
            time=time,
            version=version,
            **words,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without what is unknown; `options` are not set apart there."""
        values: dict[str, Any] = {"recipe": FORMAT_VERSION}
        for one in fields(self):
            value = getattr(self, one.name)
            values |= value if one.name == "options" else {_JSON_NAMES.get(one.name, one.name): value}
        known = {name: value for name, value in values.items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Read what `to_json` of this or a newer imgcli wrote; ignore what is unknown or of another type.

        Return None unless there are a version of the form and a prompt.
        """
        if not isinstance(value, dict) or type(value.get("recipe")) is not int:
            return None
        texts = {name: text(value.get(_JSON_NAMES.get(name, name))) for name in _TEXTS}
        if texts["prompt"] is None:
            return None
        for name in _SENT_AS_IS:
            if not is_encodable(texts[name] or ""):
                texts[name] = None
        if texts["host"] == _OLD_DEMO:
            texts["host"] = DEMO
        # A private one is never written; one that somebody else wrote must not get into a request.
        options = {one.name: one.plain(value.get(one.name)) for one in PARAMETERS if not one.is_private}
        return cls(
            **texts,  # type: ignore[arg-type]  # the prompt is there
            options={name: known for name, known in options.items() if known not in UNSET},
            presets=texts_of(value.get("presets")),
            parents=texts_of(value.get("parents")),
        )


_JSON_NAMES = {"host": "place"}
"""Keys that files already have and that differ from the field's name."""
_SENT_AS_IS = ("model", "image_model", "response_id")
"""Sent to a server unchanged, so that they must be valid UTF-8; a prompt is checked before it is sent."""
_NO_TEXTS = frozenset({"options", "parents", "presets"})
_SHARED = (*MODEL_FIELDS, "typed_prompt")
_TEXTS = tuple(field.name for field in fields(EmbeddedParameters) if field.name not in _NO_TEXTS)


def _plain(value: object) -> object:
    """Return an enum's value as the text that it is."""
    return str(value) if isinstance(value, str) else value


KEYWORD = "imgcli recipe"
"""The keyword of our text chunk. Other programs list it with the image's other texts."""
_MAX_BYTES = 4_000_000
"""A longer chunk is not ours."""


class NotEmbeddable(ValueError):  # noqa: N818 - it describes the image
    """The parameters do not fit into these bytes; the message completes "parameters not embedded: ..."."""


def embed(data: bytes, parameters: EmbeddedParameters) -> bytes:
    """Insert parameters into a PNG before its end, replacing any that are there.

    No other byte changes, so that `strip` restores the original. It is another file all the same: content
    credentials, which sign its bytes, no longer verify. Raises `NotEmbeddable` unless it is a complete PNG.
    """
    if not data.startswith(png.SIGNATURE):
        raise NotEmbeddable("the image is not a PNG")
    bare = strip(data)
    end = png.last(bare)
    if end is None:
        raise NotEmbeddable("the PNG is damaged")
    # Half a surrogate pair, which a server's JSON may hold, stays an escape.
    encoded = json.dumps(parameters.to_json(), ensure_ascii=False).encode("utf-8", "backslashreplace")
    if len(encoded) > _MAX_BYTES // 2:
        raise NotEmbeddable("the prompt is too long")
    chunk = png.international_text(KEYWORD, encoded)
    return b"".join((memoryview(bare)[: end.start], chunk, memoryview(bare)[end.start :]))


def read(data: bytes) -> EmbeddedParameters | None:
    """Read the parameters from a file's bytes, None where there are none. Never raises."""
    for chunk in _own_chunks(data):
        if chunk.end - chunk.start <= _MAX_BYTES and chunk.is_intact(data):
            encoded = png.text_of(chunk.content(data), KEYWORD)
            with suppress(ValueError, RecursionError):
                value = json.loads(encoded.decode("utf-8")) if encoded is not None else None
                if parameters := EmbeddedParameters.from_json(value):
                    return parameters
    return None


def strip(data: bytes) -> bytes:
    """Remove all embedded parameters from a PNG; return the bytes themselves where there are none."""
    kept, start = list[memoryview](), 0
    for chunk in _own_chunks(data):
        kept.append(memoryview(data)[start : chunk.start])
        start = chunk.end
    return b"".join((*kept, memoryview(data)[start:])) if kept else data


def _own_chunks(data: bytes) -> Iterator[png.Chunk]:
    """Yield our chunks; of other texts only the keyword is read."""
    for chunk in png.chunks(data):
        start = chunk.start + 8
        if chunk.kind == b"iTXt" and png.has_keyword(data[start : start + len(KEYWORD) + 1], KEYWORD):
            yield chunk


class EmbeddingStage:
    """A stage that embeds the parameters of a run in its final images.

    Never costs an image: one that cannot hold them passes unchanged, with a notice that says why.
    """

    def __init__(self, parameters: EmbeddedParameters) -> None:
        self._parameters = parameters

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, final images with their parameters."""
        for event in events:
            if isinstance(event, FinalImage) and not event.is_salvaged:
                yield from self._embed(event)
            else:
                yield event

    def _embed(self, event: FinalImage) -> tuple[Event, ...]:
        try:
            bare = EncodedImage(strip(event.image.data), event.image.format)
            parameters = replace(
                self._parameters,
                revised_prompt=event.revised_prompt,
                response_id=event.response_id,
                sha256=bare.sha256,
            )
            data = embed(event.image.data, parameters)
        except Exception as error:  # noqa: BLE001 - whatever it is, the image is worth more
            fault = f"an error in imgcli ({type(error).__name__})"
            reason = str(error) if isinstance(error, NotEmbeddable) else fault
            return event, Notice(
                event.job, f"parameters not embedded: {reason}; the image is saved unchanged"
            )
        return (replace(event, image=EncodedImage(data, ImageFormat.PNG)),)
