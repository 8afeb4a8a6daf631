"""Limits that a user sets to their own spending, and the sentences that keep to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars
from imgcli.core.errors import ImgcliError, usage_error
from imgcli.core.problem import Charged, ExitCode, Problem
from imgcli.core.text import shorten

if TYPE_CHECKING:
    from pathlib import Path

    from imgcli.core.billing.bound import Bound


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
    """What was spent today: the dollars that are known, and those that `open_runs` may cost at most.

    Open are the runs that go on, or whose cost nobody told; `unknown_runs` are those whose bound nobody knows
    either. `aside` is a history of today that was set aside, None where there is none.
    """

    known: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    open_runs: int = 0
    unknown_runs: int = 0
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
    """Refuse a run after which today's spending may be above the cap.

    Raises `ImgcliError`: usage, and unwritable where no history of today can be relied on.
    """
    _check_sum(spent, cap)
    if spent.known + spent.reserved + bound.dollars <= cap.amount:
        return
    so_far = f"Today cost {dollars(spent.known)} so far"
    if spent.open_runs:
        so_far += f", up to {dollars(spent.reserved)} more is reserved for {_open(spent.open_runs)}"
    this = f"this may cost up to {dollars(bound.dollars)}"
    recover = "`imgcli recover` finds out what runs that broke off have cost. " if spent.open_runs else ""
    raise usage_error(
        f"{so_far}, and {this}; {cap.option} allows {dollars(cap.amount)} a day. {_source(bound)}",
        f"{recover}{_ADVICE}",
    )


def _source(bound: Bound) -> str:
    return f"The bound is from {bound.basis}, as of {bound.as_of}; OpenAI's bill is the authority."


def _check_sum(spent: Spent, cap: Cap) -> None:
    """Refuse where nobody knows what today has cost."""
    allowed = f"{cap.option} allows {dollars(cap.amount)} a day"
    lifted = f"{cap.option} {OFF} lets one run pass"
    if spent.aside:
        what = f"What today has cost is unknown: a history was set aside as {spent.aside}; {allowed}."
        advice = f"Look at your usage page, and move that file elsewhere; {lifted}."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, Charged.NO, advice))
    if spent.unknown_runs:
        runs = "1 run of today" if spent.unknown_runs == 1 else f"{spent.unknown_runs} runs of today"
        what = f"{runs} may have cost something that is unknown; {allowed}."
        raise usage_error(what, f"Run `imgcli recover`, and look at your usage page; {lifted}.")


def _open(count: int) -> str:
    runs = "1 run that goes on, or" if count == 1 else f"{count} runs that go on, or"
    return f"{runs} whose cost is unknown"


@dataclass(frozen=True)
class Budget:
    """What somebody wants to know and to limit; None means no limit."""

    estimate: bool = False
    run: Cap | None = None
    day: Cap | None = None
