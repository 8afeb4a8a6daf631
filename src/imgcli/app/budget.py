"""The user's money before a run: the estimate that is told, and the limits that are kept to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.api.auth import server_host
from imgcli.app import context, lookup
from imgcli.core.billing.budget import OFF, Budget, PastRun, check_run, estimate, estimate_line, parse_cap
from imgcli.core.errors import ImgcliError, usage_error

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.catalog import Catalog
    from imgcli.core.history import HistoryEntry
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


MAX_COST = "--max-cost"
DAILY_CAP = "--daily-cap"
_LOOKED_AT = 200
"""Runs back, among which those alike are looked for: what was long ago was priced otherwise."""


def budget(max_cost: str | None, daily_cap: str | None, *, estimate: bool, is_summed: bool) -> Budget:
    """Read the limits; `is_summed` tells that no cost of this run will be missing in the day's sum.

    Raises `ImgcliError` (usage).
    """
    day = parse_cap(DAILY_CAP, daily_cap)
    if day and not is_summed:
        raise usage_error(
            f"{DAILY_CAP} adds up the history, and --no-history would leave this run out of the sum.",
            f"Leave --no-history out, or remove the limit: {DAILY_CAP} {OFF}.",
        )
    return Budget(estimate, parse_cap(MAX_COST, max_cost), day)


def past_runs(world: Context, request: ImageRequest, asked: str | None) -> list[PastRun]:
    """Return this user's newest runs alike: same server, API, models, size, quality and format.

    `asked` is the server's place, as the history names it.

    Raises `ImgcliError` (usage) where the history cannot be read.
    """
    with lookup.open_history(world, world.history_wait) as history:
        return [
            PastRun(entry.cost, entry.request.partials, _arrived(entry), len(entry.request.references))
            for entry in history.entries(_LOOKED_AT)
            if entry.request and _counts(entry, asked) and _kind(entry.request) == _kind(request)
        ]


def _counts(entry: HistoryEntry, asked: str | None) -> bool:
    """Whether a run says what others will cost: it brought its image, and this server was paid for it."""
    return bool(entry.images) and not entry.is_demo and entry.endpoint == asked


def _kind(request: ImageRequest) -> tuple[object, ...]:
    return (
        request.previous_response_id is None,
        request.api,
        request.model,
        request.image_model,
        request.size,
        request.quality,
        request.format,
        request.fidelity,
        request.mask is None,
    )


def _arrived(entry: HistoryEntry) -> int:
    """Count the partials that a run was billed for."""
    return sum(row.partials or 0 for row in entry.charges)


def watched(world: Context, order: GenerateOptions, decision: ValidRequest, models: Catalog) -> ValidRequest:
    """Tell the estimate where it is wanted, and refuse what is beyond a limit: raises `ImgcliError` (usage).

    What would be sent to a server that has forgotten the conversation is barred where that is beyond a limit:
    the conversation itself may go on. What is free is not limited.
    """
    wanted, asked = order.budget, server_host(world.env, order.endpoint.base_url)
    limit = None if order.endpoint.is_free else wanted.run
    if wanted.estimate:
        remark = "; a demo is free" if order.endpoint.demo else ""
        context.write(world, [f"{_estimated(world, decision.request, models, asked)}{remark}"])
    if limit is None:
        return decision
    check_run(_bound(world, decision.request, models, asked), limit)
    try:
        if decision.fallback:
            check_run(_bound(world, decision.fallback, models, asked), limit)
    except ImgcliError as beyond:
        return replace(decision, fallback_blocked=beyond.problem)
    return decision


def _bound(world: Context, request: ImageRequest, models: Catalog, asked: str | None) -> Bound:
    """Find the most that a request costs; raises `ImgcliError` (usage) where that is unknown."""
    from imgcli.core.billing.bound import (  # which a run without a limit does without
        conversation_before,
        upper_bound,
    )

    before = None
    if request.previous_response_id:
        with lookup.open_history(world, world.history_wait) as history:
            before = conversation_before(request, history.find_response)
    return upper_bound(request, models, before, asked)


def _estimated(world: Context, request: ImageRequest, models: Catalog, asked: str | None) -> str:
    """Write the estimate; a history that cannot be read is not in its way, as it is in a limit's."""
    past, bound = [], None
    with suppress(ImgcliError):
        past = past_runs(world, request, asked)
    with suppress(ImgcliError):
        bound = _bound(world, request, models, asked)
    return estimate_line(estimate(request, models, past, len(request.references)), bound)
