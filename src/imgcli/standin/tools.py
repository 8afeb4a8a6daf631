"""The tools of a Responses request: is the image tool among them, may it be used, and how is it set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.standin.errors import invalid, invalid_type, invalid_value, missing
from imgcli.standin.validate import IMAGE_PARAMETERS, Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE_TOOL = "image_generation"

_ALLOWED = IMAGE_PARAMETERS | {"type", "action", "input_fidelity", "input_image_mask", "moderation"}
_OTHERS = [
    "function",
    "custom",
    "mcp",
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "shell",
    "local_shell",
    "apply_patch",
    "namespace",
    "tool_search",
]
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
    """The list of tools, each with a known type."""
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
    """The settings of the image tool, its names checked; None when it was not offered."""
    for number, tool in enumerate(tools):
        if tool["type"] == IMAGE_TOOL:
            fields = Fields(tool, f"tools[{number}].")
            fields.only(_ALLOWED)
            return fields
    return None


def may_paint(fields: Fields, tool: Fields | None) -> bool:
    """Whether `tool_choice` lets the image tool run; a forced tool must have been offered.

    A real model decides for itself when it is not forced; this one paints whenever it may.
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
    """Types of the tools that the choice allows."""
    if choice.get("type") is None:
        raise missing("tool_choice.type")
    tools = choice.get("tools")
    if choice["type"] == "allowed_tools" and isinstance(tools, list):
        return [tool.get("type") for tool in tools if isinstance(tool, dict)]
    return [choice["type"]]


def echo(tools: list[Mapping[str, object]], model: str) -> list[dict[str, object]]:
    """The tools as the response repeats them: with the server's defaults, and an `n` that nobody sent."""
    defaults = {**_DEFAULTS, "model": model}
    return [
        {"type": IMAGE_TOOL, **defaults, **_without_pictures(tool)}
        if tool["type"] == IMAGE_TOOL
        else dict(tool)
        for tool in tools
    ]


def _without_pictures(tool: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in tool.items() if key not in {"type", "input_image_mask"}}
