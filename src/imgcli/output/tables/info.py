"""Everything known about an image or a run, as lines."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.billing.bill import Bill
from imgcli.core.billing.rates import price_notes
from imgcli.core.history import OK, FileStatus, KnowledgeSource
from imgcli.core.image import ContentCredentials
from imgcli.core.messages import image_facts
from imgcli.core.params import PARAMETERS
from imgcli.core.text import clean, duration, shorten
from imgcli.output.tables.bill import bill_lines
from imgcli.output.tables.history import cost_words, outcome_words
from imgcli.output.terminal.hyperlinks import NO_LINKS
from imgcli.output.text import GAP, left, widths, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from imgcli.core.embedded import EmbeddedParameters
    from imgcli.core.history import Ancestor, FileFacts, HistoryEntry, Provenance, SavedImageStatus
    from imgcli.core.request import ImageRequest
    from imgcli.output.terminal.hyperlinks import Hyperlinks


Row: TypeAlias = tuple[str, str]
"""A name and a value; the name is empty where the row before has the same."""

_NARROWEST = 20  # columns that a value needs beside its name
_HINT = 60
_SENTENCES = tuple(one for one in PARAMETERS if one.metavar in ("TEXT", "KEY=JSON"))
_MOST_CHILDREN = 20
_SHORT_HASH = 12

_SOURCES = {
    KnowledgeSource.HISTORY: "the history, found by its {by}",
    KnowledgeSource.EMBEDDED: "parameters embedded in the file; not in the history of this machine",
    KnowledgeSource.FILE: "the file only; no embedded parameters, and not in the history",
}
_STATES = {
    FileStatus.THERE: "",
    FileStatus.GONE: "gone",
    FileStatus.CHANGED: "changed since",
    FileStatus.UNREADABLE: "cannot be read",
    FileStatus.UNSAVED: "",
}
_CREDENTIALS = {
    ContentCredentials.PRESENT: "present (not verified)",
    ContentCredentials.ABSENT: "none",
    ContentCredentials.UNKNOWN: "unknown (not checked in this format)",
}


def info_lines(known: Provenance, columns: int | None, links: Hyperlinks = NO_LINKS) -> list[str]:
    """Format a heading, a line a fact, and the bill; wrapped to so many columns, None for no terminal."""
    files = {"path": known.file.path} if known.file else {}
    return [_heading(known), *fact_lines(_rows(known), columns, files, links), *_bill(known.entry, columns)]


def parameter_lines(parameters: EmbeddedParameters, columns: int | None) -> list[str]:
    """Format embedded parameters, a line a fact, as `info_lines` does."""
    return list(fact_lines(_embedded(parameters), columns))


def fact_lines(
    rows: Iterable[Row],
    columns: int | None,
    files: Mapping[str, Path] = MappingProxyType({}),
    links: Hyperlinks = NO_LINKS,
) -> Iterator[str]:
    """Format a line a fact, wrapped to so many columns; facts without a value are left out.

    Those that name one of `files` are links to it.
    """
    known = [row for row in rows if row[1]]
    (wide, _) = widths(known)
    room = None if columns is None else columns - 1 - wide - 2 * len(GAP)
    for name, text in known:
        lines = wrapped(text, room) if room and room >= _NARROWEST else [text]
        first, *more = [links.to(files[name], line) for line in lines] if name in files else lines
        yield f"{GAP}{left(name, wide)}{GAP}{first}"
        yield from (" " * (wide + 2 * len(GAP)) + line for line in more)


def _heading(known: Provenance) -> str:
    return clean(known.asked) if known.file or not known.entry else f"run {known.entry.number}"


def _rows(known: Provenance) -> Iterator[Row]:
    if known.file:
        yield from _file(known.file)
    yield "source", _SOURCES[known.source].format(by=known.by)
    if known.entry:
        yield from _run(known.entry)
        yield from _images(known)
    elif known.parameters:
        yield from _embedded(known.parameters)
    yield from _relatives(known)


def _file(file: FileFacts) -> Iterator[Row]:
    kind = [file.format.value] if file.format else []
    yield "image", ", ".join([*kind, *image_facts(file.size, file.length)])
    yield "bytes", f"{file.length:,}"
    yield "path", clean(str(file.path))
    yield "sha256", file.sha256
    yield "credentials", _CREDENTIALS[file.credentials]


def _run(entry: HistoryEntry) -> Iterator[Row]:
    yield "run", f"{entry.number} ({_line(entry.job)})"
    took = duration((entry.ended - entry.started).total_seconds())
    yield "when", f"{entry.started.astimezone():%Y-%m-%d %H:%M:%S}, took {took}"
    yield "outcome", entry.outcome if entry.outcome == OK else _failure(entry)
    yield "prompt", _line(entry.prompt)
    for revised in dict.fromkeys(image.revised_prompt for image in entry.images):
        yield "revised", _line(revised)
    yield "model", _line(entry.model or "unknown")
    yield "image model", _line(entry.image_model)
    if entry.request:
        yield from _presets(entry.request)
        yield "options", _options(entry.request)
        yield from _sentences(entry.request)
        yield from _references(entry.request)
        yield "continues", _line(entry.request.previous_response_id)
    yield "server", _line(entry.endpoint or "unknown")
    yield "response", _line(entry.response_id)
    yield "cost", _cost(entry)


def _failure(entry: HistoryEntry) -> str:
    told = f": {_line(entry.message)}" if entry.message else ""
    return f"{_line(entry.outcome)}{told} (charged: {entry.charged})"


def _cost(entry: HistoryEntry) -> str:
    return "free (demo)" if entry.is_demo else cost_words(entry)


def _options(source: ImageRequest | EmbeddedParameters) -> str:
    options = {
        **{one.label: source.options.get(one.name) for one in PARAMETERS if one not in _SENTENCES},
        "partials": getattr(source, "partials", None) or None,  # which a file does not keep
        "api": source.api,
    }
    return _line(", ".join(f"{name} {value}" for name, value in options.items() if value is not None))


def _sentences(source: ImageRequest | EmbeddedParameters) -> Iterator[Row]:
    """Yield a row for each parameter that is a text of its own."""
    for one in _SENTENCES:
        value = source.options.get(one.name, "")
        for index, each in enumerate(value if isinstance(value, tuple) else (value,)):
            yield "" if index else one.label, _line(str(each))


def _presets(source: ImageRequest | EmbeddedParameters) -> Iterator[Row]:
    yield "preset", _line(", ".join(source.presets))
    yield "typed", _line(source.typed_prompt)


def _references(request: ImageRequest) -> Iterator[Row]:
    for index, reference in enumerate(request.references):
        place = reference.url or reference.path or reference.name
        yield "" if index else "references", _line(place)
    if request.mask:
        yield "mask", _line(request.mask.path or request.mask.name)
    if request.markup:
        yield "markup", _line(request.markup.path or request.markup.name)


def _images(known: Provenance) -> Iterator[Row]:
    """Yield the run's images; of one that was named, only where else it was saved."""
    for each in known.images:
        is_named = known.file is not None and each.image.sha256 == known.file.sha256
        if is_named and len(known.images) > 1:
            yield "image", f"number {each.image.image_index + 1} of {len(known.images)}"
        yield from _saved(known.file, each) if is_named else _described(each)


def _saved(file: FileFacts | None, each: SavedImageStatus) -> Iterator[Row]:
    if file and each.image.path != file.path:
        yield "saved as", _place(each)


def _described(each: SavedImageStatus) -> Iterator[Row]:
    image = each.image
    kind = [image.format.value] if image.format else []
    yield f"image {image.image_index + 1}", ", ".join([*kind, *image_facts(image.size, image.length)])
    yield "saved as", _place(each)
    yield "sha256", _line(image.sha256)
    if each.facts:
        yield "credentials", _CREDENTIALS[each.facts.credentials]


def _place(each: SavedImageStatus) -> str:
    if each.image.path is None:
        return "no file"
    state = _STATES[each.state]
    return clean(str(each.image.path)) + (f" ({state})" if state else "")


def _embedded(parameters: EmbeddedParameters) -> Iterator[Row]:
    yield "when", _line(parameters.time)
    yield "prompt", _line(parameters.prompt)
    yield "revised", _line(parameters.revised_prompt)
    yield from _presets(parameters)
    yield "model", _line(parameters.model or "unknown")
    yield "image model", _line(parameters.image_model)
    yield "options", _options(parameters)
    yield from _sentences(parameters)
    yield "server", _line(parameters.host or "unknown")
    yield "response", _line(parameters.response_id)
    yield "made by", f"imgcli {_line(parameters.version)}" if parameters.version else ""


def _relatives(known: Provenance) -> Iterator[Row]:
    for index, parent in enumerate(known.parents):
        yield "" if index else "made from", _ancestor(parent)
    for index, child in enumerate(known.children[:_MOST_CHILDREN]):
        yield "" if index else "used in", run_words(child)
    more = len(known.children) - _MOST_CHILDREN
    if more > 0:
        yield "", f"and {more:,} more; imgcli tree shows them all"


def _ancestor(parent: Ancestor) -> str:
    role = f" ({parent.role})" if parent.role else ""
    if parent.entry:
        return run_words(parent.entry) + role
    name = f"{shorten(parent.name, _HINT)}, " if parent.name else ""
    return f"{name}sha256 {shorten(parent.sha256, _SHORT_HASH + 1)}, not from any run in the history{role}"


def run_words(entry: HistoryEntry) -> str:
    """Describe a run by its id, its first file's name where there is one, and its prompt's beginning."""
    names = [clean(image.path.name) for image in entry.saved if image.path]
    told = [str(entry.number), *names[:1], outcome_words(entry), f'"{shorten(entry.prompt, _HINT)}"']
    return ", ".join(filter(None, told))


def _bill(entry: HistoryEntry | None, columns: int | None) -> list[str]:
    """Format the bill, as the run itself did."""
    if entry is None or not entry.charges:
        return []
    notes = () if entry.prices_date else price_notes(entry.usage)
    tables = (shorten(entry.prices_from, _HINT),) if entry.prices_from else ()
    bill = Bill(entry.charges, entry.prices_date, notes, entry.is_demo, tables=tables)
    lines = bill_lines(bill, columns and columns - len(GAP))
    return ["", *(f"{GAP}{line}" for line in lines)]


def _line(text: str | None) -> str:
    """Return a text as one safe line, whatever its length."""
    return " ".join(clean(text or "").split())
