"""Contact sheets: which images, their captions, and where the sheet is saved."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.app import process
from imgcli.app.lookup import Lookup
from imgcli.app.reporting import refuse
from imgcli.core.errors import ExitCode, ImgcliError, check_between, most_severe, usage_error
from imgcli.core.image import ImageFormat
from imgcli.core.option import option
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.images.sheet import Layout, Tile, compose, encode
from imgcli.output.sinks.lines import write_paths
from imgcli.output.tables.history import cost_words
from imgcli.store.image_facts import inspect
from imgcli.store.publish.atomic import OnExists, write_file, write_stream
from imgcli.store.publish.naming import STDOUT, format_of_name, names_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.context import Context
    from imgcli.core.history import FileFacts


_FORMATS = (ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP)
_SIDES = 32, 2048  # pixels
_MOST_COLUMNS = 1000
_NAME_LENGTH = 200


@dataclass(frozen=True)
class SheetOptions:
    """A sheet of these files or runs, saved as `output`; `tile` is the side of a square tile in pixels.

    `columns` is None for about as many as rows.
    """

    names: tuple[str, ...]
    output: str
    columns: int | None = None
    tile: int = 320
    has_captions: bool = True
    on_exists: OnExists = OnExists.NUMBER

    @property
    def format(self) -> ImageFormat:
        """The format that the output's ending stands for, PNG for standard output and other names."""
        return format_of_name(self.output) or ImageFormat.PNG


def make_sheet(context: Context, options: SheetOptions) -> ExitCode:
    """Save a contact sheet and print its path; an image that cannot be read is reported and left out.

    Raises `ImgcliError` where there is no image left, or the sheet cannot be written.
    """
    _check(context, options)
    codes: list[ExitCode] = []
    with ExitStack() as stack:
        lookup = Lookup.opened(context, stack)
        tiles = [tile for name in options.names for tile in _tiles(context, lookup, name, options, codes)]
    if not tiles:
        return most_severe(codes)
    lines = max(len(tile.caption) for tile in tiles)
    layout = Layout.of(len(tiles), options.tile, lines, options.columns)
    if layout.is_too_large(options.format):
        width, height = layout.size
        raise usage_error(
            f"A {options.format} sheet of {width}x{height} pixels is too large.",
            f"Choose a smaller {option('tile')}, or fewer images.",
            about=("tile",),
        )
    _save(context, options, encode(compose(tiles, layout), options.format))
    return most_severe([ExitCode.OK, *codes])


def _check(context: Context, options: SheetOptions) -> None:
    """Refuse wrong options before any file is read. Raises `ImgcliError` (usage)."""
    check_between("tile", options.tile, *_SIDES)
    check_between("columns", options.columns, 1, _MOST_COLUMNS)
    if not options.output or (options.output != STDOUT and names_folder(options.output)):
        what = f"{option('output')} needs the name of a file."
        raise usage_error(what, f"Try {option('output', 'sheet.png')}.", about=("output",))
    if options.format not in _FORMATS:
        raise usage_error(f"A sheet cannot be saved as {options.format}.", "Choose png, jpg or webp.")
    if options.output == STDOUT and context.stdout.isatty():
        what = f"{option('output', STDOUT)} would write image data to the terminal."
        raise usage_error(what, "Redirect it (> sheet.png).", about=("output",))


def _tiles(
    context: Context, lookup: Lookup, name: str, options: SheetOptions, codes: list[ExitCode]
) -> Iterator[Tile]:
    """Yield a tile per image that a name stands for; report what cannot be read."""
    try:
        located = lookup.locate(name)
    except ImgcliError as error:
        codes.append(refuse(context, error.problem))
        return
    context.warn(located.notes)
    for path in located.paths:
        try:
            yield _tile(lookup, path, options)
        except ImgcliError as error:
            codes.append(refuse(context, error.problem))


def _tile(lookup: Lookup, path: str, options: SheetOptions) -> Tile:
    """Read an image and make it small. Raises `ImgcliError` (usage)."""
    from imgcli.output.images.decode import Undecodable, decode, flatten

    file, name = inspect(path), shorten(path, _NAME_LENGTH)
    box = options.tile, options.tile
    try:
        image = decode(file.path.read_bytes(), box)
    except Undecodable as error:
        raise usage_error(f"{name} cannot be shown: the image is {error.reason}.") from None
    except OSError as error:
        raise usage_error(f"{name} cannot be read: {error.strerror}.") from None
    image.thumbnail(box)
    return Tile(flatten(image), _caption(lookup, file) if options.has_captions else ())


def _caption(lookup: Lookup, file: FileFacts) -> tuple[str, ...]:
    """Return the file's name, and what it cost where the history knows it."""
    entry = lookup.producer(file.sha256)
    cost = (cost_words(entry),) if entry and len(entry.images) == 1 else ()
    return (file.path.name, *cost)


def _save(context: Context, options: SheetOptions, data: bytes) -> None:
    """Write the sheet, over nothing that is there unless that was asked for, and print its path."""
    if options.output == STDOUT:
        write_stream(context.stdout.buffer, data)
        return
    place = Path(options.output)
    with process.shielded():
        path = write_file(place, data, options.on_exists)
    if path.name != place.name:
        context.warn([f"{place.name} already exists; the sheet is saved as {path.name}"])
    write_paths(context.stdout, [path], context.links)
