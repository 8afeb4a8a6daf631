"""The streams that OpenAI sends, built event by event, for scripted servers and recorded runs."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

USAGE = {
    "input_tokens": 2941,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 249,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 3190,
}
TOOL_USAGE = {
    "image_gen": {
        "input_tokens": 40,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 40},
        "output_tokens": 2060,
        "output_tokens_details": {"image_tokens": 2060, "text_tokens": 0},
        "total_tokens": 2100,
    },
    "web_search": {"num_requests": 0},
}
ROUND_USAGE = {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}
ROUND_TOOL_USAGE = {
    "image_gen": {
        "input_tokens": 100,
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 0},
        "output_tokens": 1000,
        "total_tokens": 1100,
    }
}
"""Numbers that are easy to bill: $0.0310 with gpt-4o-mini and its default image model."""


def png(red: int = 200, green: int = 40, blue: int = 40, *, width: int = 48, height: int = 32) -> bytes:
    """Make a small, valid image of one colour, without Pillow."""
    rows = (b"\x00" + bytes((red, green, blue)) * width) * height
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


RED = png()
BLUE = png(40, 40, 200)
GREEN = png(40, 200, 40)


def b64(data: bytes) -> str:
    """Spell bytes as the API does."""
    return base64.b64encode(data).decode()


def record(payload: dict[str, Any]) -> bytes:
    """Frame one event as OpenAI frames it."""
    return f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode()


def stream(*payloads: dict[str, Any]) -> bytes:
    """Frame several events."""
    return b"".join(record(payload) for payload in payloads)


def response(**fields: Any) -> dict[str, Any]:
    """Build a response object, with defaults for what a test does not care about."""
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-4o-mini-2024-07-18",
        "output": [],
        "tools": [{"type": "image_generation", "model": "gpt-image-2.6-sunburst", "n": 1}],
        "usage": USAGE,
        "tool_usage": TOOL_USAGE,
        **fields,
    }


def created() -> dict[str, Any]:
    """Begin a run."""
    unfinished = response(status="in_progress", usage=None, tool_usage=None)
    return {"type": "response.created", "sequence_number": 0, "response": unfinished}


def partial(index: int, data: bytes = BLUE, *, item: str = "ig_1") -> dict[str, Any]:
    """Send a partial image."""
    return {
        "type": "response.image_generation_call.partial_image",
        "item_id": item,
        "output_index": 0,
        "partial_image_index": index,
        "partial_image_b64": b64(data),
    }


def image_item(data: bytes = RED, *, item: str = "ig_1", **fields: Any) -> dict[str, Any]:
    """Build a finished image call."""
    return {
        "id": item,
        "type": "image_generation_call",
        "status": "completed",
        "result": b64(data),
        "revised_prompt": "A red rectangle",
        **fields,
    }


def item_done(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """Send a finished output item: the first place where a final image appears."""
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """End a run well."""
    return {"type": "response.completed", "response": response(output=list(items), **fields)}


def whole_run(data: bytes = RED, partials: int = 3) -> bytes:
    """Build the stream of one ordinary run."""
    item = image_item(data)
    return stream(created(), *(partial(index) for index in range(partials)), item_done(item), completed(item))


def images_run(data: bytes = RED, partials: int = 3) -> bytes:
    """Build the stream of one ordinary run of the Images API."""
    usage = {"input_tokens": 40, "output_tokens": 2060, "total_tokens": 2100}
    return stream(
        *(
            {"type": "image_generation.partial_image", "b64_json": b64(BLUE), "partial_image_index": index}
            for index in range(partials)
        ),
        {"type": "image_generation.completed", "b64_json": b64(data), "usage": usage},
    )
