"""The recipe inside the picture's own file: put in, read, taken out, without touching anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.core import png
from imgcli.core.events import FinalImage, ImageFormat, Notice, Picture
from imgcli.core.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgcli.core.events import Event

KEYWORD = "imgcli recipe"
"""The keyword of our text chunk. Other programs list it with the picture's other texts."""
_LARGEST = 4_000_000
"""Bytes of a recipe: beyond them it is none, or no reader that is careful would take it."""


class NotEmbeddable(ValueError):  # noqa: N818 - it is the picture that cannot take it
    """These bytes take no recipe; the message completes "the recipe is not embedded: ..."."""


def embed(data: bytes, recipe: Recipe) -> bytes:
    """Put a recipe into a PNG, in front of its end, in the place of one that is there.

    Every other byte stays what and in which order it was, so that `strip` gives them back. The file is
    another one all the same: content credentials, which sign its bytes, no longer verify. Raises
    `NotEmbeddable` for what is no whole PNG.
    """
    if not data.startswith(png.SIGNATURE):
        raise NotEmbeddable("the picture is no PNG")
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
    """A stage: the final pictures of one run get its recipe, completed by what each of them has of its own.

    Never costs a picture: one that takes no recipe passes as it came, and a notice says why.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, final pictures with their recipe."""
        for event in events:
            if isinstance(event, FinalImage) and not event.is_salvaged:
                yield from self._final(event)
            else:
                yield event

    def _final(self, event: FinalImage) -> tuple[Event, ...]:
        try:
            data = embed(event.picture.data, self._completed(event))
        except NotEmbeddable as reason:
            return event, Notice(event.job, _apology(str(reason)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the picture is worth more
            return event, Notice(event.job, _apology(f"a fault of imgcli ({type(error).__name__})"))
        return (replace(event, picture=Picture(data, ImageFormat.PNG)),)

    def _completed(self, event: FinalImage) -> Recipe:
        bare = Picture(strip(event.picture.data), event.picture.format)
        return replace(
            self._recipe,
            revised_prompt=event.revised_prompt,
            response_id=event.response_id,
            sha256=bare.sha256,
        )


def _apology(reason: str) -> str:
    return f"the recipe is not embedded: {reason}; the picture is kept as it came"


def _ours(data: bytes) -> Iterator[png.Chunk]:
    """Find the chunks that hold a recipe; looks at no content but the beginnings of texts."""
    for chunk in png.chunks(data):
        start = chunk.start + 8
        if chunk.kind == b"iTXt" and png.has_keyword(data[start : start + len(KEYWORD) + 1], KEYWORD):
            yield chunk


def _written(recipe: Recipe) -> bytes:
    """Spell a recipe as UTF-8; half a surrogate pair, which JSON from a server may hold, stays an escape."""
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
