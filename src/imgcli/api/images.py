"""The Images API: its stream's events, and its plain JSON answer, as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcli.api.fields import as_list, as_object, as_text
from imgcli.api.problems import from_code
from imgcli.api.rules import CHECK_USAGE
from imgcli.core.errors import Charged, ExitCode, ImgcliError, Problem
from imgcli.core.events import Completed, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.api.album import Album


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
            yield from _final(event, number, album)
            yield from _end(event, album)
        case "failed":
            raise ImgcliError(from_code(event, album.stage))
        case _:
            pass


def read_plain(answer: dict[str, Any], album: Album) -> Iterator[Event]:
    """Give the pictures of an unstreamed answer, then `Completed`; raises `ImgcliError` when some miss."""
    for position, entry in enumerate(as_list(answer.get("data"))):
        yield from _final(as_object(entry), album.number(None, position), album)
    yield from _end(answer, album)


def _final(entry: dict[str, Any], number: int, album: Album) -> Iterator[Event]:
    """Take one finished picture: base64, or a link, which is told as a failure."""
    content = entry.get("b64_json") or entry.get("url")
    if content:
        yield from album.final(number, content, entry.get("revised_prompt"))
    elif error := entry.get("error"):
        album.fail(number, from_code(error, album.stage))


def _end(answer: dict[str, Any], album: Album) -> Iterator[Event]:
    album.check()
    if not album.finals:
        what = "The server's answer was complete, and held no picture."
        raise ImgcliError(Problem(ExitCode.UNKNOWN, what, Charged.MAYBE, CHECK_USAGE))
    usage = as_object(answer.get("usage")) or None
    yield Completed(
        album.job, as_text(answer.get("model")), usage=usage, response_id=as_text(answer.get("id"))
    )
