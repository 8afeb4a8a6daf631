"""What a scenario's server says: named events, raw bytes, cuts, and which images they hold in full."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from faults.images import image
from streams import completed, created, image_item, item_done, partial, response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Part: TypeAlias = "str | dict[str, Any]"
"""A named event, `{raw = ...}` or `{hex = ...}` for bytes, `{type = ...}` is an event; `times` repeats, and
`holds` names the image that the bytes hold in full."""

ORDINARY: tuple[Part, ...] = ("created", "partial:0", "done", "completed")
_BASE64 = re.compile(r"\{b64:([^}]+)\}")
_CUT = re.compile(r"(?:(?P<percent>\d+)%|byte:(?P<byte>\d+)|after:(?P<mark>[a-z:0-9]+)(?P<shift>[+-]\d+)?)")


@dataclass(frozen=True)
class Endless:
    """A body that is too long to hold: `head`, then `filler` again and again; slices like bytes."""

    head: bytes
    filler: bytes
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        head = self.head[start:stop]
        rest = stop - start - len(head)
        return head + (self.filler * (rest // len(self.filler) + 1))[:rest]


@dataclass(frozen=True)
class Script:
    """One answer's bytes; `marks` says where each named event ends, `images` where each image is whole."""

    body: bytes | Endless
    marks: dict[str, int]
    images: tuple[tuple[int, bytes], ...]
    partials: tuple[bytes, ...]

    def sent(self, progress: int) -> list[bytes]:
        """List the images that were sent in full, each once, when the body went out up to `progress`."""
        return list(dict.fromkeys(data for end, data in self.images if end <= min(progress, len(self.body))))

    def offset(self, place: str) -> int:
        """Find a place in the body: `50%`, `byte:99`, `after:done`, `after:done-8`."""
        found = _CUT.fullmatch(place)
        assert found, f"no place is called {place}"
        if found["percent"]:
            return len(self.body) * int(found["percent"]) // 100
        return int(found["byte"]) if found["byte"] else self.marks[found["mark"]] + int(found["shift"] or 0)


def script(parts: Sequence[Part], final: str, rough: str, newline: str = "\n") -> Script:
    """Write the parts one after the other. `final` and `rough` name the images of the named events."""
    body = bytearray()
    marks: dict[str, int] = {}
    images: list[tuple[int, bytes]] = []
    partials: list[bytes] = []
    for part in parts:
        if isinstance(part, dict) and part.get("times", 0) * len(part.get("raw", "")) > 10_000_000:
            total = len(body) + part["times"] * len(part["raw"])
            return Script(Endless(bytes(body), part["raw"].encode() * 65_536, total), marks, (), ())
        for payload, framed in _written(part, final, rough, newline):
            body += framed
            whole = len(body) - 2 * len(newline)
            images += [(whole, data) for data in finals(payload)]
            partials += rough_ones(payload)
        marks[part if isinstance(part, str) else str(part.get("type", "raw"))] = len(body)
    return Script(bytes(body), marks, tuple(images), tuple(partials))


def plain_json(answer: dict[str, Any]) -> Script:
    """Write an answer that is no stream."""
    told = _filled(answer)
    body = json.dumps(told).encode()
    wrapped = {"type": "response.completed", "response": told}
    images = [
        *finals(wrapped),
        *(i for entry in told.get("data", ()) for i in _decoded(entry.get("b64_json"))),
    ]
    return Script(body, {}, tuple((len(body), data) for data in images), ())


def zipped(told: Script) -> Script:
    """Compress a body, though nobody asked for it."""
    assert isinstance(told.body, bytes)
    body = gzip.compress(told.body, 1)
    return Script(body, {}, tuple((len(body), data) for _, data in told.images), told.partials)


def bomb(megabytes: int) -> Script:
    """Compress very many comments into very few bytes."""
    line = b":" + b"x" * 998 + b"\n"
    return Script(gzip.compress(line * 1000, 9) * megabytes, {}, (), ())


def _written(part: Part, final: str, rough: str, newline: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Frame one part, as often as it asks for."""
    if isinstance(part, dict) and "hex" in part:
        yield {}, bytes.fromhex(part["hex"])
        return
    if isinstance(part, dict) and "raw" in part:
        yield (
            item_done(image_item(image(part["holds"]))) if "holds" in part else {},
            _fill(part["raw"]).encode() * part.get("times", 1),
        )
        return
    payload = _named(part, final, rough) if isinstance(part, str) else _filled(part)
    framed = f"event: {payload.get('type', 'none')}\ndata: {json.dumps(payload)}\n\n".replace("\n", newline)
    for _ in range(payload.pop("times", 1)):
        yield payload, framed.encode()


def _named(name: str, final: str, rough: str) -> dict[str, Any]:
    """Build an event by its name; `done:BLUE` chooses its image, `done:BLUE:ig_2` its item too."""
    kind, _, rest = name.partition(":")
    if kind == "partial":
        return partial(int(rest), image(rough))
    chosen, _, item_id = rest.partition(":")
    item = image_item(image(chosen or final), item=item_id or "ig_1")
    match kind:
        case "created":
            return created()
        case "done":
            return item_done(item, 0 if item_id in ("", "ig_1") else 1)
        case "completed":
            return completed(item)
        case "completedempty":
            return completed()
        case _:
            raise AssertionError(f"no event is called {name}")


def _filled(value: Any) -> Any:
    """Put base64 where `{b64:RED}` stands, and defaults into a response."""
    match value:
        case str():
            return _fill(value)
        case list():
            return [_filled(one) for one in value]
        case {"default_response": True, **fields}:
            return response(**_filled(fields))
        case dict():
            return {name: _filled(one) for name, one in value.items()}
        case _:
            return value


def _fill(text: str) -> str:
    return _BASE64.sub(lambda found: base64.b64encode(image(found[1])).decode(), text)


def finals(payload: dict[str, Any]) -> Iterator[bytes]:
    """List the finished images in one event, found without any code of the product."""
    kind = str(payload.get("type", ""))
    if kind.endswith("output_item.done"):
        yield from _of_item(payload.get("item"))
    elif kind.startswith("response.") and isinstance(payload.get("response"), dict):
        for item in payload["response"].get("output") or ():
            yield from _of_item(item)
    elif kind.startswith("image_") and kind.endswith("completed"):
        yield from _decoded(payload.get("b64_json"))


def rough_ones(payload: dict[str, Any]) -> Iterator[bytes]:
    """List the previews in one event."""
    if str(payload.get("type", "")).endswith("partial_image"):
        yield from _decoded(payload.get("partial_image_b64") or payload.get("b64_json"))


def _of_item(item: object) -> Iterator[bytes]:
    if isinstance(item, dict) and item.get("type") == "image_generation_call":
        yield from _decoded(item.get("result"))


def _decoded(text: object) -> Iterator[bytes]:
    """Decode base64 as forgivingly as the best servers' worst habits need; nothing for what is none."""
    if not isinstance(text, str) or not text:
        return
    bare = re.sub(r"\s", "", text.partition("base64,")[2] or text).translate(str.maketrans("-_", "+/"))
    try:
        yield base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return
