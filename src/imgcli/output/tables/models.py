"""The tables of models, 80 columns wide: prices, accepted options, and sources of the prices."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from textwrap import wrap
from typing import TYPE_CHECKING

from imgcli.core.billing.prices import dated
from imgcli.core.catalog import FixedSizes, ModelKind
from imgcli.core.image import ImageFormat
from imgcli.core.option import option
from imgcli.core.parameters.parameter_checks import accepted_options
from imgcli.core.params import PARAMETERS
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.output.tables.table import Table, can_draw, rendered_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from rich.console import RenderableType

    from imgcli.core.catalog import ListedModel, Model, ModelList, ServerModel, SizeRule
    from imgcli.core.params import Quality
    from imgcli.output.terminal.capabilities import Terminal


_MORE = "long inputs and prompt cache writes cost more."
_ANY, _FIXED = "any", "std"
_QUALITIES = {"low": "low", "medium": "med", "high": "high"}
"""The qualities whose price per image is shown, with their headings."""
_NAMES_LENGTH = 300
_NAME_LENGTH = 60
_UNKNOWN, _UNPUBLISHED = "unknown", "-"
_WORDS = frozenset(
    {
        *("sizes", "quality", "gif", "svg", "markup", "complexity", "fidelity", "takes"),
        *("shutdown", "shut down", "replacement", "key"),
    }
)
"""The headings of columns that hold words, beside the first."""
_OPTIONAL = (
    *("replacement", "fidelity", "complexity", "markup", "svg", "gif"),
    *("text", "shutdown", "image", "med"),
)
"""The headings of columns that a narrow window goes without, in this order."""
_USUAL_WIDTH, _NARROWEST = 80, 30
_INDENT = " " * 12
"""The width of a date and two spaces."""


@dataclass(frozen=True)
class Page:
    """Tables, notes under them, and a list in which a line that begins with a space goes on."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    sources: tuple[tuple[str, str], ...] = ()
    """What a source is, and the models whose prices are from it."""

    @property
    def lines(self) -> list[str]:
        """The page as lines of plain text, without any escape code."""
        tables = [line for table in self.tables for line in (table.title, *table.lines, "")]
        return [*tables, *self.notes, *self._source_lines(_USUAL_WIDTH)]

    def drawn(self, terminal: Terminal, columns: int) -> list[str]:
        """Draw the page for a terminal of so many columns, as lines of text and colour codes."""
        if not can_draw(terminal, columns):
            return self.lines
        from rich.text import Text

        parts: list[RenderableType] = []
        hidden: dict[str, None] = {}
        for table in self.tables:
            narrowed = _narrowed(table, columns)
            hidden |= dict.fromkeys(heading for heading in table.headings if heading not in narrowed.headings)
            parts += [Text(table.title, style="bold"), narrowed.drawing(), Text("")]
        note = [f"Hidden in this narrow window: {', '.join(hidden)}"] if hidden else []
        parts += [Text(line, style="dim") for line in (*note, *self.notes)]
        parts += [Text(line) for line in self._source_lines(columns)]
        return rendered_lines(parts, terminal.depth, columns)

    def _source_lines(self, columns: int) -> Iterator[str]:
        if self.sources:
            yield ""
            yield "Where the prices are from, and as of when"
        for what, models in self.sources:
            indent = _INDENT if columns >= _NARROWEST else ""
            yield from _wrapped(what, columns, "", indent)
            yield from _wrapped(models, columns, indent, indent)


def _wrapped(text: str, columns: int, first: str, others: str) -> list[str]:
    return wrap(text, columns, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def model_page(lineup: ModelList) -> Page:
    """Return the tables of all models, the image models where a terminal ends, with what they cost."""
    is_live = any(entry.is_usable is not None for entry in lineup.entries)
    key = ("key",) if is_live else ()
    images, texts, gone = lineup.of(ModelKind.IMAGE), lineup.of(ModelKind.TEXT), lineup.gone
    tables = [
        _table(
            "Text models (dollars per million tokens: in, cached in, out)",
            ("", "in", "cached", "out", "shutdown", "replacement", *key),
            texts,
            [(*_text_cells(entry), *_key(entry)) for entry in texts],
        ),
        _table(
            "Image models (dollars per million tokens, and per 1024x1024 image by quality)",
            ("", "text", "image", "out", *_QUALITIES.values(), "shutdown", *key),
            images,
            [(*_image_cells(entry), *_key(entry)) for entry in images],
        ),
    ]
    if gone:
        rows = [(_name(entry), _date(entry), entry.model.replacement or "") for entry in gone]
        tables.insert(0, _table("Shut down", ("", "shut down", "replacement"), gone, rows))
    return Page(tuple(tables), tuple(_legend(lineup)))


def source_page(lineup: ModelList) -> Page:
    """Return what image models accept, notes on prices, and where each price is from."""
    images = lineup.of(ModelKind.IMAGE)
    accepts = _table(
        "What image models accept (all of them png, jpeg and webp)",
        ("", "sizes", "quality", "gif", "svg", "markup", "complexity", "fidelity"),
        images,
        [_accepted(entry) for entry in images],
    )
    notes = [line for note in _notes(lineup) for line in _wrapped(note, _USUAL_WIDTH, "", "  ")]
    return Page((accepts,), tuple(notes), tuple(_sources(lineup)))


def option_page(lineup: ModelList) -> Page:
    """Return what the one model of a list costs, and which options it takes."""
    (entry,) = lineup.entries
    model, is_text = entry.model, entry.model.kind is ModelKind.TEXT
    table = Table(("", "takes"), tuple(_option_rows(model)), title=f"{_name(entry)} ({model.kind} model)")
    names = ("in", "cached", "out") if is_text else ("text", "image", "out")
    costs = zip(names, (_text_cells if is_text else _image_cells)(entry)[1:4], strict=True)
    dollars = ", ".join(f"{name} {cost}" for name, cost in costs)
    notes = [f"Dollars per million tokens: {dollars}"]
    if entry.shutdown:
        notes.append(f"Shut down on {_date(entry)}; replacement: {model.replacement or 'none'}")
    if model.accepts and not isinstance(model.accepts.sizes, FixedSizes):
        notes += _wrapped(f"{option('size')}: {_sizes(model.accepts.sizes)}", _USUAL_WIDTH, "", "  ")
    if is_text:
        notes.append(f"Options of the image are those of its image model ({option('image-model')}).")
    return Page((replace(table, words=_WORDS),), tuple(notes))


def _option_rows(model: Model) -> Iterator[tuple[str, str]]:
    """Yield the options that a model takes, each with its values."""
    parameters = {one.flag: one for one in PARAMETERS}
    words = {True: "yes", False: "no", None: _UNKNOWN}
    for name, taken in accepted_options(model).items():
        parameter = parameters.get(name)
        values = " ".join(taken) if isinstance(taken, tuple) else words[taken]
        if name == "size" and model.accepts:
            rule = model.accepts.sizes
            values = " ".join(rule.sizes) if isinstance(rule, FixedSizes) else "any, within the limits below"
        elif taken is True and parameter and parameter.span:
            values = "{:,} to {:,}".format(*parameter.span)
        elif taken is True and parameter and issubclass(parameter.type, StrEnum):
            values = " ".join(parameter.type)
        if taken is True and parameter and parameter.formats:
            values += f", for {' and '.join(parameter.formats)}"
        yield option(name), values


def _legend(lineup: ModelList) -> Iterator[str]:
    yield f"*  default    {_UNPUBLISHED}  not published: the bill after a run says what it cost"
    if any(entry.has_new_shutdown for entry in lineup.entries):
        yield "!  shutdown date from the server, not in imgcli's own table"
    yield f"Standard tier prices as of {_dated_prices(lineup)}"
    yield f"Options of one: imgcli models NAME; sources, notes: imgcli models {option('sources')}"
    yield from _unknown_models(lineup)


def _dated_prices(lineup: ModelList) -> str:
    """Format the date and the table of the prices, and for how many models they are if not for all."""
    when = dated(lineup.prices_date, lineup.prices_from)
    listed = [entry.model.prices for entry in lineup.entries if not entry.is_gone]
    fresh = sum(1 for prices in listed if prices and prices.table)
    return f"{when} ({fresh} of {len(listed)} models)" if lineup.prices_from else when


def _unknown_models(lineup: ModelList) -> Iterator[str]:
    """Yield lines about what a server has that the catalog does not know."""
    if lineup.unknown_image_models:
        yield f"Image models unknown to imgcli: {_listed(lineup.unknown_image_models)}"
    if lineup.others:
        yield f"Other models on the server ({len(lineup.others)}): {_listed(lineup.others)}"


def _notes(lineup: ModelList) -> Iterator[str]:
    """Explain what is accepted, and what else is to be known of the prices."""
    known = [entry.model.accepts for entry in lineup.of(ModelKind.IMAGE) if entry.model.accepts]
    yield from dict.fromkeys(f"{size_label(accepts.sizes)}: {_sizes(accepts.sizes)}" for accepts in known)
    yield from dict.fromkeys(
        f"to {accepts.qualities[-1]}: {_listed_qualities(accepts.qualities)}" for accepts in known
    )
    yield from _advice(lineup.of(ModelKind.IMAGE))
    yield "An image's price is OpenAI's own, or the tokens in OpenAI's table times their price."
    yield "The prompt, images that are sent along, and partial images come on top."
    yield f"Standard tier prices as of {_dated_prices(lineup)}; {_MORE}"
    if lineup.prices_from:
        yield f"`imgcli models {option('reset')}` goes back to the prices built into imgcli."


def _sources(lineup: ModelList) -> Iterator[tuple[str, str]]:
    """Yield each source, in the order in which the tables need it, with its models."""
    models: dict[str, list[str]] = {}
    for entry in (*lineup.of(ModelKind.IMAGE), *lineup.of(ModelKind.TEXT)):
        prices = entry.model.prices
        if prices:
            caveat = f"; {prices.caveat}" if prices.caveat else ""
            until = f"; until {prices.until}" if prices.until else ""
            what = f"{prices.date.isoformat()}  {prices.source}{caveat}{until}"
            models.setdefault(what, []).append(shorten(entry.model.name, _NAME_LENGTH))
    for what, names in models.items():
        yield what, ", ".join(names)
    unpriced = [entry.model.name for entry in lineup.entries if not (entry.model.prices or entry.is_gone)]
    if unpriced:
        yield "No price is published", ", ".join(unpriced)


def size_label(rule: SizeRule) -> str:
    """Return a short name for a rule for sizes."""
    return _FIXED if isinstance(rule, FixedSizes) else _ANY


def _sizes(rule: SizeRule) -> str:
    if isinstance(rule, FixedSizes):
        return ", ".join(rule.sizes)
    return (
        f"edges that are multiples of {rule.multiple}, up to {rule.longest} and {rule.widest}:1, "
        f"{rule.min_pixels:,} to {rule.max_pixels:,} pixels"
    )


def _listed_qualities(qualities: Sequence[Quality]) -> str:
    return ", ".join(qualities)


def _listed(models: Iterable[ServerModel]) -> str:
    return shorten(", ".join(map(_dated, models)), _NAMES_LENGTH)


def _dated(model: ServerModel) -> str:
    """Name a foreign model, and its end where that is known."""
    return shorten(model.name, _NAME_LENGTH) + (f" (until {model.shutdown})" if model.shutdown else "")


def _advice(entries: Iterable[ListedModel]) -> Iterator[str]:
    """Name the replacements of image models that will be shut down; text models have a column for it."""
    going: dict[str, list[str]] = {}
    for entry in entries:
        if entry.shutdown and entry.model.replacement:
            going.setdefault(entry.model.replacement, []).append(entry.model.name)
    for replacement, names in going.items():
        yield f"replacement for {', '.join(names)}: {replacement}"


def _table(
    title: str, headings: tuple[str, ...], entries: Sequence[ListedModel], rows: Sequence[tuple[str, ...]]
) -> Table:
    return Table(headings, tuple(rows), title=title, words=_WORDS, styles=tuple(map(_style, entries)))


def _style(entry: ListedModel) -> str:
    """Mark what cannot be used, and what will soon be gone."""
    if entry.is_gone or entry.is_usable is False:
        return "dim"
    return "yellow" if entry.shutdown else ""


def _image_cells(entry: ListedModel) -> tuple[str, ...]:
    model, prices = entry.model, entry.model.prices
    costs = (prices.text_in, prices.image_in, prices.image_out) if prices else (None, None, None)
    images = (model.square_dollars(quality) for quality in _QUALITIES)
    return (_name(entry), *map(_price, costs), *map(_of_an_image, images), _date(entry))


def _text_cells(entry: ListedModel) -> tuple[str, ...]:
    prices = entry.model.prices
    costs = (prices.text_in, prices.text_cached, prices.text_out) if prices else (None, None, None)
    return (_name(entry), *map(_price, costs), _date(entry), entry.model.replacement or "")


def _accepted(entry: ListedModel) -> tuple[str, ...]:
    accepts = entry.model.accepts
    if accepts is None:
        return (_name(entry), *[_UNKNOWN] * 7)
    fidelity = _UNKNOWN if accepts.fidelities is None else " ".join(accepts.fidelities) or "is high"
    return (
        _name(entry),
        size_label(accepts.sizes),
        f"to {accepts.qualities[-1]}",
        "yes" if ImageFormat.GIF in accepts.formats else "no",
        "yes" if ImageFormat.SVG in accepts.formats else "no",
        "yes" if accepts.markup else "no",
        _UNKNOWN if accepts.complexities is None else "yes",
        fidelity,
    )


def _name(entry: ListedModel) -> str:
    return shorten(entry.model.name, _NAME_LENGTH) + (" *" if entry.is_default else "")


def _price(price: Decimal | None) -> str:
    return _UNKNOWN if price is None else f"{price:f}"


def _of_an_image(dollars: Decimal | None) -> str:
    """Format what an image costs, to a tenth of a cent."""
    return _UNPUBLISHED if dollars is None else f"{dollars:.3f}"


def _date(entry: ListedModel) -> str:
    return f"{entry.shutdown or ''}{'!' if entry.has_new_shutdown else ''}"


def _key(entry: ListedModel) -> tuple[str, ...]:
    return () if entry.is_usable is None else ("yes" if entry.is_usable else "no",)


def _narrowed(table: Table, columns: int) -> Table:
    """Return a table without as many optional columns as it takes to keep its rows whole."""
    for heading in _OPTIONAL:
        if table.width > columns:
            table = table.without(heading) if heading in table.headings else table
    return table
