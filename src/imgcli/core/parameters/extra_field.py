"""Fields that imgcli does not know, added to a request by the user: `KEY=JSON` or `tool.KEY=JSON`."""

from __future__ import annotations

import json
from typing import Any, Never

from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.option import option
from imgcli.core.params import EXTRA, PARAMETERS, ApiPlace
from imgcli.core.text import is_encodable, shorten

_TOOL = "tool."
_NAME_LENGTH = 60
_OPTIONS = {
    False: {one.api_name.partition(".")[0]: one.flag for one in PARAMETERS if one.api_name},
    True: {
        one.api_name.partition(".")[0]: one.flag
        for one in PARAMETERS
        if one.place in (ApiPlace.IMAGE, ApiPlace.TOOL)
    },
}
"""Our options by the fields that they set, in the body and (true) in the image tool."""
_OURS = {
    False: frozenset(
        [
            *("model", "prompt", "input", "previous_response_id", "tools", "tool_choice", "stream", "n"),
            *("partial_images", "response_format", "image", "image[]", "images", "mask", "markup"),
        ]
    ),
    True: frozenset({"type", "model", "partial_images", "input_image_mask"}),
}
"""What imgcli sets besides."""


def parse_extra(text: str) -> tuple[str, bool, Any]:
    """Return the key, whether it is one of the image tool, and the value. Raises `ImgcliError` (usage)."""
    name, separator, encoded = text.partition("=")
    in_tool = name.startswith(_TOOL)
    key, shown = name.removeprefix(_TOOL), shorten(name, _NAME_LENGTH)
    flag = option(EXTRA)
    if not separator or not key or not key.isprintable() or " " in key:
        raise _error(f"{flag} must be KEY=JSON, not {shorten(text, _NAME_LENGTH)}.", "For instance: seed=7")
    if key in _OURS[in_tool] or key in _OPTIONS[in_tool]:
        ours = _OPTIONS[in_tool].get(key)
        advice = f"Use {option(ours)}." if ours else f"Leave {flag} out."
        raise _error(f"{flag} cannot set {shown}: imgcli sets it itself.", advice)
    try:
        value = json.loads(encoded, parse_constant=_refuse)
        is_sendable = is_encodable(text) and is_encodable(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        raise _error(
            f"The value of {shown} in {flag} is not JSON.",
            f"A text has quotes of its own: {option(EXTRA)} '{shown}=\"a cat\"'",
        ) from None
    if not is_sendable:
        raise _error(f"The value of {shown} in {flag} is not valid UTF-8.", "Check your terminal's encoding.")
    return key, in_tool, value


def extra_fields(texts: tuple[str, ...], *, in_tool: bool) -> dict[str, Any]:
    """Return the fields for the image tool, or those for the body itself. Raises `ImgcliError` (usage)."""
    parsed = map(parse_extra, texts)
    return {key: value for key, is_of_tool, value in parsed if is_of_tool is in_tool}


def check_extras(texts: tuple[str, ...], *, has_tool: bool) -> None:
    """Check all of them; `has_tool` says whether there is an image tool. Raises `ImgcliError` (usage)."""
    seen = set[tuple[str, bool]]()
    for text in texts:
        key, in_tool, _ = parse_extra(text)
        if in_tool and not has_tool:
            what = (
                f"{option(EXTRA)} {_TOOL}{shorten(key, _NAME_LENGTH)} is for the image tool of a text model."
            )
            raise _error(what, "The Images API has no tool: leave tool. out, or use a text model.")
        if (key, in_tool) in seen:
            raise _error(
                f"{option(EXTRA)} sets {shorten(key, _NAME_LENGTH)} twice.", "Leave one of them out."
            )
        seen.add((key, in_tool))


def without_tool(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return those that are not for the image tool."""
    return tuple(text for text in texts if not text.startswith(_TOOL))


def _error(what: str, advice: str) -> ImgcliError:
    return usage_error(what, advice, about=(EXTRA,))


def _refuse(constant: str) -> Never:
    raise ValueError(constant)
