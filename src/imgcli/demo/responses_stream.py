"""A conversation, parsed from a request, and the events that answer it, in the order of a recorded stream."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgcli.demo import usage
from imgcli.demo.exchange import (
    EarlierAnswer,
    ServerEvent,
    Sessions,
    in_base64,
    invalid,
    invalid_type,
    invalid_value,
    missing,
    new_id,
    pause_before_image,
    unsupported_here,
)
from imgcli.demo.forms import UploadedImage, decode_base64, decoded_image, linked_image

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
    """What a request says: the last words of the user, all images, and what went before."""

    prompt: str = ""
    first_prompt: str = ""
    """The first words of the user, in this request or an earlier one."""
    first_seed: int | None = None
    """The seed of the first request, None where this is the first."""
    images: tuple[UploadedImage, ...] = ()
    turn: int = 1
    painted: bool = False
    """Whether an earlier image can be edited."""

    @property
    def editing(self) -> bool:
        """Whether there is an image to start from."""
        return bool(self.images) or self.painted

    def with_text(self, role: str, text: str) -> ConversationInput:
        """Add a message."""
        if role != "user" or not text.strip():
            return self
        return replace(self, prompt=text, first_prompt=self.first_prompt or text)

    def with_images(self, *images: UploadedImage) -> ConversationInput:
        """Add images."""
        return replace(self, images=self.images + images)


def read_conversation(fields: Fields, sessions: Sessions) -> ConversationInput:
    """Read the conversation of a request: `previous_response_id` and `input`."""
    chat = ConversationInput()
    previous = fields.values.get("previous_response_id")
    if previous is not None:
        earlier = sessions.response(str(previous))
        chat = ConversationInput(
            "", earlier.first_prompt, earlier.first_seed, turn=earlier.turn + 1, painted=earlier.painted
        )
    value = fields.values.get("input")
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        chat = chat.with_text("user", value)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            chat = _read_item(chat, item, f"input[{number}]", sessions)
    else:
        raise invalid_type("a string or an array", value, "input")
    if not chat.prompt and not chat.images:
        message = "Invalid 'input': empty. Expected text or an image from the user."
        raise invalid("string_below_min_length", message, "input")
    return chat


def _read_item(chat: ConversationInput, item: object, param: str, sessions: Sessions) -> ConversationInput:
    if not isinstance(item, dict):
        raise invalid_type("an object", item, param)
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        raise invalid_value(kind, _ITEMS, f"{param}.type")
    if kind == "message":
        return _read_message(chat, item, param)
    if kind == "reasoning":
        return chat
    return _read_earlier(chat, item, param, sessions)


def _read_earlier(
    chat: ConversationInput, item: dict[str, object], param: str, sessions: Sessions
) -> ConversationInput:
    """Read an image of an earlier answer: sent again whole, or named by its id."""
    result = item.get("result")
    if isinstance(result, str) and result:
        return chat.with_images(decoded_image(decode_base64(result, f"{param}.result"), f"{param}.result"))
    if not isinstance(item.get("id"), str):
        raise missing(f"{param}.id")
    earlier = sessions.item(str(item["id"]))
    return replace(
        chat,
        first_prompt=chat.first_prompt or earlier.first_prompt,
        first_seed=earlier.first_seed if chat.first_seed is None else chat.first_seed,
        turn=max(chat.turn, earlier.turn + 1),
        painted=chat.painted or earlier.painted,
    )


def _read_message(chat: ConversationInput, item: dict[str, object], param: str) -> ConversationInput:
    role = item.get("role")
    if role not in _ROLES:
        raise missing(f"{param}.role") if role is None else invalid_value(role, _ROLES, f"{param}.role")
    content = item.get("content")
    if isinstance(content, str):
        return chat.with_text(str(role), content)
    if not isinstance(content, list):
        raise missing(f"{param}.content")
    texts = []
    for number, part in enumerate(content):
        content_part = _read_part(part, f"{param}.content[{number}]")
        if isinstance(content_part, UploadedImage):
            chat = chat.with_images(content_part)
        else:
            texts.append(content_part)
    return chat.with_text(str(role), "\n".join(texts))


def _read_part(part: object, param: str) -> UploadedImage | str:
    if not isinstance(part, dict):
        raise invalid_type("an object", part, param)
    kind = part.get("type")
    if kind in {"input_file", "input_audio"}:
        raise unsupported_here(f"{param}.type", "files and sound")
    if kind not in _PARTS:
        raise invalid_value(kind, _PARTS, f"{param}.type")
    if kind == "input_image":
        return linked_image(part, param)
    text = part.get("text")
    if not isinstance(text, str):
        raise invalid_type("a string", text, f"{param}.text")
    return text


_NO_IMAGE_TEXT = (
    "The offline demo has no image for this request, because it was not allowed to use its image tool."
)
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
class ImageCall:
    """How the image tool is to paint."""

    options: Options
    action: str
    mask: UploadedImage | None


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A valid request; without a `drawing` it is answered in words."""

    model: TextModel
    fields: Mapping[str, object]
    chat: ConversationInput
    drawing: ImageCall | None
    seed: int
    store: bool


class ResponseRun:
    """One answer in the making."""

    def __init__(self, request: ResponseRequest, sessions: Sessions) -> None:
        self._request = request
        self._sessions = sessions
        self.id = new_id("resp")
        options = request.fields.get("background_options")
        window = options.get("completion_window") if isinstance(options, dict) else None
        self.is_discounted = window in {"2h", "8h"}
        self.is_background = bool(request.fields.get("background"))
        self.is_stored = request.store
        self.status = "queued" if self.is_background else "in_progress"
        self.size = 0
        """Bytes of the images that it has made."""
        self._created = int(time.time())
        self._completed: int | None = None
        self._sequence = 0
        self._output: list[dict[str, object]] = []

    def events(self) -> Iterator[ServerEvent]:
        """Yield all events, first to last; a response whose client leaves before the end is cancelled."""
        try:
            yield self._status_event("response.created", self.status)
            if self.is_background:
                yield self._status_event("response.queued", "queued")
            yield self._status_event("response.in_progress", "in_progress")
            if self._request.model.reasons:
                yield from self._reasoning()
            if self._request.drawing:
                yield from self._image(self._request.drawing)
            yield from self._message("" if self._request.drawing else _NO_IMAGE_TEXT)
            self._store_answer()
            yield self._status_event("response.completed", "completed")
        finally:
            if self.status != "completed":
                self.status = "cancelled"

    def _status_event(self, kind: str, status: str) -> ServerEvent:
        self.status = status
        if status == "completed":
            self._completed = int(time.time())
        return self._event(kind, {"response": self.response(status)})

    def _event(self, kind: str, fields: Mapping[str, object], pause: float = 0.0) -> ServerEvent:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return ServerEvent(event, pause)

    def _with_index(self, item: Mapping[str, object]) -> Mapping[str, object]:
        return {"output_index": len(self._output), "item": item}

    def _added(self, item: Mapping[str, object], pause: float = 0.0) -> ServerEvent:
        return self._event("response.output_item.added", self._with_index(item), pause)

    def _done(self, item: dict[str, object]) -> ServerEvent:
        event = self._event("response.output_item.done", self._with_index(item))
        self._output.append(item)
        return event

    def _reasoning(self) -> Iterator[ServerEvent]:
        item: dict[str, object] = {"id": new_id("rs"), "type": "reasoning", "summary": []}
        yield self._added(item, 0.2)
        yield self._done(item)

    def _image(self, drawing: ImageCall) -> Iterator[ServerEvent]:
        key, options, count = new_id("ig"), drawing.options, drawing.options.partial_images
        pause = pause_before_image(count)
        ids = {"output_index": len(self._output), "item_id": key}
        call = "response.image_generation_call."
        item: dict[str, object] = {"id": key, "type": "image_generation_call", "status": "in_progress"}
        yield self._added(item, 0.3)
        yield self._event(call + "in_progress", ids)
        yield self._event(call + "generating", ids, 0.2)
        image = self._paint(drawing)
        for index in range(count):
            partial = in_base64(image.partial(index, count, options.encoding))
            self.size += len(partial)
            more = {"partial_image_index": index, "partial_image_b64": partial, **options.echo}
            yield self._event(call + "partial_image", {**ids, **more}, pause)
        final, prompt = image.final(options.encoding), self._request.chat.prompt
        result = in_base64(final)
        self.size += len(result)
        yield self._event(call + "completed", ids, pause)
        told = {"action": drawing.action, **options.echo, "revised_prompt": prompt}
        if options.author:
            told["svg_usage"] = usage.svg_author(options.author, options, prompt, final)
        yield self._done({**item, "status": "completed", **told, "result": result})

    def _paint(self, drawing: ImageCall) -> PaintedImage:
        from imgcli.demo.painter.painter import PaintedImage, PaintJob

        chat, options = self._request.chat, drawing.options
        return PaintedImage(
            PaintJob(
                chat.prompt,
                (options.width, options.height),
                options.quality,
                transparent=options.transparent,
                inputs=tuple(image.data for image in chat.images),
                mask=drawing.mask.data if drawing.mask else None,
                turn=chat.turn,
                first_prompt=chat.first_prompt,
                seed=self._request.seed,
                first_seed=chat.first_seed,
            )
        )

    def _message(self, text: str) -> Iterator[ServerEvent]:
        key = new_id("msg")
        item: dict[str, object] = {"id": key, "type": "message", "status": "in_progress", "role": "assistant"}
        ids = {"item_id": key, "output_index": len(self._output), "content_index": 0}
        yield self._added({**item, "content": []})
        yield self._event("response.content_part.added", {**ids, "part": _part("")})
        for piece in re.findall(r"\S+\s*", text):
            yield self._event("response.output_text.delta", {**ids, "delta": piece, "logprobs": []}, 0.03)
        yield self._event("response.output_text.done", {**ids, "text": text, "logprobs": []})
        yield self._event("response.content_part.done", {**ids, "part": _part(text)})
        yield self._done({**item, "status": "completed", "content": [_part(text)]})

    def _store_answer(self) -> None:
        if not self.is_stored:
            return
        chat = self._request.chat
        seed = self._request.seed if chat.first_seed is None else chat.first_seed
        earlier = EarlierAnswer(
            chat.turn,
            chat.first_prompt,
            seed,
            chat.painted or self._request.drawing is not None,
        )
        for item in self._output:
            self._sessions.keep(str(item["id"]), earlier)
        self._sessions.keep(self.id, earlier)

    def response(self, status: str) -> dict[str, object]:
        """Return the response object as it is at this time."""
        fields, finished = self._request.fields, status == "completed"
        echoed = {
            key: default if fields.get(key) is None else fields[key] for key, default in _ECHOED.items()
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": self.is_background,
            "completed_at": self._completed if finished else None,
            "error": None,
            "incomplete_details": None,
            "model": self._request.model.name,
            "output": list(self._output),
            **echoed,
            "tools": fields["tools"],
            "usage": self._usage() if finished else None,
            **({"tool_usage": self._tool_usage()} if finished else {}),
        }

    def _usage(self) -> dict[str, object]:
        request = self._request
        reasoning = _REASONING if request.model.reasons else 0
        tokens_in = usage.text_tokens(request.chat.prompt) + (_OVERHEAD if request.drawing else 0)
        tokens_out = reasoning + usage.text_tokens(request.chat.prompt if request.drawing else _NO_IMAGE_TEXT)
        return usage.response_usage(tokens_in, tokens_out, reasoning)

    def _tool_usage(self) -> dict[str, object]:
        chat, drawing, tokens = self._request.chat, self._request.drawing, usage.NOTHING
        if drawing:
            area = sum(image.width * image.height for image in chat.images)
            if chat.painted:  # the earlier image is looked at again, and costs as one that is sent
                area += drawing.options.width * drawing.options.height
            tokens = usage.count(drawing.options, chat.prompt, area)
        return {"image_gen": tokens.report(details=True), "web_search": {"num_requests": 0}}


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
