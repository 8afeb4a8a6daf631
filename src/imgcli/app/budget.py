"""The money before a run: the estimate, and the limit for one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from imgcli.app import lookup
from imgcli.core.billing.budget import PastRun, check_run, estimate, estimate_line
from imgcli.core.errors import ImgcliError

if TYPE_CHECKING:
    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.catalog import Catalog
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


_LOOKED_AT = 200
"""Runs back, among which those alike are looked for: what was long ago was priced otherwise."""


_alike = attrgetter("api", "model", "image_model", "size", "quality", "format", "fidelity")
"""What a request has in common with others that cost about the same."""


def past_runs(context: Context, request: ImageRequest, host: str | None) -> list[PastRun]:
    """Return this user's newest runs alike that brought an image and were paid for at this server.

    Raises `ImgcliError` (usage) where the history cannot be read.
    """
    with lookup.open_history(context, context.history_wait) as history:
        entries = [
            (entry, entry.request)
            for entry in history.entries(_LOOKED_AT)
            if entry.request and entry.images and not entry.is_demo and entry.endpoint == host
        ]
    return [
        PastRun(
            entry.cost,
            past.partials,
            sum(charge.partials or 0 for charge in entry.charges),
            len(past.references),
        )
        for entry, past in entries
        if _kind(past) == _kind(request)
    ]


def _kind(request: ImageRequest) -> tuple[object, ...]:
    return request.previous_response_id is None, request.mask is None, *_alike(request)


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
    check_run(bound_of(context, valid.request, models, host), limit)
    try:
        if valid.fallback:
            check_run(bound_of(context, valid.fallback, models, host), limit)
    except ImgcliError as error:
        return replace(valid, fallback_blocked=error.problem)
    return valid


def bound_of(context: Context, request: ImageRequest, models: Catalog, host: str | None) -> Bound:
    """Return the most that a request costs; raises `ImgcliError` (usage) where that is unknown."""
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
        bound = bound_of(context, request, models, host)
    return estimate_line(estimate(request, models, past, len(request.references)), bound)
