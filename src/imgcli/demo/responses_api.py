"""The Responses API: parses requests; `responses_stream` makes the events of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.demo.background import read_background
from imgcli.demo.exchange import (
    JsonAnswer,
    Request,
    Stream,
    invalid,
    invalid_type,
    invalid_value,
    missing,
    unsupported_here,
)
from imgcli.demo.forms import UploadedImage, check_mask, linked_image, read_json
from imgcli.demo.models import DEFAULT_IMAGE_MODEL, TextModel, text_model
from imgcli.demo.responses_stream import (
    ConversationInput,
    ImageCall,
    ResponseRequest,
    ResponseRun,
    read_conversation,
)
from imgcli.demo.validation import EFFORTS, IMAGE_PARAMETERS, Fields, check_safety_identifier, read_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.demo.background import StoredResponses
    from imgcli.demo.exchange import Sessions


IMAGE_TOOL = "image_generation"

_ALLOWED_TOOL_FIELDS = IMAGE_PARAMETERS | {
    "type",
    "action",
    "input_fidelity",
    "input_image_mask",
    "moderation",
}
_OTHER_TOOLS = (
    "function custom mcp web_search web_search_preview file_search code_interpreter computer "
    "computer_use_preview shell local_shell apply_patch namespace tool_search"
)
_OTHERS = _OTHER_TOOLS.split()
_CHOICES = ("none", "auto", "required")
_DEFAULTS: dict[str, object] = {
    "background": "auto",
    "moderation": "auto",
    "n": 1,
    "output_compression": 100,
    "output_format": "png",
    "quality": "auto",
    "size": "auto",
}


def read_tools(fields: Fields) -> list[Mapping[str, object]]:
    """Read the list of tools, each with a known type."""
    value = fields.values.get("tools")
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_type("an array", value, "tools")
    for number, tool in enumerate(value):
        _check_tool(tool, f"tools[{number}]")
    return value


def _check_tool(tool: object, param: str) -> None:
    if not isinstance(tool, dict):
        raise invalid_type("an object", tool, param)
    if tool.get("type") is None:
        raise missing(f"{param}.type")
    if tool["type"] != IMAGE_TOOL and tool["type"] not in _OTHERS:
        raise invalid_value(tool["type"], [*_OTHERS, IMAGE_TOOL], f"{param}.type")


def image_tool(tools: list[Mapping[str, object]]) -> Fields | None:
    """Return the parameters of the image tool, their names checked; None when it was not offered."""
    for number, tool in enumerate(tools):
        if tool["type"] == IMAGE_TOOL:
            fields = Fields(tool, f"tools[{number}].")
            fields.only(_ALLOWED_TOOL_FIELDS)
            return fields
    return None


def may_generate(fields: Fields, tool: Fields | None) -> bool:
    """Return whether `tool_choice` lets the image tool run; a forced tool must have been offered.

    A real model decides for itself when it is not forced; this one uses the tool whenever it may.
    """
    choice = fields.values.get("tool_choice", "auto")
    if choice is None or isinstance(choice, str):
        if choice is not None and choice not in _CHOICES:
            raise invalid_value(choice, _CHOICES, "tool_choice")
        return tool is not None and choice != "none"
    if not isinstance(choice, dict):
        raise invalid_type("a string or an object", choice, "tool_choice")
    names = _names(choice)
    if IMAGE_TOOL in names and tool is None:
        raise invalid(None, f"Tool choice '{IMAGE_TOOL}' not found in 'tools' parameter.", "tool_choice")
    return IMAGE_TOOL in names


def _names(choice: dict[str, object]) -> list[object]:
    """Return the types of the tools that the choice allows."""
    if choice.get("type") is None:
        raise missing("tool_choice.type")
    tools = choice.get("tools")
    if choice["type"] == "allowed_tools" and isinstance(tools, list):
        return [tool.get("type") for tool in tools if isinstance(tool, dict)]
    return [choice["type"]]


def echo(tools: list[Mapping[str, object]], model: str) -> list[dict[str, object]]:
    """Format the tools as the response repeats them: with the server's defaults, and an `n` nobody sent."""
    defaults = {**_DEFAULTS, "model": model}
    return [
        {"type": IMAGE_TOOL, **defaults, **_without_images(tool)}
        if tool["type"] == IMAGE_TOOL
        else dict(tool)
        for tool in tools
    ]


def _without_images(tool: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in tool.items() if key not in {"type", "input_image_mask"}}


_FIELDS = (
    "background background_options context_management conversation include input instructions "
    "max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id "
    "prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier "
    "service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p "
    "truncation user"
)
_ALLOWED = frozenset(_FIELDS.split())
_TIERS = ("auto", "default", "flex", "fast", "priority", "ultrafast", "scale")
_MISSING_HERE = {
    "conversation": "stored conversations",
    "prompt": "stored prompts",
}


def create(
    request: Request, sessions: Sessions, responses: StoredResponses | None = None
) -> JsonAnswer | Stream:
    """Answer `POST /v1/responses`, where `responses` keeps what is made; a batch has none."""
    fields = Fields(read_json(request))
    fields.only(_ALLOWED)
    stream = fields.flag("stream", default=False)
    is_background = read_background(fields, stream=stream)
    run = ResponseRun(_read_request(fields, sessions, request.seed, stream=stream), sessions)
    if is_background and responses is None:
        raise unsupported_here("background", "background mode in batches")
    if responses and run.is_stored:
        made = responses.keep(run)
        if is_background:
            made.start()
            return Stream(made.follow()) if stream else made.response()
    return Stream(run.events()) if stream else _collect(run)


def _collect(run: ResponseRun) -> JsonAnswer:
    """Return the answer without streaming: what the last event would have carried."""
    events = list(run.events())
    response = events[-1].event["response"]
    if not isinstance(response, dict):
        raise TypeError("the last event of a run carries no response")
    return JsonAnswer(response, sum(event.pause for event in events))


def _read_request(fields: Fields, sessions: Sessions, seed: int, *, stream: bool) -> ResponseRequest:
    for name, what in _MISSING_HERE.items():
        if fields.values.get(name):
            raise unsupported_here(name, what)
    model = text_model(fields.values.get("model"))
    tools = read_tools(fields)
    tool = image_tool(tools)
    painting = may_generate(fields, tool)
    _check_text_parameters(fields, model)
    chat = read_conversation(fields, sessions)
    drawing = _read_drawing(tool, chat, model, stream=stream) if tool else None
    painter = drawing.options.model.name if drawing else DEFAULT_IMAGE_MODEL
    tier = {"service_tier": "priority"} if fields.values.get("service_tier") == "fast" else {}
    request = {**fields.values, **tier, "tools": echo(tools, painter)}
    store = fields.flag("store", default=True)
    return ResponseRequest(model, request, chat, drawing if painting else None, seed, store=store)


def _check_text_parameters(fields: Fields, model: TextModel) -> None:
    """Check what is for the text model; one that does not reason takes no effort."""
    fields.text("instructions", "")
    fields.choice("service_tier", _TIERS, "auto")
    check_safety_identifier(fields)
    inner = fields.inner("reasoning")
    if inner.sent("effort") and not model.reasons:
        message = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        raise invalid("unsupported_parameter", message, "reasoning.effort")
    inner.choice("effort", EFFORTS, "medium")


def _read_drawing(tool: Fields, chat: ConversationInput, model: TextModel, *, stream: bool) -> ImageCall:
    options = read_options(tool, stream=stream, images=False, author=model.name)
    action = tool.choice("action", ("auto", "generate", "edit"), "auto")
    if action == "edit" and not chat.editing:
        message = "The action 'edit' needs an image in the conversation."
        raise invalid("invalid_value", message, tool.name("action"))
    if action == "auto":
        action = "edit" if chat.editing else "generate"
    return ImageCall(options, action, _read_mask(tool, chat))


def _read_mask(tool: Fields, chat: ConversationInput) -> UploadedImage | None:
    holder, param = tool.values.get("input_image_mask"), tool.name("input_image_mask")
    if holder is None:
        return None
    mask = linked_image(holder, param)
    if not chat.images:
        raise invalid("invalid_value", "A mask needs an input image.", param)
    check_mask(mask, chat.images[0], param)
    return mask
