"""Estimates of what a run may cost, and the limits that a user sets."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars, prices_of
from imgcli.core.billing.bound import image_model_name
from imgcli.core.billing.prices import dated
from imgcli.core.billing.rates import is_standard
from imgcli.core.errors import ExitCode, ImgcliError, Problem, usage_error
from imgcli.core.image import MOVING_FORMATS
from imgcli.core.option import option
from imgcli.core.params import Api, Quality
from imgcli.core.text import shorten
from imgcli.dataclass import dataclass
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imgcli.core.billing.bound import Bound
    from imgcli.core.billing.prices import Prices
    from imgcli.core.catalog import Catalog
    from imgcli.core.request import ImageRequest


_MILLION = 1_000_000
_AUTO = "auto"
_NAME_LENGTH = 60

OFF = "off"
"""The value that removes a limit set in a file or in the environment."""

_AMOUNT = regex(r"\$?([0-9]{1,9}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_ADVICE = (
    f"Choose a lower {option('quality')}, fewer {option('partials')}, a smaller {option('size')} "
    "or a shorter prompt, or raise the limit."
)


@dataclass(frozen=True)
class PastRun:
    """An earlier run of this user with the same server, API, models, size, quality and format.

    `cost` is its total, None where any of it is unknown. `partials` were requested, `arrived` came, which may
    be more; `references` is the number of input images.
    """

    cost: Decimal | None
    partials: int = 0
    arrived: int = 0
    references: int = 0

    @property
    def extra(self) -> int:
        """The number of partials that would not have been charged, had none been requested."""
        return min(self.partials, self.arrived)


@dataclass(frozen=True)
class Estimate:
    """The range in US dollars, None where an end is unknown, and its basis."""

    low: Decimal | None
    high: Decimal | None
    basis: str


def estimate(
    request: ImageRequest, catalog: Catalog, past: Sequence[PastRun], references: int = 0
) -> Estimate:
    """Estimate the cost of a request before it is sent. `references` is the number of input images.

    OpenAI's token table comes first where it covers the whole price, then the user's own runs; otherwise the
    table gives the minimum, and the maximum is unknown. The maximum is never below what such a run has cost.
    """
    table = _from_table(request, catalog)
    known = _from_history(request, catalog, past, references)
    if table is None or table.high is None:
        return known or table or _unknown_estimate(request, catalog, past)
    if known is None or known.high is None or known.high <= table.high:
        return table
    return Estimate(table.low, known.high, f"{table.basis}, and {known.basis}")


def _from_table(request: ImageRequest, catalog: Catalog) -> Estimate | None:
    """Estimate from the published token counts; None where there are none for this request."""
    name = image_model_name(request, catalog)
    prices, tokens = prices_of(name, catalog), _published(request, catalog)
    is_other = request.format in MOVING_FORMATS or not is_standard(request.service_tier, None)
    if not tokens or prices.image_out is None or is_other:
        return None
    count = request.count or 1
    low = min(tokens) * prices.image_out / _MILLION * count
    image = (max(tokens) + request.partials * catalog.limits["partial"]) * prices.image_out / _MILLION * count
    words = _most_for_words(request, prices)
    basis = f"from OpenAI's token table, prices of {dated(prices.date, prices.table)}"
    if words is None:
        return Estimate(low, None, f"{basis}; {_what_is_unknown(request, name)}")
    return Estimate(low, image + words, basis)


def _published(request: ImageRequest, catalog: Catalog) -> list[int]:
    """List the possible token counts; where the server chooses size or quality, there are several."""
    model = catalog.find(image_model_name(request, catalog))
    if model is None:
        return []
    return [
        tokens
        for quality, sizes in model.tokens.items()
        for size, tokens in sizes.items()
        if request.quality in (None, Quality.AUTO, quality) and request.size in (None, _AUTO, size)
    ]


def _most_for_words(request: ImageRequest, prices: Prices) -> Decimal | None:
    """Price the prompt at its maximum, one token per byte; None where other text or input is charged as well.

    That is a text model's input and output, reference images, and text output of an image model that charges
    for it separately: no token counts of these are published.
    """
    writes = prices.text_out is not None and not request.stream
    if request.api is Api.RESPONSES or not request.is_plain or writes or prices.text_in is None:
        return None
    return len(request.prompt.encode()) * prices.text_in / _MILLION


def _what_is_unknown(request: ImageRequest, name: str) -> str:
    if request.api is Api.RESPONSES:
        return f"what {request.model} adds is unknown"
    return f"what {name} charges for {'text' if request.is_plain else 'the reference images'} is unknown"


def _from_history(
    request: ImageRequest, catalog: Catalog, past: Sequence[PastRun], references: int
) -> Estimate | None:
    """Estimate from the cheapest and the most expensive earlier run, with this request's number of partials.

    Partials that a server sent without a request for them will be sent and charged again.
    """
    rate = prices_of(image_model_name(request, catalog), catalog).image_out
    similar = [run for run in past if run.references == references and run.cost is not None]
    if rate is None:
        similar = [run for run in similar if run.partials == request.partials]
    if not similar:
        return None
    partial = (rate or Decimal(0)) * catalog.limits["partial"] / _MILLION
    bare = [max(Decimal(0), run.cost - run.extra * partial) for run in similar if run.cost is not None]
    most = max(bare) + request.partials * partial
    least = min(bare) if rate is not None else min(run.cost for run in similar if run.cost is not None)
    runs = "1 earlier run" if len(similar) == 1 else f"{len(similar)} earlier runs"
    return Estimate(least, most, f"from your {runs} like this")


def _unknown_estimate(request: ImageRequest, catalog: Catalog, past: Sequence[PastRun]) -> Estimate:
    why = _why_no_table(request, image_model_name(request, catalog), catalog)
    runs = "no earlier run like this" + (" whose cost is known" if any(past) else "")
    return Estimate(None, None, f"{why}, and you have {runs}")


def _why_no_table(request: ImageRequest, name: str, catalog: Catalog) -> str:
    model = catalog.find(name)
    if model is None or model.prices is None:
        return f"imgcli has no price for {name}"
    if request.service_tier and not is_standard(request.service_tier, None):
        tier = option("service-tier", shorten(request.service_tier, _NAME_LENGTH))
        return f"no price of an image is published for {tier}"
    if model.tokens and request.format in MOVING_FORMATS:
        return f"OpenAI publishes no token counts for {request.format}"
    if model.tokens:
        return f"OpenAI publishes no token counts for {name} at {request.size}, {request.quality}"
    return f"OpenAI publishes no token counts for {name}"


def _format_range(found: Estimate) -> str:
    """Format the range: `$0.0084 to $0.0098`, `at least $0.0084`, `unknown`."""
    if found.low is None and found.high is None:
        return "unknown"
    if found.high is None:
        return f"at least {dollars(found.low)}"
    low, high = dollars(found.low), dollars(found.high)
    return high if low == high else f"{low} to {high}"


def estimate_line(found: Estimate, bound: Bound | None = None) -> str:
    """Format an estimate and its basis; `bound` gives the maximum where the estimate has none."""
    separator = ": " if found.low is None else ", "
    most = f", at most {dollars(bound.dollars)} as of {bound.dated}" if bound and found.high is None else ""
    return f"estimate: {_format_range(found)}{most}{separator}{found.basis}"


def total_line(found: Sequence[Estimate], bounds: Sequence[Bound | None]) -> str:
    """Format the estimate of several requests together; `bounds` give the maximum where it is unknown."""
    lows = [one.low for one in found if one.low is not None]
    highs = [one.high for one in found if one.high is not None]
    low = sum(lows, Decimal(0)) if lows else None
    high = sum(highs, Decimal(0)) if len(highs) == len(found) else None
    most = [bound.dollars for bound in bounds if bound]
    limit = ""
    if high is None and len(most) == len(bounds):
        limit = f", at most {dollars(sum(most, Decimal(0)))}"
    return f"estimate for {len(found)} images: {_format_range(Estimate(low, high, ''))}{limit}"


@dataclass(frozen=True)
class Cap:
    """A limit in US dollars, and the long name of the option that sets it."""

    option: str
    amount: Decimal


@dataclass(frozen=True)
class Spent:
    """What was spent today: the `known` dollars, and those `reserved` for `open_runs`.

    Open runs are in progress or have an unknown cost; `unknown_runs` have an unknown upper bound as well.
    `aside` is a history file of today that was set aside, None without one.
    """

    known: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    open_runs: int = 0
    unknown_runs: int = 0
    aside: Path | None = None


def parse_cap(name: str, text: str | None) -> Cap | None:
    """Parse the limit of an option, `0.50` or `$0.50`; None without one. Raises `ImgcliError` (usage)."""
    value = (text or "").strip()
    if text is None or value.lower() == OFF:
        return None
    if amount := _AMOUNT.fullmatch(value):
        return Cap(name, Decimal(amount[1]))
    taken = f"an amount in dollars such as 0.50, or {OFF}"
    raise usage_error(f"{option(name)} must be {taken}, not {shorten(text, 40) or 'nothing'}.", about=(name,))


def check_run(bounds: Sequence[Bound], cap: Cap) -> None:
    """Raise `ImgcliError` (usage) for requests that together may cost more than the limit."""
    most = sum((bound.dollars for bound in bounds), Decimal(0))
    if most > cap.amount:
        these = "This" if len(bounds) == 1 else f"These {len(bounds)} images"
        allowed = f"{option(cap.option)} allows {dollars(cap.amount)}"
        what = f"{these} may cost up to {dollars(most)}; {allowed}. {_source(bounds[0])}"
        advice = f"Ask for fewer images. {_ADVICE}" if len(bounds) > 1 else _ADVICE
        raise usage_error(what, advice, about=(cap.option,))


def check_day(bound: Bound, spent: Spent, cap: Cap) -> None:
    """Raise `ImgcliError` for a run after which today's spending may exceed the limit.

    The exit code is usage, or unwritable where today's history is incomplete.
    """
    _check_sum(spent, cap)
    if spent.known + spent.reserved + bound.dollars <= cap.amount:
        return
    so_far = f"Today's cost is {dollars(spent.known)} so far"
    if spent.open_runs:
        so_far += f", up to {dollars(spent.reserved)} more is reserved for {_open(spent.open_runs)}"
    this = f"this may cost up to {dollars(bound.dollars)}"
    recover = "`imgcli recover` finds out what interrupted runs have cost. " if spent.open_runs else ""
    raise usage_error(
        f"{so_far}, and {this}; {_allowed(cap)}. {_source(bound)}", f"{recover}{_ADVICE}", about=(cap.option,)
    )


def _source(bound: Bound) -> str:
    return f"The upper bound is based on {bound.basis}, as of {bound.dated}; OpenAI's bill is authoritative."


def _allowed(cap: Cap) -> str:
    return f"{option(cap.option)} allows {dollars(cap.amount)} a day"


def _check_sum(spent: Spent, cap: Cap) -> None:
    """Raise where it is unknown what today has cost."""
    lifted = f"{option(cap.option, OFF)} allows a single run"
    if spent.aside:
        what = f"Today's cost is unknown: a history was set aside as {spent.aside}; {_allowed(cap)}."
        advice = f"Check your usage page, and move that file elsewhere; {lifted}."
        raise ImgcliError(Problem(ExitCode.UNWRITABLE, what, advice=advice, parameters=(cap.option,)))
    if spent.unknown_runs:
        runs = "1 run today" if spent.unknown_runs == 1 else f"{spent.unknown_runs} runs today"
        what = f"{runs} may have had an unknown cost; {_allowed(cap)}."
        advice = f"Run `imgcli recover`, and check your usage page; {lifted}."
        raise usage_error(what, advice, about=(cap.option,))


def _open(count: int) -> str:
    return f"{count} run{'s' * (count != 1)} in progress or of unknown cost"


@dataclass(frozen=True)
class Budget:
    """Whether to estimate the cost, and the limits; None means no limit."""

    estimate: bool = False
    run: Cap | None = None
    day: Cap | None = None
