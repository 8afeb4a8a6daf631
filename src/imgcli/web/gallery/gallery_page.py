"""The gallery's page: its files, and the data of every image."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, TypeAlias

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


Cells: TypeAlias = "tuple[tuple[str, ...], ...]"
"""A table, row by row."""

PAGE = "index.html"
DATA = "gallery-data.js"
_FILES = ("gallery.css", "gallery.js")
NAMES = (PAGE, DATA, *_FILES)
"""The files beside the images."""

_PLACE = b"<!-- gallery -->\n"
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


@dataclass(frozen=True)
class GalleryImage:
    """An image as the page shows it; every text is shown as it is, none is markup.

    `id` is made of ASCII letters, digits and hyphens. `started` is in ISO 8601, `when` and `day` are that in
    local time, for people. `state` is a `FileStatus`. `thumbnail` and `original` are addresses relative to
    the page, None where there is no such file. `facts` are names and values; `bill` has headings first and
    the total last, or nothing. `again` and `edit` are command lines, `edit` without what is to be changed.
    `parents` and `children` are ids; `outside` counts the parents that have none.
    """

    id: str
    run: int
    prompt: str
    revised: str
    name: str
    started: str
    when: str
    day: str
    model: str
    cost: str
    state: str
    thumbnail: str | None
    original: str | None
    facts: Cells
    bill: Cells
    again: str
    edit: str | None
    parents: tuple[str, ...]
    children: tuple[str, ...]
    outside: int


def page_files(images: Iterable[GalleryImage]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of every file, the page itself last: without it there is no gallery."""
    for name in _FILES:
        yield name, read_page_file(f"gallery/{name}")
    yield DATA, data_script(images)
    yield PAGE, read_page_file(f"gallery/{PAGE}")


def read_page_file(name: str) -> bytes:
    """Return a file of a page, by its path below `web`; a page has the gallery's elements in their place."""
    folder = resources.files("imgcli.web")
    data = folder.joinpath(name).read_bytes()
    return data.replace(_PLACE, folder.joinpath("gallery/gallery.html").read_bytes())


def data_script(images: Iterable[GalleryImage]) -> bytes:
    """Write a script that assigns the images: a page from a file may load a script, but not a document.

    It is ASCII, without any character that begins markup, whatever the texts hold.
    """
    data = json.dumps({"images": [asdict(image) for image in images]}, separators=(",", ":"))
    return f"globalThis.imgcliGallery = {data.translate(_ESCAPES)};\n".encode("ascii")
