"""Prices of a model: dollars per million tokens, their source, and how long they are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgcli.dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from decimal import Decimal


_BUILT_IN = "imgcli"
"""The name of the table that comes with imgcli, beside another's."""

PRICE_COLUMNS = ("text_in", "text_cached", "text_out", "image_in", "image_cached", "image_out")
"""The fields of `Prices` that are dollars per million tokens."""


@dataclass(frozen=True)
class LongContext:
    """The surcharge above `after` input tokens: factors for all input and for all output."""

    after: int
    input: Decimal
    output: Decimal


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens, Standard tier; None where no price is published.

    `date` and `source` are where the prices are from, `caveat` is a reason to doubt them; `table` names the
    price table that was read later, None for the one built into imgcli. Writing to the prompt cache costs
    `cache_write` times `text_in`, once where it is None. Prices with an end hold through the day `until`;
    after it `then` does, and unknown prices where that is None.
    """

    date: dt.date
    source: str
    text_in: Decimal | None = None
    text_cached: Decimal | None = None
    text_out: Decimal | None = None
    image_in: Decimal | None = None
    image_cached: Decimal | None = None
    image_out: Decimal | None = None
    cache_write: Decimal | None = None
    long_context: LongContext | None = None
    caveat: str | None = None
    table: str | None = None
    until: dt.date | None = None
    then: Prices | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is any price."""
        return any(getattr(self, column) is not None for column in PRICE_COLUMNS)

    def on(self, today: dt.date) -> Prices:
        """Return the prices of a day."""
        if self.until is None or today <= self.until:
            return self
        ended = f"unknown since a promotion ended on {self.until}"
        return (
            self.then.on(today)
            if self.then
            else Prices(self.date, self.source, caveat=ended, table=self.table)
        )


def tables_of(used: Iterable[Prices]) -> tuple[str, ...]:
    """Name the price tables of these prices."""
    return tuple(dict.fromkeys(prices.table or _BUILT_IN for prices in used))


def joined(tables: Iterable[str]) -> str | None:
    """Join the names of price tables: `litellm.json and imgcli`; None where all is built in."""
    names = list(dict.fromkeys(tables))
    return None if names in ([], [_BUILT_IN]) else " and ".join(names)


def dated(day: dt.date, table: str | None) -> str:
    """Format the date of prices, and their table where it is not the one built in."""
    return f"{day.isoformat()}, from {table}" if table else day.isoformat()
