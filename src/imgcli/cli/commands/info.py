"""`imgcli info`: how an image was made."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.app import context
from imgcli.app.context import size_of
from imgcli.app.lookup import Lookup
from imgcli.cli.commands import history as options  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.cli.completion import images_and_ids
from imgcli.core.errors import ImgcliError
from imgcli.core.history import Ancestor, FileStatus, KnowledgeSource, Provenance, SavedImageStatus
from imgcli.core.problem import ExitCode, most_severe
from imgcli.output.text import SafeWriter
from imgcli.store.image_facts import saved_image_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.app.context import Context
    from imgcli.app.lookup import Match
    from imgcli.core.history import FileFacts, HistoryEntry, SavedImage
    from imgcli.store.history.repository import History


EPILOG = """\
A file is known by its content, under any name; of runs with equal images the one that saved this
very file is meant. An existing file goes before an id (./12 is always a file), and last, last~1 and so on
are always runs. What the history does not know may stand in the file itself (--embed).

Keys of --json: asked; source (history, recipe, file); file (path, format, bytes, width, height,
sha256, content_credentials: present, absent or unknown), null for an id; image, which of the run's
images the file is; run, as in imgcli history --json; saved (image, path, state: there, gone,
changed, unreadable, unsaved; content_credentials); recipe; parents (sha256, role, id, name);
children (ids). What is not known is null.

Exit codes: the gravest of all. 0 shown; 2 no such file or id, or a file that is no image.
"""

Things = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|ID",
        help="Images, ids of imgcli history, or last, last~1.",
        show_default=False,
        rich_help_panel="Which images",
        autocompletion=images_and_ids,
    ),
]


def info(ctx: typer.Context, things: Things, *, as_json: options.JsonObjects = False) -> None:
    """Show how images were made, and what was made from them.

    \b
    Examples:
      imgcli info a-cat.png                   also after it was renamed or moved
      imgcli info 12                          a run of imgcli history, by its id
      imgcli info *.png --json | jq .source   an object a line
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    world: Context = ctx.obj

    raise typer.Exit(print_info(world, things, InfoFormat.JSON if as_json else InfoFormat.PEOPLE))


class InfoFormat(Enum):
    """For whom it is written."""

    PEOPLE = "people"
    JSON = "json"


def print_info(world: Context, names: Sequence[str], form: InfoFormat) -> ExitCode:
    """Tell of file after file; one that cannot be told of does not keep the others from it."""
    with ExitStack() as stack:
        seeker = Lookup.opened(world, stack)
        teller = _Teller(world, form)
        return most_severe([_told(world, seeker, teller, name) for name in names])


def _told(world: Context, seeker: Lookup, teller: _Teller, name: str) -> ExitCode:
    try:
        found = seeker.find_told(name)
    except ImgcliError as error:
        from imgcli.app.reporting import refuse

        return refuse(world, error.problem)
    context.warn(world, teller.unsaid(found.notes))
    teller.tell(provenance(name, found, seeker.history))
    return ExitCode.OK


class _Teller:
    """Writes one after the other, for people with an empty line in between."""

    def __init__(self, world: Context, form: InfoFormat) -> None:
        self._out = SafeWriter(world.stdout)
        self._columns = size_of(world.stdout).columns if world.stdout.isatty() else None
        self._form = form
        self._has_begun = False
        self._said = set[str]()

    def unsaid(self, notes: Sequence[str]) -> list[str]:
        """Leave out the notes that were told already of another file."""
        fresh = [note for note in notes if note not in self._said]
        self._said.update(fresh)
        return fresh

    def tell(self, known: Provenance) -> None:
        if self._form is InfoFormat.JSON:
            from imgcli.output.json import info_json
            from imgcli.output.sinks.jsonl import to_json

            self._out.lines([to_json(info_json(known))])
            return
        from imgcli.output.tables.info import info_lines

        self._out.lines([*([""] if self._has_begun else []), *info_lines(known, self._columns)])
        self._has_begun = True


def provenance(name: str, found: Match, history: History | None) -> Provenance:
    """Put together what the history, the recipe and the file say."""
    file, entry = found.file, found.entry
    images = tuple(_whereabouts(image, file) for image in entry.images) if entry else ()
    return Provenance(
        asked=name,
        by=found.by,
        source=_source(found),
        file=file,
        entry=entry,
        image_index=_image(file, entry),
        images=images,
        parents=tuple(_parents(found, history)),
        children=tuple(_children(found, history)),
    )


def _source(found: Match) -> KnowledgeSource:
    if found.entry:
        return KnowledgeSource.HISTORY
    return KnowledgeSource.RECIPE if found.file and found.file.recipe else KnowledgeSource.FILE


def _whereabouts(image: SavedImage, file: FileFacts | None) -> SavedImageStatus:
    """Find out what has become of an image, without reading again what was read already."""
    if file and image.path == file.path and image.sha256 == file.sha256:
        return SavedImageStatus(image, FileStatus.THERE, file)
    return saved_image_status(image)


def _image(file: FileFacts | None, entry: HistoryEntry | None) -> int | None:
    if not (file and entry):
        return None
    same = [image for image in entry.images if image.sha256 == file.sha256]
    same.sort(key=lambda image: image.path != file.path)  # a path that matches goes first
    return same[0].image_index if same else None


def _parents(found: Match, history: History | None) -> Iterator[Ancestor]:
    if found.entry:
        request = found.entry.request
        sent = [*request.references, *([request.mask] if request.mask else [])] if request else []
        names = {reference.sha256: reference.name for reference in sent}
        for parent in found.entry.parents:
            run = history.bringer(parent.sha256, found.entry) if history else None
            yield Ancestor(parent.sha256, parent.role, run, names.get(parent.sha256))
    elif found.file and found.file.recipe:
        for sha256 in found.file.recipe.parents:
            yield Ancestor(sha256, None, history.bringer(sha256) if history else None)


def _children(found: Match, history: History | None) -> list[HistoryEntry]:
    """List the runs that a file, or any image of a run, went into, each once."""
    brought = found.entry.images if found.entry else ()
    sha256s = [found.file.sha256] if found.file else [image.sha256 for image in brought]
    runs = [run for sha256 in sha256s for run in history.children(sha256, found.entry)] if history else []
    return list({run.number: run for run in runs}.values())
