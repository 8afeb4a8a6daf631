"""`imgcli info`: how an image was made."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from imgcli.app.context import size_of
from imgcli.app.lookup import Lookup
from imgcli.cli.params import lookup  # noqa: TC001 - Typer reads the annotations at run time
from imgcli.core.errors import ExitCode, ImgcliError, most_severe
from imgcli.core.history import Ancestor, FileStatus, KnowledgeSource, Provenance, SavedImageStatus
from imgcli.output.terminal.writer import SafeWriter
from imgcli.store.image_facts import saved_image_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcli.app.context import Context
    from imgcli.app.lookup import Match
    from imgcli.core.history import FileFacts, HistoryEntry, SavedImage
    from imgcli.store.history.repository import History


EPILOG = """\
A file is recognized by its content, whatever its name; if several runs made identical images, the
run that saved this file is shown. An existing file takes precedence over an id (./12 is always a
file); last, last~1 and so on always mean runs. For a file that is not in the history, its embedded
parameters (--embed) are shown.

Keys of --json: asked; source (history, recipe, file); file (path, format, bytes, width, height,
sha256, content_credentials: present, absent or unknown), null for an id; image, the index of the
file among the run's images; run, as in imgcli history --json; saved (image, path, state: there,
gone, changed, unreadable, unsaved; content_credentials); recipe, the embedded parameters; parents
(sha256, role, id, name); children (ids). Unknown values are null.

Exit codes (the most severe of all): 0 shown; 2 no such file or id, or not an image file.
"""


def info(ctx: typer.Context, names: lookup.Images, *, as_json: lookup.JsonLines = False) -> None:
    """Show how images were made and what was made from them.

    \b
    Examples:
      imgcli info a-cat.png                   works after renaming or moving, too
      imgcli info 12                          a run, by its id in imgcli history
      imgcli info *.png --json | jq .source   one JSON object per line
    """  # noqa: D301 - \b tells Typer to leave the lines alone
    context: Context = ctx.obj
    with ExitStack() as stack:
        printer = _Printer(context, Lookup.opened(context, stack), as_json=as_json)
        raise typer.Exit(most_severe([printer.print(name) for name in names]))


class _Printer:
    """Prints one image after another, for people with an empty line in between."""

    def __init__(self, context: Context, images: Lookup, *, as_json: bool) -> None:
        self._context = context
        self._images = images
        self._out = SafeWriter(context.stdout)
        self._columns = size_of(context.stdout).columns if context.stdout.isatty() else None
        self._as_json = as_json
        self._has_begun = False
        self._notes = set[str]()

    def print(self, name: str) -> ExitCode:
        """Print what is known of an image; one that cannot be found does not keep the others from it."""
        try:
            match = self._images.find_described(name)
        except ImgcliError as error:
            from imgcli.app.reporting import refuse

            return refuse(self._context, error.problem)
        self._context.warn([note for note in match.notes if note not in self._notes])
        self._notes.update(match.notes)
        self._write(provenance(name, match, self._images.history))
        return ExitCode.OK

    def _write(self, image: Provenance) -> None:
        if self._as_json:
            from imgcli.output.json import info_json, to_json

            self._out.lines([to_json(info_json(image))])
            return
        from imgcli.output.tables.info import info_lines

        self._out.lines([*([""] if self._has_begun else []), *info_lines(image, self._columns)])
        self._has_begun = True


def provenance(name: str, match: Match, history: History | None) -> Provenance:
    """Combine what the history, the embedded parameters and the file say of an image."""
    file, entry = match.file, match.entry
    if entry:
        source = KnowledgeSource.HISTORY
    else:
        source = KnowledgeSource.EMBEDDED if file and file.parameters else KnowledgeSource.FILE
    return Provenance(
        asked=name,
        by=match.by,
        source=source,
        file=file,
        entry=entry,
        image_index=_image_index(file, entry),
        images=tuple(_status(image, file) for image in entry.images) if entry else (),
        parents=tuple(_parents(match, history)),
        children=tuple(_children(match, history)),
    )


def _status(image: SavedImage, file: FileFacts | None) -> SavedImageStatus:
    """Return what has become of a saved image, without reading the given file again."""
    if file and image.path == file.path and image.sha256 == file.sha256:
        return SavedImageStatus(image, FileStatus.THERE, file)
    return saved_image_status(image)


def _image_index(file: FileFacts | None, entry: HistoryEntry | None) -> int | None:
    if not (file and entry):
        return None
    same = [image for image in entry.images if image.sha256 == file.sha256]
    same.sort(key=lambda image: image.path != file.path)  # a path that matches goes first
    return same[0].image_index if same else None


def _parents(match: Match, history: History | None) -> Iterator[Ancestor]:
    if match.entry:
        request = match.entry.request
        sent = [*request.references, *([request.mask] if request.mask else [])] if request else []
        names = {reference.sha256: reference.name for reference in sent}
        for parent in match.entry.parents:
            run = history.producer(parent.sha256, match.entry) if history else None
            yield Ancestor(parent.sha256, parent.role, run, names.get(parent.sha256))
    elif match.file and match.file.parameters:
        for sha256 in match.file.parameters.parents:
            yield Ancestor(sha256, None, history.producer(sha256) if history else None)


def _children(match: Match, history: History | None) -> list[HistoryEntry]:
    """List the runs that used a file, or any image of a run, each once."""
    images = match.entry.images if match.entry else ()
    sha256s = [match.file.sha256] if match.file else [image.sha256 for image in images]
    runs = [run for sha256 in sha256s for run in history.children(sha256, match.entry)] if history else []
    return list({run.number: run for run in runs}.values())
