"""The Responses API: `/responses` with the image tool, streamed or as one JSON answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.api.errors.server import from_code, quoted
from imgcli.core.config import OPENAI_PATHS, ApiPaths
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, Problem
from imgcli.core.json_fields import as_list, as_object, as_text, first_text
from imgcli.core.parameters.extra_field import extra_fields
from imgcli.core.params import ApiPlace
from imgcli.core.request import without_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.stream.assembler import ImageAssembler
    from imgcli.core.events import Event
    from imgcli.core.request import ImageRequest


def path(request: ImageRequest, paths: ApiPaths = OPENAI_PATHS) -> str:  # noqa: ARG001 - all go to one path
    """Return the one path of this API."""
    return paths.responses


def body(request: ImageRequest) -> dict[str, Any]:
    """Build the body. It forces the image tool: a model that is only offered it may answer in words."""
    tool = {
        "type": "image_generation",
        "model": request.image_model,
        **request.fields_at(ApiPlace.IMAGE, ApiPlace.TOOL),
        "partial_images": request.partials,
        "input_image_mask": {"image_url": request.mask.image_url} if request.mask else None,
    }
    images = [{"type": "input_image", "image_url": reference.image_url} for reference in request.references]
    message = {"role": "user", "content": [{"type": "input_text", "text": request.prompt}, *images]}
    extra = extra_fields(request.extra, in_tool=True)
    window = request.completion_window
    fields = {
        "model": request.model,
        "input": [message] if images else request.prompt,
        "previous_response_id": request.previous_response_id,
        "tools": [without_none(tool) | extra],
        "tool_choice": {"type": "image_generation"},
        "stream": request.stream or None,
        "background": request.detach or None,
        "background_options": window and {"completion_window": window},
        "store": request.detach or None,  # the default, without which nothing can be fetched later
        **request.fields_at(ApiPlace.REQUEST, ApiPlace.RESPONSE),
    }
    return without_none(fields) | extra_fields(request.extra, in_tool=False)


def is_event(kind: str, event: dict[str, Any]) -> bool:
    """Recognise an event by its type, an unstreamed answer by its object type or its output."""
    is_answer = event.get("object") == "response" or isinstance(event.get("output"), list)
    family = kind.partition(".")[0]
    return family == "response" or (is_answer and family not in ("error", "image_generation", "image_edit"))


def read(kind: str, event: dict[str, Any], assembler: ImageAssembler) -> Iterator[Event]:
    """Yield what one event, or an unstreamed answer, means.

    The final image comes twice as a rule; whichever comes first counts.
    """
    step = kind.removeprefix("response.") if kind.startswith("response.") else _step_of(event)
    if step.startswith("image_generation_call."):
        assembler.has_begun = True
        assembler.begin(event.get("item_id"), event.get("output_index"))
    match step:
        case "image_generation_call.partial_image":  # LiteLLM names its base64 as the Images API does
            text = event.get("partial_image_b64") or event.get("b64_json")
            number = assembler.number(event.get("item_id"), event.get("output_index"))
            yield from assembler.partial(number, event.get("partial_image_index"), text)
        case "image_generation_call.completed":
            yield from _read_call(event, event.get("item_id"), event.get("output_index"), assembler)
        case "output_item.added" | "output_item.done":
            yield from _read_item(event.get("item"), event.get("output_index"), assembler)
        case "created" | "in_progress" | "queued":
            response = as_object(event.get("response")) or event
            assembler.metadata.note(response)
        case "completed" | "done" | "incomplete" | "failed" | "cancelled":
            yield from _read_end(as_object(event.get("response")) or event, assembler)
        case "error":
            assembler.end(from_code(event, assembler.progress))
        case _:
            pass


def _step_of(answer: dict[str, Any]) -> str:
    """Return which event a whole answer stands for: one that runs in the background has not ended."""
    is_pending = answer.get("background") is True and answer.get("status") in ("queued", "in_progress")
    return "queued" if is_pending else "completed"


def _read_item(value: object, position: object, assembler: ImageAssembler) -> Iterator[Event]:
    """Read one item of the output; the model's words are kept in case that they are all there is."""
    item = as_object(value)
    kind = as_text(item.get("type")) or ""
    if "image_generation" in kind or (not kind and item.get("result")):
        assembler.has_begun = True
        yield from _read_call(item, item.get("id"), position, assembler)
    elif kind == "message":
        for part in map(as_object, as_list(item.get("content"))):
            words = first_text(part, "text", "refusal")
            assembler.add_words(words, is_refusal=part.get("type") == "refusal")


def _read_call(
    item: dict[str, Any], name: object, position: object, assembler: ImageAssembler
) -> Iterator[Event]:
    """Read a call's image, whatever its status says: only the image counts."""
    assembler.metadata.note_svg(item)
    result = item.get("result") or item.get("b64_json")
    error = as_object(item.get("error"))
    if result:
        number = assembler.number(name, position)
        yield from assembler.final(number, result, item.get("revised_prompt"))
    elif error or item.get("status") == "failed":
        assembler.fail(assembler.number(name, position), from_code(error, assembler.progress))
    else:
        assembler.begin(name, position)


def _read_end(response: dict[str, Any], assembler: ImageAssembler) -> Iterator[Event]:
    """Read the response object of an end: its images, its usage, and its own error."""
    assembler.metadata.note(response)
    for position, item in enumerate(as_list(response.get("output"))):
        yield from _read_item(item, position, assembler)
    assembler.end(_find_problem(response, assembler))


def _find_problem(response: dict[str, Any], assembler: ImageAssembler) -> Problem | None:
    """Find the error in a response, or the reason why it is incomplete."""
    if error := response.get("error"):
        return from_code(error, assembler.progress)
    reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
    if reason == "content_filter":
        return from_code({"code": reason}, assembler.progress)
    if reason:
        what = f"The server stopped before the end: {quoted(reason)}"
        return Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE, quoted(reason))
    status = as_text(response.get("status"))
    if status in ("failed", "incomplete", "cancelled", "queued", "in_progress"):
        return Problem(ExitCode.UNKNOWN, f"The response ended as {status}.", Charged.MAYBE, CHECK_USAGE)
    return None
