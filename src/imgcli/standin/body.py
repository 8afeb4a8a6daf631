"""Request bodies: JSON objects, and forms whose values are turned into what JSON would have carried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

from imgcli.standin.errors import invalid
from imgcli.standin.uploads import Part, parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.standin.events import Request

_NUMBERS = frozenset(["n", "partial_images", "output_compression", "frame_count", "frame_duration_ms"])
_MOST_VALUES = 500_000  # letters that may begin one; each takes up to 200 bytes
_FILES = frozenset({"image", "image[]", "mask", "markup"})


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: plain fields by name, and files by name in the order they came."""

    values: Mapping[str, object]
    files: Mapping[str, list[Part]]


def read_json(request: Request) -> dict[str, object]:
    """The JSON object in the body."""
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind and kind != "application/json":
        message = (
            f"Unsupported content type: '{kind}'. This API method only accepts 'application/json' requests."
        )
        raise invalid("unsupported_content_type", message, None)
    if sum(map(request.body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise _not_json()
    try:
        value = json.loads(request.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _not_json() from None
    if not isinstance(value, dict):
        raise _not_json()
    return value


def read_form(request: Request) -> Form:
    """The fields and files of a multipart body."""
    values: dict[str, object] = {}
    files: dict[str, list[Part]] = {}
    for part in parts(request.content_type, request.body):
        if part.filename is not None or part.name in _FILES:
            files.setdefault(part.name, []).append(part)
        else:
            values[part.name] = _typed(part.name, part.data.decode("utf-8", "replace"))
    return Form(values, files)


def _typed(name: str, text: str) -> object:
    if name in _NUMBERS and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit():
        return int(text[:20])
    if name == "stream" and text in {"true", "false"}:
        return text == "true"
    return text


def _refuse(constant: str) -> Never:
    raise ValueError(constant)


def _not_json() -> Exception:
    hint = (
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
        "your HTTP library correctly. The OpenAI API expects a JSON payload, "
        "but what was sent was not valid JSON.)"
    )
    return invalid(None, hint, None)
