"""What the tables of models mean: labels and letters, and what a server has besides."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from imgcli.core.catalog import FixedSizes, Kind
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imgcli.core.catalog import Prices, SizeRule
    from imgcli.core.lineup import Entry, Lineup, Listed
    from imgcli.core.request import Quality

_MORE = "long inputs and writing to the prompt cache cost more."
_ANY, _FIXED = "any", "std"
_NAMES_LENGTH = 300
_NAME_LENGTH = 60


class Sources:
    """The sources of the prices, each with a letter, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._letters: dict[tuple[str, str], str] = {}

    def letter(self, prices: Prices) -> str:
        """Give the letter that stands for where these prices are from."""
        caveat = f"; {prices.caveat}" if prices.caveat else ""
        source = (prices.date.isoformat(), f"{prices.source}{caveat}")
        return self._letters.setdefault(source, ascii_lowercase[len(self._letters) % len(ascii_lowercase)])

    def lines(self) -> list[str]:
        """Say what the letters stand for, and from which day the prices are."""
        return [f"{letter}  {day}  {what}" for (day, what), letter in self._letters.items()]


def size_label(rule: SizeRule) -> str:
    """Name a rule for sizes as shortly as a column wants it."""
    return _FIXED if isinstance(rule, FixedSizes) else _ANY


def legend(lineup: Lineup, sources: Sources) -> list[str]:
    """Explain every sign in the tables that needs it."""
    known = [entry.model.accepts for entry in lineup.of(Kind.IMAGE) if entry.model.accepts]
    return [
        *dict.fromkeys(f"{size_label(accepts.sizes)}: {_sizes(accepts.sizes)}" for accepts in known),
        *dict.fromkeys(f"to {accepts.qualities[-1]}: {_qualities(accepts.qualities)}" for accepts in known),
        *_advice(lineup.of(Kind.IMAGE)),
        "*  the default model",
        *(["!  a date that imgcli's own table does not have"] if _has_news(lineup) else []),
        *sources.lines(),
        f"Prices are of the Standard tier, gathered on {lineup.prices_date}; {_MORE}",
    ]


def strangers(lineup: Lineup) -> Iterator[str]:
    """Tell what a server has that the catalog does not know."""
    if lineup.strangers:
        yield f"Image models that imgcli does not know: {_listed(lineup.strangers)}"
    if lineup.others:
        yield f"Besides, the server lists {len(lineup.others)}: {_listed(lineup.others)}"


def _sizes(rule: SizeRule) -> str:
    if isinstance(rule, FixedSizes):
        return ", ".join(rule.sizes)
    return (
        f"edges that are multiples of {rule.multiple}, up to {rule.longest} and {rule.widest}:1, "
        f"{rule.min_pixels:,} to {rule.max_pixels:,} pixels"
    )


def _qualities(qualities: Sequence[Quality]) -> str:
    return ", ".join(qualities)


def _advice(entries: Iterable[Entry]) -> Iterator[str]:
    """Say what to use in the place of models that are going; text models have a column for it."""
    going: dict[str, list[str]] = {}
    for entry in entries:
        if entry.shutdown and entry.model.replacement:
            going.setdefault(entry.model.replacement, []).append(entry.model.name)
    for replacement, names in going.items():
        yield f"instead of {', '.join(names)}: {replacement}"


def _has_news(lineup: Lineup) -> bool:
    return any(entry.is_news for entry in lineup.entries)


def _listed(models: Iterable[Listed]) -> str:
    return shorten(", ".join(map(_dated, models)), _NAMES_LENGTH)


def _dated(model: Listed) -> str:
    """Name a foreign model, and its end where that is known."""
    return shorten(model.name, _NAME_LENGTH) + (f" (until {model.shutdown})" if model.shutdown else "")
