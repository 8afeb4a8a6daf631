"""The models as tables of 80 columns, and a legend."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from imgcli.core.catalog import FixedSizes, ModelKind
from imgcli.core.text import shorten
from imgcli.output.tables.table import Table, can_draw, rendered_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from rich.console import RenderableType

    from imgcli.core.catalog import Lineup, ListedModel, Model, Prices, ServerModel, SizeRule
    from imgcli.core.params import Quality
    from imgcli.output.terminal.capabilities import Terminal


_MORE = "long inputs and prompt cache writes cost more."
_ANY, _FIXED = "any", "std"
_NAMES_LENGTH = 300
_LEGEND_NAME_LENGTH = 60


class Sources:
    """The sources of the prices, each with a letter, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._letters: dict[tuple[str, str], str] = {}

    def letter(self, prices: Prices) -> str:
        """Return the letter that stands for these prices' source."""
        caveat = f"; {prices.caveat}" if prices.caveat else ""
        source = (prices.date.isoformat(), f"{prices.source}{caveat}")
        return self._letters.setdefault(source, ascii_lowercase[len(self._letters) % len(ascii_lowercase)])

    def lines(self) -> list[str]:
        """Return what the letters stand for, and the dates of the prices."""
        return [f"{letter}  {day}  {what}" for (day, what), letter in self._letters.items()]


def size_label(rule: SizeRule) -> str:
    """Return a short name for a rule for sizes."""
    return _FIXED if isinstance(rule, FixedSizes) else _ANY


def legend(lineup: Lineup, sources: Sources) -> list[str]:
    """Explain every sign in the tables that needs it."""
    known = [entry.model.accepts for entry in lineup.of(ModelKind.IMAGE) if entry.model.accepts]
    return [
        *dict.fromkeys(f"{size_label(accepts.sizes)}: {_sizes(accepts.sizes)}" for accepts in known),
        *dict.fromkeys(f"to {accepts.qualities[-1]}: {_qualities(accepts.qualities)}" for accepts in known),
        *_advice(lineup.of(ModelKind.IMAGE)),
        "*  default",
        *(["!  shutdown date from the server, not in imgcli's own table"] if _has_news(lineup) else []),
        *sources.lines(),
        f"Standard tier prices as of {lineup.prices_date}; {_MORE}",
    ]


def unknown_models(lineup: Lineup) -> Iterator[str]:
    """Yield lines about what a server has that the catalog does not know."""
    if lineup.strangers:
        yield f"Image models unknown to imgcli: {_listed(lineup.strangers)}"
    if lineup.others:
        yield f"Other models on the server ({len(lineup.others)}): {_listed(lineup.others)}"


def _sizes(rule: SizeRule) -> str:
    if isinstance(rule, FixedSizes):
        return ", ".join(rule.sizes)
    return (
        f"edges that are multiples of {rule.multiple}, up to {rule.longest} and {rule.widest}:1, "
        f"{rule.min_pixels:,} to {rule.max_pixels:,} pixels"
    )


def _qualities(qualities: Sequence[Quality]) -> str:
    return ", ".join(qualities)


def _advice(entries: Iterable[ListedModel]) -> Iterator[str]:
    """Name the replacements of image models that will be shut down; text models have a column for it."""
    going: dict[str, list[str]] = {}
    for entry in entries:
        if entry.shutdown and entry.model.replacement:
            going.setdefault(entry.model.replacement, []).append(entry.model.name)
    for replacement, names in going.items():
        yield f"replacement for {', '.join(names)}: {replacement}"


def _has_news(lineup: Lineup) -> bool:
    return any(entry.is_news for entry in lineup.entries)


def _listed(models: Iterable[ServerModel]) -> str:
    return shorten(", ".join(map(_dated, models)), _NAMES_LENGTH)


def _dated(model: ServerModel) -> str:
    """Name a foreign model, and its end where that is known."""
    return shorten(model.name, _LEGEND_NAME_LENGTH) + (f" (until {model.shutdown})" if model.shutdown else "")


_NAME_LENGTH = 60
_UNKNOWN = "unknown"
_WORDS = frozenset({"size", "quality", "shutdown", "shut down", "replacement", "key"})
"""The headings of columns that hold words, beside the first."""
_OPTIONAL = ("replacement", "quality", "shutdown", "size")
"""The headings of columns that a narrow window goes without, in this order."""


def models_lines(lineup: Lineup) -> list[str]:
    """Format the models as lines of plain text, without any escape code."""
    sources = Sources()
    tables = [line for table in _tables(lineup, sources) for line in (table.title, *table.lines, "")]
    return [*tables, *legend(lineup, sources), *unknown_models(lineup)]


def rich_models_lines(lineup: Lineup, terminal: Terminal, columns: int) -> list[str]:
    """Draw the models for a terminal of so many columns, as lines of text and colour codes."""
    if not can_draw(terminal, columns):
        return models_lines(lineup)
    from rich.text import Text

    sources = Sources()
    parts: list[RenderableType] = []
    hidden: dict[str, None] = {}
    for table in _tables(lineup, sources):
        narrowed = _narrowed(table, columns)
        hidden |= dict.fromkeys(heading for heading in table.headings if heading not in narrowed.headings)
        parts += [Text(table.title, style="bold"), narrowed.drawing(), Text("")]
    note = [f"Hidden in this narrow window: {', '.join(hidden)}"] if hidden else []
    parts += [Text(line, style="dim") for line in [*note, *legend(lineup, sources)]]
    parts += [Text(line) for line in unknown_models(lineup)]
    return rendered_lines(parts, terminal.depth, columns)


def _tables(lineup: Lineup, sources: Sources) -> Iterator[Table]:
    is_live = any(entry.is_usable is not None for entry in lineup.entries)
    key = ("key",) if is_live else ()
    images, texts, gone = lineup.of(ModelKind.IMAGE), lineup.of(ModelKind.TEXT), lineup.gone
    yield _table(
        "Image models (dollars per million tokens: text in, image in, image out)",
        ("", "size", "quality", "text", "image", "out", "shutdown", *key),
        images,
        [(*_image_cells(entry, sources), *_key(entry)) for entry in images],
    )
    yield _table(
        "Text models (dollars per million tokens: in, cached in, out)",
        ("", "in", "cached", "out", "shutdown", "replacement", *key),
        texts,
        [(*_text_cells(entry, sources), *_key(entry)) for entry in texts],
    )
    if gone:
        rows = [(_name(entry), _date(entry), entry.model.replacement or "") for entry in gone]
        yield _table("Shut down", ("", "shut down", "replacement"), gone, rows)


def _table(
    title: str, headings: tuple[str, ...], entries: Sequence[ListedModel], rows: Sequence[tuple[str, ...]]
) -> Table:
    return Table(headings, tuple(rows), title=title, words=_WORDS, styles=tuple(map(_style, entries)))


def _style(entry: ListedModel) -> str:
    """Mark what cannot be used, and what will soon be gone."""
    if entry.is_gone or entry.is_usable is False:
        return "dim"
    return "yellow" if entry.shutdown else ""


def _image_cells(entry: ListedModel, sources: Sources) -> tuple[str, ...]:
    model, prices = entry.model, entry.model.prices
    text, image, out = (prices.text_in, prices.image_in, prices.image_out) if prices else (None, None, None)
    size = size_label(model.accepts.sizes) if model.accepts else _UNKNOWN
    qualities = f"to {model.accepts.qualities[-1]}" if model.accepts else _UNKNOWN
    return (
        _name(entry),
        size,
        qualities,
        _price(text),
        _price(image),
        _last(out, model, sources),
        _date(entry),
    )


def _text_cells(entry: ListedModel, sources: Sources) -> tuple[str, ...]:
    model, prices = entry.model, entry.model.prices
    costs = (prices.text_in, prices.text_cached, prices.text_out) if prices else (None, None, None)
    first, cached, out = costs
    replacement = model.replacement or ""
    return (
        _name(entry),
        _price(first),
        _price(cached),
        _last(out, model, sources),
        _date(entry),
        replacement,
    )


def _name(entry: ListedModel) -> str:
    return shorten(entry.model.name, _NAME_LENGTH) + (" *" if entry.is_default else "")


def _price(price: Decimal | None) -> str:
    return _UNKNOWN if price is None else f"{price:f}"


def _last(price: Decimal | None, model: Model, sources: Sources) -> str:
    """Format a row's last price, followed by the letter of their source."""
    return f"{_price(price)} {sources.letter(model.prices) if model.prices else ' '}"


def _date(entry: ListedModel) -> str:
    return f"{entry.shutdown or ''}{'!' if entry.is_news else ''}"


def _key(entry: ListedModel) -> tuple[str, ...]:
    return () if entry.is_usable is None else ("yes" if entry.is_usable else "no",)


def _narrowed(table: Table, columns: int) -> Table:
    """Return a table without as many optional columns as it takes to keep its rows whole."""
    for heading in _OPTIONAL:
        if table.width > columns:
            table = table.without(heading) if heading in table.headings else table
    return table
