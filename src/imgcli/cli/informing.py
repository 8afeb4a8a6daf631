"""Everything that is known of pictures and runs, one after the other."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING

from imgcli.cli import notes
from imgcli.cli.finding import Seeker
from imgcli.cli.world import size_of
from imgcli.core.errors import ExitCode, ImgcliError, gravest
from imgcli.core.provenance import Ancestor, Provenance, Source, State, Whereabouts
from imgcli.show.output import Output
from imgcli.store.inspection import whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcli.cli.finding import Found
    from imgcli.cli.world import World
    from imgcli.core.entry import Entry, KeptPicture
    from imgcli.core.provenance import FileFacts
    from imgcli.store.history import History


class Form(Enum):
    """For whom it is written."""

    PEOPLE = "people"
    JSON = "json"


def perform(world: World, names: Sequence[str], form: Form) -> ExitCode:
    """Tell of file after file; one that cannot be told of does not keep the others from it."""
    with ExitStack() as stack:
        seeker = Seeker.opened(world, stack)
        teller = _Teller(world, form)
        return gravest([_told(world, seeker, teller, name) for name in names])


def _told(world: World, seeker: Seeker, teller: _Teller, name: str) -> ExitCode:
    try:
        found = seeker.find_told(name)
    except ImgcliError as error:
        from imgcli.cli.report import refuse

        return refuse(world, error.problem)
    notes.tell(world, teller.unsaid(found.notes))
    teller.tell(provenance(name, found, seeker.history))
    return ExitCode.OK


class _Teller:
    """Writes one after the other, for people with an empty line in between."""

    def __init__(self, world: World, form: Form) -> None:
        self._out = Output(world.stdout)
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
        if self._form is Form.JSON:
            from imgcli.show.jsonl import to_json
            from imgcli.show.provenance_json import provenance_json

            self._out.lines([to_json(provenance_json(known))])
            return
        from imgcli.show.provenance_lines import provenance_lines

        self._out.lines([*([""] if self._has_begun else []), *provenance_lines(known, self._columns)])
        self._has_begun = True


def provenance(name: str, found: Found, history: History | None) -> Provenance:
    """Put together what the history, the recipe and the file say."""
    file, entry = found.file, found.entry
    pictures = tuple(_whereabouts(picture, file) for picture in entry.pictures) if entry else ()
    return Provenance(
        asked=name,
        by=found.by,
        source=_source(found),
        file=file,
        entry=entry,
        image=_image(file, entry),
        pictures=pictures,
        parents=tuple(_parents(found, history)),
        children=tuple(_children(found, history)),
    )


def _source(found: Found) -> Source:
    if found.entry:
        return Source.HISTORY
    return Source.RECIPE if found.file and found.file.recipe else Source.FILE


def _whereabouts(picture: KeptPicture, file: FileFacts | None) -> Whereabouts:
    """Find out what has become of a picture, without reading again what was read already."""
    if file and picture.path == file.path and picture.sha256 == file.sha256:
        return Whereabouts(picture, State.THERE, file)
    return whereabouts(picture)


def _image(file: FileFacts | None, entry: Entry | None) -> int | None:
    if not (file and entry):
        return None
    same = [picture for picture in entry.pictures if picture.sha256 == file.sha256]
    same.sort(key=lambda picture: picture.path != file.path)  # a path that matches goes first
    return same[0].image if same else None


def _parents(found: Found, history: History | None) -> Iterator[Ancestor]:
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


def _children(found: Found, history: History | None) -> list[Entry]:
    """List the runs that a file, or any picture of a run, went into, each once."""
    brought = found.entry.pictures if found.entry else ()
    sha256s = [found.file.sha256] if found.file else [picture.sha256 for picture in brought]
    runs = [run for sha256 in sha256s for run in history.children(sha256, found.entry)] if history else []
    return list({run.number: run for run in runs}.values())
