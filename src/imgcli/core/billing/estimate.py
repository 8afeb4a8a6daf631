"""What a run may cost, told before it is sent: from OpenAI's figures or the user's runs, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from imgcli.core.billing.bill import dollars, prices_of
from imgcli.core.billing.bound import painter
from imgcli.core.image import ImageFormat
from imgcli.core.params import Api, Quality

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgcli.core.billing.bound import Bound
    from imgcli.core.catalog import Catalog, Prices
    from imgcli.core.request import ImageRequest


_MILLION = 1_000_000
_AUTO = "auto"
_MOVING = (ImageFormat.GIF, ImageFormat.SVG)


@dataclass(frozen=True)
class PastRun:
    """One earlier run of this user, alike in server, API, models, size, quality and format.

    `cost` is its bill's total, None where any of it was unknown; `partials` is how many were asked for,
    `arrived` how many came, which may be more; `references` how many images were sent along.
    """

    cost: Decimal | None
    partials: int = 0
    arrived: int = 0
    references: int = 0

    @property
    def wanted(self) -> int:
        """How many partials it would not have cost, had none been asked for."""
        return min(self.partials, self.arrived)


@dataclass(frozen=True)
class Estimate:
    """The range in US dollars, None where an end is unknown, and what it is based on."""

    low: Decimal | None
    high: Decimal | None
    basis: str


def estimate(
    request: ImageRequest, catalog: Catalog, past: Sequence[PastRun], references: int = 0
) -> Estimate:
    """Say what a request may cost, before it is sent.

    OpenAI's table of tokens goes first where it tells the whole price; else the user's own runs tell the
    range; else what the table knows is the least that it costs, and the most is unknown. `references` is how
    many images are sent along. The most is never below what such a run has cost before.
    """
    table = _from_table(request, catalog)
    known = _from_history(request, catalog, past, references)
    if table is not None and table.high is not None:
        return _raised(table, table.high, known)
    return known or table or _unknown_estimate(request, catalog, past)


def _from_table(request: ImageRequest, catalog: Catalog) -> Estimate | None:
    """Reckon with the published tokens; None where there are none for this request."""
    name = painter(request, catalog)
    prices, tokens = prices_of(name, catalog), _published(request, catalog)
    if not tokens or prices.image_out is None or request.format in _MOVING:
        return None
    low = min(tokens) * prices.image_out / _MILLION
    image = (max(tokens) + request.partials * catalog.limits["partial"]) * prices.image_out / _MILLION
    words = _most_for_words(request, prices)
    told = f"from OpenAI's table of tokens, prices of {prices.date}"
    if words is None:
        return Estimate(low, None, f"{told}; {_what_is_unknown(request, name)}")
    return Estimate(low, image + words, told)


def _published(request: ImageRequest, catalog: Catalog) -> list[int]:
    """List the token counts that the request can come to; what is left to the server can be any of them."""
    model = catalog.find(painter(request, catalog))
    if model is None:
        return []
    return [
        tokens
        for quality, sizes in model.tokens.items()
        for size, tokens in sizes.items()
        if request.quality in (None, Quality.AUTO, quality) and request.size in (None, _AUTO, size)
    ]


def _most_for_words(request: ImageRequest, prices: Prices) -> Decimal | None:
    """Price the prompt at its longest, which is a token for each byte; None where more than it is paid for.

    That is what a text model says and reads, reference images, and words of a model that charges for them
    apart from its images: nobody publishes how many those are.
    """
    writes = prices.text_out is not None and not request.stream
    if request.api is Api.RESPONSES or not request.is_plain or writes or prices.text_in is None:
        return None
    return len(request.prompt.encode()) * prices.text_in / _MILLION


def _what_is_unknown(request: ImageRequest, name: str) -> str:
    if request.api is Api.RESPONSES:
        return f"what {request.model} adds to it is unknown"
    return f"what {name} charges for {'words' if request.is_plain else 'the reference images'} is unknown"


def _from_history(
    request: ImageRequest, catalog: Catalog, past: Sequence[PastRun], references: int
) -> Estimate | None:
    """Take the cheapest and the dearest of the earlier runs, with this request's partials for theirs.

    What a server sent without being asked it will send again, and charge for.
    """
    rate = prices_of(painter(request, catalog), catalog).image_out
    alike = [run for run in past if run.references == references and run.cost is not None]
    if rate is None:
        alike = [run for run in alike if run.partials == request.partials]
    if not alike:
        return None
    partial = (rate or Decimal(0)) * catalog.limits["partial"] / _MILLION
    bare = [max(Decimal(0), run.cost - run.wanted * partial) for run in alike if run.cost is not None]
    most = max(bare) + request.partials * partial
    least = min(bare) if rate is not None else min(run.cost for run in alike if run.cost is not None)
    runs = "1 earlier run" if len(alike) == 1 else f"{len(alike)} earlier runs"
    return Estimate(least, most, f"from your {runs} like this")


def _raised(table: Estimate, most: Decimal, known: Estimate | None) -> Estimate:
    """Believe the user's own bills where they were above OpenAI's table."""
    if known is None or known.high is None or known.high <= most:
        return table
    return Estimate(table.low, known.high, f"{table.basis}, and {known.basis}")


def _unknown_estimate(request: ImageRequest, catalog: Catalog, past: Iterable[PastRun]) -> Estimate:
    name = painter(request, catalog)
    why = _why_no_table(request, name, catalog)
    runs = "no earlier run like this" + (" whose cost is known" if any(past) else "")
    return Estimate(None, None, f"{why}, and you have {runs}")


def _why_no_table(request: ImageRequest, name: str, catalog: Catalog) -> str:
    model = catalog.find(name)
    if model is None or model.prices is None:
        return f"imgcli knows no price of {name}"
    if model.tokens and request.format in _MOVING:
        return f"OpenAI publishes no token counts for {request.format}"
    if model.tokens:
        return f"OpenAI publishes no token counts for {name} at {request.size}, {request.quality}"
    return f"OpenAI publishes no token counts for {name}"


def range_words(found: Estimate) -> str:
    """Write the range for people: `$0.0084 to $0.0098`, `at least $0.0084`, `unknown`."""
    if found.low is None and found.high is None:
        return "unknown"
    if found.high is None:
        return f"at least {dollars(found.low)}"
    low, high = dollars(found.low), dollars(found.high)
    return high if low == high else f"{low} to {high}"


def estimate_line(found: Estimate, bound: Bound | None = None) -> str:
    """Say what a run may cost, and how we know; `bound` tells the most where nothing else does."""
    separator = ": " if found.low is None else ", "
    most = f", at most {dollars(bound.dollars)} as of {bound.as_of}" if bound and found.high is None else ""
    return f"estimate: {range_words(found)}{most}{separator}{found.basis}"
