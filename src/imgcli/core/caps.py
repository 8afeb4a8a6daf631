"""Limits that a user sets to their own spending, and the sentences that keep to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.bill import dollars
from imgcli.core.errors import usage_error
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from pathlib import Path

    from imgcli.core.bound import Bound

OFF = "off"
"""The word that lifts a limit which stands in a file or in the environment."""

_AMOUNT = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_ADVICE = "Choose a lower --quality, fewer --partials, a smaller --size or a shorter prompt, or allow more."


@dataclass(frozen=True)
class Cap:
    """One limit in US dollars, and the option that sets it."""

    option: str
    amount: Decimal


@dataclass(frozen=True)
class Spent:
    """What was spent today: the dollars that are known, and how many runs may have cost something unknown.

    `unfinished_runs` are those that were broken off so that the history knows nothing of them; `aside` is a
    history of today that was set aside, None where there is none.
    """

    known: Decimal = Decimal(0)
    unknown_runs: int = 0
    unfinished_runs: int = 0
    aside: Path | None = None


def read_cap(option: str, text: str | None) -> Cap | None:
    """Read a limit, `0.50` or `$0.50`; None where there is none. Raises `ImgcliError` (usage)."""
    told = (text or "").strip()
    if text is None or told.lower() == OFF:
        return None
    if amount := _AMOUNT.fullmatch(told):
        return Cap(option, Decimal(amount[1]))
    raise usage_error(
        f"{option} takes an amount of dollars such as 0.50, or {OFF}, not {shorten(text, 40) or 'nothing'}."
    )


def check_run(bound: Bound, cap: Cap) -> None:
    """Refuse a run that may cost more than the cap; raises `ImgcliError` (usage)."""
    if bound.dollars > cap.amount:
        what = f"This may cost up to {dollars(bound.dollars)}; {cap.option} allows {dollars(cap.amount)}."
        raise usage_error(f"{what} {_source(bound)}", _ADVICE)


def check_day(bound: Bound, spent: Spent, cap: Cap) -> None:
    """Refuse a run after which today's spending may be above the cap; raises `ImgcliError` (usage)."""
    _check_sum(spent, cap)
    if spent.known + bound.dollars > cap.amount:
        what = f"Today cost {dollars(spent.known)} so far, and this may cost up to {dollars(bound.dollars)}"
        raise usage_error(
            f"{what}; {cap.option} allows {dollars(cap.amount)} a day. {_source(bound)}", _ADVICE
        )


def _source(bound: Bound) -> str:
    return f"The bound is from {bound.basis}, as of {bound.as_of}; OpenAI's bill is the authority."


def _check_sum(spent: Spent, cap: Cap) -> None:
    """Refuse where nobody knows what today has cost; raises `ImgcliError` (usage)."""
    allowed = f"{cap.option} allows {dollars(cap.amount)} a day"
    lifted = f"{cap.option} {OFF} lets one run pass"
    if spent.aside:
        what = f"What today has cost is unknown: a history was set aside as {spent.aside}; {allowed}."
        raise usage_error(what, f"Look at your usage page, and move that file elsewhere; {lifted}.")
    if spent.unfinished_runs:
        what = f"{_runs(spent.unfinished_runs)} did not end well, and what that cost is unknown; {allowed}."
        raise usage_error(what, f"Run `imgcli recover`, which finds out what it can; {lifted}.")
    if spent.unknown_runs:
        what = f"{_runs(spent.unknown_runs)} may have cost something that is unknown; {allowed}."
        raise usage_error(what, f"Look at your usage page; {lifted}.")


def _runs(count: int) -> str:
    return "1 run of today" if count == 1 else f"{count} runs of today"
