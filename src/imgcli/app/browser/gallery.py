"""Galleries: a folder with a page that shows the images of the history without a server."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.browser.gallery_folder import GalleryFolder
from imgcli.app.browser.gallery_images import FilePlaces, choose, gallery_image
from imgcli.app.lookup import open_history
from imgcli.core.errors import ExitCode, check_between, usage_error
from imgcli.core.history import FileStatus
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.sinks.lines import write_paths
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.publish.atomic import OnExists, write_file, writing
from imgcli.store.publish.naming import STDOUT
from imgcli.web.gallery.gallery_page import NAMES, PAGE, page_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imgcli.app.browser.gallery_images import Chosen
    from imgcli.app.context import Context


_MOST = 1_000_000_000
_SHOWN_LENGTH = 200
_MISSING = frozenset({FileStatus.GONE, FileStatus.CHANGED, FileStatus.UNREADABLE})
_TICK = 0.2  # seconds between two changes of the line that counts


@dataclass(frozen=True)
class GalleryOptions:
    """A gallery in `folder` of the newest `limit` images, or all, whose run has the text `search` somewhere.

    `is_update` may replace the page of an earlier gallery there; `has_originals` copies the images
    themselves; `opens` shows it in the browser.
    """

    folder: str
    search: str | None = None
    limit: int | None = None
    is_update: bool = False
    has_originals: bool = False
    opens: bool = False


def make_gallery(context: Context, options: GalleryOptions) -> ExitCode:
    """Write a gallery and print the path of its page.

    Raises `ImgcliError` where there is no image, or where the folder cannot be written or is in use.
    """
    _check(options)
    with open_history(context) as history:
        chosen = choose(history, options.search or "", options.limit)
    if not chosen:
        raise _nothing(options)
    root = Path(os.path.abspath(options.folder))  # noqa: PTH100 - a browser resolves no links either
    with writing(shorten(options.folder, _SHOWN_LENGTH)):
        folder = GalleryFolder.made(root, has_originals=options.has_originals)
        places = _fill(context, folder, chosen)
    images = [gallery_image(one, place) for one, place in zip(chosen, places, strict=True)]
    with process.shielded():  # one version of the page, not half of two
        for name, data in page_files(images):
            write_file(root / name, data, OnExists.REPLACE)
    write_paths(context.stdout, [root / PAGE], context.links)
    context.warn(_notes(folder, places))
    if options.opens:
        _open(context, root / PAGE)
    return ExitCode.OK


def _check(options: GalleryOptions) -> None:
    """Refuse wrong options, and a folder that has a page, before anything is written."""
    check_between("limit", options.limit, 1, _MOST)
    if options.search is not None and not options.search.strip():
        raise usage_error(f"{option('search')} must not be empty.", about=("search",))
    if options.folder in ("", STDOUT):
        what = f"{option('output')} needs the name of a folder."
        raise usage_error(what, f"Try {option('output', 'imgcli-gallery')}.", about=("output",))
    if options.is_update:
        return
    root, shown = Path(options.folder), shorten(options.folder, _SHOWN_LENGTH)
    taken = [name for name in NAMES if os.path.lexists(root / name)]
    if taken:
        raise usage_error(
            f"{shown} already has a file {taken[0]}. Nothing was changed.",
            f"Update that gallery with {option('force')}, or choose another folder with {option('output')}.",
            about=("output", "force"),
        )


def _nothing(options: GalleryOptions) -> Exception:
    if options.search:
        return usage_error(f"No image in the history has “{options.search}” in its prompt or path.")
    return usage_error("The history has no images yet.", 'Try: imgcli gen "a cat" ' + option("demo"))


def _fill(context: Context, folder: GalleryFolder, chosen: Sequence[Chosen]) -> list[FilePlaces]:
    """Make the images' files, and tell on a terminal how far that is."""
    places = list[FilePlaces]()
    with _counting(context, len(chosen)) as count:
        for one in chosen:
            places.append(folder.add(one.image))
            count(len(places))
    return places


@contextmanager
def _counting(context: Context, total: int) -> Iterator[Callable[[int], None]]:
    """Show a line that counts, on a terminal alone, and wipe it at the end."""
    if not context.stderr.isatty():
        yield lambda _: None
        return
    out, last, longest = SafeWriter(context.stderr), time.monotonic(), 0

    def count(done: int) -> None:
        nonlocal last, longest
        if time.monotonic() - last >= _TICK:
            line = f"image {done:,} of {total:,}"
            last, longest = time.monotonic(), len(line)
            with suppress(OSError):
                out.write(f"\r{line}")

    try:
        yield count
    finally:
        with suppress(OSError):
            out.write(f"\r{' ' * longest}\r" if longest else "")


def _notes(folder: GalleryFolder, places: Sequence[FilePlaces]) -> Iterator[str]:
    gone = sum(place.state in _MISSING for place in places)
    if gone:
        files = "1 image file is" if gone == 1 else f"{gone:,} image files are"
        yield f"{files} gone, changed or unreadable, and shown without the original"
    if others := folder.others():
        files, belong = ("1 file", "belongs") if others == 1 else (f"{others:,} files", "belong")
        yield (
            f"{files} in {shorten(str(folder.root), _SHOWN_LENGTH)} {belong} to an earlier gallery and to no "
            "image of this one; nothing is removed, so check them before you share the folder"
        )


def _open(context: Context, page: Path) -> None:
    """Show the page in the browser; where that fails the gallery is still there, and a note says so."""
    from imgcli.output.desktop import DesktopError, open_image

    try:
        open_image(page, context.env)
    except (DesktopError, OSError) as error:
        context.warn([str(error).replace("image was not opened", "page was not opened")])
