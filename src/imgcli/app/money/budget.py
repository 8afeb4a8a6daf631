"""Before a run: its estimate, and the limit for one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from imgcli.core.billing.budget import PastRun, check_run, estimate, estimate_line, total_line
from imgcli.core.errors import ImgcliError
from imgcli.core.params import MODEL_FIELDS, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.app.context import Context
    from imgcli.app.options import GenerateOptions
    from imgcli.core.billing.bound import Bound
    from imgcli.core.billing.budget import Estimate
    from imgcli.core.catalog import Catalog
    from imgcli.core.request import ImageRequest
    from imgcli.core.validate import ValidRequest


_LOOKED_AT = 200
"""Runs back, among which those alike are looked for: what was long ago was priced otherwise."""


_alike = attrgetter("count", *MODEL_FIELDS, *(one.name for one in PARAMETERS if one.costs))
"""What a request has in common with others that cost about the same."""


def past_runs(context: Context, request: ImageRequest, host: str | None) -> list[PastRun]:
    """Return this user's newest runs alike that brought an image and were paid for at this server.

    Raises `ImgcliError` (usage) where the history cannot be read.
    """
    from imgcli.app import lookup

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
    context: Context, options: GenerateOptions, requests: Sequence[ValidRequest], models: Catalog
) -> list[ValidRequest]:
    """Print the estimate where it is wanted; raise `ImgcliError` (usage) for what may cost too much.

    The limit is one for all `requests`. Where only the fallbacks may cost too much, they are blocked: the
    conversations themselves may go on. What is free has no limit.
    """
    limit, host = options.budget.run, options.server.host(context.env)
    if options.budget.estimate:
        remark = "; a demo is free" if options.server.demo else ""
        lines = _estimate_lines(context, [valid.request for valid in requests], models, host)
        context.write_lines([f"{line}{remark}" for line in lines])
    if limit is None or options.server.is_free:
        return list(requests)
    check_run([bound_of(context, valid.request, models, host) for valid in requests], limit)
    try:
        check_run(
            [bound_of(context, valid.fallback or valid.request, models, host) for valid in requests], limit
        )
    except ImgcliError as error:
        return [replace(valid, fallback_blocked=error.problem) for valid in requests]
    return list(requests)


def bound_of(context: Context, request: ImageRequest, models: Catalog, host: str | None) -> Bound:
    """Return the most that a request costs; raises `ImgcliError` (usage) where that is unknown."""
    from imgcli.core.billing.bound import (  # which a run without a limit does without
        conversation_before,
        upper_bound,
    )

    before = None
    if request.previous_response_id:
        from imgcli.app import lookup

        with lookup.open_history(context, context.history_wait) as history:
            before = conversation_before(request, history.find_response)
    return upper_bound(request, models, before, host)


def _estimate_lines(
    context: Context, requests: Sequence[ImageRequest], models: Catalog, host: str | None
) -> list[str]:
    """Format the estimate of each request, equal ones once, and of all; it does without a broken history."""
    distinct: list[ImageRequest] = []
    distinct.extend(request for request in requests if request not in distinct)
    found = [estimate_of(context, request, models, host) for request in distinct]
    lines = [estimate_line(*one) for one in found]
    if len(requests) == 1:
        return lines
    each = [found[distinct.index(request)] for request in requests]
    return [*lines, total_line([one for one, _ in each], [bound for _, bound in each])]


def estimate_of(
    context: Context, request: ImageRequest, models: Catalog, host: str | None
) -> tuple[Estimate, Bound | None]:
    """Estimate what a request costs, and the most that it does; a broken history makes it less exact."""
    past, bound = [], None
    with suppress(ImgcliError):
        past = past_runs(context, request, host)
    with suppress(ImgcliError):
        bound = bound_of(context, request, models, host)
    return estimate(request, models, past, len(request.references)), bound
