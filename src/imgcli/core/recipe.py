"""How an image was made, as a value that can travel inside its file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from imgcli.core.events import FinalImage, Notice
from imgcli.core.formats import png
from imgcli.core.image import EncodedImage, ImageFormat
from imgcli.core.params import DEMO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest


FORM = 1
"""The version of the JSON form. A newer one may say more; what it says under these names is still read."""
_DEMO_ONCE = "imgcli's demo"
"""What recipes called the demo before they used the history's word."""


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to tell how an image came to be, and to ask for it again. Never holds a key.

    The options are spelled as the API spells them, None where none was sent: a newer imgcli, or another
    server, may know others than we do. `place` is the server's host and port, or `DEMO`; `time` (ISO 8601)
    is when the run began, `parents` are the SHA-256 of the images that it was made from, `version` is
    imgcli's. Read from a file, all of it is foreign text.
    """

    prompt: str
    model: str | None = None
    api: str | None = None
    revised_prompt: str | None = None
    image_model: str | None = None
    size: str | None = None
    quality: str | None = None
    format: str | None = None
    compression: int | None = None
    background: str | None = None
    moderation: str | None = None
    fidelity: str | None = None
    response_id: str | None = None
    place: str | None = None
    time: str | None = None
    parents: tuple[str, ...] = ()
    version: str | None = None
    sha256: str | None = None
    """Of the file without the recipe: what was changed since is another image, whatever its texts say."""

    @classmethod
    def of(cls, request: ImageRequest, place: str | None, time: str, version: str) -> Self:
        """Begin the recipe of a run; each of its images adds what is its own."""
        return cls(
            prompt=request.prompt,
            model=request.model,
            api=_plain(request.api),
            image_model=request.image_model,
            size=request.size,
            quality=_plain(request.quality),
            format=_plain(request.format),
            compression=request.compression,
            background=_plain(request.background),
            moderation=_plain(request.moderation),
            fidelity=_plain(request.fidelity),
            place=place,
            time=time,
            version=version,
        )

    def to_json(self) -> dict[str, Any]:
        """Write it down, without what is not known."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: value for name, value in known.items() if value not in (None, ())}
        return {"recipe": FORM, **told} | ({"parents": list(self.parents)} if self.parents else {})

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Read what `to_json` wrote, or a newer imgcli: what is unknown or of another type is passed over.

        None for what is no recipe at all: there must be a form and a prompt.
        """
        if not isinstance(value, dict) or not _is_count(value.get("recipe")):
            return None
        texts = {name: value[name] for name in _TEXTS if isinstance(value.get(name), str)}
        texts = {name: text for name, text in texts.items() if name not in _NAMES or _is_sound(text)}
        if "prompt" not in texts:
            return None
        if texts.get("place") == _DEMO_ONCE:
            texts["place"] = DEMO
        compression, parents = value.get("compression"), value.get("parents")
        return cls(
            **texts,
            compression=compression if _is_count(compression) else None,
            parents=tuple(filter(_is_text, parents)) if isinstance(parents, list) else (),
        )


_NAMES = frozenset({"model", "image_model", "response_id"})
"""What goes to a server as it stands; a prompt is looked at before it does."""
_TEXTS = tuple(field.name for field in fields(Recipe) if field.name not in {"compression", "parents"})


def _plain(choice: str | None) -> str | None:
    """Take a choice as a plain word."""
    return None if choice is None else str(choice)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_sound(name: str) -> bool:
    """Whether a name can be sent: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


KEYWORD = "imgcli recipe"
"""The keyword of our text chunk. Other programs list it with the image's other texts."""
_LARGEST = 4_000_000
"""Bytes of a recipe: beyond them it is none, or no reader that is careful would take it."""


class NotEmbeddable(ValueError):  # noqa: N818 - it is the image that cannot take it
    """These bytes take no recipe; the message completes "the recipe is not embedded: ..."."""


def embed(data: bytes, recipe: Recipe) -> bytes:
    """Put a recipe into a PNG, in front of its end, in the place of one that is there.

    Every other byte stays what and in which order it was, so that `strip` gives them back. The file is
    another one all the same: content credentials, which sign its bytes, no longer verify. Raises
    `NotEmbeddable` for what is no whole PNG.
    """
    if not data.startswith(png.SIGNATURE):
        raise NotEmbeddable("the image is no PNG")
    bare = strip(data)
    end = png.last(bare)
    if end is None:
        raise NotEmbeddable("the PNG is damaged")
    chunk = png.international_text(KEYWORD, _written(recipe))
    return b"".join((memoryview(bare)[: end.start], chunk, memoryview(bare)[end.start :]))


def read(data: bytes) -> Recipe | None:
    """Find the recipe in a file's bytes, None where there is none. Never raises, whatever the bytes are."""
    for chunk in _ours(data):
        if chunk.end - chunk.start <= _LARGEST and chunk.is_intact(data):
            text = png.text_of(chunk.content(data), KEYWORD)
            recipe = None if text is None else _read(text)
            if recipe is not None:
                return recipe
    return None


def strip(data: bytes) -> bytes:
    """Take every recipe out of a PNG; gives the bytes themselves where there is none."""
    kept, start = list[memoryview](), 0
    for chunk in _ours(data):
        kept.append(memoryview(data)[start : chunk.start])
        start = chunk.end
    return b"".join((*kept, memoryview(data)[start:])) if kept else data


class Embedding:
    """A stage: the final images of one run get its recipe, completed by what each of them has of its own.

    Never costs an image: one that takes no recipe passes as it came, and a notice says why.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, final images with their recipe."""
        for event in events:
            if isinstance(event, FinalImage) and not event.is_salvaged:
                yield from self._final(event)
            else:
                yield event

    def _final(self, event: FinalImage) -> tuple[Event, ...]:
        try:
            data = embed(event.image.data, self._completed(event))
        except NotEmbeddable as reason:
            return event, Notice(event.job, _apology(str(reason)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the image is worth more
            return event, Notice(event.job, _apology(f"a fault of imgcli ({type(error).__name__})"))
        return (replace(event, image=EncodedImage(data, ImageFormat.PNG)),)

    def _completed(self, event: FinalImage) -> Recipe:
        bare = EncodedImage(strip(event.image.data), event.image.format)
        return replace(
            self._recipe,
            revised_prompt=event.revised_prompt,
            response_id=event.response_id,
            sha256=bare.sha256,
        )


def _apology(reason: str) -> str:
    return f"the recipe is not embedded: {reason}; the image is kept as it came"


def _ours(data: bytes) -> Iterator[png.Chunk]:
    """Find the chunks that hold a recipe; looks at no content but the beginnings of texts."""
    for chunk in png.chunks(data):
        start = chunk.start + 8
        if chunk.kind == b"iTXt" and png.has_keyword(data[start : start + len(KEYWORD) + 1], KEYWORD):
            yield chunk


def _written(recipe: Recipe) -> bytes:
    """Format a recipe as UTF-8; half a surrogate pair, which JSON from a server may hold, stays an escape."""
    text = json.dumps(recipe.to_json(), ensure_ascii=False)
    written = text.encode("utf-8", "backslashreplace")
    if len(written) > _LARGEST // 2:
        raise NotEmbeddable("the prompt is too long")
    return written


def _read(text: bytes) -> Recipe | None:
    try:
        return Recipe.from_json(json.loads(text.decode("utf-8")))
    except (ValueError, RecursionError):
        return None
