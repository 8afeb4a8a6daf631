"""Prices other than the standard ones: service tiers, OpenAI's regional servers, and what a server states."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.billing.bill import Part, Row
from imgcli.core.billing.token_counts import count, or_none
from imgcli.core.json_fields import as_object
from imgcli.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.core.billing.bill import Bill
    from imgcli.core.events import Completed, Json
    from imgcli.core.request import ImageRequest


Price: TypeAlias = "Callable[[ImageRequest, Completed, int, int], Bill]"
"""Computes the bill of a job from its request, its end, and the numbers of its partials and images."""
_STANDARD = frozenset(["", "auto", "default", "standard"])
_TIERS = {"fast": Decimal(2), "priority": Decimal(2), "flex": Decimal("0.5")}
"""Factors on the text models' standard rates (OpenAI's pricing page, August 2026; none for image models).

A server reports fast mode as `priority` (SDK 3.57.0).
"""
BATCH = "batch"
"""The name of the Batch API among the service tiers; an answer of a batch does not say it."""
HALF = Decimal("0.5")
"""The Batch API's factor, for every model that it serves (OpenAI's reference, November 2026)."""
WINDOW = "completion window"
"""Begins the names of background work at a discount, which no answer says either; its rates are unknown."""
_REGIONAL = regex(r"[a-z0-9-]+\.api\.openai\.com(?::443)?")
_SURCHARGE, _SINCE = Decimal("1.1"), "2026-03-05"
"""The factor of a regional server for models released since that day (the same page)."""
_NEWER = regex(r"gpt-image-2\.[56]-.+")  # of September and November 2026
_SNAPSHOT = regex(r".+-(20[0-9]{2}-[0-9]{2}-[0-9]{2})")
_LONGEST_NAME = 40


def apply_rates(made: Bill, tier: str | None, host: str | None) -> Bill:
    """Return a bill at standard rates converted to a service tier and a server.

    Costs whose rate is not published become unknown, and a note says why.
    """
    if is_standard(tier, host):
        return made
    rows = tuple(_scaled(row, _factor(row, tier, host)) for row in made.rows)
    return replace(made, rows=rows, notes=(*made.notes, *_notes(tier, host)))


def is_standard(tier: str | None, host: str | None) -> bool:
    """Return whether the standard rates apply."""
    return (tier or "") in _STANDARD and not _is_regional(host)


def highest_surcharge(host: str | None) -> Decimal:
    """Return the largest factor of a server on the standard rates."""
    return _SURCHARGE if _is_regional(host) else Decimal(1)


def _is_regional(host: str | None) -> bool:
    return bool(host and _REGIONAL.fullmatch(host.lower()))


def _factor(row: Row, tier: str | None, host: str | None) -> Decimal | None:
    """Return the factor for a row; None where it is unknown."""
    times = Decimal(1)
    if tier == BATCH:
        times = HALF
    elif (tier or "") not in _STANDARD:
        if row.part is not Part.TEXT or tier not in _TIERS:
            return None
        times = _TIERS[tier]
    if not _is_regional(host):
        return times
    surcharge = _surcharge(row.model or "")
    return surcharge and times * surcharge


def _surcharge(model: str) -> Decimal | None:
    """Return the regional factor; None where a model's name does not show when it was released."""
    if _NEWER.fullmatch(model):
        return _SURCHARGE
    dated = _SNAPSHOT.fullmatch(model)
    return Decimal(1) if dated and dated[1] < _SINCE else None


def _scaled(row: Row, factor: Decimal | None) -> Row:
    return replace(row, cost_in=_times(row.cost_in, factor), cost_out=_times(row.cost_out, factor))


def _times(cost: Decimal | None, factor: Decimal | None) -> Decimal | None:
    """Multiply a cost; zero and unknown stay as they are, whatever the factor."""
    if not cost or factor is None:
        return cost if not cost else None
    return cost * factor


def _notes(tier: str | None, host: str | None) -> Iterator[str]:
    if tier == BATCH:
        yield "The Batch API costs half the standard price."
    elif tier and tier.startswith(WINDOW):
        yield "imgcli does not know the discount of a completion window; it costs at most the standard price."
    elif tier and tier not in _STANDARD:
        known = "only the text model's price is" if tier in _TIERS else "no price is"
        yield f"The server used its service tier {tier[:_LONGEST_NAME]}, for which {known} published."
    if _is_regional(host):
        yield f"At {host}, models released since {_SINCE} cost 10% more; some release dates are unknown."


_MOST_DOLLARS = 10_000
"""Far more than any run costs; a larger number is an error."""
_STATED = "The dollars are as the server says (usage.cost)."
_OWN_KEY = "The provider charges your own key besides; the server does not say how much."


def server_price(usage: Json | None) -> Decimal | None:
    """Return the price that is stated, None for none and for what cannot be one."""
    return _dollars(as_object(usage).get("cost"))


def price_notes(usage: Json | None) -> tuple[str, ...]:
    """Return what is to be known of a stated price, nothing where there is none."""
    if server_price(usage) is None:
        return ()
    return (_STATED,) if _upstream(as_object(usage)) is not None else (_STATED, _OWN_KEY)


def with_server_price(made: Bill, completed: Completed) -> Bill:
    """Return the bill with the dollars that the server states, and in one row, for it does not split them.

    Our prices are of no use then. Tokens are under the names of either of OpenAI's APIs.
    """
    usage = as_object(completed.usage)
    price, upstream = server_price(usage), _upstream(usage)
    if price is None:
        return made
    *_, image = [row for row in made.rows if row.part is Part.IMAGE] or made.rows
    row = Row(Part.ALL, image.model, partials=image.partials) if len(made.rows) > 1 else image
    stated = replace(
        row,
        tokens_in=_tokens(usage, "prompt_tokens") if row.tokens_in is None else row.tokens_in,
        tokens_out=_tokens(usage, "completion_tokens") if row.tokens_out is None else row.tokens_out,
        cost_in=upstream,
        cost_out=price,
    )
    return replace(made, rows=(stated,), prices_date=None, notes=price_notes(usage))


def _upstream(usage: Json) -> Decimal | None:
    """Return what a provider charges to the user's own key besides, None where that is unknown."""
    if usage.get("is_byok") is not True:
        return Decimal(0)
    return _dollars(as_object(usage.get("cost_details")).get("upstream_inference_cost"))


def _dollars(value: object) -> Decimal | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_DOLLARS:
        return Decimal(str(value))
    return None


def _tokens(usage: Json, key: str) -> int | None:
    return or_none(lambda: count(usage, key))
