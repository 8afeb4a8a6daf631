"""One run of the Responses API: its events in the order of a recorded stream, and the response in them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcli.demo import usage
from imgcli.demo.errors import invalid, invalid_type, invalid_value, missing, unsupported_here
from imgcli.demo.exchange import Past, ServerEvent, Sessions, beat, in_base64, new_id
from imgcli.demo.forms import UploadedImage, decoded, pointed, uploaded_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgcli.demo.models import TextModel
    from imgcli.demo.painter.painter import PaintedImage
    from imgcli.demo.validation import Fields, Options


_ITEMS = ("message", "image_generation_call", "reasoning", "item_reference")
_ROLES = ("user", "system", "developer", "assistant")
_PARTS = ("input_text", "output_text", "input_image")


@dataclass(frozen=True, slots=True)
class ConversationInput:
    """Everything that was said: the last words of the user, all images, and what went before."""

    prompt: str = ""
    motif: str = ""
    """The first words of the user, in this request or an earlier one."""
    motif_seed: int | None = None
    """The seed of the first request, None where this is the first."""
    images: tuple[UploadedImage, ...] = ()
    turn: int = 1
    painted: bool = False
    """Whether an earlier image can be edited."""

    @property
    def editing(self) -> bool:
        """Whether there is an image to start from."""
        return bool(self.images) or self.painted

    def heard(self, role: str, text: str) -> ConversationInput:
        """With one more message in it."""
        if role != "user" or not text.strip():
            return self
        return replace(self, prompt=text, motif=self.motif or text)

    def seen(self, *images: UploadedImage) -> ConversationInput:
        """With more images in it."""
        return replace(self, images=self.images + images)


def read_conversation(fields: Fields, memory: Sessions) -> ConversationInput:
    """The conversation of a request: `previous_response_id` and `input`."""
    said = ConversationInput()
    previous = fields.values.get("previous_response_id")
    if previous is not None:
        past = memory.response(str(previous))
        said = ConversationInput("", past.motif, past.motif_seed, turn=past.turn + 1, painted=past.painted)
    value = fields.values.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        said = said.heard("user", value)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            said = _read_item(said, item, f"input[{number}]", memory)
    else:
        raise invalid_type("a string or an array", value, "input")
    if not said.prompt and not said.images:
        message = "Invalid 'input': empty. Expected text or an image from the user."
        raise invalid("string_below_min_length", message, "input")
    return said


def _read_item(said: ConversationInput, item: object, param: str, memory: Sessions) -> ConversationInput:
    if not isinstance(item, dict):
        raise invalid_type("an object", item, param)
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        raise invalid_value(kind, _ITEMS, f"{param}.type")
    if kind == "message":
        return _read_message(said, item, param)
    if kind == "reasoning":
        return said
    return _read_earlier(said, item, param, memory)


def _read_earlier(
    said: ConversationInput, item: dict[str, object], param: str, memory: Sessions
) -> ConversationInput:
    """An image of an earlier answer: sent again whole, or named by its id."""
    result = item.get("result")
    if isinstance(result, str) and result:
        return said.seen(uploaded_image(decoded(result, f"{param}.result"), f"{param}.result"))
    if not isinstance(item.get("id"), str):
        raise missing(f"{param}.id")
    past = memory.item(str(item["id"]))
    return replace(
        said,
        motif=said.motif or past.motif,
        motif_seed=past.motif_seed if said.motif_seed is None else said.motif_seed,
        turn=max(said.turn, past.turn + 1),
        painted=said.painted or past.painted,
    )


def _read_message(said: ConversationInput, item: dict[str, object], param: str) -> ConversationInput:
    role = item.get("role")
    if role not in _ROLES:
        raise missing(f"{param}.role") if role is None else invalid_value(role, _ROLES, f"{param}.role")
    content = item.get("content")
    if isinstance(content, str):
        return said.heard(str(role), content)
    if not isinstance(content, list):
        raise missing(f"{param}.content")
    texts = []
    for number, part in enumerate(content):
        place = f"{param}.content[{number}]"
        found = _read_part(part, place)
        if isinstance(found, UploadedImage):
            said = said.seen(found)
        else:
            texts.append(found)
    return said.heard(str(role), "\n".join(texts))


def _read_part(part: object, param: str) -> UploadedImage | str:
    if not isinstance(part, dict):
        raise invalid_type("an object", part, param)
    kind = part.get("type")
    if kind in {"input_file", "input_audio"}:
        raise unsupported_here(f"{param}.type", "files and sound")
    if kind not in _PARTS:
        raise invalid_value(kind, _PARTS, f"{param}.type")
    if kind == "input_image":
        return pointed(part, param)
    text = part.get("text")
    if not isinstance(text, str):
        raise invalid_type("a string", text, f"{param}.text")
    return text


_WORDS = "The offline stand-in has no image for this request, because it was not free to use its image tool."
_OVERHEAD = 2300  # tokens that the image tool's own instructions add to the text model's input
_REASONING = 64

# What the response repeats from the request, with OpenAI's default for each.
_ECHOED: dict[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "auto",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the image tool is to paint."""

    options: Options
    action: str
    mask: UploadedImage | None


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A valid request; without a `drawing` it is answered in words."""

    model: TextModel
    request: Mapping[str, object]
    said: ConversationInput
    drawing: Drawing | None
    seed: int
    store: bool


class ResponseRun:
    """One answer in the making."""

    def __init__(self, order: ResponseRequest, memory: Sessions) -> None:
        self._order = order
        self._memory = memory
        self._id = new_id("resp")
        self._created = int(time.time())
        self._sequence = 0
        self._output: list[dict[str, object]] = []

    def frames(self) -> Iterator[ServerEvent]:
        """All events, first to last."""
        yield self._frame("response.created", {"response": self._response("in_progress")})
        yield self._frame("response.in_progress", {"response": self._response("in_progress")})
        if self._order.model.reasons:
            yield from self._reasoning()
        if self._order.drawing:
            yield from self._image(self._order.drawing)
        yield from self._message("" if self._order.drawing else _WORDS)
        self._remember()
        yield self._frame("response.completed", {"response": self._response("completed")})

    def _frame(self, kind: str, fields: Mapping[str, object], pause: float = 0.0) -> ServerEvent:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return ServerEvent(event, pause)

    def _placed(self, item: Mapping[str, object]) -> Mapping[str, object]:
        return {"output_index": len(self._output), "item": item}

    def _added(self, item: Mapping[str, object], pause: float = 0.0) -> ServerEvent:
        return self._frame("response.output_item.added", self._placed(item), pause)

    def _done(self, item: dict[str, object]) -> ServerEvent:
        frame = self._frame("response.output_item.done", self._placed(item))
        self._output.append(item)
        return frame

    def _reasoning(self) -> Iterator[ServerEvent]:
        item: dict[str, object] = {"id": new_id("rs"), "type": "reasoning", "summary": []}
        yield self._added(item, 0.2)
        yield self._done(item)

    def _image(self, drawing: Drawing) -> Iterator[ServerEvent]:
        key, options, count = new_id("ig"), drawing.options, drawing.options.partial_images
        place = {"output_index": len(self._output), "item_id": key}
        call = "response.image_generation_call."
        item: dict[str, object] = {"id": key, "type": "image_generation_call", "status": "in_progress"}
        yield self._added(item, 0.3)
        yield self._frame(call + "in_progress", place)
        yield self._frame(call + "generating", place, 0.2)
        painting = self._paint(drawing)
        for index in range(count):
            partial = in_base64(painting.partial(index, count, options.encoding))
            more = {"partial_image_index": index, "partial_image_b64": partial, **options.echo}
            yield self._frame(call + "partial_image", {**place, **more}, beat(count))
        final = in_base64(painting.final(options.encoding))
        yield self._frame(call + "completed", place, beat(count))
        told = {"action": drawing.action, **options.echo, "revised_prompt": self._order.said.prompt}
        yield self._done({**item, "status": "completed", **told, "result": final})

    def _paint(self, drawing: Drawing) -> PaintedImage:
        from imgcli.demo.painter.painter import PaintedImage, PaintJob

        said, options = self._order.said, drawing.options
        return PaintedImage(
            PaintJob(
                said.prompt,
                (options.width, options.height),
                options.quality,
                transparent=options.transparent,
                references=tuple(image.data for image in said.images),
                mask=drawing.mask.data if drawing.mask else None,
                turn=said.turn,
                motif=said.motif,
                seed=self._order.seed,
                motif_seed=said.motif_seed,
            )
        )

    def _message(self, text: str) -> Iterator[ServerEvent]:
        key = new_id("msg")
        item: dict[str, object] = {"id": key, "type": "message", "status": "in_progress", "role": "assistant"}
        place = {"item_id": key, "output_index": len(self._output), "content_index": 0}
        yield self._added({**item, "content": []})
        yield self._frame("response.content_part.added", {**place, "part": _part("")})
        for piece in re.findall(r"\S+\s*", text):
            yield self._frame("response.output_text.delta", {**place, "delta": piece, "logprobs": []}, 0.03)
        yield self._frame("response.output_text.done", {**place, "text": text, "logprobs": []})
        yield self._frame("response.content_part.done", {**place, "part": _part(text)})
        yield self._done({**item, "status": "completed", "content": [_part(text)]})

    def _remember(self) -> None:
        if not self._order.store:
            return
        said = self._order.said
        seed = self._order.seed if said.motif_seed is None else said.motif_seed
        past = Past(said.turn, said.motif, seed, said.painted or self._order.drawing is not None)
        for item in self._output:
            self._memory.keep(str(item["id"]), past)
        self._memory.keep(self._id, past)

    def _response(self, status: str) -> dict[str, object]:
        request, finished = self._order.request, status == "completed"
        echoed = {
            key: default if request.get(key) is None else request[key] for key, default in _ECHOED.items()
        }
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "completed_at": int(time.time()) if finished else None,
            "error": None,
            "incomplete_details": None,
            "model": self._order.model.name,
            "output": list(self._output),
            **echoed,
            "tools": request["tools"],
            "usage": self._usage() if finished else None,
            **({"tool_usage": self._tool_usage()} if finished else {}),
        }

    def _usage(self) -> dict[str, object]:
        order = self._order
        reasoning = _REASONING if order.model.reasons else 0
        tokens_in = usage.words(order.said.prompt) + (_OVERHEAD if order.drawing else 0)
        tokens_out = reasoning + usage.words(order.said.prompt if order.drawing else _WORDS)
        return usage.mainline(tokens_in, tokens_out, reasoning)

    def _tool_usage(self) -> dict[str, object]:
        said, drawing, tokens = self._order.said, self._order.drawing, usage.NOTHING
        if drawing:
            area = sum(image.width * image.height for image in said.images)
            if said.painted:  # the earlier image is looked at again, and costs as one that is sent
                area += drawing.options.width * drawing.options.height
            tokens = usage.count(drawing.options, said.prompt, area)
        return {"image_gen": tokens.report(details=True), "web_search": {"num_requests": 0}}


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
