"""The Images API: `/images/generations` and `/images/edits`, streamed or as one JSON answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.api.errors.server import from_code
from imgcli.core.config import OPENAI_PATHS, ApiPaths
from imgcli.core.json_fields import as_list, as_object
from imgcli.core.parameters.extra_field import extra_fields
from imgcli.core.params import ApiPlace
from imgcli.core.request import without_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.stream.assembler import ImageAssembler
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest


_EVENTS = ("image_generation.", "image_edit.")


def path(request: ImageRequest, paths: ApiPaths = OPENAI_PATHS) -> str:
    """Return the path of an edit where there are images to start from, and the server has one."""
    return paths.edits if request.references and paths.edits else paths.images


def body(request: ImageRequest) -> dict[str, Any]:
    """Build the body; files are named as OpenAI's own client does: `image`, or `image[]` for several."""
    if not request.is_form:
        return json_body(request)
    only = request.references[0] if len(request.references) == 1 else None
    images = {"image": only} if only else {"image[]": request.references}
    return _body(request, {**images, "mask": request.mask, "markup": request.markup})


def json_body(request: ImageRequest) -> dict[str, Any]:
    """Build the body as JSON, also where files go along (OpenAI's specification, August 2026)."""
    links = [reference.image_url for reference in request.references]
    if request.is_at_one_path:  # OpenRouter's Image API, August 2026
        parts = [{"type": "image_url", "image_url": {"url": link}} for link in links]
        return _body(request, {"input_references": parts or None})
    images = {
        "images": [{"image_url": link} for link in links] or None,
        "mask": {"image_url": request.mask.image_url} if request.mask else None,
    }
    return _body(request, images)


def _body(request: ImageRequest, images: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "model": request.model,
        "prompt": request.prompt,
        "n": request.count or 1,
        **images,
        **request.fields_at(ApiPlace.IMAGE, ApiPlace.REQUEST),
    }
    if request.stream:
        fields |= {"stream": True, "partial_images": request.partials}
    if request.inline:
        fields["response_format"] = "b64_json"
    return without_none(fields) | extra_fields(request.extra, in_tool=False)


def is_event(kind: str, event: dict[str, Any]) -> bool:
    """Recognise an event by its type, an unstreamed answer by its `data`."""
    is_error = kind == "error" or (event.get("error") and not kind)
    return kind.startswith(_EVENTS) or (isinstance(event.get("data"), list) and not is_error)


def read(kind: str, event: dict[str, Any], assembler: ImageAssembler) -> Iterator[Event]:
    """Yield what one event, or an unstreamed answer, means.

    Nothing in an event says which image it is about: what comes after a completed one is about the next. A
    completed event holds image and usage, and may be the last.
    """
    position = assembler.completions
    match kind.partition(".")[2] if kind.startswith(_EVENTS) else "answer":
        case "answer":
            yield from _read_answer(event, assembler)
        case "partial_image":
            assembler.has_ended = False
            text = event.get("b64_json") or event.get("partial_image_b64")
            number = assembler.number(None, position)
            yield from assembler.partial(number, event.get("partial_image_index"), text)
        case "partial_succeeded" | "partial_failed":  # Seedream: a finished image, or why there is none
            index = event.get("image_index")
            assembler.has_finals_before_end = True
            assembler.completions += 1
            number = assembler.number(None, position if index is None else index)
            yield from _read_final(event, number, assembler)
        case "completed" if assembler.has_finals_before_end and not event.get("b64_json"):
            assembler.metadata.note(event)
            assembler.end()
        case "completed":
            assembler.metadata.note(event)
            assembler.metadata.note_svg(event)
            content = event.get("b64_json") or event.get("url")
            if assembler.has_position(position) or not assembler.has(content):
                assembler.completions += 1
                yield from _read_final(event, assembler.number(None, position), assembler)
            assembler.consumed.append(content)
            assembler.end()
        case "failed":
            assembler.metadata.note(event)
            assembler.end(from_code(event, assembler.progress))
        case _:
            assembler.has_begun = True


def _read_answer(answer: dict[str, Any], assembler: ImageAssembler) -> Iterator[Event]:
    assembler.metadata.note(answer)
    assembler.metadata.note_svg(answer)
    for position, entry in enumerate(as_list(answer.get("data"))):
        yield from _read_final(as_object(entry), assembler.number(None, position), assembler)
    assembler.end()


def _read_final(entry: dict[str, Any], number: int, assembler: ImageAssembler) -> Iterator[Event]:
    """Read one finished image: base64, or a link, which counts as a failure."""
    content = entry.get("b64_json") or entry.get("url")
    if content:
        yield from assembler.final(number, content, entry.get("revised_prompt"))
    elif error := entry.get("error"):
        assembler.note_missing(number, from_code(error, assembler.progress))
