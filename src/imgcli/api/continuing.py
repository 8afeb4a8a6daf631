"""Another request in place of one that the server refused for free: it has forgotten, or knows less."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcli.api.client import DEFAULT_CLOCK, DEFAULT_LIMITS, send
from imgcli.api.upload import ignore
from imgcli.core.errors import Cause, Charged, ImgcliError
from imgcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from imgcli.api.account import Account
    from imgcli.api.client import Answer, Clock
    from imgcli.api.patience import Limits
    from imgcli.core.errors import Problem
    from imgcli.core.events import Waiting
    from imgcli.core.request import ImageRequest
    from imgcli.core.wish import Decision

FORGOTTEN = "the server cannot continue the conversation; the picture itself is sent instead"
FORMATLESS = "the server does not take response_format; the request is sent again without it"


def send_decided(
    decision: Decision,
    job: str,
    account: Account,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock = DEFAULT_CLOCK,
    sent: Callable[[], None] = ignore,
) -> Generator[Waiting | Notice, None, Answer]:
    """Send the request; where the server refuses it for a reason that can be got around, say so and do that.

    The first one cost nothing then: it was refused before any work. Raises `ImgcliError` as `send` does.
    """
    try:
        return (yield from send(decision.request, job, account, limits, clock, sent))
    except ImgcliError as error:
        other = _other(decision, error.problem)
        if other is None:
            raise
        if decision.barred and error.problem.cause is Cause.FORGOTTEN:
            raise ImgcliError(_barred(error.problem, decision.barred)) from None
    text, request = other
    yield Notice(job, text, request)
    return (yield from send(request, job, account, limits, clock, sent))


def _other(decision: Decision, problem: Problem) -> tuple[str, ImageRequest] | None:
    """Choose what to send after a refusal that certainly cost nothing, and say why; None for nothing."""
    if problem.charged is not Charged.NO:
        return None
    if problem.cause is Cause.FORGOTTEN and decision.otherwise:
        return FORGOTTEN, decision.otherwise
    if problem.cause is Cause.RESPONSE_FORMAT and decision.request.inline:
        return FORMATLESS, replace(decision.request, inline=False)
    return None


def _barred(forgotten: Problem, why: Problem) -> Problem:
    """Say that there was another way, and why it was not gone."""
    what = f"{forgotten.what} The picture itself was not sent instead, because of a limit. {why.what}"
    return replace(forgotten, what=what, advice=why.advice)
