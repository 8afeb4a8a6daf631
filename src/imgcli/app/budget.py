"""The money before a run: the estimate, and the limit for one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.app import lookup
from imgcli.core.billing.budget import check_run
from imgcli.core.billing.estimate import PastRun, estimate, estimate_line
from imgcli.core.errors import ImgcliError

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.catalog import Catalog
    from imgcli.core.history import HistoryEntry
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


_LOOKED_AT = 200
"""Runs back, among which those alike are looked for: what was long ago was priced otherwise."""


def past_runs(context: Context, request: ImageRequest, host: str | None) -> list[PastRun]:
    """Return this user's newest runs alike: same server, API, models, size, quality and format.

    Raises `ImgcliError` (usage) where the history cannot be read.
    """
    with lookup.open_history(context, context.history_wait) as history:
        return [
            PastRun(entry.cost, entry.request.partials, _arrived(entry), len(entry.request.references))
            for entry in history.entries(_LOOKED_AT)
            if entry.request and _counts(entry, host) and _kind(entry.request) == _kind(request)
        ]


def _counts(entry: HistoryEntry, host: str | None) -> bool:
    """Return whether others will cost what a run did: it brought its image, and this server was paid."""
    return bool(entry.images) and not entry.is_demo and entry.endpoint == host


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


def check_limit(
    context: Context, options: GenerateOptions, valid: ValidRequest, models: Catalog
) -> ValidRequest:
    """Print the estimate where it is wanted; raise `ImgcliError` (usage) for what may cost too much.

    Where only the fallback may cost too much, it is blocked: the conversation itself may go on. What is free
    has no limit.
    """
    limit, host = options.budget.run, options.server.host(context.env)
    if options.budget.estimate:
        remark = "; a demo is free" if options.server.demo else ""
        context.write_lines([f"{_estimate_line(context, valid.request, models, host)}{remark}"])
    if limit is None or options.server.is_free:
        return valid
    check_run(_bound(context, valid.request, models, host), limit)
    try:
        if valid.otherwise:
            check_run(_bound(context, valid.otherwise, models, host), limit)
    except ImgcliError as error:
        return replace(valid, barred=error.problem)
    return valid


def _bound(context: Context, request: ImageRequest, models: Catalog, host: str | None) -> Bound:
    """Find the most that a request costs; raises `ImgcliError` (usage) where that is unknown."""
    from imgcli.core.billing.bound import (  # which a run without a limit does without
        conversation_before,
        upper_bound,
    )

    before = None
    if request.previous_response_id:
        with lookup.open_history(context, context.history_wait) as history:
            before = conversation_before(request, history.find_response)
    return upper_bound(request, models, before, host)


def _estimate_line(context: Context, request: ImageRequest, models: Catalog, host: str | None) -> str:
    """Format the estimate; it does without a history that cannot be read, as a limit does not."""
    past, bound = [], None
    with suppress(ImgcliError):
        past = past_runs(context, request, host)
    with suppress(ImgcliError):
        bound = _bound(context, request, models, host)
    return estimate_line(estimate(request, models, past, len(request.references)), bound)
