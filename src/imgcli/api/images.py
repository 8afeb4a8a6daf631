"""The Images API: its stream's events, and its plain JSON answer, as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.api.fields import as_list, as_object
from imgcli.api.problems import from_code
from imgcli.core.errors import CHECK_USAGE, Charged, ExitCode, ImgcliError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.album import Album
    from imgcli.core.events import Event


def read(kind: str, event: dict[str, Any], album: Album) -> Iterator[Event]:
    """Give what one event of `image_generation.*` or `image_edit.*` means.

    Its completed event holds picture and usage, and is the end: streams are asked for one picture, and a
    server that then keeps the connection open must not keep us. Raises `ImgcliError` for the bad ends.
    """
    number = album.number(None)
    match kind.partition(".")[2]:
        case "partial_image":
            text = event.get("b64_json") or event.get("partial_image_b64")
            yield from album.partial(number, event.get("partial_image_index"), text)
        case "completed":
            album.receipt.note(event)
            yield from _final(event, number, album)
            yield from _end(album)
        case "failed":
            album.receipt.note(event)
            raise ImgcliError(from_code(event, album.progress))
        case _:
            album.has_begun = True


def read_plain(answer: dict[str, Any], album: Album) -> Iterator[Event]:
    """Give the pictures of an unstreamed answer, then `Completed`; raises `ImgcliError` when some miss."""
    album.receipt.note(answer)
    for position, entry in enumerate(as_list(answer.get("data"))):
        yield from _final(as_object(entry), album.number(None, position), album)
    yield from _end(album)


def _final(entry: dict[str, Any], number: int, album: Album) -> Iterator[Event]:
    """Take one finished picture: base64, or a link, which counts as a failure."""
    content = entry.get("b64_json") or entry.get("url")
    if content:
        yield from album.final(number, content, entry.get("revised_prompt"))
    elif error := entry.get("error"):
        album.lose(number, from_code(error, album.progress))


def _end(album: Album) -> Iterator[Event]:
    yield from album.settle()
    if not album.finals:
        what = "The server's answer was complete, and held no picture."
        raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))
    yield album.receipt.completed()
