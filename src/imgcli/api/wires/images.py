"""The Images API: its stream's events, and its plain JSON answer, as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.api.errors.server import from_code
from imgcli.core.json_fields import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.stream.assembler import ImageAssembler
    from imgcli.core.events import Event


def read_event(kind: str, event: dict[str, Any], album: ImageAssembler) -> Iterator[Event]:
    """Return what one event of `image_generation.*` or `image_edit.*` means.

    Nothing in it says which image it is about: what comes after a completed one is about the next. A
    completed event holds image and usage, and may be the last.
    """
    position = album.completions
    match kind.partition(".")[2]:
        case "partial_image":
            album.has_ended = False
            text = event.get("b64_json") or event.get("partial_image_b64")
            yield from album.partial(album.number(None, position), event.get("partial_image_index"), text)
        case "completed":
            album.receipt.note(event)
            content = event.get("b64_json") or event.get("url")
            if album.knows(position) or not album.has(content):
                album.completions += 1
                yield from _final(event, album.number(None, position), album)
            album.taken.append(content)
            album.end()
        case "failed":
            album.receipt.note(event)
            album.end(from_code(event, album.progress))
        case _:
            album.has_begun = True


def read_plain(answer: dict[str, Any], album: ImageAssembler) -> Iterator[Event]:
    """Return the images of an unstreamed answer."""
    album.receipt.note(answer)
    for position, entry in enumerate(as_list(answer.get("data"))):
        yield from _final(as_object(entry), album.number(None, position), album)
    album.end()


def _final(entry: dict[str, Any], number: int, album: ImageAssembler) -> Iterator[Event]:
    """Take one finished image: base64, or a link, which counts as a failure."""
    content = entry.get("b64_json") or entry.get("url")
    if content:
        yield from album.final(number, content, entry.get("revised_prompt"))
    elif error := entry.get("error"):
        album.lose(number, from_code(error, album.progress))
