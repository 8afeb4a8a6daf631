"""The Responses API: requests are read here; the events of an answer are made in `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.standin.body import read_json
from imgcli.standin.conversation import Conversation, read_conversation
from imgcli.standin.errors import invalid, invalid_type, unsupported_here
from imgcli.standin.events import Answer, Request, Stream
from imgcli.standin.models import DEFAULT_IMAGE_MODEL, text_model
from imgcli.standin.run import Drawing, Order, Run
from imgcli.standin.tools import echo, image_tool, may_paint, read_tools
from imgcli.standin.uploads import Picture, check_mask, pointed
from imgcli.standin.validate import Fields, read_options

if TYPE_CHECKING:
    from imgcli.standin.memory import Memory

_ALLOWED = frozenset(
    [
        "background",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
_MISSING_HERE = {
    "background": "background mode",
    "conversation": "stored conversations",
    "prompt": "stored prompts",
}


def create(request: Request, memory: Memory) -> Answer | Stream:
    """`POST /v1/responses`."""
    fields = Fields(read_json(request))
    fields.only(_ALLOWED)
    stream = fields.flag("stream", default=False)
    run = Run(_read_order(fields, memory, request.seed, stream=stream), memory)
    return Stream(run.frames()) if stream else _collect(run)


def _collect(run: Run) -> Answer:
    """The answer without streaming: what the last event would have carried."""
    frames = list(run.frames())
    response = frames[-1].event["response"]
    if not isinstance(response, dict):
        raise TypeError("the last event of a run carries no response")
    return Answer(response, sum(frame.pause for frame in frames))


def _read_order(fields: Fields, memory: Memory, seed: int, *, stream: bool) -> Order:
    for name, what in _MISSING_HERE.items():
        if fields.values.get(name):
            raise unsupported_here(name, what)
    model = text_model(fields.values.get("model"))
    tools = read_tools(fields)
    tool = image_tool(tools)
    painting = may_paint(fields, tool)
    said = read_conversation(fields, memory)
    drawing = _read_drawing(tool, said, stream=stream) if tool else None
    painter = drawing.options.model.name if drawing else DEFAULT_IMAGE_MODEL
    request = {**fields.values, "tools": echo(tools, painter)}
    store = fields.flag("store", default=True)
    return Order(model, request, said, drawing if painting else None, seed, store=store)


def _read_drawing(tool: Fields, said: Conversation, *, stream: bool) -> Drawing:
    options = read_options(tool, stream=stream, images=False)
    action = tool.choice("action", ("auto", "generate", "edit"), "auto")
    if action == "edit" and not said.editing:
        message = "The action 'edit' needs an image in the conversation."
        raise invalid("invalid_value", message, tool.name("action"))
    if action == "auto":
        action = "edit" if said.editing else "generate"
    return Drawing(options, action, _read_mask(tool, said))


def _read_mask(tool: Fields, said: Conversation) -> Picture | None:
    holder, param = tool.values.get("input_image_mask"), tool.name("input_image_mask")
    if holder is None:
        return None
    if not isinstance(holder, dict):
        raise invalid_type("an object", holder, param)
    mask = pointed(holder, param)
    if not said.pictures:
        raise invalid("invalid_value", "A mask needs an input image.", param)
    check_mask(mask, said.pictures[0], param)
    return mask
