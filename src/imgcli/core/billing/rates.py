"""What other rates than the standard ones do to a bill: service tiers, and OpenAI's regional addresses."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from imgcli.core.billing.bill import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgcli.core.billing.bill import Bill, Row
    from imgcli.core.events import Completed
    from imgcli.core.request import ImageRequest


Price: TypeAlias = "Callable[[ImageRequest, Completed, int, int], Bill]"
"""Works out the bill of a job from its request, its end, and the numbers of its partials and images."""
_STANDARD = frozenset(["", "auto", "default", "standard"])
_TIERS = {"fast": Decimal(2), "flex": Decimal("0.5"), "batch": Decimal("0.5")}
"""Times the text models' standard rates (OpenAI's pricing page, August 2026); it names no image model."""
_REGIONAL = re.compile(r"[a-z0-9-]+\.api\.openai\.com(?::443)?")
_SURCHARGE, _SINCE = Decimal("1.1"), "2026-03-05"
"""What a region's address costs with models that were released since that day (the same page)."""
_NEWER = re.compile(r"gpt-image-2\.[56]-.+")  # of September and November 2026
_SNAPSHOT = re.compile(r".+-(20[0-9]{2}-[0-9]{2}-[0-9]{2})")
_LONGEST_NAME = 40


def at_rates(made: Bill, tier: str | None, place: str | None) -> Bill:
    """Return a bill of standard rates as it is in a service tier, at the server at `place`.

    Costs whose rate is not published for certain become unknown, and a note says why.
    """
    if is_standard(tier, place):
        return made
    rows = tuple(_scaled(row, _factor(row, tier, place)) for row in made.rows)
    return replace(made, rows=rows, notes=(*made.notes, *_notes(tier, place)))


def is_standard(tier: str | None, place: str | None) -> bool:
    """Return whether the standard rates hold."""
    return (tier or "") in _STANDARD and not _is_regional(place)


def highest_surcharge(place: str | None) -> Decimal:
    """Return what a server's address makes of the standard rates at most."""
    return _SURCHARGE if _is_regional(place) else Decimal(1)


def _is_regional(place: str | None) -> bool:
    return bool(place and _REGIONAL.fullmatch(place.lower()))


def _factor(row: Row, tier: str | None, place: str | None) -> Decimal | None:
    """Find what a row costs in standard rates; None where that is not known."""
    times = Decimal(1)
    if (tier or "") not in _STANDARD:
        if row.part is not Part.TEXT or tier not in _TIERS:
            return None
        times = _TIERS[tier]
    if not _is_regional(place):
        return times
    surcharge = _surcharge(row.model or "")
    return surcharge and times * surcharge


def _surcharge(model: str) -> Decimal | None:
    """Find the region's surcharge, as far as a model's name tells when it was released."""
    if _NEWER.fullmatch(model):
        return _SURCHARGE
    dated = _SNAPSHOT.fullmatch(model)
    return Decimal(1) if dated and dated[1] < _SINCE else None


def _scaled(row: Row, factor: Decimal | None) -> Row:
    return replace(row, cost_in=_times(row.cost_in, factor), cost_out=_times(row.cost_out, factor))


def _times(cost: Decimal | None, factor: Decimal | None) -> Decimal | None:
    """Nothing costs nothing at any rate."""
    if not cost or factor is None:
        return cost if not cost else None
    return cost * factor


def _notes(tier: str | None, place: str | None) -> Iterator[str]:
    if tier and tier not in _STANDARD:
        known = "only the text model's price there is" if tier in _TIERS else "no price there is"
        yield f"The server worked in its service tier {tier[:_LONGEST_NAME]}; {known} published."
    if _is_regional(place):
        yield f"At {place} models released since {_SINCE} cost 10% more; of some that day is not known."
